package bolt

import (
	"bytes"
	"cmp"
	"context"
	"slices"

	"go.etcd.io/bbolt"

	"comity/stix"
	"comity/store"
	"comity/taxii/exchange"
)

// versions returns all versions of an id, in the order of store.Version.Compare. The
// record r of the id was added at d.
func (c *collection) versions(key stix.Key, d store.Date, r record) ([]store.Version, error) {
	if !r.is(flagMulti) {
		return []store.Version{r.version(d)}, nil
	}
	return c.group(key)
}

// group returns the versions that ver has of an id.
func (c *collection) group(key stix.Key) ([]store.Version, error) {
	var vs []store.Version
	cursor := c.vers().Cursor()
	for k, value := cursor.Seek(key[:]); bytes.HasPrefix(k, key[:]); k, value = cursor.Next() {
		v, ok := parseVer(k, value)
		if !ok {
			return nil, store.Damaged("an entry of ver is malformed")
		}
		vs = append(vs, v)
	}
	return vs, nil
}

// newest returns the last version that ver has of an id.
func (c *collection) newest(key stix.Key) (store.Version, error) {
	cursor := c.vers().Cursor()
	before := cursor.Prev
	if k, _ := cursor.Seek(append(key[:], 0xff)); k == nil {
		before = cursor.Last
	}
	k, value := before()
	v, ok := parseVer(k, value)
	if !ok || !bytes.HasPrefix(k, key[:]) {
		return v, store.Damaged("ver lacks an id with several versions")
	}
	return v, nil
}

// newestRecord returns the newest version of an id that has a record added at d.
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
		err = store.Damaged("the newest version of an id is gone")
	}
	return r, v, err
}

// lineage implements appendTarget.
func (c *collection) lineage(key stix.Key, d store.Date) (stix.Lineage, error) {
	r, _, err := c.newestRecord(key, d)
	if err != nil {
		return stix.Lineage{}, err
	}
	return stix.LineageOf(r.description()), nil
}

// duplicate implements appendTarget. An id whose objects have no version has one record.
func (c *collection) duplicate(d draft, at store.Date, v store.Version, o *stix.Object) (store.Date, bool, error) {
	found, err := c.sameVersion(d.key, at, v)
	if err != nil || found == 0 {
		return 0, false, err
	}
	r, _, err := c.header(found)
	if err == nil && r == nil {
		err = store.Damaged("the record added %s is gone", found.Time())
	}
	if err != nil {
		return 0, false, err
	}
	if len(o.Raw) < summaryFrom && !r.is(flagSummary) {
		return found, stix.SameContent(o.Raw, r.json()), nil
	}
	return found, d.digest(o) == r.digest(), nil
}

// sameVersion returns the date of the record of an id that has version v; 0 if there is
// none. The record added at d is one of the id.
func (c *collection) sameVersion(key stix.Key, d store.Date, v store.Version) (store.Date, error) {
	r, _, err := c.header(d)
	if err != nil {
		return 0, err
	}
	if r == nil {
		return 0, store.Damaged("the record added %s is gone", d.Time())
	}
	if !r.is(flagMulti) {
		if r.version(d).Same(v) {
			return d, nil
		}
		return 0, nil
	}
	prefix := key[:]
	if !v.None { // records without a version may be anywhere in ver
		prefix = verKey(key, v)[:29]
	}
	cursor := c.vers().Cursor()
	for k, value := cursor.Seek(prefix); bytes.HasPrefix(k, prefix); k, value = cursor.Next() {
		w, ok := parseVer(k, value)
		if !ok {
			return 0, store.Damaged("an entry of ver is malformed")
		}
		if w.Same(v) {
			return w.Date, nil
		}
	}
	return 0, nil
}

// addVersion adds version v to an id that has a record at at. The time does not grow with
// the number of versions, unless v is the first that differs from the others.
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
		return store.Damaged("the newest version of an id, added %s, is not in live", newest.Date.Time())
	}
	if v.Compare(newest) > 0 || !old.is(flagMulti) { // it gets a new checksum, which must not hide damage
		if _, err := old.verify(newest.Date); err != nil {
			return err
		}
	}
	if v.Compare(newest) > 0 {
		// withMulti copies: old points into the page that dropLive changes.
		old = old.withMulti(true)
		err = cmp.Or(c.dropLive(newest.Date, old), c.putHist(newest.Date, old), c.putLive(v.Date, r))
	} else {
		if !old.is(flagMulti) {
			err = c.live.Put(dateKey(newest.Date), old.withMulti(true))
		}
		err = cmp.Or(err, c.putHist(v.Date, r))
	}
	if err != nil {
		return err
	}
	return c.updateMixed(key, newest, v)
}

// updateMixed adds v to mixed if the id is mixed already. If v makes the id mixed, which
// is so if v differs from a version next to it, it adds all versions of the id.
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

// neighbours returns the versions before and after v in ver; nil if there is none.
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
			return nil, nil, store.Damaged("an entry of ver is malformed")
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

// Labels implements store.Store. A writer gets the handling of the newest version, since
// that decides the labels of new objects. Other callers get the handling of the newest
// version that they may see.
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
		return c.addDefinition(&held[i], newest.Date)
	})
	if err != nil {
		return nil, err
	}
	return held, nil
}

// addDefinition adds the object to held if the record added at d is a marking definition.
func (c *collection) addDefinition(held *exchange.Held, d store.Date) error {
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

// lookupVersions calls f with the index of each key that is in the collection and of a type
// that the caller may see, and its versions. f must not keep its arguments.
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
