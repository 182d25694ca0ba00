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

// desktop is what one bureau sent: the issues it flagged, and what it did about
// findings. It is read again as a whole when it has changed, for persons write it.
type desktop struct {
	*operation
	collection *exchange.Collection
	stale      bool

	issues   []flagged
	outcomes []outcome
	seen     map[fusion.Entity]bool // by the bureau itself
}

// flagged is an issue, whose it is, and when it came.
type flagged struct {
	fusion.Issue
	country string
	at      time.Time
}

// flag names an issue: two countries may have flagged the same object.
type flag struct {
	country  string
	grouping stix.ID
}

func (f *flagged) flag() flag { return flag{f.country, f.Object} }

// outcome is what a bureau did about a finding.
type outcome struct {
	entity fusion.Entity
	id     stix.ID // the finding
	status string
	at     time.Time
}

// country is that of a participant.
func (o *operation) country(org string) string {
	if of := o.desk.directory.Organisations[org]; of != nil {
		return of.Country
	}
	return ""
}

// hear reads what bureaus have sent since, if anything, and notes about which
// findings they said something else.
func (o *operation) hear(ctx context.Context) error {
	for _, d := range o.bureaus {
		if !d.stale {
			continue
		}
		before := map[outcome]bool{}
		for _, out := range d.outcomes {
			before[out] = true
		}
		if err := d.read(ctx); err != nil {
			return err
		}
		o.moved, d.stale = true, false
		for _, out := range d.outcomes {
			if !before[out] {
				o.untold = append(o.untold, out.entity)
			}
		}
	}
	return nil
}

func (d *desktop) read(ctx context.Context) error {
	newest := map[stix.ID]record{}
	if err := d.scanIn(ctx, d.collection, store.Query{Limit: 10_000, MaxBytes: 16 << 20}, func(batch []record) error {
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
	d.issues, d.outcomes, d.seen = nil, nil, map[fusion.Entity]bool{}
	from := fusion.Source{Submitter: d.collection.Writer, Label: func(o stix.Object) stix.TLP { return newest[o.ID].label }}
	for _, issue := range fusion.ReadIssues(objects, from) {
		d.issues = append(d.issues, flagged{issue, d.country(d.collection.Writer), newest[issue.Object].added})
	}
	return d.answers(ctx, records)
}

// answers takes what the bureau said about findings of its own: notes with an
// outcome, the last of each counting, and sightings of its own.
func (d *desktop) answers(ctx context.Context, records []record) error {
	car := d.cars[d.collection.Writer]
	if car == nil {
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
	found, err := d.byID(ctx, car, ids)
	if err != nil {
		return err
	}
	for i := range found {
		if entity, ok := d.about(&found[i].Object); ok {
			refs[found[i].ID] = entity
		}
	}
	last := map[fusion.Entity]int{}
	for i := range records {
		rec := &records[i]
		status, isOutcome := outcomeOf(&rec.Object)
		sighting := rec.Type == "sighting" && !rec.Revoked && string(rawjson.Member(rec.Raw, "count")) != "0"
		if !sighting && !(isOutcome && d.knows(status)) {
			continue
		}
		rec.References(func(_ string, id stix.ID) {
			entity := refs[id]
			switch {
			case entity == fusion.Entity{}:
			case sighting:
				d.seen[entity] = true
			default:
				out := outcome{entity, d.finding(entity), status, rec.Version().Time()}
				if n, again := last[entity]; again {
					if !out.at.Before(d.outcomes[n].at) {
						d.outcomes[n] = out
					}
					return
				}
				last[entity] = len(d.outcomes)
				d.outcomes = append(d.outcomes, out)
			}
		})
	}
	return nil
}

// outcomeOf is the status that a note reports.
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

// knows tells whether the agreement has that status.
func (o *operation) knows(status string) bool {
	return o.text.Feedback == nil || len(o.text.Feedback.Statuses) == 0 || slices.Contains(o.text.Feedback.Statuses, status)
}

// neutralises tells whether a server is out of use by that outcome.
func (o *operation) neutralises(status string) bool {
	return o.text.Feedback != nil && slices.Contains(o.text.Feedback.Neutralised, status)
}

// about is the finding that an object of a release is about, which its id proves.
func (o *operation) about(object *stix.Object) (fusion.Entity, bool) {
	name := text(object, "name") // ends with the key
	key := name[strings.LastIndexByte(name, ' ')+1:]
	for _, kind := range []fusion.Kind{fusion.C2, fusion.Website, fusion.Other} {
		if o.id(object.Type, string(kind)+"|"+key) == object.ID {
			return fusion.Entity{Kind: kind, Key: key}, true
		}
	}
	return fusion.Entity{}, false
}
