package bolt

import (
	"context"
	"fmt"
	"iter"
	"time"
	"unique"

	"go.etcd.io/bbolt"

	"comity/stix"
	"comity/store"
	"comity/taxii/exchange"
)

// Rehearse implements store.Store. Each part has its own read transaction. The versions
// that the parts before it would have added are kept in memory, in some 120 bytes each.
func (s *Store) Rehearse(ctx context.Context, g exchange.Grant, parts iter.Seq2[store.Part, error]) (store.Status, func(n int) (store.Outcomes, error), error) {
	r := &rehearsal{newest: map[stix.Key]*rehearsed{}, types: map[string]bool{}}
	return store.Rehearse(g, parts, s.codec, func(items []store.Item) (store.Tally, error) { return s.rehearse(ctx, r, g, items) })
}

// rehearse rehearses one part.
func (s *Store) rehearse(ctx context.Context, r *rehearsal, g exchange.Grant, items []store.Item) (tally store.Tally, err error) {
	keys := make([][16]byte, 0, len(items))
	for i := range items {
		if items[i].Refused == nil {
			keys = append(keys, items[i].Object.Key())
		}
	}
	err = s.lookup(ctx, g.ID(), keys, func(tx *bbolt.Tx, found [][]uint64) error {
		if err := store.CheckOpen(g.ID(), directoryRecord(tx)); err != nil {
			return err
		}
		if r.collection = openCollection(tx, g.ID()); r.collection != nil {
			r.last = max(r.last, r.readHead().last)
		}
		r.candidates = make(map[stix.Key][]uint64, len(keys))
		for i, key := range keys {
			r.candidates[key] = found[i]
		}
		a := newAppendPart(r, blocklistOf(tx), g, s.now().UTC(), items)
		for i := range items {
			if err := ctx.Err(); err != nil {
				return err
			}
			var d draft
			if items[i].Refused == nil {
				d.key = items[i].Object.Key()
			}
			if err := a.item(&items[i], d); err != nil {
				return fmt.Errorf("rehearse %s: %w", items[i].Object.ID, err)
			}
		}
		tally = a.Tally
		return nil
	})
	r.collection, r.candidates = nil, nil
	return tally, err
}

// rehearsal is a collection with the versions that a push would add to it.
type rehearsal struct {
	*collection // in the transaction of the present part; nil if nothing was ever added
	candidates  map[stix.Key][]uint64
	last        store.Date // the last date that was given

	newest map[stix.Key]*rehearsed // the last version of each id that was rehearsed
	types  map[string]bool         // that the collection does not have yet
}

// rehearsed is one version that would have been added.
type rehearsed struct {
	before                     *rehearsed // the version of the same id that was rehearsed before
	creator                    unique.Handle[string]
	date                       store.Date
	instant, created, modified store.Instant
	digest                     [16]byte // of the canonical content
	spec                       byte
	none, revoked              bool
}

func (v *rehearsed) version() store.Version {
	return store.Version{Date: v.date, Instant: v.instant, Spec: v.spec, None: v.none}
}

// stored returns the date of the record that the index has for an id; 0 if there is none.
func (r *rehearsal) stored(key stix.Key) (store.Date, error) {
	if r.collection == nil {
		return 0, nil
	}
	d, _, err := r.verified(key, r.candidates[key])
	return d, err
}

// indexed implements appendTarget.
func (r *rehearsal) indexed(key stix.Key) (store.Date, error) {
	if v := r.newest[key]; v != nil {
		return v.date, nil
	}
	return r.stored(key)
}

// duplicate implements appendTarget.
func (r *rehearsal) duplicate(d draft, _ store.Date, v store.Version, o *stix.Object) (store.Date, bool, error) {
	for w := r.newest[d.key]; w != nil; w = w.before {
		if w.version().Same(v) {
			return w.date, w.digest == store.DigestOf(o.Raw), nil
		}
	}
	at, err := r.stored(d.key)
	if err != nil || at == 0 {
		return 0, false, err
	}
	return r.collection.duplicate(d, at, v, o)
}

// lineage implements appendTarget.
func (r *rehearsal) lineage(key stix.Key, _ store.Date) (lineage stix.Lineage, err error) {
	var newest store.Version
	d, err := r.stored(key)
	if err == nil && d != 0 {
		var found record
		if found, newest, err = r.newestRecord(key, d); err == nil {
			lineage = stix.LineageOf(found.description())
		}
	}
	for v := r.newest[key]; v != nil; v = v.before {
		if newest.Date == 0 || v.version().Compare(newest) > 0 {
			newest = v.version()
			lineage = stix.Lineage{Created: v.created.Time(), Modified: v.modified.Time(), Creator: v.creator.Value(), Revoked: v.revoked}
		}
	}
	return lineage, err
}

// acceptsType implements appendTarget.
func (r *rehearsal) acceptsType(name string) bool {
	known := r.types[name]
	n := len(r.types)
	if r.collection != nil && !known {
		_, known = r.typeOf(name)
		n += int(r.readHead().types)
	}
	if known {
		return true
	}
	if n >= maxTypes {
		return false
	}
	r.types[name] = true
	return true
}

// nextDate implements appendTarget.
func (r *rehearsal) nextDate(now time.Time) store.Date {
	r.last = store.DateAfter(r.last, now)
	return r.last
}

// insert implements appendTarget.
func (r *rehearsal) insert(d draft, _ store.Date, v store.Version, o *stix.Object) error {
	l := stix.LineageOf(o.Raw)
	r.newest[d.key] = &rehearsed{
		before: r.newest[d.key], creator: unique.Make(l.Creator), date: v.Date, instant: v.Instant, spec: v.Spec, none: v.None, digest: store.DigestOf(o.Raw),
		created: store.InstantOf(l.Created), modified: store.InstantOf(l.Modified), revoked: l.Revoked,
	}
	return nil
}
