package operation

import (
	"context"
	"maps"
	"slices"

	"comity/stix/fusion"
	"comity/taxii"
)

// Bureaus is the audience of all bureaus together.
const Bureaus = "bureaus"

// view is the operation as one audience sees it.
type view struct {
	*operation
	as        string
	country   string // of a bureau; "" for others
	bureau    bool   // it is a bureau, or all of them together
	findings  []fusion.Finding
	situation *situation
}

// view catches up with an operation and shows it to an audience.
func (r *Runner) view(ctx context.Context, id, as string) (*view, error) {
	o, err := r.upToDate(ctx, id)
	if err != nil {
		return nil, err
	}
	return o.view(ctx, as)
}

// view shows the operation, which is up to date, to an audience: the centre, for which as
// may be empty, all bureaus together, one bureau, or a contributor. NotFound for anybody
// else.
func (o *operation) view(ctx context.Context, as string) (*view, error) {
	situation, err := o.present(ctx)
	if err != nil {
		return nil, err
	}
	v := &view{operation: o, as: as, situation: situation}
	centre := o.runner.snapshot.Policy.Centre().ID
	member, known := o.text.Member(as)
	switch {
	case as == "" || as == centre:
		v.as = centre
		v.findings = o.findings(o.state, forCentre)
	case as == Bureaus && !known:
		v.bureau, v.findings = true, v.situation.findings
	case known && member.Role == bureau:
		v.bureau, v.country = true, o.country(as)
		v.findings = slices.DeleteFunc(slices.Clone(v.situation.findings), func(f fusion.Finding) bool { return f.Country != v.country })
	case known && member.Role == provider:
		v.findings = o.findings(v.benefits(func(writer string) bool { return writer == as }), forCentre)
	default:
		return nil, taxii.Errorf(taxii.NotFound, "%s takes no part in %s", as, o.text.ID)
	}
	return v, nil
}

// benefits is the state with the contributions that a contributor may benefit from: all of
// its own, and of the other included contributors those that bureaus may benefit from.
func (v *view) benefits(include func(writer string) bool) *fusion.State {
	return v.state.Select(func(writer string) (int, bool) {
		if writer == v.as {
			return forCentre, include(writer)
		}
		return forBureaus, include(writer)
	})
}

// centre tells whether the audience may know origins.
func (v *view) centre() bool { return v.as == v.runner.snapshot.Policy.Centre().ID || v.as == Bureaus }

// Stats are the figures as an audience sees them.
func (r *Runner) Stats(ctx context.Context, id, as string) (Stats, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	v, err := r.view(ctx, id, as)
	if err != nil {
		return Stats{}, err
	}
	return v.stats(), nil
}

func (v *view) stats() Stats {
	servers, sites := fusion.Summarise(fusion.C2, v.findings), fusion.Summarise(fusion.Website, v.findings)
	s := Stats{
		As: v.as, Operation: v.text.ID, Snapshot: v.snapshot(), Countries: len(servers.ByCountry),
		C2: C2Stats{
			Identified: servers.Findings, Corroborated: servers.Corroborated,
			ByCountry: servers.ByCountry, ByOrigins: servers.ByOrigins, ByConfidence: servers.ByConfidence,
		},
		Sites:    SiteStats{sites.Findings, sites.Government, sites.ByCountry},
		Outcomes: OutcomeStats{ByStatus: map[string]int{}},
		Reports:  ReportStats{IDs: []string{}},
	}
	if v.centre() {
		s.C2.Digest = fusion.Digest(fusion.C2, v.findings)
	}
	for i := range v.situation.findings {
		if f := &v.situation.findings[i]; f.Kind == fusion.C2 && f.Held == "" && v.centre() {
			s.MayLeave++
		}
	}
	if v.contributor() {
		return s // issues and reports do not follow from its data alone
	}
	for _, i := range v.situation.issues {
		if !v.concerns(i.country) {
			continue
		}
		s.Issues.Flagged++
		switch i.state {
		case absorbed:
			s.Issues.Absorbed++
		case ownReport:
			s.Issues.OwnReport++
		default:
			s.Issues.Open++
		}
	}
	countries := map[string]bool{}
	for _, p := range v.situation.reports {
		if v.concerns(p.country) {
			s.Reports.Count++
			s.Reports.IDs = append(s.Reports.IDs, p.number)
			countries[p.country] = true
		}
	}
	s.Reports.Countries = len(countries)
	for _, f := range v.answered() {
		status := v.statusOf(f, f.Country, v.situation.status)
		s.Outcomes.Reported++
		s.Outcomes.ByStatus[status]++
		if v.neutralises(status) {
			s.Outcomes.Neutralised++
		}
	}
	return s
}

// contributor tells whether the audience is a contributor.
func (v *view) contributor() bool { return !v.centre() && !v.bureau }

// concerns tells whether the audience sees what this country does.
func (v *view) concerns(country string) bool { return v.country == "" || v.country == country }

// answered are the findings for bureaus with an outcome that their country reported.
func (v *view) answered() (all []*fusion.Finding) {
	for i := range v.situation.findings {
		f := &v.situation.findings[i]
		if _, ok := v.situation.status.of(f, f.Country); ok && f.Held == "" && v.concerns(f.Country) {
			all = append(all, f)
		}
	}
	return all
}

// Contributions account for what each contributor gave to the findings about C2
// servers. The centre gets them all; a contributor its own, worked out without what
// others keep from it. NotFound for a bureau.
func (r *Runner) Contributions(ctx context.Context, id, as string) ([]Contribution, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	v, err := r.view(ctx, id, as)
	if err != nil {
		return nil, err
	}
	if v.bureau {
		return nil, taxii.Errorf(taxii.NotFound, "who contributed what is not for %s", as)
	}
	return v.contributions(ctx)
}

func (v *view) contributions(ctx context.Context) (list []Contribution, err error) {
	state := v.state
	if v.contributor() {
		state = v.benefits(func(string) bool { return true })
	}
	accounts := state.Accounts(forCentre, fusion.C2)
	for _, who := range slices.Sorted(maps.Keys(accounts)) {
		if v.contributor() && who != v.as {
			continue
		}
		a := accounts[who]
		c := Contribution{
			Origin: who, Given: a.Given, Sole: a.Sole, Corroborated: a.Corroborated, UniqueFirst: a.UniqueFirst, Led: a.Led,
			ConfirmedOthers: a.ConfirmedOthers, Relayed: a.Relayed, Overlap: a.Overlap, Context: a.Context, Fresh: a.Fresh.Seconds(),
			NotCounted: a.NotCounted,
		}
		if v.contributor() {
			c.Overlap = map[string]int{} // it may not know with whom it agrees
		}
		for _, f := range v.answered() {
			if f.Kind == fusion.C2 && slices.Contains(f.Origins, who) {
				c.ActedOn++
				if v.neutralises(v.statusOf(f, f.Country, v.situation.status)) {
					c.Neutralised++
				}
			}
		}
		if returns := v.returnCollections[who]; returns != nil {
			n, err := v.runner.store.Count(ctx, returns.ID)
			if err != nil {
				return nil, err
			}
			c.Received = int(n)
		}
		list = append(list, c)
	}
	return list, nil
}

// Issues are the flagged issues, as an audience sees them.
func (r *Runner) Issues(ctx context.Context, id, as string) ([]Issue, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	v, err := r.view(ctx, id, as)
	if err != nil {
		return nil, err
	}
	list := []Issue{}
	for _, i := range v.situation.issues {
		if v.contributor() || !v.concerns(i.country) {
			continue
		}
		out := Issue{ID: i.Object, Country: i.country, State: i.state, Report: i.number, Values: []string{}, Matches: []string{}}
		for _, value := range i.Values {
			out.Values = append(out.Values, value.Text)
		}
		for _, n := range i.matches {
			out.Matches = append(out.Matches, v.situation.findings[n].Key)
		}
		list = append(list, out)
	}
	return list, nil
}

// Outcomes are the last outcomes that countries reported about findings, by kind and key.
func (r *Runner) Outcomes(ctx context.Context, id, as string) ([]Outcome, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	v, err := r.view(ctx, id, as)
	if err != nil {
		return nil, err
	}
	list := []Outcome{}
	if v.contributor() {
		return list, nil // outcomes about its own objects are in its returns
	}
	for _, f := range v.answered() {
		said, _ := v.situation.status.of(f, f.Country)
		list = append(list, Outcome{
			v.finding(f.Entity), f.Kind, f.Key, f.Country, v.statusOf(f, f.Country, v.situation.status), said.at,
		})
	}
	return list, nil
}
