package operation

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"comity/stix"
	"comity/stix/fusion"
	"comity/stix/report"
	"comity/taxii/audit"
	"comity/taxii/exchange"
)

// giveBack tells contributors what became of their own objects, as far as it has
// changed: what countries did about findings that they were told of, and why an
// object is not counted where nothing but the object itself is the reason.
func (o *operation) giveBack(ctx context.Context, touched []fusion.Entity) error {
	if len(touched) == 0 || len(o.returns) == 0 {
		return nil
	}
	status := o.status()
	told := map[string]map[stix.ID]report.Return{}
	tell := func(to string, of report.Return) {
		if told[to] == nil {
			told[to] = map[stix.ID]report.Return{}
		}
		if of.Outcome != "" || told[to][of.Object].Outcome == "" {
			told[to][of.Object] = of
		}
	}
	for _, c := range o.state.Components(forCentre, touched) {
		if reason := o.rules.Screen(&c); reason != "" && !c.Relay() {
			tell(c.Submitter, report.Return{Object: c.Object, Reason: string(reason)})
		}
	}
	for _, e := range touched {
		if _, ok := status[e]; !ok {
			continue
		}
		for _, f := range o.state.About(forBureaus, e.Key) {
			if _, answered := status.of(&f, f.Country); f.Entity != e || !answered {
				continue
			}
			for _, source := range f.Sources {
				tell(source.Submitter, report.Return{Object: source.Object, Outcome: o.statusOf(&f, f.Country, status)})
			}
		}
	}
	heading := o.heading()
	for _, to := range slices.Sorted(maps.Keys(told)) {
		if c := o.returns[to]; c != nil {
			if err := o.returnTo(ctx, &heading, c, to, told[to]); err != nil {
				return fmt.Errorf("%s: %w", to, err)
			}
		}
	}
	return nil
}

// returnTo writes the notes for one contributor that it does not have yet.
func (o *operation) returnTo(ctx context.Context, heading *report.Release, c *exchange.Collection, to string, told map[stix.ID]report.Return) error {
	list := slices.SortedFunc(maps.Values(told), func(a, b report.Return) int { return cmp.Compare(a.Object, b.Object) })
	label := max(c.Terms.Floor, min(stix.Amber, c.Terms.Max))
	return o.add(ctx, c, heading.Returns(to, label, list, o.desk.now()))
}

// admitted are the objects of the types that a flow takes.
func admitted(c *exchange.Collection, objects []stix.Object) []stix.Object {
	return slices.DeleteFunc(objects, func(o stix.Object) bool {
		return c.Terms.Types != nil && o.Class() != stix.Meta && !slices.Contains(c.Terms.Types, o.Type)
	})
}

// noteMatches puts on record when something matches an issue that did not before:
// the centre is told.
func (o *operation) noteMatches(ctx context.Context) error {
	var entries []audit.Entry
	matched, known := map[flag]bool{}, map[flag]bool{}
	for _, d := range o.bureaus {
		for _, i := range d.issues {
			for _, v := range i.Values {
				if len(o.state.About(forCentre, v.Text)) > 0 {
					matched[i.flag()] = true
				}
				if slices.ContainsFunc(o.state.About(forBureaus, v.Text), i.mayKnow) {
					known[i.flag()] = true
				}
			}
			if matched[i.flag()] && o.matched != nil && !o.matched[i.flag()] {
				entries = append(entries, audit.Entry{
					Act: audit.Match, Account: "comity", Org: o.desk.policy.Centre().ID, Agreement: o.text.ID, Article: d.collection.Article,
					Text: "an issue that " + d.collection.Writer + " flagged matches what was reported", Subjects: []audit.Subject{{ID: string(i.Object)}},
					Parties: []string{o.desk.policy.Centre().ID},
				})
			}
		}
	}
	if len(entries) > 0 {
		if err := o.desk.store.Record(ctx, entries...); err != nil {
			return err
		}
	}
	o.matched, o.known = matched, known
	return nil
}
