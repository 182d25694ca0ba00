package fusion_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"comity/stix"
	"comity/stix/fusion"
)

// noon is the time at which the contributions of these tests are made.
var noon = time.Date(2017, 4, 1, 12, 0, 0, 0, time.UTC)

// statement returns a vendor's own contribution about a C2 server: a domain with its addresses,
// or an address.
func statement(vendor, value string, resolves ...string) fusion.Contribution {
	typ := "domain-name"
	if addr, err := netip.ParseAddr(value); err == nil && addr.Is4() {
		typ = "ipv4-addr"
	} else if err == nil {
		typ = "ipv6-addr"
	}
	return fusion.Contribution{
		Ref:    fusion.Ref{Submitter: vendor, Object: stix.ID("indicator--" + vendor + value), Version: noon},
		Origin: vendor, Kind: fusion.C2, Value: stix.Value{Type: typ, Text: value}, Resolves: resolves,
		Label: stix.Amber, Made: noon, Received: noon, First: noon, Last: noon,
	}
}

// relay returns c as another vendor passes it on.
func relay(by string, c fusion.Contribution) fusion.Contribution {
	c.Submitter = by
	return c
}

// fused returns a line for each finding with its key and origins, and one for each excluded
// contribution.
func fused(rules *fusion.Rules, all ...fusion.Contribution) (got []string) {
	findings, left := fusion.Fuse(rules, all)
	for _, f := range findings {
		line := f.Key + ": " + strings.Join(f.Origins, " ")
		if f.Held != "" {
			line += ", " + string(f.Held)
		}
		got = append(got, line)
	}
	for _, e := range left {
		got = append(got, fmt.Sprintf("%s by %s: %s", e.Value.Text, e.Submitter, e.Reason))
	}
	return got
}

func defaultRules() *fusion.Rules {
	return &fusion.Rules{Merge: true, Confidence: map[int]int{1: 50, 2: 70, 3: 90}}
}

func TestMerge(t *testing.T) {
	for _, test := range []struct {
		name string
		all  []fusion.Contribution
		want []string
	}{
		{"a domain and an address that resolve to each other only", []fusion.Contribution{
			statement("alder", "a.example.org", "8.8.0.1"), statement("birch", "8.8.0.1"), statement("cedar", "a.example.org"),
		}, []string{"8.8.0.1: alder birch cedar"}},
		{"an address that no contribution is about", []fusion.Contribution{
			statement("alder", "a.example.org", "8.8.0.1"),
		}, []string{"8.8.0.1: alder"}},
		{"a shared host", []fusion.Contribution{
			statement("alder", "a.example.org", "8.8.0.1"), statement("birch", "b.example.org", "8.8.0.1"), statement("cedar", "8.8.0.1"),
		}, []string{"8.8.0.1: cedar", "a.example.org: alder", "b.example.org: birch"}},
		{"a domain with two addresses", []fusion.Contribution{
			statement("alder", "a.example.org", "8.8.0.1"), statement("birch", "a.example.org", "8.8.0.2"),
		}, []string{"a.example.org: alder birch"}},
		{"an address that is not routable", []fusion.Contribution{
			statement("alder", "a.example.org", "10.0.0.1"),
		}, []string{"a.example.org: alder"}},
		{"a relay does not merge", []fusion.Contribution{
			relay("birch", statement("alder", "a.example.org", "8.8.0.1")), statement("cedar", "a.example.org"), statement("cedar", "8.8.0.1"),
		}, []string{"8.8.0.1: cedar", "a.example.org: cedar", "a.example.org by birch: relay-unbacked"}},
	} {
		equal(t, test.name, fused(defaultRules(), test.all...), test.want)
	}
	off := defaultRules()
	off.Merge = false
	equal(t, "without the rule", fused(off, statement("alder", "a.example.org", "8.8.0.1"), statement("birch", "8.8.0.1")),
		[]string{"8.8.0.1: birch", "a.example.org: alder"})
}

// The scenario lacks this case: the resolution itself is RED. An audience that may not see
// it sees two servers, and no sign of a third origin.
func TestRedResolution(t *testing.T) {
	red := statement("alder", "a.example.org", "8.8.0.1")
	red.Label = stix.Red
	all := []fusion.Contribution{red, statement("birch", "a.example.org"), statement("cedar", "8.8.0.1")}
	equal(t, "centre", fused(defaultRules(), all...), []string{"8.8.0.1: alder birch cedar"})
	state := stateOf(defaultRules(), all)
	findings, _ := state.Findings(bureaus)
	equal(t, "bureaus", []any{len(findings), findings[0].Confidence, findings[1].Confidence}, []any{2, 50, 50})
	state.Drop("birch")
	findings, _ = state.Findings(bureaus)
	equal(t, "without birch", []any{len(findings), findings[0].Key}, []any{1, "8.8.0.1"})
}

func TestRelays(t *testing.T) {
	made := statement("alder", "8.8.0.1")
	again := relay("birch", made)
	again.Object += "again"
	findings, left := fusion.Fuse(defaultRules(), []fusion.Contribution{relay("birch", made), again, made})
	equal(t, "one origin", []any{findings[0].Origins, findings[0].Confidence}, []any{[]string{"alder"}, 50})
	equal(t, "relays counted", len(findings[0].Relays), 1)
	equal(t, "the second time", left[0].Reason, fusion.Duplicate)
	equal(t, "without the origin's own push", fused(defaultRules(), relay("birch", made)), []string{"8.8.0.1 by birch: relay-unbacked"})
}

func TestScreen(t *testing.T) {
	warning, err := fusion.ReadWarningList(strings.NewReader("# resolvers\n8.8.8.8\n9.9.9.0/24\n\nharmless.example.org\n"))
	if err != nil {
		t.Fatal(err)
	}
	rules := &fusion.Rules{
		At: noon.AddDate(0, 0, 7), From: noon.AddDate(0, 0, -7), To: noon.AddDate(0, 0, 7), Warning: warning,
		Reserved: fusion.NetworksOf(netip.MustParsePrefix("198.18.0.0/15")),
	}
	with := func(c fusion.Contribution, change func(*fusion.Contribution)) fusion.Contribution {
		change(&c)
		return c
	}
	for _, test := range []struct {
		c    fusion.Contribution
		want fusion.Reason
	}{
		{statement("alder", "8.8.0.1"), ""},
		{statement("alder", "198.18.0.1"), ""}, // for special purposes, but allowed by Reserved
		{statement("alder", "10.0.0.1"), fusion.Unroutable},
		{statement("alder", "fd00::1"), fusion.Unroutable},
		{statement("alder", "8.8.8.8"), fusion.Warned},
		{statement("alder", "9.9.9.9"), fusion.Warned},
		{statement("alder", "www.harmless.example.org"), fusion.Warned},
		{with(statement("alder", "8.8.0.1"), func(c *fusion.Contribution) { c.Until = rules.At }), fusion.Stale},
		{with(statement("alder", "8.8.0.1"), func(c *fusion.Contribution) { c.Revoked = true }), fusion.Withdrawn},
		{with(statement("alder", "8.8.0.1"), func(c *fusion.Contribution) { c.Made = rules.From.Add(-1) }), fusion.OutsideWindow},
		{with(statement("alder", "8.8.0.1"), func(c *fusion.Contribution) { c.Made, c.Received = rules.To, rules.To }), fusion.OutsideWindow},
	} {
		equal(t, test.c.Value.Text, rules.Screen(&test.c), test.want)
	}
}

func TestCountry(t *testing.T) {
	geo, err := fusion.ReadGeo(strings.NewReader("network,country\n8.8.0.0/16,KH\n8.8.1.0/24,SG\n"))
	if err != nil {
		t.Fatal(err)
	}
	rules := defaultRules()
	rules.Geo, rules.Countries = geo, []string{"KH", "ID", "SG"}
	rules.Order = []fusion.Basis{fusion.ByReference, fusion.BySource, fusion.ByDomain}
	rules.SiteOrder = []fusion.Basis{fusion.ByOwner, fusion.ByReference}
	claim := func(c fusion.Contribution, country string) fusion.Contribution {
		c.Country = country
		return c
	}
	site := fusion.Contribution{
		Ref: fusion.Ref{Submitter: "alder", Object: "indicator--site"}, Origin: "alder", Kind: fusion.Website,
		Value: stix.Value{Type: "url", Text: "http://shop.example.org/1.php"}, Resolves: []string{"8.8.1.1"}, Owner: "ID",
	}
	hosted := site
	hosted.Owner = ""
	for _, test := range []struct {
		name string
		all  []fusion.Contribution
		want []any
	}{
		{"the smallest network", []fusion.Contribution{statement("alder", "8.8.1.9")}, []any{"SG", fusion.ByReference, 0, fusion.Reason("")}},
		{"against a source", []fusion.Contribution{claim(statement("alder", "8.8.0.9"), "SG")}, []any{"KH", fusion.ByReference, 1, fusion.Reason("")}},
		{"most sources", []fusion.Contribution{
			claim(statement("alder", "1.1.1.1"), "ID"), claim(statement("birch", "1.1.1.1"), "SG"), claim(statement("cedar", "1.1.1.1"), "SG"),
		}, []any{"SG", fusion.BySource, 1, fusion.Reason("")}},
		{"country code", []fusion.Contribution{statement("alder", "c2.kh")}, []any{"KH", fusion.ByDomain, 0, fusion.Reason("")}},
		{"elsewhere", []fusion.Contribution{statement("alder", "c2.jp")}, []any{"JP", fusion.ByDomain, 0, fusion.OutOfScope}},
		{"nowhere", []fusion.Contribution{statement("alder", "c2.example.org")}, []any{"", fusion.Basis(""), 0, fusion.NoCountry}},
		{"a site goes to its owner", []fusion.Contribution{site}, []any{"ID", fusion.ByOwner, 0, fusion.Reason("")}},
		{"else to its host", []fusion.Contribution{hosted}, []any{"SG", fusion.ByReference, 0, fusion.Reason("")}},
	} {
		findings, _ := fusion.Fuse(rules, test.all)
		f := findings[0]
		equal(t, test.name, []any{f.Country, f.Basis, f.Disagreeing, f.Held}, test.want)
	}
}

func TestConfidence(t *testing.T) {
	r := defaultRules()
	equal(t, "by origins", []int{r.ConfidenceOf(1, false, false), r.ConfidenceOf(2, false, false), r.ConfidenceOf(7, false, false)}, []int{50, 70, 90})
	equal(t, "seen by a bureau too", r.ConfidenceOf(1, true, false), 90)
	equal(t, "disputed", r.ConfidenceOf(7, true, true), 30)
}

func TestSeverity(t *testing.T) {
	ago := func(days int) time.Time { return noon.AddDate(0, 0, -days) }
	for _, test := range []struct {
		f       fusion.Finding
		exposed bool
		want    fusion.Severity
	}{
		{fusion.Finding{Entity: fusion.Entity{Kind: fusion.Website}, Government: true, Confidence: 70}, false, fusion.Critical},
		{fusion.Finding{Entity: fusion.Entity{Kind: fusion.Website}, Confidence: 50}, true, fusion.High},
		{fusion.Finding{Entity: fusion.Entity{Kind: fusion.Website}, Government: true, Confidence: 50}, false, fusion.High},
		{fusion.Finding{Entity: fusion.Entity{Kind: fusion.Website}, Confidence: 50}, false, fusion.Medium},
		{fusion.Finding{Entity: fusion.Entity{Kind: fusion.C2}, Confidence: 70, Last: ago(14)}, false, fusion.High},
		{fusion.Finding{Entity: fusion.Entity{Kind: fusion.C2}, Confidence: 50, Last: ago(1)}, false, fusion.Medium},
		{fusion.Finding{Entity: fusion.Entity{Kind: fusion.C2}, Confidence: 90, Last: ago(61)}, false, fusion.Low},
		{fusion.Finding{Entity: fusion.Entity{Kind: fusion.C2}, Confidence: 90, Last: ago(61), Government: true}, false, fusion.Medium},
		{fusion.Finding{Entity: fusion.Entity{Kind: fusion.Other}}, false, fusion.Unrated},
	} {
		equal(t, fmt.Sprintf("%+v", test.f), test.f.SeverityAt(noon, test.exposed), test.want)
	}
}
