package bolt

import (
	"bytes"
	"context"
	"slices"

	"go.etcd.io/bbolt"

	"comity/stix"
	"comity/store"
	"comity/taxii/exchange"
)

// versions is all versions of the id that the record r, added at d, belongs
// to, in the order of compare.
func (c *collection) versions(key stix.Key, d store.Date, r record) ([]store.Version, error) {
	if !r.is(flagMulti) {
		return []store.Version{r.version(d)}, nil
	}
	return c.group(key)
}

// group is what ver says of an id.
func (c *collection) group(key stix.Key) ([]store.Version, error) {
	var vs []store.Version
	cursor := c.vers().Cursor()
	for k, value := cursor.Seek(key[:]); bytes.HasPrefix(k, key[:]); k, value = cursor.Next() {
		v, ok := parseVer(k, value)
		if !ok {
			return nil, damaged("an entry of ver is malformed")
		}
		vs = append(vs, v)
	}
	return vs, nil
}

// newest is the last that ver says of an id.
func (c *collection) newest(key stix.Key) (store.Version, error) {
	cursor := c.vers().Cursor()
	before := cursor.Prev
	if k, _ := cursor.Seek(append(key[:], 0xff)); k == nil {
		before = cursor.Last
	}
	k, value := before()
	v, ok := parseVer(k, value)
	if !ok || !bytes.HasPrefix(k, key[:]) {
		return v, damaged("ver lacks an id with several versions")
	}
	return v, nil
}

// newestRecord is the newest version of the id that the record added at d belongs to.
func (c *collection) newestRecord(key stix.Key, d store.Date) (record, store.Version, error) {
	r, _, err := c.header(d)
	if err != nil {
		return nil, store.Version{}, err
	}
	if r != nil && !r.is(flagMulti) {
		return r, r.version(d), nil
	}
	v, err := c.newest(key)
	if err == nil {
		r, _, err = c.header(v.Date)
	}
	if err == nil && r == nil {
		err = damaged("the newest version of an id is gone")
	}
	return r, v, err
}

// lineage is that of the newest version.
func (c *collection) lineage(key stix.Key, d store.Date) (stix.Lineage, error) {
	r, _, err := c.newestRecord(key, d)
	if err != nil {
		return stix.Lineage{}, err
	}
	return stix.LineageOf(r.described()), nil
}

// twin is the date of the record that has the id and version of o, which is v, and
// tells whether it has the same content; 0 if there is none. The record added at at is
// one of the id. An object without a version has one record for ever.
func (c *collection) twin(d draft, at store.Date, v store.Version, o *stix.Object) (store.Date, bool, error) {
	found, err := c.sameVersion(d.key, at, v)
	if err != nil || found == 0 {
		return 0, false, err
	}
	r, _, err := c.header(found)
	if err == nil && r == nil {
		err = damaged("the record added %s is gone", found.Time())
	}
	if err != nil {
		return 0, false, err
	}
	if len(o.Raw) < summaryFrom && !r.is(flagSummary) {
		return found, stix.SameContent(o.Raw, r.json()), nil
	}
	return found, d.digest(o) == r.digest(), nil
}

func (c *collection) sameVersion(key stix.Key, d store.Date, v store.Version) (store.Date, error) {
	r, _, err := c.header(d)
	if err != nil {
		return 0, err
	}
	if r == nil {
		return 0, damaged("the record added %s is gone", d.Time())
	}
	if !r.is(flagMulti) {
		if r.version(d).Same(v) {
			return d, nil
		}
		return 0, nil
	}
	prefix := key[:]
	if !v.None { // those without one may be anywhere
		prefix = verKey(key, v)[:29]
	}
	cursor := c.vers().Cursor()
	for k, value := cursor.Seek(prefix); bytes.HasPrefix(k, prefix); k, value = cursor.Next() {
		w, ok := parseVer(k, value)
		if !ok {
			return 0, damaged("an entry of ver is malformed")
		}
		if w.Same(v) {
			return w.Date, nil
		}
	}
	return 0, nil
}

// addVersion adds a version to an id that is there. It takes the same time however
// many versions there are, unless v is the first that differs from the others.
func (c *collectionTx) addVersion(key stix.Key, at store.Date, v store.Version, r record) error {
	c.past = true
	first, _, err := c.header(at)
	if err != nil {
		return err
	}
	newest := first.version(at)
	if multi := first.is(flagMulti); multi {
		if newest, err = c.newest(key); err != nil {
			return err
		}
	} else if err := c.ver.Put(verKey(key, newest), verValue(newest)); err != nil {
		return err
	}
	if err := c.ver.Put(verKey(key, v), verValue(v)); err != nil {
		return err
	}
	old, live, err := c.header(newest.Date)
	if err != nil {
		return err
	}
	if !live {
		return damaged("the newest version of an id, added %s, is not in live", newest.Date.Time())
	}
	if v.Compare(newest) > 0 || !old.is(flagMulti) { // it is written again, with a new checksum
		if _, err := old.verify(newest.Date); err != nil {
			return err
		}
	}
	if v.Compare(newest) > 0 {
		// Copied before it is dropped: bbolt may move what it points at.
		old = old.with(true)
		err = firstOf(c.dropLive(newest.Date, old), c.putHist(newest.Date, old), c.putLive(v.Date, r))
	} else {
		if !old.is(flagMulti) {
			err = c.live.Put(dateKey(newest.Date), old.with(true))
		}
		err = firstOf(err, c.putHist(v.Date, r))
	}
	if err != nil {
		return err
	}
	return c.updateMixed(key, newest, v)
}

// updateMixed enters v into mixed if its id is there, and the whole id if v is what
// makes it a mixed one: then it differs from a version next to it.
func (c *collectionTx) updateMixed(key stix.Key, newest, v store.Version) error {
	if c.mixed.Get(dateKey(newest.Date)) != nil {
		return c.mixed.Put(dateKey(v.Date), bytes.Clone(key[:]))
	}
	before, after, err := c.neighbours(key, v)
	if err != nil || (before == nil || !v.Differs(*before)) && (after == nil || !after.Differs(v)) {
		return err
	}
	vs, err := c.group(key)
	if err != nil {
		return err
	}
	return putMixed(c.mixed, key, vs)
}

// neighbours are the versions next to v, which is in ver; nil if there is none.
func (c *collectionTx) neighbours(key stix.Key, v store.Version) (before, after *store.Version, err error) {
	cursor := c.ver.Cursor()
	for _, n := range []struct {
		to   **store.Version
		step func() (k, value []byte)
	}{{&before, cursor.Prev}, {&after, cursor.Next}} {
		cursor.Seek(verKey(key, v))
		k, value := n.step()
		if !bytes.HasPrefix(k, key[:]) {
			continue
		}
		w, ok := parseVer(k, value)
		if !ok {
			return nil, nil, damaged("an entry of ver is malformed")
		}
		*n.to = &w
	}
	return before, after, nil
}

func putMixed(mixed *bbolt.Bucket, key stix.Key, vs []store.Version) error {
	for _, v := range vs {
		if err := mixed.Put(dateKey(v.Date), bytes.Clone(key[:])); err != nil {
			return err
		}
	}
	return nil
}

// Has implements store.Store.
func (s *Store) Has(ctx context.Context, g exchange.Grant, id stix.ID) (seen bool, err error) {
	if !g.CanRead() {
		return false, ctx.Err()
	}
	err = s.lookupVersions(ctx, g, [][16]byte{id.Key()}, func(_ int, _ *collection, vs []store.Version) error {
		c := store.Choice{View: g.View(), All: true, AllSpecs: true}
		seen = len(c.Pick(vs)) > 0
		return nil
	})
	return seen, err
}

// Labels implements store.Store. A writer learns the label of the newest
// version there is, which is what the labels of new objects follow from; others
// that of the newest they may see.
func (s *Store) Labels(ctx context.Context, g exchange.Grant, keys []stix.Key) ([]exchange.Held, error) {
	held := make([]exchange.Held, len(keys))
	if !g.CanWrite() && !g.CanRead() {
		return held, ctx.Err()
	}
	raw := make([][16]byte, len(keys))
	for i, key := range keys {
		raw[i] = key
	}
	view := g.View()
	err := s.lookupVersions(ctx, g, raw, func(i int, c *collection, vs []store.Version) error {
		var newest *store.Version
		for j := range vs {
			if v := &vs[j]; (g.CanWrite() || view.Sees(v.Handling)) && (newest == nil || v.Compare(*newest) > 0) {
				newest = v
			}
		}
		if newest == nil {
			return nil
		}
		held[i] = exchange.Held{Known: true, Handling: newest.Handling}
		return c.define(&held[i], newest.Date)
	})
	if err != nil {
		return nil, err
	}
	return held, nil
}

// define adds the object, if the record added at d is a marking definition.
func (c *collection) define(held *exchange.Held, d store.Date) error {
	definition, ok := c.typeOf("marking-definition")
	if !ok {
		return nil
	}
	r, _, err := c.record(d)
	if err == nil && r != nil && r.number() == definition.number {
		held.Definition = bytes.Clone(r.json())
	}
	return err
}

// lookupVersions calls f with the versions of those keys that are in the collection
// and of a type that the caller may see. None of what f gets outlives it.
func (s *Store) lookupVersions(ctx context.Context, g exchange.Grant, keys [][16]byte, f func(int, *collection, []store.Version) error) error {
	return s.lookup(ctx, g.ID(), keys, func(tx *bbolt.Tx, found [][]uint64) error {
		c := openCollection(tx, g.ID())
		if c == nil {
			return nil
		}
		types := g.View().Types
		numbers := c.typeNumbers(types)
		for i, key := range keys {
			if i%1024 == 1023 && ctx.Err() != nil {
				return ctx.Err()
			}
			at, r, err := c.verified(key, found[i])
			if err != nil {
				return err
			}
			if at == 0 || types != nil && !slices.Contains(numbers, r.number()) {
				continue
			}
			vs, err := c.versions(key, at, r)
			if err != nil {
				return err
			}
			if err := f(i, c, vs); err != nil {
				return err
			}
		}
		return nil
	})
}
