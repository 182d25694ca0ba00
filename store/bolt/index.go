package bolt

import (
	"context"
	"encoding/binary"
	"errors"
	"math/bits"

	"github.com/google/uuid"
	"go.etcd.io/bbolt"

	"comity/stix"
	"comity/store"
)

// idIndex is a hash table from 16-byte keys, which are as good as random, to numbers. A
// slot takes 8 bytes: the number and 22 bits of the key. So a lookup returns candidates,
// and the caller verifies them at the record that each number names. In a collection the
// number is the date, in milliseconds, of one record of the id. In the index of statuses
// it is the number of the status.
//
// The table uses open addressing with linear probing. It cannot grow by itself, since it
// lacks the full keys: its owner builds a larger one from the file.
type idIndex struct {
	slots []uint64
	used  int // slots that are not 0, which includes removed ones
}

const (
	numberBits = 42
	numberMask = 1<<numberBits - 1
	removed    = 1 << numberBits // a tag with the number 0: no entry has that
)

// newIDIndex returns an index with room for n entries and a quarter more. It takes 13
// bytes an entry.
func newIDIndex(n int) *idIndex {
	return &idIndex{slots: make([]uint64, 64+(n+n/4)*4/3)}
}

// fits tells whether n more entries fit.
func (x *idIndex) fits(n int) bool { return x.used+n <= len(x.slots)*3/4 }

// place returns the slot where the search for a key begins, and the tag of the key. The
// first multiplication spreads the bits, as some are the same in all UUIDs; the second
// maps them to a slot.
func (x *idIndex) place(key [16]byte) (at int, tag uint64) {
	hi, _ := bits.Mul64(binary.BigEndian.Uint64(key[:8])*0x9e3779b97f4a7c15, uint64(len(x.slots)))
	return int(hi), uint64(binary.BigEndian.Uint32(key[8:])) >> 10 << numberBits
}

// after returns the slot that follows another.
func (x *idIndex) after(at int) int {
	if at++; at == len(x.slots) {
		return 0
	}
	return at
}

// put adds an entry. It does not look for an entry of the same key.
func (x *idIndex) put(key [16]byte, number uint64) {
	at, tag := x.place(key)
	for ; ; at = x.after(at) {
		if slot := &x.slots[at]; *slot == 0 {
			*slot = tag | number
			x.used++
			return
		}
	}
}

// replace gives an entry another number; 0 removes it.
func (x *idIndex) replace(key [16]byte, from, to uint64) {
	at, tag := x.place(key)
	for ; x.slots[at] != 0; at = x.after(at) {
		if slot := &x.slots[at]; *slot == tag|from {
			if *slot = tag | to; to == 0 {
				*slot = removed
			}
			return
		}
	}
}

// candidates appends the numbers that key may have to dst: usually one if the key is in
// the index, none if it is not.
func (x *idIndex) candidates(dst []uint64, key [16]byte) []uint64 {
	at, tag := x.place(key)
	for ; x.slots[at] != 0; at = x.after(at) {
		if slot := x.slots[at]; slot&^numberMask == tag && slot&numberMask != 0 {
			dst = append(dst, slot&numberMask)
		}
	}
	return dst
}

// index returns the index of a collection as of the last commit, and builds it if there is
// none.
func (w *writeTx) index(c uuid.UUID) (*idIndex, error) {
	if x := w.store.indexes[c]; x != nil {
		return x, nil
	}
	var x *idIndex
	if err := w.store.view(func(tx *bbolt.Tx) (err error) {
		x, err = buildIndex(tx, c)
		return err
	}); err != nil {
		return nil, err
	}
	w.store.mu.Lock()
	defer w.store.mu.Unlock()
	w.store.indexes[c] = x
	return x, nil
}

// buildIndex builds the index of a collection from run and del, which it reads in
// parallel: both are in the order of dates.
func buildIndex(tx *bbolt.Tx, id uuid.UUID) (*idIndex, error) {
	c := openCollection(tx, id)
	if c == nil {
		return newIDIndex(0), nil
	}
	x := newIDIndex(int(c.readHead().live)) // each id has one live record
	tombs := c.root.Bucket(bucketDel)
	del, err := newDateCursor(tombs, 0)
	if err != nil {
		return nil, err
	}
	err = c.eachAdded(func(key stix.Key, d store.Date, known bool) error {
		for del.date < d {
			if err := del.next(); err != nil {
				return err
			}
		}
		if known {
			return nil
		}
		if del.date == d {
			// Follow the successors to the record that is still there.
			for tomb := del.value; tomb != nil && d != 0; tomb = tombs.Get(dateKey(d)) {
				d = successor(tomb)
			}
		}
		if d == 0 {
			return nil
		}
		if !x.fits(1) {
			return store.Damaged("collection %s: run names more ids than there are", id)
		}
		x.put(key, uint64(d)/1000)
		return nil
	})
	return x, err
}

// indexChange is the change of an index entry, in dates. A date of 0 means no entry.
type indexChange struct{ from, to store.Date }

// apply makes the changes of a committed collectionTx in the index.
func (c *collectionTx) apply(x *idIndex) {
	for key, a := range c.indexChanges {
		switch {
		case a.from != 0:
			x.replace(key, uint64(a.from)/1000, uint64(a.to)/1000)
		case a.to != 0:
			x.put(key, uint64(a.to)/1000)
		}
	}
}

// indexed implements appendTarget.
func (c *collectionTx) indexed(key stix.Key) (store.Date, error) {
	if a, ok := c.indexChanges[key]; ok {
		return a.to, nil
	}
	d, _, err := c.verified(key, c.base.candidates(nil, key))
	return d, err
}

// setIndexed notes that the index has the date to for an id instead of from. A date of 0
// means no entry.
func (c *collectionTx) setIndexed(key stix.Key, from, to store.Date) {
	if a, ok := c.indexChanges[key]; ok {
		from = a.from
	}
	c.indexChanges[key] = indexChange{from, to}
}

// verified returns the date among candidates at which there is a record of key, and the
// record; 0 if there is none. If a record is damaged and could be the right one, it
// returns its date and an error.
func (c *collection) verified(key stix.Key, candidates []uint64) (store.Date, record, error) {
	for _, ms := range candidates {
		d := store.Date(ms * 1000)
		r, _, err := c.header(d)
		if err != nil {
			return d, nil, err
		}
		if r != nil && r.hasID(key) {
			return d, r, nil
		}
	}
	return 0, nil, nil
}

// errOvertaken says that a commit changed the index after the read transaction began.
var errOvertaken = errors.New("overtaken")

// find runs f in a read transaction, with the candidates that an index of the same commit
// has for each key. pick returns the index, nil if there is none; then the writer builds
// it with build.
func (s *Store) find(ctx context.Context, keys [][16]byte, pick func() *idIndex, build func(*writeTx) error, f func(*bbolt.Tx, [][]uint64) error) error {
	for {
		missing := false
		err := s.view(func(tx *bbolt.Tx) error {
			s.mu.RLock()
			x, overtaken := pick(), s.published > tx.ID()
			if missing = x == nil; missing || overtaken {
				s.mu.RUnlock()
				return errOvertaken
			}
			found := make([][]uint64, len(keys))
			for i, key := range keys {
				found[i] = x.candidates(nil, key)
			}
			s.mu.RUnlock()
			return f(tx, found)
		})
		if err != errOvertaken {
			return err
		}
		if missing {
			if err := s.do(ctx, &job{run: build}); err != nil {
				return err
			}
		}
	}
}

// lookup calls find with the index of a collection.
func (s *Store) lookup(ctx context.Context, id uuid.UUID, keys [][16]byte, f func(*bbolt.Tx, [][]uint64) error) error {
	pick := func() *idIndex { return s.indexes[id] }
	build := func(w *writeTx) error { _, err := w.index(id); return err }
	return s.find(ctx, keys, pick, build, f)
}
