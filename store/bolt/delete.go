package bolt

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"time"

	"github.com/google/uuid"

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
	err = s.do(ctx, &job{objects: len(q.IDs), run: func(w *writeTx) (err error) {
		n, err = w.delete(g, q)
		return err
	}})
	if err != nil {
		return 0, err
	}
	return n, nil
}

// delete finds everything before it changes anything.
func (w *writeTx) delete(g exchange.Grant, q store.Query) (int, error) {
	if w.tx.Bucket(collectionName(g.ID())) == nil {
		if len(q.IDs) == 0 {
			return 0, nil
		}
		return 0, taxii.Errorf(taxii.NotFound, "there is no object %s", q.IDs[0])
	}
	// A collection that exists is not changed by opening it.
	e, err := w.edit(g.ID())
	if err != nil {
		return 0, err
	}
	view := g.View()
	c, types := newChoice(view, q.Match), narrowed(q.Types, &view)
	c.allSpecs = true
	var list []removal
	for i, name := range q.IDs {
		if slices.Contains(q.IDs[:i], name) {
			continue
		}
		d, err := e.findRemoval(stix.ID(name), &c, types)
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
	return w.remove(e, list, entry)
}

// subjects names what is to go.
func (c *collectionTx) subjects(list []removal) (subjects []audit.Subject, err error) {
	for _, d := range list {
		for _, v := range d.removed {
			if len(subjects) == audit.MaxSubjects {
				return subjects, nil
			}
			r, _, err := c.record(v.date)
			if err != nil || r == nil {
				return nil, firstOf(err, damaged("the record added %s is gone", v.date.time()))
			}
			sum := sha256.Sum256(stix.Canonical(r.json()))
			subjects = append(subjects, audit.Subject{ID: string(d.id), Digest: hex.EncodeToString(sum[:])})
		}
	}
	return subjects, nil
}

// removal finds what the query means of one id; NotFound if that is nothing, or
// not every version that it names.
func (c *collectionTx) findRemoval(id stix.ID, asked *choice, types []string) (d removal, err error) {
	missing := taxii.Errorf(taxii.NotFound, "there is no object %s", id)
	d.id = id
	if types != nil && !slices.Contains(types, id.Type()) {
		return d, missing
	}
	key := id.Key()
	if err = c.findVersions(&d, key); err != nil {
		return d, err
	}
	if d.indexed == 0 {
		return d, missing
	}
	d.removed = asked.pick(d.all)
	for _, at := range asked.at {
		if !slices.ContainsFunc(d.removed, func(v version) bool { return v.instant == at }) {
			return d, taxii.Errorf(taxii.NotFound, "there is no version %s of object %s", taxii.FormatTime(at.time()), id)
		}
	}
	if len(d.removed) == 0 {
		return d, missing
	}
	return d, nil
}

// maxRemove bounds what one call removes.
const maxRemove = 4000

// Remove implements store.Store.
func (s *Store) Remove(ctx context.Context, id uuid.UUID, dates []time.Time, block store.Block, entry audit.Entry) (n int, err error) {
	if len(dates) > maxRemove {
		return 0, taxii.Errorf(taxii.Invalid, "%d records cannot be removed at once, at most %d", len(dates), maxRemove)
	}
	entry.Collection = id.String()
	err = s.do(ctx, &job{objects: len(dates), run: func(w *writeTx) (err error) {
		n = 0
		if w.tx.Bucket(collectionName(id)) == nil {
			return nil
		}
		e, err := w.edit(id) // which changes nothing, as it exists
		if err != nil {
			return err
		}
		list, keys, err := e.findRemovals(dates, block)
		if err != nil || len(list) == 0 {
			return err
		}
		if n, err = w.remove(e, list, entry); err != nil {
			return err
		}
		return w.block(block, keys)
	}})
	if err != nil {
		return 0, err
	}
	return n, nil
}

// findRemovals finds the records that are still there, and the keys that block their content.
func (c *collectionTx) findRemovals(dates []time.Time, block store.Block) (list []removal, keys [][]byte, err error) {
	at := map[stix.Key]int{}
	for _, t := range dates {
		r, _, err := c.record(dateOf(t))
		if err != nil {
			return nil, nil, err
		}
		if r == nil {
			continue
		}
		id, err := r.id()
		if err != nil {
			return nil, nil, err
		}
		key, v := id.Key(), r.version(dateOf(t))
		i, ok := at[key]
		if !ok {
			i, at[key] = len(list), len(list)
			d := removal{id: id}
			if err := c.findVersions(&d, key); err != nil {
				return nil, nil, err
			}
			list = append(list, d)
		}
		if slices.Contains(list[i].removed, v) {
			continue // named twice
		}
		list[i].removed = append(list[i].removed, v)
		if block.Reason != "" {
			keys = append(keys, blockKey(block.Origin, stix.Canonical(r.json())))
		}
	}
	return list, keys, nil
}

// removal is what is to be removed of one id.
type removal struct {
	id           stix.ID
	indexed      date
	all, removed []version
}

// findVersions looks up all versions of an id; indexed is 0 if it is not there.
func (c *collectionTx) findVersions(d *removal, key stix.Key) (err error) {
	if d.indexed, err = c.indexed(key); err != nil || d.indexed == 0 {
		return err
	}
	r, _, err := c.record(d.indexed)
	if err != nil || r == nil {
		return firstOf(err, damaged("the record added %s is gone", d.indexed.time()))
	}
	d.all, err = c.versions(key, d.indexed, r)
	return err
}

// remove deletes records, with the entry that says why, and says how many they were.
func (w *writeTx) remove(e *collectionTx, list []removal, entry audit.Entry) (n int, err error) {
	w.writes++
	first, last := never, date(0)
	for _, d := range list {
		if err := e.removeVersions(d, w.now); err != nil {
			return 0, err
		}
		for _, v := range d.removed {
			first, last = min(first, v.date), max(last, v.date)
		}
		n += len(d.removed)
	}
	entry.Count, entry.From, entry.To = n, first.pointer(), last.pointer()
	return n, w.appendAudit(entry)
}

// removeVersions deletes versions of one id. Of those that are left, the newest goes
// into live, with the date it always had.
func (c *collectionTx) removeVersions(d removal, now time.Time) error {
	c.past = true
	key := d.id.Key()
	if c.typeEntry(d.id.Type()) == nil {
		return damaged("types lacks %s", d.id.Type())
	}
	left := slices.DeleteFunc(slices.Clone(d.all), func(v version) bool { return slices.Contains(d.removed, v) })
	newest := date(0)
	if len(left) > 0 {
		newest = slices.MaxFunc(left, version.compare).date
	}
	mixed := anyDiffers(d.all)
	stillMixed := len(left) > 1 && anyDiffers(left)
	for _, v := range d.removed {
		if err := c.removeVersion(key, v, len(d.all) > 1, mixed); err != nil {
			return err
		}
		next := date(0)
		if v.date == d.indexed && newest != 0 {
			next = newest
		}
		if err := c.del.Put(v.date.key(), tombstone(now, key, v, next)); err != nil {
			return err
		}
		if v.date == d.indexed {
			c.setIndexed(key, d.indexed, next)
		}
	}
	for _, v := range left {
		if mixed && !stillMixed {
			if err := c.mixed.Delete(v.date.key()); err != nil {
				return err
			}
		}
		if len(left) == 1 {
			if err := c.ver.Delete(verKey(key, v)); err != nil {
				return err
			}
		}
		if v.date == newest {
			if err := c.promote(v.date, len(left) > 1); err != nil {
				return err
			}
		}
	}
	return nil
}

// removeVersion deletes one version, wherever it is.
func (c *collectionTx) removeVersion(key stix.Key, v version, multi, mixed bool) error {
	r, live, err := c.record(v.date)
	if err != nil {
		return err
	}
	switch {
	case r == nil:
		return damaged("the record added %s is gone", v.date.time())
	case live:
		err = c.dropLive(v.date, r)
	default:
		err = c.dropHist(v.date)
	}
	c.ends(v.handling, -1)
	if err == nil && multi {
		err = c.ver.Delete(verKey(key, v))
	}
	if err == nil && mixed {
		err = c.mixed.Delete(v.date.key())
	}
	return err
}

// promote puts the newest version that is left into live.
func (c *collectionTx) promote(d date, multi bool) error {
	r, live, err := c.record(d)
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
		return c.live.Put(d.key(), r)
	}
	return firstOf(c.dropHist(d), c.putLive(d, r))
}
