package bolt

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"

	"comity/stix"
	"comity/store"
	"comity/taxii"
	"comity/taxii/audit"
	"comity/taxii/exchange"
)

// Delete implements store.Store.
func (s *Store) Delete(ctx context.Context, g exchange.Grant, q store.Query) (n int, err error) {
	if !g.CanDelete() {
		return 0, taxii.Errorf(taxii.Forbidden, "you may not delete from this collection")
	}
	err = s.do(ctx, &job{objects: len(q.IDs), run: func(b *batch) (err error) {
		n, err = b.delete(g, q)
		return err
	}})
	if err != nil {
		return 0, err
	}
	return n, nil
}

// delete finds everything before it changes anything.
func (b *batch) delete(g exchange.Grant, q store.Query) (int, error) {
	if b.tx.Bucket(collectionName(g.ID())) == nil {
		if len(q.IDs) == 0 {
			return 0, nil
		}
		return 0, taxii.Errorf(taxii.NotFound, "there is no object %s", q.IDs[0])
	}
	// A collection that exists is not changed by opening it.
	e, err := b.edit(g.ID())
	if err != nil {
		return 0, err
	}
	view := g.View()
	c, types := newChoice(view, q.Match), narrowed(q.Types, &view)
	c.allSpecs = true
	var list []doomed
	for i, name := range q.IDs {
		if slices.Contains(q.IDs[:i], name) {
			continue
		}
		d, err := e.doomed(stix.ID(name), &c, types)
		if err != nil {
			return 0, err
		}
		list = append(list, d)
	}
	if len(list) == 0 {
		return 0, nil
	}
	entry := entryOf(g, audit.Deletion)
	if entry.Subjects, err = e.subjects(list); err != nil {
		return 0, err
	}
	return b.remove(e, list, entry)
}

// subjects names what is to go.
func (e *editing) subjects(list []doomed) (subjects []audit.Subject, err error) {
	for _, d := range list {
		for _, v := range d.gone {
			if len(subjects) == audit.MaxSubjects {
				return subjects, nil
			}
			r, _, err := e.record(v.date)
			if err != nil || r == nil {
				return nil, firstOf(err, damaged("the record added %s is gone", v.date.time()))
			}
			sum := sha256.Sum256(stix.Canonical(r.json()))
			subjects = append(subjects, audit.Subject{ID: string(d.id), Digest: hex.EncodeToString(sum[:])})
		}
	}
	return subjects, nil
}

// doomed finds what the query means of one id; NotFound if that is nothing, or
// not every version that it names.
func (e *editing) doomed(id stix.ID, c *choice, types []string) (d doomed, err error) {
	missing := taxii.Errorf(taxii.NotFound, "there is no object %s", id)
	d.id = id
	if types != nil && !slices.Contains(types, id.Type()) {
		return d, missing
	}
	key := id.Key()
	if err = e.find(&d, key); err != nil {
		return d, err
	}
	if d.anchor == 0 {
		return d, missing
	}
	d.gone = c.pick(d.all)
	for _, at := range c.at {
		if !slices.ContainsFunc(d.gone, func(v version) bool { return v.instant == at }) {
			return d, taxii.Errorf(taxii.NotFound, "there is no version %s of object %s", taxii.FormatTime(at.time()), id)
		}
	}
	if len(d.gone) == 0 {
		return d, missing
	}
	return d, nil
}
