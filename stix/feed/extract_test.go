package feed_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"comity/stix"
	"comity/stix/feed"
)

// indicator makes an indicator with members beside those that each has.
func indicator(t testing.TB, members string) stix.Object {
	t.Helper()
	raw := jsontext.Value(`{"type":"indicator","spec_version":"2.1","id":"indicator--11111111-1111-4111-8111-111111111111",` +
		`"created":"2026-11-01T00:00:00.000Z","modified":"2026-11-02T00:00:00.000Z","valid_from":"2026-11-01T00:00:00Z",` + members + `}`)
	if err := raw.Compact(); err != nil {
		t.Fatal(err)
	}
	o, err := stix.NewObject(raw)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// withPattern makes an indicator with a STIX pattern.
func withPattern(t testing.TB, pattern string) stix.Object {
	quoted, _ := jsontext.AppendQuote(nil, pattern)
	return indicator(t, `"pattern_type":"stix","pattern":`+string(quoted))
}

// A list has the values of an indicator only if each of them alone makes its pattern
// match. Half a conjunction would block innocents.
func TestOnlyValuesThatMatchAloneAreExtracted(t *testing.T) {
	sha256 := strings.Repeat("ab", 32)
	for _, test := range []struct {
		pattern string
		want    string // kind and text of the values, or the reason
	}{
		{"[ipv4-addr:value = '198.51.100.3']", "ipv4 198.51.100.3"},
		{"[ipv4-addr:value IN ('198.51.100.3', '198.51.100.4') OR domain-name:value = 'Bad.Example.']", "ipv4 198.51.100.3, ipv4 198.51.100.4, domain bad.example"},
		{"[ipv4-addr:value = '198.51.100.3'] OR ([ipv4-addr:value = '198.51.100.3'] OR [url:value = 'http://Bad.Example:80/a#b'])", "ipv4 198.51.100.3, url http://bad.example/a"},
		{"[ipv4-addr:value ISSUBSET '198.51.100.7/24' OR ipv4-addr:value = '203.0.113.9/32']", "ipv4 198.51.100.0/24, ipv4 203.0.113.9"},
		{"[ipv6-addr:value = '2001:DB8:0:0::1' OR ipv6-addr:value ISSUBSET '2001:db8::ffff/32']", "ipv6 2001:db8::1, ipv6 2001:db8::/32"},
		{"[ipv6-addr:value = '::ffff:198.51.100.3' OR ipv6-addr:value = '::ffff:198.51.100.0/120']", "ipv4 198.51.100.3, ipv4 198.51.100.0/24"},
		{"[email-addr:value = 'Pilot@Bad.Example']", "email Pilot@bad.example"},
		{"[mac-addr:value = 'D2-FB-49-24-37-18']", "mac d2:fb:49:24:37:18"},
		{"[autonomous-system:number = 64496]", "asn AS64496"},
		{"[file:hashes.'SHA-256' = '" + strings.ToUpper(sha256) + "' OR artifact:hashes.MD5 = '" + sha256[:32] + "']", "sha256 " + sha256 + ", md5 " + sha256[:32]},
		{"[x509-certificate:hashes.'SHA-1' = '" + sha256[:40] + "']", "x509-sha1 " + sha256[:40]},
		{"[domain-name:value = 'bücher.example' OR domain-name:value = '_x.bad.example']", "domain xn--bcher-kva.example, domain _x.bad.example"},
		{"[domain-name:value = 'localhost' OR domain-name:value = 'bad.example']", "domain bad.example"},

		{"[ipv4-addr:value = '198.51.100.3' AND ipv4-addr:value = '198.51.100.4']", "and"},
		{"[ipv4-addr:value = '198.51.100.3'] AND [url:value = 'http://bad.example/']", "and"},
		{"[url:value = 'http://a.example/' OR (url:value = 'http://b.example/' AND url:x_seen = true)]", "and"},
		{"[ipv4-addr:value = '198.51.100.3'] FOLLOWEDBY [ipv4-addr:value = '198.51.100.4']", "followed-by"},
		{"[ipv4-addr:value = '198.51.100.3'] WITHIN 5 SECONDS", "qualifier"},
		{"[ipv4-addr:value = '198.51.100.3'] OR [ipv4-addr:value = '198.51.100.4'] REPEATS 2 TIMES", "qualifier"},
		{"[ipv4-addr:value = '198.51.100.3'] START t'2026-01-01T00:00:00Z' STOP t'2027-01-01T00:00:00Z'", "qualifier"},
		{"[ipv4-addr:value NOT = '198.51.100.3']", "not"},
		{"[ipv4-addr:value != '198.51.100.3']", "operator"},
		{"[url:value MATCHES '^http://bad']", "operator"},
		{"[domain-name:value LIKE '%.bad.example']", "domain *.bad.example"},
		{"[EXISTS ipv4-addr:value]", "operator"},
		{"[file:name = 'bad.exe']", "property"},
		{"[file:hashes.MD5 = '" + sha256[:32] + "' OR file:name = 'bad.exe']", "property"},
		{"[file:hashes.SSDEEP = '3:a:b']", "property"},
		{"[email-message:from_ref.value = 'pilot@bad.example']", "property"},
		{"[network-traffic:dst_ref.value = '198.51.100.3' AND network-traffic:dst_port = 443]", "property"},
		{"[network-traffic:dst_ref.value = '198.51.100.3']", "property"},
		{"[domain-name:value = 'localhost']", "bad-value"},
		{"[domain-name:value = '*.bad.example']", "bad-value"},
		{"[ipv4-addr:value = '198.51.100.256']", "bad-value"},
		{"[ipv4-addr:value = '0.0.0.0/0' OR ipv6-addr:value = '::/0']", "bad-value"},
		{"[ipv6-addr:value = '::ffff:0.0.0.0/96']", "bad-value"},
		{"[ipv4-addr:value = 3]", "bad-value"},
		{"[file:hashes.MD5 = 'abc']", "bad-value"},
		{"[url:value = 'http://bad.example']", "url http://bad.example/"},
		{"[url:value = 'http://bad.example/']", "url http://bad.example/"},
		{"[url:value = 'http://bad.example/ü?q=a bü']", "url http://bad.example/%C3%BC?q=a%20b%C3%BC"},
		{"[email-addr:value = '\"a b\"@bad.example']", "bad-value"},
		{"[ipv6-addr:value = '::ffff:198.51.100.0/80']", "bad-value"},
		{"[autonomous-system:number = -1]", "bad-value"},
		{"[ipv4-addr:value = ", "syntax"},
	} {
		in, reason := new(feed.Extractor).Extract(withPattern(t, test.pattern))
		got := string(reason)
		if reason == "" {
			var values []string
			for _, v := range in.Values {
				values = append(values, v.Kind.String()+" "+v.Text)
			}
			got = strings.Join(values, ", ")
		}
		if got != test.want {
			t.Errorf("%s: got %s, want %s", test.pattern, got, test.want)
		}
	}
}

func TestWildcardsAreExtracted(t *testing.T) {
	x := feed.Extractor{}
	in, reason := x.Extract(withPattern(t, "[domain-name:value LIKE '%.Bad.example']"))
	if reason != "" || in.Values[0] != (feed.Value{Kind: feed.Domain, Text: "*.bad.example"}) {
		t.Errorf("got %v, %q", in.Values, reason)
	}
	for _, other := range []string{"'%bad.example'", "'%.bad%.example'", "'%.b_d.example'", "'a.bad.example'"} {
		if _, reason := x.Extract(withPattern(t, "[domain-name:value LIKE "+other+"]")); reason != feed.Operator {
			t.Errorf("%s: got %q", other, reason)
		}
	}
	if _, reason := x.Extract(withPattern(t, "[url:value LIKE '%.bad.example']")); reason != feed.Operator {
		t.Errorf("of a URL: got %q", reason)
	}
}

// A feed chooses indicators by these attributes.
func TestAttributesAreExtracted(t *testing.T) {
	in, reason := new(feed.Extractor).Extract(indicator(t, `"pattern_type":"stix","pattern":"[ipv4-addr:value = '198.51.100.3']","name":"C2",
		"created_by_ref":"identity--22222222-2222-4222-8222-222222222222","indicator_types":["malicious-activity"],"labels":["a","b"],
		"confidence":70,"valid_until":"2026-12-01T00:00:00Z"`))
	want := feed.Indicator{
		ID:   "indicator--11111111-1111-4111-8111-111111111111",
		Name: "C2", Types: []string{"malicious-activity"}, Labels: []string{"a", "b"}, Confidence: 70,
		From: day(1), Until: day(31), Modified: day(2),
		Values: []feed.Value{{Kind: feed.IPv4, Text: "198.51.100.3"}},
	}
	if diff := cmp.Diff(want, in); diff != "" || reason != "" {
		t.Error(reason, diff)
	}
	for _, confidence := range []string{"-1", "101", "0.5", `"70"`} {
		if in, _ := new(feed.Extractor).Extract(indicator(t, `"pattern_type":"stix","pattern":"[ipv4-addr:value = '198.51.100.3']","confidence":`+confidence)); in.Confidence != feed.Unknown {
			t.Errorf("confidence %s is taken for %d", confidence, in.Confidence)
		}
	}
}

// day is a day of November 2026, or after it.
func day(n int) time.Time { return time.Date(2026, 11, n, 0, 0, 0, 0, time.UTC) }

func TestIndicatorsAreLeftOutWithAReason(t *testing.T) {
	address := `"pattern":"[ipv4-addr:value = '198.51.100.3']"`
	for _, test := range []struct {
		members string
		want    feed.Reason
		values  int
	}{
		{`"revoked":true,"pattern_type":"stix",` + address, feed.Revoked, 0},
		{`"indicator_types":["benign"],"pattern_type":"stix",` + address, feed.Benign, 1}, // it vetoes the value
		{`"pattern_type":"pcre","pattern":"a"`, feed.PatternType, 0},
		{`"pattern_type":"ipv4","pattern":"198.51.100.3"`, feed.PatternType, 0},
		{`"pattern_type":"yara","pattern":"rule a { condition: true }"`, "", 1},
		{address, "", 1},
	} {
		in, reason := new(feed.Extractor).Extract(indicator(t, test.members))
		if reason != test.want || len(in.Values) != test.values {
			t.Errorf("%s: got %q, %v", test.members, reason, in.Values)
		}
	}
	o, err := stix.NewObject([]byte(`{"type":"ipv4-addr","id":"ipv4-addr--11111111-1111-5111-8111-111111111111","value":"198.51.100.3"}`))
	if err != nil {
		t.Fatal(err)
	}
	if _, reason := new(feed.Extractor).Extract(o); reason != feed.NotIndicator {
		t.Errorf("an address is no verdict: got %q", reason)
	}
	old, err := stix.NewObject([]byte(`{"type":"indicator","id":"indicator--11111111-1111-4111-8111-111111111111","created":"2018-01-01T00:00:00Z","modified":"2018-01-01T00:00:00Z",` +
		`"labels":["benign"],"pattern":"[ipv4-addr:value = '198.51.100.3']","valid_from":"2018-01-01T00:00:00Z"}`))
	if err != nil {
		t.Fatal(err)
	}
	if _, reason := new(feed.Extractor).Extract(old); reason != feed.Benign {
		t.Errorf("STIX 2.0 says benign in labels: got %q", reason)
	}
}

// What a pattern holds is written by others. Each extracted value stays what it is when
// it is brought into normal form again, and has no character that could end a line.
func FuzzExtract(f *testing.F) {
	for _, seed := range []string{
		"[ipv4-addr:value = '198.51.100.3/7']", "[domain-name:value LIKE '%.bad.example']", "[url:value = 'hxxp://bad[.]example/\n']",
		"[email-addr:value = 'a@b.example' OR autonomous-system:number = 64496]", "[x509-certificate:hashes.'SHA-1' = 'ab']",
		"[mac-addr:value IN ('d2:fb:49:24:37:18', '')]", "[file:hashes.MD5 = '79054025255fb1a26e4bc422aef54eb4'] AND [a:b = 1]",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, pattern string) {
		x := feed.Extractor{}
		in, reason := x.Extract(withPattern(t, strings.ToValidUTF8(pattern, "")))
		if (reason == "") != (len(in.Values) > 0) {
			t.Errorf("reason %q with %d values", reason, len(in.Values))
		}
		for _, v := range in.Values {
			if again, err := feed.Normal(v.Kind, v.Text); err != nil || again != v {
				t.Errorf("%v is %v in normal form: %v", v, again, err)
			}
			if strings.ContainsFunc(v.Text, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
				t.Errorf("%q is not printable", v.Text)
			}
		}
	})
}

func BenchmarkExtract(b *testing.B) {
	o := withPattern(b, "[ipv4-addr:value = '198.51.100.3']")
	var x feed.Extractor
	for b.Loop() {
		x.Extract(o)
	}
}

func ExampleEntry_Add() {
	e := feed.Entry{Value: feed.Value{Kind: feed.IPv4, Text: "198.51.100.3"}}
	e.Add(&feed.Indicator{ID: "indicator--b", Confidence: 70, Modified: day(2), Name: "seen again"})
	e.Add(&feed.Indicator{ID: "indicator--a", Confidence: feed.Unknown, Modified: day(1), Until: day(9), Name: "seen"})
	fmt.Println(e.IDs, e.Confidence, e.Name, e.Until.IsZero())
	// Output: [indicator--a indicator--b] 70 seen again true
}
