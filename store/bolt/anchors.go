package bolt

import (
	"github.com/google/uuid"
	"go.etcd.io/bbolt"

	"comity/stix"
)

// index is the index of a collection as of the last commit; it is built if
// there is none.
func (b *batch) index(c uuid.UUID) (*index, error) {
	if x := b.store.indexes[c]; x != nil {
		return x, nil
	}
	var x *index
	if err := b.store.view(func(tx *bbolt.Tx) (err error) {
		x, err = buildIndex(tx, c)
		return err
	}); err != nil {
		return nil, err
	}
	b.store.mu.Lock()
	defer b.store.mu.Unlock()
	b.store.indexes[c] = x
	return x, nil
}

// buildIndex reads run and del, both ascending, side by side.
func buildIndex(tx *bbolt.Tx, id uuid.UUID) (*index, error) {
	c := openCollection(tx, id)
	if c == nil {
		return newIndex(0), nil
	}
	x := newIndex(int(c.head().live)) // one for each id
	tombs := c.root.Bucket(bucketDel)
	del, err := newStream(tombs, 0)
	if err != nil {
		return nil, err
	}
	err = c.eachRun(func(key stix.Key, d date, known bool) error {
		for del.date < d {
			if err := del.next(); err != nil {
				return err
			}
		}
		if known {
			return nil
		}
		if del.date == d {
			// Follow the successors to the one that is still there.
			for tomb := del.value; tomb != nil && d != 0; tomb = tombs.Get(d.key()) {
				d = successor(tomb)
			}
		}
		if d == 0 {
			return nil
		}
		if !x.fits(1) {
			return damaged("collection %s: run names more ids than there are", id)
		}
		x.put(key, uint64(d)/1000)
		return nil
	})
	return x, err
}

// anchor is the change of an index entry, in dates; 0 is none.
type anchor struct{ from, to date }

// apply brings the index to the state of e, which was committed.
func (e *editing) apply(x *index) {
	for key, a := range e.anchors {
		switch {
		case a.from != 0:
			x.replace(key, uint64(a.from)/1000, uint64(a.to)/1000)
		case a.to != 0:
			x.put(key, uint64(a.to)/1000)
		}
	}
}

// anchor is the date of the record that stands for an id, as of this
// transaction; 0 if the id is not there.
func (e *editing) anchor(key stix.Key) (date, error) {
	if a, ok := e.anchors[key]; ok {
		return a.to, nil
	}
	d, _, err := e.verified(key, e.base.candidates(nil, key))
	return d, err
}

// setAnchor notes that another record stands for the id; 0: none does.
func (e *editing) setAnchor(key stix.Key, from, to date) {
	if a, ok := e.anchors[key]; ok {
		from = a.from
	}
	e.anchors[key] = anchor{from, to}
}

// verified is the date among the candidates of the index that does lead to a
// record of key, and that record; 0 if none does.
func (c *collection) verified(key stix.Key, candidates []uint64) (date, record, error) {
	for _, ms := range candidates {
		d := date(ms * 1000)
		r, _, err := c.record(d)
		if err != nil {
			return 0, nil, err
		}
		if r != nil && r.of(key) {
			return d, r, nil
		}
	}
	return 0, nil, nil
}
