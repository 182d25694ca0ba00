package operation

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"comity/stix"
	"comity/stix/fusion"
	"comity/stix/rawjson"
	"comity/stix/report"
	"comity/taxii"
	"comity/taxii/audit"
	"comity/taxii/exchange"
)

// Draft draws up, for each country, its feed and every report whose rule is met,
// and notes who did: a second person publishes it. Notes are the analyst's words
// by number of report. Forbidden for who is no person of the centre with the right
// to write all of it, Invalid for a note on a report that no rule asks for.
func (d *Desk) Draft(ctx context.Context, id string, by exchange.Principal, notes map[string]string) (_ Release, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	o, err := d.settled(ctx, id)
	if err != nil {
		return Release{}, err
	}
	before := o.progress
	defer func() {
		if err != nil {
			o.progress = before // without notes that were not kept
		}
	}()
	if _, err := o.mayPublish(by); err != nil {
		return Release{}, err
	}
	p, err := o.picture(ctx)
	if err != nil {
		return Release{}, err
	}
	for number := range notes {
		if !slices.ContainsFunc(p.papers, func(p paper) bool { return p.number == number }) {
			return Release{}, taxii.Errorf(taxii.Invalid, "a note on %s: no rule of %s asks for such a report", number, id)
		}
	}
	progress := o.progress
	progress.Notes = maps.Clone(progress.Notes)
	for number, text := range notes {
		if progress.Notes == nil {
			progress.Notes = map[string][]note{}
		}
		progress.Notes[number] = append(slices.Clone(progress.Notes[number]), note{Author: by.Account, Text: text})
	}
	o.progress = progress // so that the draft has them
	sum, err := digest(o.releases(p))
	if err != nil {
		return Release{}, err
	}
	progress.Draft = &draft{By: by.Account, Home: by.Home, At: d.now(), Digest: sum}
	if err := o.saveProgress(ctx, progress, audit.Entry{
		Act: audit.Report, Account: by.Account, Org: by.Org, Home: by.Home, Digest: sum, Count: len(p.papers),
		Text: fmt.Sprintf("%d reports drafted", len(p.papers)), Parties: []string{by.Org},
	}); err != nil {
		return Release{}, err
	}
	papers, err := o.papers(ctx, p)
	return Release{Operation: id, By: by.Account, Digest: sum, Papers: papers, Feeds: len(o.cars)}, err
}

// Publish writes what was drafted into the collections of the countries. It is for
// a second person, who is not lent by the same organisation as the first.
// Forbidden otherwise; Conflict if there is no draft, or if it would read
// otherwise today. After a kill it can be repeated, and goes on.
func (d *Desk) Publish(ctx context.Context, id string, by exchange.Principal) (out Release, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	o, err := d.settled(ctx, id)
	if err != nil {
		return out, err
	}
	grants, err := o.mayPublish(by)
	if err != nil {
		return out, err
	}
	draft := o.progress.Draft
	switch {
	case draft == nil:
		return out, taxii.Errorf(taxii.Conflict, "there is no draft of %s; comity report draft makes one", id)
	case draft.By == by.Account:
		return out, taxii.Errorf(taxii.Forbidden, "%s drafted it: another person publishes", by.Account)
	case draft.Home == by.Home && by.Home != "":
		return out, taxii.Errorf(taxii.Forbidden, "%s and %s are both lent by %s", draft.By, by.Account, by.Home)
	}
	p, err := o.picture(ctx)
	if err != nil {
		return out, err
	}
	releases := o.releases(p)
	sum, err := digest(releases)
	if err != nil {
		return out, err
	}
	if sum != draft.Digest {
		return out, taxii.Errorf(taxii.Conflict, "the findings have changed since %s drafted: draft again", draft.By)
	}
	out = Release{Operation: id, By: by.Account, Digest: sum, Feeds: len(releases)}
	for _, r := range releases {
		written, removed, err := o.write(ctx, &r, grants[r.Country])
		if err != nil {
			return out, fmt.Errorf("publish for %s: %w", r.Country, err)
		}
		out.Objects, out.Removed = out.Objects+written, out.Removed+removed
	}
	progress, now := o.progress, d.now()
	if progress.First == nil {
		progress.First = &now
	}
	for _, r := range o.inputs {
		now = later(now, r.last) // the clock of a collection may run ahead
	}
	progress.Draft, progress.Released, progress.Reworked = nil, &now, o.chain.Position()
	entries := append(o.derivations(p), audit.Entry{
		Act: audit.Report, Account: by.Account, Org: by.Org, Home: by.Home, Digest: sum, Count: len(p.papers),
		Text: fmt.Sprintf("%d reports published, drafted by %s", len(p.papers), draft.By), Parties: []string{by.Org},
	})
	if err := o.saveProgress(ctx, progress, entries...); err != nil {
		return out, err
	}
	out.Papers, err = o.papers(ctx, p)
	return out, err
}

// mayPublish gives the grants by which a person of the centre writes what each
// country gets.
func (o *operation) mayPublish(by exchange.Principal) (map[string]exchange.Grant, error) {
	if !by.Person || by.Org != o.desk.policy.Centre().ID {
		return nil, taxii.Errorf(taxii.Forbidden, "reports are drafted and published by persons of %s", o.desk.policy.Centre().ID)
	}
	grants := map[string]exchange.Grant{}
	for bureau, c := range o.cars {
		g, err := o.desk.policy.Decide(by, c.ID.String(), exchange.Write, o.desk.now())
		if err != nil {
			if taxii.CodeOf(err) == taxii.NotFound {
				continue // that country takes no part at the moment
			}
			return nil, err
		}
		grants[o.country(bureau)] = g
	}
	if len(grants) == 0 {
		return nil, taxii.Errorf(taxii.Forbidden, "%s may write what no country of %s gets now", by.Account, o.text.ID)
	}
	return grants, nil
}

// releases are what the countries are told, by country.
func (o *operation) releases(p *picture) (all []report.Release) {
	for bureau := range o.cars {
		all = append(all, o.release(p, o.country(bureau)))
	}
	slices.SortFunc(all, func(a, b report.Release) int { return cmp.Compare(a.Country, b.Country) })
	return all
}

// derivations tell each contributor how many of its objects went into what was
// published, without a country.
func (o *operation) derivations(p *picture) (entries []audit.Entry) {
	used := map[string][]audit.Subject{}
	for i := range p.findings {
		if f := &p.findings[i]; f.Held == "" && f.Kind != fusion.Other {
			for _, source := range f.Sources {
				used[source.Submitter] = append(used[source.Submitter], audit.Subject{ID: string(source.Object)})
			}
		}
	}
	for _, org := range slices.Sorted(maps.Keys(used)) {
		entries = append(entries, audit.Entry{
			Act: audit.Derivation, Account: "comity", Org: o.desk.policy.Centre().ID, Article: o.text.Fusion.Article,
			Count: len(used[org]), Subjects: used[org][:min(len(used[org]), audit.MaxSubjects)],
			Text: "objects went into findings for bureaus", Parties: []string{org},
		})
	}
	return entries
}

// write brings what a country gets up to a release: new objects and new versions
// are added, reports without ground are revoked, and the rest that has no ground
// is taken out, which whoever got it is told.
func (o *operation) write(ctx context.Context, r *report.Release, g exchange.Grant) (written, removed int, err error) {
	c := g.Collection()
	if c == nil {
		if c = o.car(r.Country); c == nil {
			return 0, 0, nil
		}
	}
	before, err := o.newest(ctx, c, nil)
	if err != nil {
		return 0, 0, err
	}
	fresh := slices.DeleteFunc(r.Objects(), func(o stix.Object) bool { return before[o.ID].Revoked })
	changed, err := report.Revise(fresh, func(id stix.ID) (stix.Object, bool) { rec, ok := before[id]; return rec.Object, ok }, o.desk.now())
	if err != nil {
		return 0, 0, err
	}
	whole := slices.Clone(fresh)
	has := map[stix.ID]bool{}
	for i := range fresh {
		has[fresh[i].ID] = true
	}
	var gone []stix.ID
	for _, id := range slices.Sorted(maps.Keys(before)) {
		old := before[id]
		switch {
		case has[id] || old.Revoked || !o.released(&old.Object):
		case old.Type == "report":
			revoked, err := report.Revoke(old.Object, old.Creator, o.desk.now())
			if err != nil {
				return 0, 0, err
			}
			changed, whole = append(changed, revoked), append(whole, revoked)
		default:
			gone = append(gone, id)
		}
	}
	handled, err := verdicts(c, whole)
	if err != nil {
		return 0, 0, err
	}
	// What has no versions and no label of its own may be of stricter findings now, or of less strict ones.
	var other []stix.ID
	for i := range fresh {
		object := &fresh[i]
		if old, there := before[object.ID]; there && object.Modified.IsZero() && old.label != handled[object.ID].TLP {
			other, changed = append(other, object.ID), append(changed, *object)
		}
	}
	if err := o.desk.custody.Relabel(ctx, c, other); err != nil {
		return 0, 0, err
	}
	if err := o.desk.put(ctx, c, g, changed, handled); err != nil {
		return 0, 0, err
	}
	return len(changed), len(gone), o.desk.custody.Retract(ctx, c, gone, "What it rested on is no longer there.")
}

// car is what a country gets.
func (o *operation) car(country string) *exchange.Collection {
	for bureau, c := range o.cars {
		if o.country(bureau) == country {
			return c
		}
	}
	return nil
}

// released tells whether an object is of a release, and none of what else the
// centre writes: definitions, its own identity and place, and notices.
func (o *operation) released(object *stix.Object) bool {
	switch object.Type {
	case "marking-definition", "extension-definition", "location":
		return false
	case "identity":
		return strings.HasPrefix(text(object, "name"), "Owner of ")
	case "note":
		for e := rawjson.ElementsOf(rawjson.Member(object.Raw, "labels")); e.Next(); {
			switch label, _ := rawjson.Text(e.Value); string(label) {
			case "provenance", "flagged-issues", "analyst":
				return true
			}
		}
		return false
	}
	return true
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
