package bolt

import (
	"context"
	"slices"
	"time"

	"comity/stix"
	"comity/store"
	"comity/taxii"
	"comity/taxii/exchange"
)

// Delete implements store.Store.
func (s *Store) Delete(ctx context.Context, g exchange.Grant, q store.Query) (n int, err error) {
	if !g.CanDelete() {
		return 0, taxii.Errorf(taxii.Forbidden, "you may not delete from this collection")
	}
	err = s.do(ctx, &job{objects: len(q.IDs), run: func(b *batch) (err error) {
		n, err = b.delete(g, q, s.now())
		return err
	}})
	if err != nil {
		return 0, err
	}
	return n, nil
}

// doomed is what to delete of one id.
type doomed struct {
	id        stix.ID
	anchor    date
	all, gone []version
}

// delete finds everything before it changes anything.
func (b *batch) delete(g exchange.Grant, q store.Query, now time.Time) (int, error) {
	if b.tx.Bucket(bucketCollection).Bucket(idBytes(g)) == nil {
		if len(q.IDs) == 0 {
			return 0, nil
		}
		return 0, taxii.Errorf(taxii.NotFound, "there is no object %s", q.IDs[0])
	}
	before := b.writes
	// A collection that exists is not changed by opening it.
	e, err := b.edit(g.ID())
	if err != nil {
		return 0, err
	}
	c := newChoice(g, q)
	c.allSpecs = true
	var list []doomed
	for i, name := range q.IDs {
		if slices.Contains(q.IDs[:i], name) {
			continue
		}
		d, err := e.doomed(stix.ID(name), &c, q.Types)
		if err != nil {
			return 0, err
		}
		list = append(list, d)
	}
	n := 0
	for _, d := range list {
		b.writes = before + 1
		if err := e.remove(d, now); err != nil {
			return 0, err
		}
		n += len(d.gone)
	}
	return n, nil
}

func idBytes(g exchange.Grant) []byte {
	id := g.ID()
	return id[:]
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
	if d.anchor, err = e.anchor(key); err != nil {
		return d, err
	}
	if d.anchor == 0 {
		return d, missing
	}
	if d.all, err = e.versions(key, d.anchor); err != nil {
		return d, err
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

// remove deletes versions of one id, and puts what remains in its place: the
// newest into live with the date it always had.
func (e *editing) remove(d doomed, now time.Time) error {
	key := d.id.Key()
	if e.typeEntry(d.id.Type()) == nil {
		return damaged("types lacks %s", d.id.Type())
	}
	left := slices.DeleteFunc(slices.Clone(d.all), func(v version) bool { return slices.Contains(d.gone, v) })
	newest := date(0)
	if len(left) > 0 {
		newest = slices.MaxFunc(left, version.compare).date
	}
	mixed := anyDiffers(d.all)
	stillMixed := len(left) > 1 && anyDiffers(left)
	for _, v := range d.gone {
		if err := e.erase(key, v, len(d.all) > 1, mixed); err != nil {
			return err
		}
		next := date(0)
		if v.date == d.anchor && newest != 0 {
			next = newest
		}
		if err := e.del.Put(v.date.key(), tombstone(now, key, v, next)); err != nil {
			return err
		}
		if v.date == d.anchor {
			e.setAnchor(key, d.anchor, next)
		}
	}
	for _, v := range left {
		if mixed && !stillMixed {
			if err := e.mixed.Delete(v.date.key()); err != nil {
				return err
			}
		}
		if len(left) == 1 {
			if err := e.ver.Delete(verKey(key, v)); err != nil {
				return err
			}
		}
		if v.date == newest {
			if err := e.promote(v.date, len(left) > 1); err != nil {
				return err
			}
		}
	}
	return nil
}

// erase deletes one version wherever it is.
func (e *editing) erase(key stix.Key, v version, multi, mixed bool) error {
	r, live, err := e.record(v.date)
	if err != nil {
		return err
	}
	switch {
	case r == nil:
		return damaged("the record added %s is gone", v.date.time())
	case live:
		err = e.dropLive(v.date, r)
	default:
		err = e.dropHist(v.date)
	}
	if err == nil && multi {
		err = e.ver.Delete(verKey(key, v))
	}
	if err == nil && mixed {
		err = e.mixed.Delete(v.date.key())
	}
	return err
}

// promote puts the newest version that is left into live.
func (e *editing) promote(d date, multi bool) error {
	r, live, err := e.record(d)
	if err != nil {
		return err
	}
	switch {
	case r == nil:
		return damaged("the record added %s is gone", d.time())
	case live && r.is(flagMulti) == multi:
		return nil
	}
	r = r.with(multi)
	if live {
		return e.live.Put(d.key(), r)
	}
	return firstOf(e.dropHist(d), e.putLive(d, r))
}
