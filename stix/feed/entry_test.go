package feed_test

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"comity/stix"
	"comity/stix/feed"
)

// The attributes of an entry are the maximum or the union over its indicators, whatever
// their order is.
func TestMergeDoesNotDependOnOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pool := []feed.Value{{feed.IPv4, "198.51.100.3"}, {feed.Domain, "bad.example"}, {feed.Domain, "a.bad.example"}}
		indicators := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) feed.Indicator {
			in := feed.Indicator{
				ID:         stix.ID(rapid.StringMatching(`indicator--[a-f]`).Draw(t, "id")),
				Name:       rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, "name"),
				Types:      rapid.SliceOfN(rapid.SampledFrom([]string{"malicious-activity", "anonymization"}), 0, 2).Draw(t, "types"),
				Confidence: rapid.IntRange(-1, 100).Draw(t, "confidence"),
				From:       day(rapid.IntRange(1, 3).Draw(t, "from")), Modified: day(rapid.IntRange(1, 3).Draw(t, "modified")),
				Values: rapid.SliceOfNDistinct(rapid.SampledFrom(pool), 1, 3, rapid.ID[feed.Value]).Draw(t, "values"),
			}
			if rapid.Bool().Draw(t, "ends") {
				in.Until = day(rapid.IntRange(4, 6).Draw(t, "until"))
			}
			return in
		}), 1, 6).Draw(t, "indicators")
		want := merge(slices.Values(indicators))
		got := merge(slices.Values(rapid.Permutation(indicators).Draw(t, "order")))
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
	})
}

// value draws values that include one another often.
var value = rapid.Custom(func(t *rapid.T) feed.Value {
	switch rapid.IntRange(0, 4).Draw(t, "kind") {
	case 0, 1:
		bits := rapid.IntRange(24, 32).Draw(t, "bits")
		return feed.NetworkValue(netip.PrefixFrom(netip.AddrFrom4([4]byte{198, 51, 100, byte(rapid.IntRange(0, 255).Draw(t, "host"))}), bits))
	case 2:
		bits := rapid.IntRange(120, 128).Draw(t, "bits")
		return feed.NetworkValue(netip.PrefixFrom(netip.MustParseAddr(fmt.Sprintf("2001:db8::%x", rapid.IntRange(0, 255).Draw(t, "host"))), bits))
	default:
		return feed.Value{Kind: feed.Domain, Text: rapid.StringMatching(`(\*\.)?([ab_](-?[ab])?\.){0,3}[ab]\.example`).Draw(t, "name")}
	}
})

func entriesOf(values []feed.Value) (entries []*feed.Entry) {
	slices.SortFunc(values, feed.Compare)
	for _, v := range slices.Compact(values) {
		entries = append(entries, &feed.Entry{Value: v, Confidence: feed.Unknown})
	}
	return entries
}

// includes tells whether a includes b, by their meaning.
func includes(a, b feed.Value, subdomains bool) bool {
	if a == b || a.Kind != b.Kind {
		return false
	}
	if p, ok := a.Network(); ok {
		q, _ := b.Network()
		return p.Bits() <= q.Bits() && p.Contains(q.Addr())
	}
	if below, wildcard := strings.CutPrefix(a.Text, "*"); wildcard {
		return strings.HasSuffix(b.Text, below)
	}
	return subdomains && strings.HasSuffix(b.Text, "."+a.Text)
}

func TestPruneLeavesOutWhatAnotherEntryIncludes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		entries := entriesOf(rapid.SliceOfN(value, 0, 20).Draw(t, "values"))
		subdomains := rapid.Bool().Draw(t, "subdomains")
		var want []*feed.Entry
		for _, e := range entries {
			if !slices.ContainsFunc(entries, func(other *feed.Entry) bool { return includes(other.Value, e.Value, subdomains) }) {
				want = append(want, e)
			}
		}
		got := slices.Collect(feed.Prune(slices.Values(entries), subdomains))
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
	})
}

// Subscribers compare one version of a list with the next, and an entry follows those
// that include it.
func TestAnEntryFollowsTheOneThatIncludesIt(t *testing.T) {
	want := []feed.Value{
		{feed.IPv4, "9.0.0.0"}, {feed.IPv4, "10.0.0.0/8"}, {feed.IPv4, "10.0.0.0/9"}, {feed.IPv4, "10.0.0.0"}, {feed.IPv4, "10.0.0.2"}, {feed.IPv4, "100.0.0.1"},
		{feed.IPv6, "2001:db8::/32"}, {feed.IPv6, "2001:db8::9"}, {feed.IPv6, "2001:db8::10"},
		{feed.Domain, "bad.example"}, {feed.Domain, "*.bad.example"}, {feed.Domain, "a.bad.example"}, {feed.Domain, "z.a.bad.example"}, {feed.Domain, "b.bad.example"},
		{feed.Domain, "bad-er.example"}, {feed.Domain, "bad.test"}, {feed.URL, "http://a.example/"}, {feed.URL, "http://b.example/"},
	}
	got := slices.Clone(want)
	slices.Reverse(got)
	slices.SortFunc(got, feed.Compare)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for i, v := range want[1:] {
		if bytes.Compare(feed.AppendKey(nil, want[i]), feed.AppendKey(nil, v)) >= 0 {
			t.Errorf("the key of %v is not before that of %v", want[i], v)
		}
	}
}

// No list blocks a value that everybody needs, a part of it, or a network around it.
func TestNeededValuesAreNeverBlocked(t *testing.T) {
	never, err := feed.NewNeverBlock(true, []netip.Prefix{netip.MustParsePrefix("198.18.0.0/15")},
		[]string{"192.88.99.0/24", "portal.gov.example", "Pilot@police.example", "AS64496", "http://shop.example/ok"})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		kind feed.Kind
		text string
		want bool
	}{
		{feed.IPv4, "10.1.2.3", true}, {feed.IPv4, "0.0.0.0/1", true}, {feed.IPv4, "8.8.8.0/24", true}, {feed.IPv4, "8.8.4.5", false},
		{feed.IPv4, "198.18.0.1", false}, {feed.IPv4, "198.18.0.0/14", false}, {feed.IPv4, "198.0.0.0/8", true}, {feed.IPv4, "192.88.99.7", true},
		{feed.IPv6, "2001:4860:4860::8888", true}, {feed.IPv6, "fe80::1", true}, {feed.IPv6, "2001:67c::1", false}, {feed.IPv6, "::/1", true},
		{feed.Domain, "co.uk", true}, {feed.Domain, "bad.co.uk", false}, {feed.Domain, "github.io", true}, {feed.Domain, "bad.github.io", false},
		{feed.Domain, "a.root-servers.net", true}, {feed.Domain, "kh.example", false},
		{feed.Domain, "portal.gov.example", true}, {feed.Domain, "a.portal.gov.example", true}, {feed.Domain, "*.gov.example", true},
		{feed.Domain, "gov.example", true}, // a product may block the names below it too
		{feed.Domain, "other.gov.example", false},
		{feed.URL, "http://portal.gov.example/bad", true}, {feed.URL, "http://10.0.0.1/bad", true}, {feed.URL, "http://[2001:4860:4860::8888]/", true},
		{feed.URL, "http://bad.example/", false}, {feed.URL, "http://198.18.0.1/", false}, {feed.URL, "http://shop.example/ok", true}, {feed.URL, "http://shop.example/bad", false},
		{feed.Email, "Pilot@police.example", true}, {feed.Email, "x@police.example", false}, {feed.ASN, "AS64496", true}, {feed.ASN, "AS64497", false},
		{feed.MAC, "ff:ff:ff:ff:ff:ff", true}, {feed.MD5, "d41d8cd98f00b204e9800998ecf8427e", true}, {feed.MD5, strings.Repeat("0", 32), false},
	} {
		v, err := feed.Normal(test.kind, test.text)
		if err != nil {
			t.Fatal(err)
		}
		if got := never.Has(v); got != test.want {
			t.Errorf("%s: got %t, want %t", test.text, got, test.want)
		}
	}
	if _, err := feed.NewNeverBlock(false, nil, []string{"198.51.100.3", "no value"}); err == nil || !strings.Contains(err.Error(), `"no value"`) {
		t.Errorf("a list with a bad line: got %v", err)
	}
	if (*feed.NeverBlock)(nil).Has(feed.Value{Kind: feed.IPv4, Text: "10.0.0.1"}) {
		t.Error("nil holds something")
	}
}
