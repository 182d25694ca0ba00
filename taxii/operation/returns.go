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

// returnOutcomes tells the contributors of the touched findings about their own objects:
// the outcome that a country reported, or why an object is not counted. A reason is given
// only if it lies in the object itself, so that it tells nothing of others.
func (o *operation) returnOutcomes(ctx context.Context, touched []fusion.Entity) error {
	if len(touched) == 0 || len(o.returnCollections) == 0 {
		return nil
	}
	status := o.status()
	returns := map[string]map[stix.ID]report.Return{} // by contributor
	add := func(to string, of report.Return) {
		if returns[to] == nil {
			returns[to] = map[stix.ID]report.Return{}
		}
		if of.Outcome != "" || returns[to][of.Object].Outcome == "" {
			returns[to][of.Object] = of
		}
	}
	for _, c := range o.state.Of(forCentre, touched) {
		if reason := o.rules.Screen(&c); reason != "" && !c.Relay() {
			add(c.Submitter, report.Return{Object: c.Object, Reason: string(reason)})
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
				add(source.Submitter, report.Return{Object: source.Object, Outcome: o.statusOf(&f, f.Country, status)})
			}
		}
	}
	heading := o.heading()
	for _, to := range slices.Sorted(maps.Keys(returns)) {
		if c := o.returnCollections[to]; c != nil {
			if err := o.returnTo(ctx, &heading, c, to, returns[to]); err != nil {
				return fmt.Errorf("%s: %w", to, err)
			}
		}
	}
	return nil
}

// returnTo writes the notes that one contributor does not have yet.
func (o *operation) returnTo(ctx context.Context, heading *report.Release, c *exchange.Collection, to string, returns map[stix.ID]report.Return) error {
	list := slices.SortedFunc(maps.Values(returns), func(a, b report.Return) int { return cmp.Compare(a.Object, b.Object) })
	label := max(c.Terms.Floor, min(stix.Amber, c.Terms.Max))
	return o.addMissing(ctx, c, heading.Returns(to, label, list, o.runner.now()))
}

// admitted are the objects whose types the flow takes.
func admitted(c *exchange.Collection, objects []stix.Object) []stix.Object {
	return slices.DeleteFunc(objects, func(o stix.Object) bool {
		return c.Terms.Types != nil && o.Class() != stix.Meta && !slices.Contains(c.Terms.Types, o.Type)
	})
}

// recordMatches finds the issues that match a finding, and records the new matches for
// the centre.
func (o *operation) recordMatches(ctx context.Context) error {
	var entries []audit.Entry
	matched, known := map[issueKey]bool{}, map[issueKey]bool{}
	for _, in := range o.inboxes {
		for _, i := range in.issues {
			for _, v := range i.Values {
				if len(o.state.About(forCentre, v.Text)) > 0 {
					matched[i.key()] = true
				}
				if slices.ContainsFunc(o.state.About(forBureaus, v.Text), i.mayKnow) {
					known[i.key()] = true
				}
			}
			if matched[i.key()] && o.matched != nil && !o.matched[i.key()] {
				entries = append(entries, audit.Entry{
					Act: audit.Match, Account: "comity", Org: o.runner.snapshot.Policy.Centre().ID, Agreement: o.text.ID, Article: in.collection.Article,
					Text: "an issue that " + in.collection.Writer + " flagged matches what was reported", Subjects: []audit.Subject{{ID: string(i.Object)}},
					Parties: []string{o.runner.snapshot.Policy.Centre().ID},
				})
			}
		}
	}
	if len(entries) > 0 {
		if err := o.runner.store.Record(ctx, entries...); err != nil {
			return err
		}
	}
	o.matched, o.known = matched, known
	return nil
}
