package main

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"comity/stix"
	"comity/stix/fusion"
	"comity/taxii/demo"
	"comity/taxii/operation"
)

// The audiences that figures are compared for.
const (
	demoForCentre = iota
	demoForBureaus
)

// truth computes the expected figures: it fuses all contributions directly, without
// those of withdrawn ("" for none). Without a withdrawal, it also takes the figures that
// the scenario defines.
func (p *play) truth(withdrawn string) (*figures, error) {
	rules, err := p.rules()
	if err != nil {
		return nil, err
	}
	var all []fusion.Contribution
	for _, vendor := range demo.Vendors() {
		for push := range p.scenario.Pushes(vendor, maxObjects) {
			read, refused := fusion.Read(push.Objects, source(vendor))
			if refused != nil {
				return nil, fmt.Errorf("%s: %s: %s", vendor, refused[0].Object, refused[0].Reason)
			}
			all = append(all, read...)
		}
	}
	all = fusion.Without(withdrawn, all)
	state := fusion.NewState(rules, 2)
	state.PutAll(demoForCentre, all)
	state.PutAll(demoForBureaus, slices.DeleteFunc(all, func(c fusion.Contribution) bool { return c.Label == stix.Red }))
	f := &figures{Centre: p.statsOf(state, demoForCentre), Bureaus: p.statsOf(state, demoForBureaus), Blocked: blocked(state)}
	f.Centre.MayLeave, f.Bureaus.MayLeave = f.Bureaus.C2.Identified, f.Bureaus.C2.Identified
	for origin, a := range state.Accounts(demoForCentre, fusion.C2) {
		f.Contributions = append(f.Contributions, operation.Contribution{
			Origin: origin, Given: a.Given, Sole: a.Sole, Corroborated: a.Corroborated, UniqueFirst: a.UniqueFirst, Led: a.Led,
			ConfirmedOthers: a.ConfirmedOthers, Relayed: a.Relayed, Overlap: a.Overlap, Context: a.Context,
		})
	}
	p.report(f, state)
	if withdrawn == "" {
		p.addScenarioFigures(f)
	}
	f.received = map[string]received{}
	for _, c := range p.scenario.Countries {
		due := received{Servers: f.Bureaus.C2.ByCountry[c.Code], Sites: f.Bureaus.Sites.ByCountry[c.Code]}
		for _, number := range f.Bureaus.Reports.IDs {
			if strings.HasPrefix(number, "CAR-2017-"+c.Code) {
				due.Reports = append(due.Reports, number)
			}
		}
		slices.Sort(due.Reports)
		f.received[demo.BureauOf(c.Code)] = due
	}
	return f, nil
}

// rules are those of op-asean-demo, at the snapshot.
func (p *play) rules() (*fusion.Rules, error) {
	geo, err := fusion.ReadGeo(strings.NewReader(p.scenario.Geo()))
	if err != nil {
		return nil, err
	}
	warning, err := fusion.ReadWarningList(strings.NewReader(p.scenario.WarningList()))
	if err != nil {
		return nil, err
	}
	order := []fusion.Basis{fusion.ByReference, fusion.BySource, fusion.ByDomain}
	r := &fusion.Rules{
		At: demo.Snapshot, From: time.Date(2017, 2, 1, 0, 0, 0, 0, time.UTC), To: demo.Snapshot,
		Merge: true, Order: order, SiteOrder: append([]fusion.Basis{fusion.ByOwner}, order...), Geo: geo, Warning: warning,
		Reserved:   fusion.NetworksOf(netip.MustParsePrefix("198.18.0.0/15"), netip.MustParsePrefix("2001:db8::/32")),
		Government: []string{"*.gov.??.example"}, Confidence: map[int]int{1: 50, 2: 70, 3: 90}, TestSuffix: "example",
	}
	for _, c := range p.scenario.Countries {
		r.Countries = append(r.Countries, c.Code)
	}
	return r, nil
}

// source is the fusion source for pushes of a party at the snapshot.
func source(org string) fusion.Source {
	parties := map[stix.ID]string{}
	for _, v := range demo.Vendors() {
		parties[demo.Identity(v)] = v
	}
	return fusion.Source{Submitter: org, Received: demo.Snapshot, Party: func(id stix.ID) string { return parties[id] }}
}

// statsOf counts an audience's findings.
func (p *play) statsOf(state *fusion.State, audience int) (s operation.Stats) {
	findings, _ := state.Findings(audience)
	servers, sites := fusion.Summarise(fusion.C2, findings), fusion.Summarise(fusion.Website, findings)
	s.C2 = operation.C2Stats{
		Identified: servers.Findings, Corroborated: servers.Corroborated, Digest: fusion.Digest(fusion.C2, findings),
		ByCountry: servers.ByCountry, ByOrigins: servers.ByOrigins, ByConfidence: servers.ByConfidence,
	}
	s.Sites = operation.SiteStats{Identified: sites.Findings, Portals: sites.Government, ByCountry: sites.ByCountry}
	s.Countries = len(servers.ByCountry)
	return s
}

// blocked counts the IPv4 addresses of Cambodia's servers.
func blocked(state *fusion.State) (n int) {
	findings, _ := state.Findings(demoForBureaus)
	for _, f := range findings {
		if f.Kind == fusion.C2 && f.Country == "KH" && f.Held == "" {
			n += len(slices.DeleteFunc(slices.Clone(f.Values), func(v stix.Value) bool { return v.Type != "ipv4-addr" }))
		}
	}
	return n
}

// report computes the reports that the rules ask for, the states of the issues, and the
// outcomes of the findings that remain.
func (p *play) report(f *figures, state *fusion.State) {
	findings, _ := state.Findings(demoForBureaus)
	index := fusion.NewIndex(findings)
	issues, reports := operation.IssueStats{Flagged: len(p.scenario.Issues)}, operation.ReportStats{}
	for _, c := range p.scenario.Countries {
		number, before := "CAR-2017-"+c.Code, reports.Count
		add := func(what string) { reports.IDs, reports.Count = append(reports.IDs, number+what), reports.Count+1 }
		covered := map[fusion.Kind]bool{
			fusion.C2:      f.Bureaus.C2.ByCountry[c.Code] >= p.scenario.MinServers,
			fusion.Website: f.Bureaus.Sites.ByCountry[c.Code] >= p.scenario.MinSites,
		}
		if covered[fusion.C2] {
			add("-C2")
		}
		if covered[fusion.Website] {
			add("-WEB")
		}
		for _, i := range p.scenario.Issues {
			if i.Country != c.Code {
				continue
			}
			matches := index.Match(&fusion.Issue{Values: []stix.Value{{Text: i.Value}}})
			switch {
			case slices.ContainsFunc(matches, func(n int) bool { return covered[findings[n].Kind] }):
				issues.Absorbed++
			case len(matches) > 0:
				issues.OwnReport++
				add("-ISSUE-" + strings.TrimPrefix(i.Report, c.Code+"-"))
			default:
				issues.Open++
			}
		}
		if reports.Count > before {
			reports.Countries++
		}
	}
	outcomes := operation.OutcomeStats{ByStatus: map[string]int{}}
	for _, o := range p.scenario.Outcomes() {
		key := p.scenario.Servers[o.Server].Key()
		if slices.ContainsFunc(index[key], func(n int) bool { g := &findings[n]; return g.Kind == fusion.C2 && g.Key == key && g.Held == "" }) {
			outcomes.ByStatus[string(o.Status)]++
			outcomes.Reported++
		}
	}
	for _, status := range []demo.Status{demo.TakenDown, demo.Sinkholed, demo.Seized} {
		outcomes.Neutralised += outcomes.ByStatus[string(status)]
	}
	f.Centre.Issues, f.Centre.Reports, f.Centre.Outcomes = issues, reports, outcomes
	f.Bureaus.Issues, f.Bureaus.Reports, f.Bureaus.Outcomes = issues, reports, outcomes
}

// addScenarioFigures sets the figures that the scenario defines.
func (p *play) addScenarioFigures(f *figures) {
	truth := p.scenario.Truth()
	for _, view := range []struct {
		stats   *operation.Stats
		truth   demo.View
		servers func(demo.CountryTruth) int
	}{
		{&f.Centre, truth.Centre, func(c demo.CountryTruth) int { return c.Servers }},
		{&f.Bureaus, truth.Bureaus, func(c demo.CountryTruth) int { return c.Releasable }},
	} {
		s := view.stats
		s.C2 = operation.C2Stats{
			Identified: view.truth.Servers, Corroborated: view.truth.Servers - view.truth.Origins[0], Digest: view.truth.Digest,
			ByCountry: map[string]int{}, ByOrigins: map[int]int{}, ByConfidence: view.truth.Confidence,
		}
		s.Sites, s.Issues = operation.SiteStats{ByCountry: map[string]int{}}, operation.IssueStats{}
		for n, count := range view.truth.Origins {
			s.C2.ByOrigins[n+1] = count
		}
		s.Reports = operation.ReportStats{Count: len(truth.Reports), IDs: truth.Reports}
		s.Outcomes = operation.OutcomeStats{Neutralised: truth.Neutralised, ByStatus: map[string]int{}}
		for status, n := range truth.Outcomes {
			s.Outcomes.ByStatus[string(status)] = n
			s.Outcomes.Reported += n
		}
		for _, c := range truth.Countries {
			s.C2.ByCountry[c.Code], s.Sites.ByCountry[c.Code] = view.servers(c), c.Sites
			s.Sites.Identified, s.Sites.Portals = s.Sites.Identified+c.Sites, s.Sites.Portals+c.Portals
			s.Issues.Flagged, s.Issues.Absorbed = s.Issues.Flagged+c.Issues, s.Issues.Absorbed+c.AbsorbedC2+c.AbsorbedWeb
			s.Issues.OwnReport, s.Issues.Open = s.Issues.OwnReport+c.Own, s.Issues.Open+c.Open
			if c.Reports > 0 {
				s.Reports.Countries++
			}
		}
		s.MayLeave, s.Countries = truth.Bureaus.Servers, len(truth.Countries)
	}
	for _, v := range truth.Vendors {
		for i := range f.Contributions {
			if c := &f.Contributions[i]; c.Origin == v.Vendor {
				c.Given, c.Sole, c.Relayed = v.Given, v.Sole, v.Relayed
			}
		}
	}
}
