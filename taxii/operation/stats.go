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

// seen is the operation as one audience sees it.
type seen struct {
	*operation
	as       string
	country  string // of a bureau
	bureau   bool   // or of all of them
	findings []fusion.Finding
	left     []fusion.Excluded
	picture  *picture
}

// view settles an operation and looks at it for an audience: the centre, for whom
// as may be empty, all bureaus together, one bureau, or a contributor. NotFound for
// anybody else.
func (d *Desk) view(ctx context.Context, id, as string) (*seen, error) {
	o, err := d.settled(ctx, id)
	if err != nil {
		return nil, err
	}
	v := &seen{operation: o, as: as}
	if v.picture, err = o.picture(ctx); err != nil {
		return nil, err
	}
	member, known := o.text.Member(as)
	switch {
	case as == "" || as == d.policy.Centre().ID:
		v.as = d.policy.Centre().ID
		v.findings, v.left = o.findings(forCentre)
	case as == Bureaus:
		v.bureau, v.findings = true, v.picture.findings
	case known && member.Role == bureau:
		v.bureau, v.country = true, o.country(as)
		v.findings = slices.DeleteFunc(slices.Clone(v.picture.findings), func(f fusion.Finding) bool { return f.Country != v.country })
	case known && member.Role == provider:
		return v, v.own(ctx)
	default:
		return nil, taxii.Errorf(taxii.NotFound, "%s takes no part in %s", as, id)
	}
	return v, nil
}

// own is what a contributor's own data yields by itself.
func (v *seen) own(ctx context.Context) error {
	alone, err := v.reread(ctx, func(writer string) bool { return writer == v.as })
	if err == nil {
		v.findings, v.left = alone.Findings(forCentre)
	}
	return err
}

// reread fuses anew what a contributor may benefit from: all of its own and, of
// others that are asked for, what bureaus may.
func (v *seen) reread(ctx context.Context, of func(writer string) bool) (*fusion.State, error) {
	alone := *v.operation
	alone.viewer, alone.state = v.as, fusion.NewState(v.rules, 2)
	for _, r := range v.inputs {
		if of(r.collection.Writer) {
			again := reader{operation: &alone, collection: r.collection}
			if err := again.load(ctx); err != nil {
				return nil, err
			}
		}
	}
	return alone.state, nil
}

// centre tells whether the audience may know origins.
func (v *seen) centre() bool { return v.as == v.desk.policy.Centre().ID || v.as == Bureaus }

// Stats are the figures as an audience sees them.
func (d *Desk) Stats(ctx context.Context, id, as string) (Stats, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	v, err := d.view(ctx, id, as)
	if err != nil {
		return Stats{}, err
	}
	servers, sites := fusion.Summarise(fusion.C2, v.findings), fusion.Summarise(fusion.Website, v.findings)
	s := Stats{
		As: v.as, Operation: id, Snapshot: v.snapshot(), Countries: len(servers.ByCountry),
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
	for i := range v.picture.findings {
		if f := &v.picture.findings[i]; f.Kind == fusion.C2 && f.Held == "" && v.centre() {
			s.MayLeave++
		}
	}
	if v.contributor() {
		return s, nil // whose data alone says nothing of issues and reports
	}
	for _, i := range v.picture.issues {
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
	for _, p := range v.picture.papers {
		if v.concerns(p.country) {
			s.Reports.Count++
			s.Reports.IDs = append(s.Reports.IDs, p.number)
			countries[p.country] = true
		}
	}
	s.Reports.Countries = len(countries)
	for _, f := range v.answered() {
		status := v.statusOf(f, f.Country, v.picture.status)
		s.Outcomes.Reported++
		s.Outcomes.ByStatus[status]++
		if v.neutralises(status) {
			s.Outcomes.Neutralised++
		}
	}
	return s, nil
}

// contributor tells whether the audience is one.
func (v *seen) contributor() bool { return !v.centre() && !v.bureau }

// concerns tells whether the audience sees what a country does.
func (v *seen) concerns(country string) bool { return v.country == "" || v.country == country }

// answered are the findings for bureaus about which their country said something.
func (v *seen) answered() (all []*fusion.Finding) {
	for i := range v.picture.findings {
		f := &v.picture.findings[i]
		if _, ok := v.picture.status.of(f, f.Country); ok && f.Held == "" && v.concerns(f.Country) {
			all = append(all, f)
		}
	}
	return all
}

// Contributions account for what each contributor gave to the C2 servers: all for
// the centre; its own for a contributor, to whom what others may not let out is not
// there. A bureau sees none.
func (d *Desk) Contributions(ctx context.Context, id, as string) ([]Contribution, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	v, err := d.view(ctx, id, as)
	if err != nil {
		return nil, err
	}
	if v.bureau {
		return nil, taxii.Errorf(taxii.NotFound, "who contributed what is not for %s", as)
	}
	state := v.state
	if v.contributor() {
		if state, err = v.reread(ctx, func(string) bool { return true }); err != nil {
			return nil, err
		}
	}
	accounts := state.Accounts(forCentre, fusion.C2)
	list := []Contribution{}
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
			c.Overlap = map[string]int{} // with whom it agrees is not for it to know
		}
		for _, f := range v.answered() {
			if f.Kind == fusion.C2 && slices.Contains(f.Origins, who) {
				c.ActedOn++
				if v.neutralises(v.statusOf(f, f.Country, v.picture.status)) {
					c.Neutralised++
				}
			}
		}
		if returns := v.returns[who]; returns != nil {
			n, err := d.store.Count(ctx, returns.ID)
			if err != nil {
				return nil, err
			}
			c.Received = int(n)
		}
		list = append(list, c)
	}
	return list, nil
}

// Issues are what countries flagged, as an audience sees them.
func (d *Desk) Issues(ctx context.Context, id, as string) ([]Issue, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	v, err := d.view(ctx, id, as)
	if err != nil {
		return nil, err
	}
	list := []Issue{}
	for _, i := range v.picture.issues {
		if v.contributor() || !v.concerns(i.country) {
			continue
		}
		out := Issue{ID: i.Object, Country: i.country, State: i.state, Report: i.number, Values: []string{}, Matches: []string{}}
		for _, value := range i.Values {
			out.Values = append(out.Values, value.Text)
		}
		for _, n := range i.matches {
			out.Matches = append(out.Matches, v.picture.findings[n].Key)
		}
		list = append(list, out)
	}
	return list, nil
}

// Outcomes are what countries last said about findings, by kind and key.
func (d *Desk) Outcomes(ctx context.Context, id, as string) ([]Outcome, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	v, err := d.view(ctx, id, as)
	if err != nil {
		return nil, err
	}
	list := []Outcome{}
	if v.contributor() {
		return list, nil // it reads of its own objects in its returns
	}
	for _, f := range v.answered() {
		said, _ := v.picture.status.of(f, f.Country)
		list = append(list, Outcome{
			v.finding(f.Entity), f.Kind, f.Key, f.Country, v.statusOf(f, f.Country, v.picture.status), said.at,
		})
	}
	return list, nil
}
