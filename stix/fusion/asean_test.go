package fusion_test

import (
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"comity/stix"
	"comity/stix/fusion"
	"comity/taxii/demo"
)

func equal(t testing.TB, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func scenario(t testing.TB, name string) *demo.Scenario {
	t.Helper()
	s, err := demo.New(name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// rules returns the rules of testdata/agreements/op-asean-demo.toml.
func rules(t testing.TB, s *demo.Scenario) *fusion.Rules {
	t.Helper()
	geo, err := fusion.ReadGeo(strings.NewReader(s.Geo()))
	if err != nil {
		t.Fatal(err)
	}
	warning, err := fusion.ReadWarningList(strings.NewReader(s.WarningList()))
	if err != nil {
		t.Fatal(err)
	}
	r := &fusion.Rules{
		At: demo.Snapshot, From: time.Date(2017, 2, 1, 0, 0, 0, 0, time.UTC), To: demo.Snapshot, Merge: true,
		Order:     []fusion.Basis{fusion.ByReference, fusion.BySource, fusion.ByDomain},
		SiteOrder: []fusion.Basis{fusion.ByOwner, fusion.ByReference, fusion.BySource, fusion.ByDomain},
		Geo:       geo, Warning: warning,
		Reserved:   fusion.NetworksOf(netip.MustParsePrefix("198.18.0.0/15"), netip.MustParsePrefix("2001:db8::/32")),
		Government: []string{"*.gov.??.example"}, Confidence: map[int]int{1: 50, 2: 70, 3: 90}, TestSuffix: "example",
	}
	for _, c := range s.Countries {
		r.Countries = append(r.Countries, c.Code)
	}
	return r
}

// source is a push of a vendor at the snapshot.
func source(vendor string) fusion.Source {
	parties := map[stix.ID]string{}
	for _, v := range demo.Vendors() {
		parties[demo.Identity(v)] = v
	}
	return fusion.Source{
		Submitter: vendor, Received: demo.Snapshot,
		Party: func(id stix.ID) string { return parties[id] },
	}
}

// contributions reads what all vendors push, in pushes of at most n objects.
func contributions(t testing.TB, s *demo.Scenario, n int) (all []fusion.Contribution) {
	t.Helper()
	for _, vendor := range demo.Vendors() {
		for push := range s.Pushes(vendor, n) {
			read, refused := fusion.Read(push.Objects, source(vendor))
			if refused != nil {
				t.Fatalf("%s: %v", vendor, refused[0])
			}
			all = append(all, read...)
		}
	}
	return all
}

// asean has the contributions of the whole operation, which are read once for all tests.
var asean struct {
	sync.Once
	*demo.Scenario
	all []fusion.Contribution
}

// These are the audiences of the operation.
const (
	centre = iota
	bureaus
)

// operation returns the scenario of the whole operation, its contributions, and a new state
// of them.
func operation(t testing.TB) (*demo.Scenario, []fusion.Contribution, *fusion.State) {
	t.Helper()
	asean.Do(func() {
		asean.Scenario = scenario(t, "asean")
		asean.all = contributions(t, asean.Scenario, 10_000)
	})
	return asean.Scenario, asean.all, stateOf(rules(t, asean.Scenario), asean.all)
}

// stateOf returns a state with the contributions for the centre, and with those that are
// not RED for the bureaus.
func stateOf(rules *fusion.Rules, all []fusion.Contribution) *fusion.State {
	state := fusion.NewState(rules, 2)
	state.PutAll(centre, all)
	state.PutAll(bureaus, only(all, notRed))
	return state
}

// only returns the contributions that keep accepts.
func only(all []fusion.Contribution, keep func(*fusion.Contribution) bool) []fusion.Contribution {
	return slices.DeleteFunc(slices.Clone(all), func(c fusion.Contribution) bool { return !keep(&c) })
}

func notRed(c *fusion.Contribution) bool { return c.Label < stix.Red }

// The figures of the whole demonstration operation, fused from its STIX objects, are those
// of the scenario.
func TestASEAN(t *testing.T) {
	truth := demo.ASEAN()
	_, _, state := operation(t)
	for audience, view := range []struct {
		name    string
		truth   demo.View
		servers func(demo.CountryTruth) int
	}{
		centre:  {"centre", truth.Centre, func(c demo.CountryTruth) int { return c.Servers }},
		bureaus: {"bureaus", truth.Bureaus, func(c demo.CountryTruth) int { return c.Releasable }},
	} {
		t.Run(view.name, func(t *testing.T) {
			findings, _ := state.Findings(audience)
			servers, sites := fusion.Summarise(fusion.C2, findings), fusion.Summarise(fusion.Website, findings)
			accounts := state.Accounts(audience, fusion.C2)

			equal(t, "servers", servers.Findings, view.truth.Servers)
			equal(t, "digest", fusion.Digest(fusion.C2, findings), view.truth.Digest)
			equal(t, "confidence", servers.ByConfidence, view.truth.Confidence)
			origins, byCountry, websites := map[int]int{}, map[string]int{}, map[string]int{}
			for n, count := range view.truth.Origins {
				origins[n+1] = count
			}
			portals, strict := 0, 0
			for _, c := range truth.Countries {
				byCountry[c.Code], websites[c.Code] = view.servers(c), c.Sites
				portals, strict = portals+c.Portals, strict+c.Strict
			}
			equal(t, "origins", servers.ByOrigins, origins)
			equal(t, "countries", servers.ByCountry, byCountry)
			equal(t, "websites", sites.ByCountry, websites)
			equal(t, "portals", sites.Government, portals)
			if view.name == "bureaus" {
				equal(t, "annexes", servers.Strict, strict)
				equal(t, "disagreeing", servers.Disagreeing, truth.Disagreeing)
			}
			notCounted(t, findings, accounts, map[string]int{"centre": truth.Repeats, "bureaus": truth.Repeats - 1}[view.name])
			if view.name == "centre" {
				checkAccounts(t, accounts, truth)
			}
		})
	}
}

// notCounted compares the excluded contributions with the scenario. One of the records
// that are pushed twice is RED.
func notCounted(t *testing.T, findings []fusion.Finding, accounts map[string]*fusion.Account, repeats int) {
	t.Helper()
	got := map[fusion.Reason]int{}
	for _, account := range accounts {
		for reason, n := range account.NotCounted {
			got[reason] += n
		}
	}
	equal(t, "not counted", got, map[fusion.Reason]int{
		fusion.Unroutable: 60, fusion.Warned: 12, fusion.Stale: 150, fusion.Withdrawn: 40, fusion.OutOfScope: 900,
		fusion.Duplicate: repeats,
	})
	shared := 0
	for _, f := range findings {
		if f.Kind == fusion.Other && strings.HasPrefix(f.Key, "shared-") {
			shared++
		}
	}
	equal(t, "phishing domains on the shared host, apart", shared, 40)
}

// checkAccounts compares the contribution accounts with the scenario.
func checkAccounts(t *testing.T, got map[string]*fusion.Account, truth demo.Truth) {
	t.Helper()
	var first, led, sole, given int
	for _, want := range truth.Vendors {
		a := got[want.Vendor]
		equal(t, want.Vendor, []int{a.Given, a.Sole, a.Relayed}, []int{want.Given, want.Sole, want.Relayed})
		equal(t, want.Vendor+": first = sole + led", a.UniqueFirst, a.Sole+a.Led)
		equal(t, want.Vendor+": given = first + confirmed others", a.Given, a.UniqueFirst+a.ConfirmedOthers)
		equal(t, want.Vendor+": corroborated = given - sole", a.Corroborated, a.Given-a.Sole)
		first, led, sole, given = first+a.UniqueFirst, led+a.Led, sole+a.Sole, given+a.Given
	}
	equal(t, "sums of first, led, sole, given", []int{first, led, sole, given}, []int{8_913, 3_707, 5_206, 15_026})
}

// Each issue matches the findings that the scenario gives: 14 are absorbed, 7 have a report
// of their own, 10 are open.
func TestIssues(t *testing.T) {
	s, _, state := operation(t)
	findings, _ := state.Findings(bureaus)
	index := fusion.NewIndex(findings)
	got := map[string]fusion.Kind{}
	for _, c := range s.Countries {
		bureau := "ncb-" + strings.ToLower(c.Code)
		for push := range s.IssuePushes(bureau, 1_000) {
			for _, issue := range fusion.ReadIssues(push.Objects, source(bureau)) {
				got[issue.Values[0].Text] = ""
				for _, n := range index.Match(&issue) {
					got[issue.Values[0].Text] += findings[n].Kind
				}
			}
		}
	}
	want := map[string]fusion.Kind{}
	for _, issue := range s.Issues {
		want[issue.Value] = map[demo.State]fusion.Kind{
			demo.AbsorbedC2: fusion.C2, demo.AbsorbedWeb: fusion.Website, demo.Own: fusion.Other,
		}[issue.State]
	}
	equal(t, "matches", got, want)
	equal(t, "issues", len(got), 31)
}

// After fir has withdrawn, the state equals a new one without it. To delete its findings
// from the result would give a wrong count: three domains and addresses were one server only
// because fir said so.
func TestWithdrawFir(t *testing.T) {
	s, all, state := operation(t)
	before, _ := state.Findings(centre)
	deleted := 0
	for _, f := range before {
		if f.Kind == fusion.C2 && f.Held == "" && !slices.Equal(f.Origins, []string{"fir"}) {
			deleted++
		}
	}
	without := fusion.Without("fir", all)
	replace(state, all, without)
	got, left := state.Findings(centre)
	want, wantLeft := stateOf(rules(t, s), without).Findings(centre)
	equal(t, "findings", got, want)
	equal(t, "left out", left, wantLeft)
	equal(t, "servers without fir, and by deleting its findings", []int{fusion.Summarise(fusion.C2, got).Findings, deleted}, []int{8_632, 8_629})
}

// One server that several vendors reported, as a domain and as an address.
func TestServer2087(t *testing.T) {
	_, _, state := operation(t)
	findings, _ := state.Findings(centre)
	f := findings[fusion.NewIndex(findings)["198.18.32.26"][0]]
	equal(t, "values", f.Values, []stix.Value{{Type: "domain-name", Text: "c2-02087.kh.example"}, {Type: "ipv4-addr", Text: "198.18.32.26"}})
	equal(t, "id", f.Values[1].ID(), stix.ID("ipv4-addr--24394a39-8e79-5c60-b468-01f9ba983415"))
	equal(t, "who", []any{f.Origins, f.FirstBy, f.Confidence}, []any{[]string{"alder", "birch", "dogwood"}, "dogwood", 90})
	equal(t, "where", []any{f.Country, f.Basis, f.Disagreeing}, []any{"KH", fusion.ByReference, 0})
}
