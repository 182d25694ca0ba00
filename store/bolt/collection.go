package bolt

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"

	"github.com/google/uuid"
	"go.etcd.io/bbolt"

	"comity/stix"
	"comity/store"
)

// collection is the buckets of one collection in one transaction. In a read
// transaction those nobody needs are not opened.
type collection struct {
	root, live, hist, ver, mixed *bbolt.Bucket
}

// openCollection is nil if nothing was ever added.
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

// record finds a record by its date, verified; nil if there is none.
func (c *collection) record(d store.Date) (r record, live bool, err error) {
	if r, live, err = c.header(d); r != nil && err == nil && r.is(flagSummary) {
		_, err = r.verify(d)
	}
	return r, live, err
}

// header is a record of which only the header, and the part that describes the object,
// are verified.
func (c *collection) header(d store.Date) (r record, live bool, err error) {
	k := dateKey(d)
	if r = c.live.Get(k); r != nil {
		live = true
	} else if r = c.history().Get(k); r == nil {
		return nil, false, nil
	}
	return r, live, r.verifyHeader(d)
}

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

// typeEntry is what types says of one name.
type typeEntry struct {
	number uint16
	live   uint64
}

func (t typeEntry) bytes() []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint16(nil, t.number), t.live)
}

// typeOf is false if the collection never held that type.
func (c *collection) typeOf(name string) (t typeEntry, ok bool) {
	b := c.root.Bucket(bucketTypes).Get([]byte(name))
	if len(b) != 10 {
		return t, false
	}
	return typeEntry{binary.BigEndian.Uint16(b), binary.BigEndian.Uint64(b[2:])}, true
}

// typeNumbers are the numbers of those names that the collection ever held.
func (c *collection) typeNumbers(names []string) (numbers []uint16) {
	for _, name := range names {
		if t, ok := c.typeOf(name); ok && !slices.Contains(numbers, t.number) {
			numbers = append(numbers, t.number)
		}
	}
	return numbers
}

// eachRun calls f with all that was ever added, in order.
func (c *collection) eachRun(f func(key stix.Key, d store.Date, known bool) error) error {
	cursor := c.root.Bucket(bucketRun).Cursor()
	for k, v := cursor.First(); k != nil; k, v = cursor.Next() {
		for d := store.Date(number(k)); len(v) > 0; {
			if len(v) <= 16 {
				return damaged("an entry of run is cut off")
			}
			ms, n := binary.Uvarint(v[16:])
			if n <= 0 {
				return damaged("an entry of run is cut off")
			}
			d += store.Date(ms>>1) * 1000
			if err := f(stix.Key(v[:16]), d, ms&1 != 0); err != nil {
				return err
			}
			v = v[16+n:]
		}
	}
	return nil
}

// stream is a cursor over a bucket whose keys are dates. After the last entry,
// or without a bucket, date is never.
type stream struct {
	cursor *bbolt.Cursor
	date   store.Date
	value  []byte
}

const never store.Date = math.MaxUint64

// newStream stands at the first entry that is not before from.
func newStream(b *bbolt.Bucket, from store.Date) (stream, error) {
	s := stream{date: never}
	if b == nil {
		return s, nil
	}
	s.cursor = b.Cursor()
	return s, s.set(s.cursor.Seek(dateKey(from)))
}

func (s *stream) next() error { return s.set(s.cursor.Next()) }

func (s *stream) set(k, v []byte) error {
	switch {
	case k == nil:
		s.date, s.value = never, nil
	case len(k) != 8:
		return damaged("a key has %d bytes where dates have 8", len(k))
	default:
		s.date, s.value = store.Date(binary.BigEndian.Uint64(k)), v
	}
	return nil
}
