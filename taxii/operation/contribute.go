package operation

import (
	"context"
	"maps"
	"slices"

	"comity/stix"
	"comity/stix/fusion"
	"comity/taxii"
)

// gathering collects every record on which the contributions about some infrastructures
// depend, so that those can be made anew.
type gathering struct {
	*reader
	versions      map[stix.ID][]record // by object, in the order they were read
	subjects      map[stix.ID]bool     // infrastructures whose contributions are made anew, and indicators without one
	intermediates map[stix.ID]bool     // objects that lead to more subjects: indicators, domains, owners
	spansRead     []span               // parts of the collection of which every record is here
}

// contribute brings the state up to date with a batch of new records, which has every
// record of the spans.
func (r *reader) contribute(ctx context.Context, batch []record, spans ...span) error {
	g := &gathering{r, map[stix.ID][]record{}, map[stix.ID]bool{}, map[stix.ID]bool{}, spans}
	g.add(batch)
	for i := range batch {
		g.noteRecord(&batch[i])
		r.last = taxii.Latest(r.last, batch[i].added)
	}
	if err := g.gather(ctx); err != nil {
		return err
	}
	g.update()
	for i := range batch {
		delete(r.waiting, batch[i].ID) // only now: after an error the record must still be waited for
	}
	return nil
}

// add collects records that are not here yet.
func (g *gathering) add(records []record) {
	for _, rec := range records {
		known := g.versions[rec.ID]
		if !slices.ContainsFunc(known, func(k record) bool { return k.added.Equal(rec.added) }) {
			g.versions[rec.ID] = append(known, rec)
		}
	}
}

// noteRecord marks the subjects and intermediates that a new record changes, and indexes
// its place.
func (g *gathering) noteRecord(rec *record) {
	for _, by := range g.waiting[rec.ID] {
		if by.Type() == "infrastructure" {
			g.subjects[by] = true
		} else {
			g.intermediates[by] = true
		}
	}
	switch rec.Type {
	case "infrastructure":
		g.index(rec.ID, rec)
		g.subjects[rec.ID] = true
	case "indicator":
		g.index(rec.ID, rec)
		g.intermediates[rec.ID] = true
	case "relationship":
		source, kind, target := rec.relation()
		switch {
		case kind == "indicates":
			g.index(source, rec)
			g.index(target, rec)
			g.intermediates[source], g.subjects[target] = true, true
		case source.Type() == "infrastructure":
			g.index(source, rec)
			g.subjects[source] = true
			if t := target.Type(); t == "domain-name" || t == "identity" {
				g.index(target, rec)
			}
		case kind == "resolves-to" || kind == "located-at":
			g.index(source, rec)
			g.intermediates[source] = true
		}
	}
}

// gather reads every record that the subjects depend on, and finds further subjects
// through the intermediates.
func (g *gathering) gather(ctx context.Context) error {
	if err := g.read(ctx, g.intermediates); err != nil {
		return err
	}
	for id := range g.intermediates {
		if id.Type() == "indicator" {
			g.subjects[id] = true // as long as no relationship says which infrastructure it indicates
		}
	}
	for _, rel := range g.relations() {
		source, kind, target := rel.relation()
		switch {
		case g.intermediates[source] && kind == "indicates":
			g.subjects[target] = true
		case g.intermediates[target] && source.Type() == "infrastructure":
			g.subjects[source] = true
		}
	}
	if err := g.read(ctx, g.subjects); err != nil {
		return err
	}
	// Two steps: the objects that the infrastructures refer to, and those that these refer to.
	for range 2 {
		ends, indexed := map[stix.ID][]stix.ID{}, map[stix.ID]bool{}
		for _, rel := range g.relations() {
			source, _, target := rel.relation()
			for _, end := range []stix.ID{source, target} {
				if g.versions[end] == nil {
					ends[end] = append(ends[end], source)
				}
				if t := end.Type(); t == "domain-name" || t == "identity" || t == "indicator" {
					indexed[end] = true
				}
			}
		}
		if err := g.read(ctx, indexed); err != nil {
			return err
		}
		if err := g.fetch(ctx, ends); err != nil {
			return err
		}
	}
	return nil
}

// relations are the collected relationships, in all versions.
func (g *gathering) relations() (all []record) {
	for _, versions := range g.versions {
		if versions[0].Type == "relationship" {
			all = append(all, versions...)
		}
	}
	return all
}

// read collects the records that are indexed under some objects.
func (g *gathering) read(ctx context.Context, about map[stix.ID]bool) error {
	spans := slices.DeleteFunc(g.spans(about), g.covers)
	if len(spans) == 0 {
		return nil
	}
	found, err := g.within(ctx, spans)
	g.add(found)
	g.spansRead = append(g.spansRead, spans...)
	return err
}

// covers tells whether every record of a span is collected.
func (g *gathering) covers(s span) bool {
	for _, done := range g.spansRead {
		if done.from <= s.from && s.to <= done.to {
			return true
		}
	}
	return false
}

// fetch collects objects by their ids; ends has the objects that refer to each. An
// object that the collection does not have yet is waited for.
func (g *gathering) fetch(ctx context.Context, ends map[stix.ID][]stix.ID) error {
	maps.DeleteFunc(ends, func(id stix.ID, _ []stix.ID) bool { return g.versions[id] != nil })
	found, err := g.byID(ctx, g.collection, slices.Collect(maps.Keys(ends)))
	if err != nil {
		return err
	}
	g.add(found)
	for id, by := range ends {
		for _, source := range by {
			if g.versions[id] == nil && !slices.Contains(g.waiting[id], source) {
				g.waiting[id] = append(g.waiting[id], source)
			}
		}
	}
	return nil
}

// update puts the contributions of the subjects into the state: for each audience
// those that follow from the versions that it may benefit from.
func (g *gathering) update() {
	var before map[stix.ID]record
	var by map[stix.ID][]fusion.Contribution
	for _, audience := range []int{forCentre, forBureaus} {
		chosen := map[stix.ID]record{}
		for id, versions := range g.versions {
			if rec, ok := g.newest(versions, audience); ok {
				chosen[id] = rec
			}
		}
		if before == nil || !maps.EqualFunc(chosen, before, func(a, b record) bool { return a.added.Equal(b.added) && a.label == b.label }) {
			by = g.contributions(chosen)
		}
		for subject := range g.subjects {
			g.state.Put(g.collection.Writer, subject, audience, by[subject])
		}
		before = chosen
	}
}

// newest is the newest version that an audience may benefit from, with the label that
// the version has for this audience.
func (g *gathering) newest(versions []record, audience int) (best record, found bool) {
	for _, rec := range versions {
		if audience == forBureaus {
			// A publication is PAP:GREEN, which allows blocking, so its sources must allow that.
			label, ok := g.onwardLabel(g.collection, rec.label)
			if !ok || rec.barred != 0 {
				continue
			}
			rec.label = label
		}
		if !found || rec.Version().Time().After(best.Version().Time()) {
			best, found = rec, true
		}
	}
	return best, found
}

// contributions are those that follow from the chosen versions, by subject.
func (g *gathering) contributions(chosen map[stix.ID]record) map[stix.ID][]fusion.Contribution {
	objects := make([]stix.Object, 0, len(chosen))
	for _, id := range slices.Sorted(maps.Keys(chosen)) {
		objects = append(objects, chosen[id].Object)
	}
	all, _ := fusion.Read(objects, fusion.Source{
		Submitter: g.collection.Writer,
		Party:     func(id stix.ID) string { return g.parties[id] },
		Label:     func(o stix.Object) stix.TLP { return chosen[o.ID].label },
	})
	by := map[stix.ID][]fusion.Contribution{}
	for _, c := range all {
		if g.subjects[c.Subject] {
			c.Received = g.versions[c.Object][0].added
			for _, rec := range g.versions[c.Object] {
				if rec.added.Before(c.Received) {
					c.Received = rec.added
				}
			}
			by[c.Subject] = append(by[c.Subject], c)
		}
	}
	return by
}
