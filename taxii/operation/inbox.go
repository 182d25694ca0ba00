package operation

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"comity/stix"
	"comity/stix/fusion"
	"comity/stix/rawjson"
	"comity/store"
	"comity/taxii/exchange"
)

// inbox holds the objects of one bureau: the issues that it flagged, and the outcomes
// that it reported. It is small, since persons write it, and is read again as a whole
// when it has changed.
type inbox struct {
	*operation
	collection *exchange.Collection
	stale      bool // it has changed since it was read

	issues   []flaggedIssue
	outcomes []outcome
	seen     map[fusion.Entity]bool // findings that the bureau has sighted itself
}

// flaggedIssue is an issue, the country that flagged it, and when it came.
type flaggedIssue struct {
	fusion.Issue
	country string
	at      time.Time
}

// issueKey names an issue: two countries may have flagged the same object.
type issueKey struct {
	country  string
	grouping stix.ID
}

func (f *flaggedIssue) key() issueKey { return issueKey{f.country, f.Object} }

// outcome is the status of a finding as a bureau reported it.
type outcome struct {
	entity fusion.Entity
	id     stix.ID // the finding
	status string
	at     time.Time
}

// country is the country of an organisation; "" if the directory does not have it.
func (o *operation) country(org string) string {
	if of := o.runner.snapshot.Directory.Organisations[org]; of != nil {
		return of.Country
	}
	return ""
}

// readInboxes reads the inboxes that have changed, and notes the findings with a new
// outcome.
func (o *operation) readInboxes(ctx context.Context) error {
	for _, in := range o.inboxes {
		if !in.stale {
			continue
		}
		before := map[outcome]bool{}
		for _, out := range in.outcomes {
			before[out] = true
		}
		if err := in.read(ctx); err != nil {
			return err
		}
		o.changed, in.stale = true, false
		for _, out := range in.outcomes {
			if !before[out] {
				o.unannounced = append(o.unannounced, out.entity)
			}
		}
	}
	return nil
}

func (in *inbox) read(ctx context.Context) error {
	newest := map[stix.ID]record{}
	if err := in.scanIn(ctx, in.collection, store.Query{Limit: 10_000, MaxBytes: 16 << 20}, func(batch []record) error {
		for _, rec := range batch {
			if old, ok := newest[rec.ID]; !ok || !rec.Version().Time().Before(old.Version().Time()) {
				newest[rec.ID] = rec
			}
		}
		return nil
	}); err != nil {
		return err
	}
	var records []record
	for _, rec := range newest {
		records = append(records, rec)
	}
	slices.SortFunc(records, func(a, b record) int { return cmp.Or(a.added.Compare(b.added), cmp.Compare(a.ID, b.ID)) })
	objects := make([]stix.Object, len(records))
	for i := range records {
		objects[i] = records[i].Object
	}
	in.issues, in.outcomes, in.seen = nil, nil, map[fusion.Entity]bool{}
	from := fusion.Source{Submitter: in.collection.Writer, Label: func(o stix.Object) stix.TLP { return newest[o.ID].label }}
	for _, issue := range fusion.ReadIssues(objects, from) {
		in.issues = append(in.issues, flaggedIssue{issue, in.country(in.collection.Writer), newest[issue.Object].added})
	}
	return in.readAnswers(ctx, records)
}

// readAnswers reads the bureau's notes and sightings about the findings that it got. Of
// the notes with an outcome, the last about each finding counts.
func (in *inbox) readAnswers(ctx context.Context, records []record) error {
	findings := in.bureauCollections[in.collection.Writer]
	if findings == nil {
		return nil
	}
	refs := map[stix.ID]fusion.Entity{}
	for i := range records {
		records[i].References(func(_ string, id stix.ID) {
			if t := id.Type(); t == "infrastructure" || t == "indicator" {
				refs[id] = fusion.Entity{}
			}
		})
	}
	var ids []stix.ID
	for id := range refs {
		ids = append(ids, id)
	}
	found, err := in.byID(ctx, findings, ids)
	if err != nil {
		return err
	}
	for i := range found {
		if entity, ok := in.entityOf(&found[i].Object); ok {
			refs[found[i].ID] = entity
		}
	}
	last := map[fusion.Entity]int{}
	for i := range records {
		rec := &records[i]
		status, isOutcome := outcomeOf(&rec.Object)
		sighting := rec.Type == "sighting" && !rec.Revoked && string(rawjson.Member(rec.Raw, "count")) != "0"
		if !sighting && !(isOutcome && in.knowsStatus(status)) {
			continue
		}
		rec.References(func(_ string, id stix.ID) {
			entity := refs[id]
			switch {
			case entity == fusion.Entity{}:
			case sighting:
				in.seen[entity] = true
			default:
				out := outcome{entity, in.finding(entity), status, rec.Version().Time()}
				if n, again := last[entity]; again {
					if !out.at.Before(in.outcomes[n].at) {
						in.outcomes[n] = out
					}
					return
				}
				last[entity] = len(in.outcomes)
				in.outcomes = append(in.outcomes, out)
			}
		})
	}
	return nil
}

// outcomeOf is the status that a note reports by its label "outcome:STATUS".
func outcomeOf(o *stix.Object) (status string, ok bool) {
	if o.Type != "note" || o.Revoked {
		return "", false
	}
	for e := rawjson.ElementsOf(rawjson.Member(o.Raw, "labels")); e.Next(); {
		label, _ := rawjson.Text(e.Value)
		if status, ok = strings.CutPrefix(string(label), "outcome:"); ok {
			return status, true
		}
	}
	return "", false
}

// knowsStatus tells whether the agreement has that status of outcomes.
func (o *operation) knowsStatus(status string) bool {
	return o.text.Feedback == nil || len(o.text.Feedback.Statuses) == 0 || slices.Contains(o.text.Feedback.Statuses, status)
}

// neutralises tells whether that status means that a server is out of use.
func (o *operation) neutralises(status string) bool {
	return o.text.Feedback != nil && slices.Contains(o.text.Feedback.Neutralised, status)
}

// entityOf is the finding that an object of a release is about. The id proves it: it is
// derived from the entity.
func (o *operation) entityOf(object *stix.Object) (fusion.Entity, bool) {
	name := text(object, "name") // ends with the key
	key := name[strings.LastIndexByte(name, ' ')+1:]
	for _, kind := range []fusion.Kind{fusion.C2, fusion.Website, fusion.Other} {
		if o.id(object.Type, string(kind)+"|"+key) == object.ID {
			return fusion.Entity{Kind: kind, Key: key}, true
		}
	}
	return fusion.Entity{}, false
}
