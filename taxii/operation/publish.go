package operation

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"comity/stix"
	"comity/stix/fusion"
	"comity/stix/rawjson"
	"comity/stix/report"
	"comity/taxii"
	"comity/taxii/audit"
	"comity/taxii/exchange"
)

// Draft makes, for each country, its feed and every report whose rule is met, and records
// who drafted them, since a second person publishes them. Notes are the analyst's words, by
// the number of the report. Forbidden unless by is a person of the centre with the right
// to write for every country that takes part now; Invalid for a note on a report that no
// rule asks for.
func (r *Runner) Draft(ctx context.Context, id string, by exchange.Principal, notes map[string]string) (out Release, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	o, err := r.operation(ctx, id)
	if err == nil {
		err = o.alone(ctx, func(ctx context.Context) error {
			out, err = o.draft(ctx, by, notes)
			return err
		})
	}
	return out, err
}

func (o *operation) draft(ctx context.Context, by exchange.Principal, notes map[string]string) (Release, error) {
	grants, err := o.mayPublish(by)
	if err != nil {
		return Release{}, err
	}
	s, err := o.situation(ctx)
	if err != nil {
		return Release{}, err
	}
	for number := range notes {
		if !slices.ContainsFunc(s.reports, func(s plannedReport) bool { return s.number == number }) {
			return Release{}, taxii.Errorf(taxii.Invalid, "a note on %s: no rule of %s asks for such a report", number, o.text.ID)
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
	before := o.progress
	o.progress = progress // so that the draft has the notes
	sum, err := digest(o.releases(s))
	o.progress = before
	if err != nil {
		return Release{}, err
	}
	progress.Draft = &draft{By: by.Account, Home: by.Home, At: o.runner.now(), Digest: sum}
	progress.Reworked = o.chain.Position() // a Runner that starts later does not drop the draft for older removals
	if err := o.saveProgress(ctx, progress, audit.Entry{
		Act: audit.Report, Account: by.Account, Org: by.Org, Home: by.Home, Operator: by.Operator, Digest: sum, Count: len(s.reports),
		Text: fmt.Sprintf("%d reports drafted", len(s.reports)), Parties: []string{by.Org},
	}); err != nil {
		return Release{}, err
	}
	if err := o.renewBoard(ctx); err != nil {
		return Release{}, err
	}
	reports, err := o.reportStates(ctx, s, "")
	return Release{Operation: o.text.ID, By: by.Account, Digest: sum, Reports: reports, Feeds: len(grants)}, err
}

// Publish writes the draft into the collections of the countries that take part now. It is
// for a second person, who is not seconded from the same organisation as the first;
// Forbidden otherwise. Conflict if there is no draft, or if the findings have changed since.
// After a kill the call can be repeated, and writes the missing objects.
func (r *Runner) Publish(ctx context.Context, id string, by exchange.Principal) (out Release, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	o, err := r.operation(ctx, id)
	if err == nil {
		err = o.alone(ctx, func(ctx context.Context) error {
			out, err = o.publish(ctx, by)
			return err
		})
	}
	if err == nil {
		out.Reports, err = o.newReports(ctx)
	}
	return out, err
}

// newReports are the reports after a publication.
func (o *operation) newReports(ctx context.Context) ([]Report, error) {
	// The reports are read again after the entries about what was written, so that they stay.
	if err := o.follow(ctx); err != nil {
		return nil, err
	}
	if err := o.renewBoard(ctx); err != nil {
		return nil, err
	}
	s, err := o.situation(ctx)
	if err != nil {
		return nil, err
	}
	return o.reportStates(ctx, s, "")
}

func (o *operation) publish(ctx context.Context, by exchange.Principal) (out Release, err error) {
	grants, err := o.mayPublish(by)
	if err != nil {
		return out, err
	}
	draft := o.progress.Draft
	switch {
	case draft == nil:
		return out, taxii.Errorf(taxii.Conflict, "there is no draft of %s; comity report draft makes one", o.text.ID)
	case draft.By == by.Account:
		return out, taxii.Errorf(taxii.Forbidden, "%s drafted it: another person publishes", by.Account)
	case draft.Home == by.Home && by.Home != "":
		return out, taxii.Errorf(taxii.Forbidden, "%s and %s are both seconded from %s", draft.By, by.Account, by.Home)
	}
	s, err := o.situation(ctx)
	if err != nil {
		return out, err
	}
	releases := o.releases(s)
	sum, err := digest(releases)
	if err != nil {
		return out, err
	}
	if sum != draft.Digest {
		return out, taxii.Errorf(taxii.Conflict, "the findings have changed since %s drafted: draft again", draft.By)
	}
	out = Release{Operation: o.text.ID, By: by.Account, Digest: sum, Feeds: len(grants)}
	reports := 0
	for _, release := range releases {
		g, takesPart := grants[release.Country]
		if !takesPart {
			continue
		}
		reports += len(release.Reports)
		release.Drafted, release.Approved = draft.By, by.Account
		written, removed, err := o.write(ctx, &release, g.Collection(), g)
		if err != nil {
			return out, fmt.Errorf("publish for %s: %w", release.Country, err)
		}
		out.Objects, out.Removed = out.Objects+written, out.Removed+removed
	}
	progress, now := o.progress, o.runner.now()
	if progress.First == nil {
		progress.First = &now
	}
	covers := now
	for _, input := range o.inputs {
		covers = taxii.Latest(covers, input.last) // the clock of a collection may run ahead
	}
	progress.Draft, progress.Released, progress.Covers, progress.Reworked = nil, &now, &covers, o.chain.Position()
	progress.Drafted, progress.Approved = draft.By, by.Account
	entries := append(o.derivations(s, grants), audit.Entry{
		Act: audit.Report, Account: by.Account, Org: by.Org, Home: by.Home, Operator: by.Operator, Digest: sum, Count: reports,
		Text: fmt.Sprintf("%d reports published, drafted by %s", reports, draft.By), Parties: []string{by.Org},
	})
	return out, o.saveProgress(ctx, progress, entries...)
}

// mayPublish returns the grants by which a person of the centre writes for each country that
// takes part now. Forbidden if there are none.
func (o *operation) mayPublish(by exchange.Principal) (map[string]exchange.Grant, error) {
	if !by.Person || by.Org != o.runner.snapshot.Policy.Centre().ID {
		return nil, taxii.Errorf(taxii.Forbidden, "reports are drafted and published by persons of %s", o.runner.snapshot.Policy.Centre().ID)
	}
	grants := map[string]exchange.Grant{}
	for bureau, c := range o.bureauCollections {
		g, err := o.runner.snapshot.Policy.Decide(by, c.ID.String(), exchange.Write, o.runner.now())
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

// releases are those of all countries, sorted by country.
func (o *operation) releases(s *situation) (all []report.Release) {
	for bureau := range o.bureauCollections {
		all = append(all, o.release(s, o.country(bureau)))
	}
	slices.SortFunc(all, func(a, b report.Release) int { return cmp.Compare(a.Country, b.Country) })
	return all
}

// derivations are the entries that tell each contributor which of its objects went into
// findings that the countries of the grants get. They name no country.
func (o *operation) derivations(s *situation, grants map[string]exchange.Grant) (entries []audit.Entry) {
	used := map[string][]audit.Subject{}
	for i := range s.findings {
		f := &s.findings[i]
		if _, published := grants[f.Country]; published && f.Held == "" && f.Kind != fusion.Other {
			for _, source := range f.Sources {
				used[source.Submitter] = append(used[source.Submitter], audit.Subject{ID: string(source.Object)})
			}
		}
	}
	for _, org := range slices.Sorted(maps.Keys(used)) {
		entries = append(entries, audit.Entry{
			Act: audit.Derivation, Account: "comity", Org: o.runner.snapshot.Policy.Centre().ID, Article: o.text.Fusion.Article,
			Count: len(used[org]), Subjects: used[org][:min(len(used[org]), audit.MaxSubjects)],
			Text: "objects went into findings for bureaus", Parties: []string{org},
		})
	}
	return entries
}

// write brings the collection c of a country in line with a release. It adds new objects
// and new versions, revokes reports that are not in the release, and removes other
// objects that are not; custody notifies their holders.
func (o *operation) write(ctx context.Context, r *report.Release, c *exchange.Collection, g exchange.Grant) (written, removed int, err error) {
	before, err := o.newest(ctx, c, nil)
	if err != nil {
		return 0, 0, err
	}
	fresh := slices.DeleteFunc(r.Objects(), func(o stix.Object) bool { return before[o.ID].Revoked })
	changed, err := report.Revise(fresh, func(id stix.ID) (stix.Object, bool) { rec, ok := before[id]; return rec.Object, ok }, o.runner.now())
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
		case has[id] || old.Revoked || !o.isReleased(&old.Object):
		case old.Type == "report":
			revoked, err := report.Revoke(old.Object, old.Creator, o.runner.now())
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
	// An object without versions or a label of its own takes the label of its findings,
	// which may have become stricter or less strict.
	var other []stix.ID
	for i := range fresh {
		object := &fresh[i]
		if old, there := before[object.ID]; there && object.Modified.IsZero() && old.label != handled[object.ID].TLP {
			other, changed = append(other, object.ID), append(changed, *object)
		}
	}
	if err := o.runner.custody.Relabel(ctx, c, other); err != nil {
		return 0, 0, err
	}
	if err := o.runner.addObjects(ctx, c, g, changed, handled); err != nil {
		return 0, 0, err
	}
	return len(changed), len(gone), o.runner.custody.Retract(ctx, c, gone, "What it rested on is no longer there.")
}

// collectionOf is the collection that the bureau of a country reads; nil if there is none.
func (o *operation) collectionOf(country string) *exchange.Collection {
	for bureau, c := range o.bureauCollections {
		if o.country(bureau) == country {
			return c
		}
	}
	return nil
}

// isReleased tells whether an object comes from a release. The centre also writes
// definitions, its own identity and location, and notices.
func (o *operation) isReleased(object *stix.Object) bool {
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
