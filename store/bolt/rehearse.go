package bolt

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"time"

	"go.etcd.io/bbolt"

	"comity/stix"
	"comity/store"
	"comity/taxii"
	"comity/taxii/exchange"
)

// Rehearse implements store.Store. Each part has its own read transaction; what the
// parts before it would have added is kept in memory, in some 100 bytes an object, and
// so are the outcomes, compressed.
func (s *Store) Rehearse(ctx context.Context, g exchange.Grant, parts iter.Seq2[store.Part, error]) (status store.Status, outcomes func(n int) (store.Outcomes, error), err error) {
	if !g.CanWrite() {
		return status, nil, taxii.Errorf(taxii.Forbidden, "you may not add to this collection")
	}
	r := &rehearsal{newest: map[stix.Key]int32{}, types: map[string]bool{}, creators: map[string]uint32{}}
	var packed [][]byte // outcomes, by part
	for part, err := range parts {
		if err != nil {
			return status, nil, err
		}
		tally, err := s.rehearse(ctx, r, g, part.Items)
		if err != nil {
			return status, nil, err
		}
		status.Submission = part.Submission
		status.Counts = status.Counts.Plus(tally.Counts)
		status.Parts++
		packed = append(packed, bytes.Clone(s.packOutcomes(tally.Outcomes))) // which has more room than it needs
	}
	return status, func(n int) (store.Outcomes, error) { return s.unpackOutcomes(packed[n]) }, nil
}

// rehearse goes through one part.
func (s *Store) rehearse(ctx context.Context, r *rehearsal, g exchange.Grant, items []store.Item) (tally store.Tally, err error) {
	keys := make([][16]byte, 0, len(items))
	for i := range items {
		if items[i].Refused == nil {
			keys = append(keys, items[i].Object.Key())
		}
	}
	err = s.lookup(ctx, g.ID(), keys, func(tx *bbolt.Tx, found [][]uint64) error {
		if err := checkOpen(tx, g.ID()); err != nil {
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

// rehearsal is a collection with what would have been added to it.
type rehearsal struct {
	*collection // as of the part that is looked at; nil if nothing was ever added
	candidates  map[stix.Key][]uint64
	last        store.Date // given last

	added    [][]rehearsed      // in blocks: nothing is moved to make room
	count    int32              // of added
	newest   map[stix.Key]int32 // of each id: where it is in added
	types    map[string]bool    // those that the collection does not have
	creators map[string]uint32  // where each is in names
	names    []string
}

// block is how many of rehearsed are in one allocation.
const block = 1024

// rehearsed is one version that would have been added.
type rehearsed struct {
	date              store.Date
	instant           store.Instant
	created, modified store.Instant
	creator           uint32   // in names
	digest            [16]byte // of the canonical content
	before            int32    // the version of the same id rehearsed before it; -1: none
	spec              byte
	none, revoked     bool
}

func (v *rehearsed) version() store.Version {
	return store.Version{Date: v.date, Instant: v.instant, Spec: v.spec, None: v.none}
}

// of is the versions of an id that were rehearsed, the last one first.
func (r *rehearsal) of(key stix.Key) iter.Seq[*rehearsed] {
	return func(yield func(*rehearsed) bool) {
		i, ok := r.newest[key]
		for ok && i >= 0 {
			v := &r.added[i/block][i%block]
			if !yield(v) {
				return
			}
			i = v.before
		}
	}
}

// stored is the date of a record of an id that is in the collection; 0 if there is none.
func (r *rehearsal) stored(key stix.Key) (store.Date, error) {
	if r.collection == nil {
		return 0, nil
	}
	d, _, err := r.verified(key, r.candidates[key])
	return d, err
}

// indexed implements contents.
func (r *rehearsal) indexed(key stix.Key) (store.Date, error) {
	for v := range r.of(key) {
		return v.date, nil
	}
	return r.stored(key)
}

// twin implements contents.
func (r *rehearsal) twin(d draft, _ store.Date, v store.Version, o *stix.Object) (store.Date, bool, error) {
	for w := range r.of(d.key) {
		if w.version().Same(v) {
			return w.date, w.digest == digestOf(o.Raw), nil
		}
	}
	at, err := r.stored(d.key)
	if err != nil || at == 0 {
		return 0, false, err
	}
	return r.collection.twin(d, at, v, o)
}

// lineage implements contents.
func (r *rehearsal) lineage(key stix.Key, _ store.Date) (lineage stix.Lineage, err error) {
	var newest store.Version
	d, err := r.stored(key)
	if err == nil && d != 0 {
		var found record
		if found, newest, err = r.newestRecord(key, d); err == nil {
			lineage = stix.LineageOf(found.described())
		}
	}
	for v := range r.of(key) {
		if newest.Date == 0 || v.version().Compare(newest) > 0 {
			newest = v.version()
			lineage = stix.Lineage{Created: v.created.Time(), Modified: v.modified.Time(), Creator: r.names[v.creator], Revoked: v.revoked}
		}
	}
	return lineage, err
}

// takesType implements contents.
func (r *rehearsal) takesType(name string) bool {
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

// next implements contents.
func (r *rehearsal) next(now time.Time) store.Date {
	r.last = after(r.last, now)
	return r.last
}

// insert implements contents.
func (r *rehearsal) insert(d draft, _ store.Date, v store.Version, o *stix.Object) error {
	l := stix.LineageOf(o.Raw)
	creator, ok := r.creators[l.Creator]
	if !ok {
		creator = uint32(len(r.names))
		r.creators[l.Creator], r.names = creator, append(r.names, l.Creator)
	}
	before, ok := r.newest[d.key]
	if !ok {
		before = -1
	}
	r.newest[d.key] = r.count
	if r.count%block == 0 {
		r.added = append(r.added, make([]rehearsed, 0, block))
	}
	last := &r.added[r.count/block]
	r.count++
	*last = append(*last, rehearsed{
		date: v.Date, instant: v.Instant, spec: v.Spec, none: v.None, digest: digestOf(o.Raw), before: before,
		created: store.InstantOf(l.Created), modified: store.InstantOf(l.Modified), creator: creator, revoked: l.Revoked,
	})
	return nil
}
