package operation

import (
	"context"
	"maps"
	"slices"

	"comity/stix"
	"comity/stix/fusion"
)

// gathering is what is read to see anew what some infrastructures say.
type gathering struct {
	*reader
	versions map[stix.ID][]record // of each object, as they were added
	subjects map[stix.ID]bool     // the infrastructures, and indicators without one
	through  map[stix.ID]bool     // what leads to more of them: indicators, domains, owners
	done     []span               // what of the collection was read whole
}

// contribute brings the state up to date with records that have come, which are
// all that there are in the spans.
func (r *reader) contribute(ctx context.Context, batch []record, whole ...span) error {
	g := &gathering{r, map[stix.ID][]record{}, map[stix.ID]bool{}, map[stix.ID]bool{}, whole}
	g.add(batch)
	for i := range batch {
		g.touch(&batch[i])
		r.last = later(r.last, batch[i].added)
	}
	if err := g.gather(ctx); err != nil {
		return err
	}
	g.put()
	for i := range batch {
		delete(r.waiting, batch[i].ID) // only now: what failed is read again
	}
	return nil
}

// add takes records in, each once.
func (g *gathering) add(records []record) {
	for _, rec := range records {
		known := g.versions[rec.ID]
		if !slices.ContainsFunc(known, func(k record) bool { return k.added.Equal(rec.added) }) {
			g.versions[rec.ID] = append(known, rec)
		}
	}
}

// touch tells what a new record changes, and notes where it is.
func (g *gathering) touch(rec *record) {
	for _, by := range g.waiting[rec.ID] {
		if by.Type() == "infrastructure" {
			g.subjects[by] = true
		} else {
			g.through[by] = true
		}
	}
	switch rec.Type {
	case "infrastructure":
		g.note(rec.ID, rec)
		g.subjects[rec.ID] = true
	case "indicator":
		g.note(rec.ID, rec)
		g.through[rec.ID] = true
	case "relationship":
		source, kind, target := rec.relation()
		switch {
		case kind == "indicates":
			g.note(source, rec)
			g.note(target, rec)
			g.through[source], g.subjects[target] = true, true
		case source.Type() == "infrastructure":
			g.note(source, rec)
			g.subjects[source] = true
			if t := target.Type(); t == "domain-name" || t == "identity" {
				g.note(target, rec)
			}
		case kind == "resolves-to" || kind == "located-at":
			g.note(source, rec)
			g.through[source] = true
		}
	}
}

// gather reads whatever belongs to what was touched.
func (g *gathering) gather(ctx context.Context) error {
	if err := g.read(ctx, g.through); err != nil {
		return err
	}
	for id := range g.through {
		if id.Type() == "indicator" {
			g.subjects[id] = true // as long as nothing says which infrastructure it is about
		}
	}
	for _, rel := range g.relations() {
		source, kind, target := rel.relation()
		switch {
		case g.through[source] && kind == "indicates":
			g.subjects[target] = true
		case g.through[target] && source.Type() == "infrastructure":
			g.subjects[source] = true
		}
	}
	if err := g.read(ctx, g.subjects); err != nil {
		return err
	}
	// What the infrastructures refer to, and what that says of itself.
	for range 2 {
		ends, said := map[stix.ID][]stix.ID{}, map[stix.ID]bool{}
		for _, rel := range g.relations() {
			source, _, target := rel.relation()
			for _, end := range []stix.ID{source, target} {
				if g.versions[end] == nil {
					ends[end] = append(ends[end], source)
				}
				if t := end.Type(); t == "domain-name" || t == "identity" || t == "indicator" {
					said[end] = true
				}
			}
		}
		if err := g.read(ctx, said); err != nil {
			return err
		}
		if err := g.fetch(ctx, ends); err != nil {
			return err
		}
	}
	return nil
}

// relations are the relationships there are, in any version.
func (g *gathering) relations() (all []record) {
	for _, versions := range g.versions {
		if versions[0].Type == "relationship" {
			all = append(all, versions...)
		}
	}
	return all
}

// read reads all that is said about objects.
func (g *gathering) read(ctx context.Context, about map[stix.ID]bool) error {
	spans := slices.DeleteFunc(g.spans(about), g.covers)
	if len(spans) == 0 {
		return nil
	}
	found, err := g.within(ctx, spans)
	g.add(found)
	g.done = append(g.done, spans...)
	return err
}

// covers tells whether a span was read already.
func (g *gathering) covers(s span) bool {
	for _, done := range g.done {
		if done.from <= s.from && s.to <= done.to {
			return true
		}
	}
	return false
}

// fetch reads objects that are not there yet. Those that the collection does not
// have are waited for, on behalf of what refers to them.
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

// put gives each audience what the subjects say in the versions that it may
// benefit from.
func (g *gathering) put() {
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
			by = g.say(chosen)
		}
		for subject := range g.subjects {
			g.state.Put(g.collection.Writer, subject, audience, by[subject])
		}
		before = chosen
	}
}

// newest is the newest version that an audience may benefit from, under the label
// that it has for it.
func (g *gathering) newest(versions []record, audience int) (best record, found bool) {
	for _, rec := range versions {
		if audience == forBureaus || g.viewer != "" && g.viewer != g.collection.Writer {
			// What is published may be blocked by (PAP:GREEN), so its sources must allow it.
			label, ok := g.leaves(g.collection, rec.label)
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

// say reads the contributions of the subjects, by subject.
func (g *gathering) say(chosen map[stix.ID]record) map[stix.ID][]fusion.Contribution {
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
