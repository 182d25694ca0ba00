package bolt

import (
	"context"
	"encoding/binary"
	"math"
	"slices"
	"time"

	"github.com/google/uuid"
	"go.etcd.io/bbolt"

	"comity/stix"
	"comity/store"
)

// collection has the buckets of one collection in one transaction. A read transaction
// opens hist and ver only when they are needed.
type collection struct {
	root, live, hist, ver, mixed *bbolt.Bucket
}

// openCollection returns nil if nothing was ever added to the collection.
func openCollection(tx *bbolt.Tx, id uuid.UUID) *collection {
	root := tx.Bucket(collectionName(id))
	if root == nil {
		return nil
	}
	return &collection{root: root, live: root.Bucket(bucketLive), mixed: root.Bucket(bucketMixed)}
}

func (c *collection) history() *bbolt.Bucket {
	if c.hist == nil {
		c.hist = c.root.Bucket(bucketHist)
	}
	return c.hist
}

func (c *collection) vers() *bbolt.Bucket {
	if c.ver == nil {
		c.ver = c.root.Bucket(bucketVer)
	}
	return c.ver
}

func (c *collection) readHead() head { return parseHead(c.root.Get(keyHead)) }

func (c *collection) state() store.State {
	return store.State{Past: c.root.Sequence(), End: uint64(c.readHead().last)}
}

// get returns the record of a date, which is not verified; nil if there is none.
func (c *collection) get(d store.Date) (r record, live bool) {
	k := dateKey(d)
	if r = c.live.Get(k); r != nil {
		return r, true
	}
	return c.history().Get(k), false
}

// record returns the record of a date, verified; nil if there is none.
func (c *collection) record(d store.Date) (r record, live bool, err error) {
	if r, live = c.get(d); r != nil {
		_, err = r.verify(d)
	}
	return r, live, err
}

// header returns the record of a date, of which only the header and the summary are
// verified; nil if there is none.
func (c *collection) header(d store.Date) (r record, live bool, err error) {
	if r, live = c.get(d); r != nil {
		err = r.verifyHeader(d)
	}
	return r, live, err
}

// typeEntry is an entry of types.
type typeEntry struct {
	number uint16
	live   uint64
}

func (t typeEntry) bytes() []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint16(nil, t.number), t.live)
}

// typeOf returns the entry of a type; false if the collection never held the type.
func (c *collection) typeOf(name string) (t typeEntry, ok bool) {
	b := c.root.Bucket(bucketTypes).Get([]byte(name))
	if len(b) != 10 {
		return t, false
	}
	return typeEntry{binary.BigEndian.Uint16(b), binary.BigEndian.Uint64(b[2:])}, true
}

// typeNumbers returns the numbers of those types that the collection ever held.
func (c *collection) typeNumbers(names []string) (numbers []uint16) {
	for _, name := range names {
		if t, ok := c.typeOf(name); ok && !slices.Contains(numbers, t.number) {
			numbers = append(numbers, t.number)
		}
	}
	return numbers
}

// eachAdded calls f with each entry of run, in the order of dates.
func (c *collection) eachAdded(f func(key stix.Key, d store.Date, known bool) error) error {
	return forEach(c.root.Bucket(bucketRun), func(k, v []byte) error {
		for d := store.Date(number(k)); len(v) > 0; {
			if len(v) <= 16 {
				return store.Damaged("an entry of run is cut off")
			}
			ms, n := binary.Uvarint(v[16:])
			if n <= 0 {
				return store.Damaged("an entry of run is cut off")
			}
			d += store.Date(ms>>1) * 1000
			if err := f(stix.Key(v[:16]), d, ms&1 != 0); err != nil {
				return err
			}
			v = v[16+n:]
		}
		return nil
	})
}

// dateCursor iterates over a bucket whose keys are dates. After the last entry, or if
// there is no bucket, date is never.
type dateCursor struct {
	cursor *bbolt.Cursor
	date   store.Date
	value  []byte
}

const never store.Date = math.MaxUint64

// newDateCursor returns a cursor at the first entry with a date of from or later.
func newDateCursor(b *bbolt.Bucket, from store.Date) (dateCursor, error) {
	s := dateCursor{date: never}
	if b == nil {
		return s, nil
	}
	s.cursor = b.Cursor()
	return s, s.set(s.cursor.Seek(dateKey(from)))
}

func (s *dateCursor) next() error {
	last := s.date
	if err := s.set(s.cursor.Next()); err != nil {
		return err
	}
	if s.date <= last && s.date != never { // a page of a damaged file leads back to itself
		return store.Damaged("the dates do not ascend at %s", last.Time())
	}
	return nil
}

func (s *dateCursor) set(k, v []byte) error {
	switch {
	case k == nil:
		s.date, s.value = never, nil
	case len(k) != 8:
		return store.Damaged("a key has %d bytes where dates have 8", len(k))
	default:
		s.date, s.value = store.Date(binary.BigEndian.Uint64(k)), v
	}
	return nil
}

// State implements store.Store. The server asks for it before it repeats a page, so it is
// cached in memory.
func (s *Store) State(ctx context.Context, id uuid.UUID) (state store.State, err error) {
	if err := ctx.Err(); err != nil {
		return state, err
	}
	s.mu.RLock()
	state, known := s.states[id]
	s.mu.RUnlock()
	if known {
		return state, nil
	}
	err = s.view(func(tx *bbolt.Tx) error {
		if c := openCollection(tx, id); c != nil {
			state = c.state()
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.published == tx.ID() {
			s.states[id] = state
		}
		return nil
	})
	return state, err
}

// Count implements store.Store.
func (s *Store) Count(ctx context.Context, id uuid.UUID) (n int64, err error) {
	err = s.view(func(tx *bbolt.Tx) error {
		if c := openCollection(tx, id); c != nil {
			h := c.readHead()
			n = int64(h.live + h.hist)
		}
		return ctx.Err()
	})
	return n, err
}

// Due implements store.Store. The list is in the order of collection and day.
func (s *Store) Due(ctx context.Context, t time.Time) (list []store.Due, err error) {
	err = s.view(func(tx *bbolt.Tx) error {
		return eachCollection(tx, func(id uuid.UUID, root *bbolt.Bucket) error {
			cursor := root.Bucket(bucketDue).Cursor()
			for k, v := cursor.First(); k != nil; k, v = cursor.Next() {
				if len(k) != 4 {
					return store.Damaged("an entry of due is malformed")
				}
				day := dayTime(binary.BigEndian.Uint32(k))
				if day.After(t) {
					break
				}
				list = append(list, store.Due{Collection: id, Day: day, Count: int64(number(v))})
			}
			return ctx.Err()
		})
	})
	return list, err
}
