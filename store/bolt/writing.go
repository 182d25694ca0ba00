package bolt

import (
	"encoding/binary"

	"go.etcd.io/bbolt"
)

// writing is a write transaction that notes what it changes, for the journal.
// Its buckets do that: what changes another is lost when the power fails.
type writing struct {
	*bbolt.Tx
	changes
	top bucket // holds those at the top; is none itself
}

func newWriting(tx *bbolt.Tx) *writing {
	w := &writing{Tx: tx}
	w.top.changes, w.top.fill = &w.changes, bbolt.DefaultFillPercent
	return w
}

// Bucket is a bucket at the top; nil if there is none.
func (w *writing) Bucket(name []byte) *bucket { return w.top.hold(name, w.Tx.Bucket) }

// under is the bucket of that name in another, or at the top, made if there is
// none.
func (w *writing) under(parent *bucket, name []byte) (*bucket, error) {
	if parent != &w.top {
		return parent.CreateBucketIfNotExists(name)
	}
	if _, err := w.CreateBucketIfNotExists(name); err != nil {
		return nil, err
	}
	return w.Bucket(name), nil
}

// bucket is a bucket of a writing. Its pages are filled as its name says, or
// that of one it is in.
type bucket struct {
	*boltBucket
	changes *changes
	parent  *bucket
	name    []byte
	number  int // among those that changed; 0 if it is none of them
	fill    float64
	held    map[string]*bucket // those in it that were asked for
}

type boltBucket = bbolt.Bucket

// hold is the bucket of that name, which find finds; nil if there is none.
func (b *bucket) hold(name []byte, find func([]byte) *boltBucket) *bucket {
	if in := b.held[string(name)]; in != nil {
		return in
	}
	found := find(name)
	if found == nil {
		return nil
	}
	in := &bucket{boltBucket: found, changes: b.changes, parent: b, name: name, fill: max(b.fill, fill(name))}
	in.FillPercent = in.fill
	if b.held == nil {
		b.held = map[string]*bucket{}
	}
	b.held[string(name)] = in
	return in
}

// Bucket is a bucket in b; nil if there is none.
func (b *bucket) Bucket(name []byte) *bucket { return b.hold(name, b.boltBucket.Bucket) }

// CreateBucketIfNotExists is a bucket in b, made if there is none.
func (b *bucket) CreateBucketIfNotExists(name []byte) (*bucket, error) {
	if in := b.Bucket(name); in != nil {
		return in, nil
	}
	if _, err := b.CreateBucket(name); err != nil {
		return nil, err
	}
	in := b.Bucket(name)
	in.changed()
	return in, nil
}

// Put sets a key. The value must not change until the commit.
func (b *bucket) Put(key, value []byte) error {
	b.note(opPut, key, value)
	return b.boltBucket.Put(key, value)
}

// Delete removes a key, which may not be there.
func (b *bucket) Delete(key []byte) error {
	b.note(opDelete, key)
	return b.boltBucket.Delete(key)
}

// SetSequence sets the number that the bucket counts with.
func (b *bucket) SetSequence(n uint64) error {
	b.note(opSequence, numberKey(n))
	return b.boltBucket.SetSequence(n)
}

// NextSequence counts, and is the number.
func (b *bucket) NextSequence() (uint64, error) {
	n := b.Sequence() + 1
	return n, b.SetSequence(n)
}

// changes is what a transaction changes, in the order of the changes. Each is
//
//	0  what it is, 1
//	1  bucket, 4: they are numbered from 1 as they come; 0 is the top
//	5  fields, each behind its length 4
type changes struct {
	list    []byte
	n       int   // of changes
	bytes   int64 // that they would take in list
	buckets int   // numbered
}

// What a change is, and its fields.
const (
	opBucket   = 'b' // name: the next number is that of the bucket in this one, made if there is none
	opPut      = 'p' // key, value
	opDelete   = 'd' // key
	opSequence = 's' // number 8
)

// maxChanges is how long list gets: what is longer is not for the journal.
const maxChanges = 256 << 10

func (c *changes) long() bool { return c.bytes > maxChanges }

func (c *changes) add(op byte, bucket int, fields ...[]byte) {
	c.n++
	c.bytes += 5
	for _, f := range fields {
		c.bytes += 4 + int64(len(f))
	}
	if c.long() {
		c.list = nil
		return
	}
	c.list = binary.BigEndian.AppendUint32(append(c.list, op), uint32(bucket))
	for _, f := range fields {
		c.list = append(binary.BigEndian.AppendUint32(c.list, uint32(len(f))), f...)
	}
}

// changed gives b a number, if it has none.
func (b *bucket) changed() {
	if b.number == 0 && b.parent != nil {
		b.parent.changed()
		b.changes.add(opBucket, b.parent.number, b.name)
		b.changes.buckets++
		b.number = b.changes.buckets
	}
}

func (b *bucket) note(op byte, fields ...[]byte) {
	b.changed()
	b.changes.add(op, b.number, fields...)
}

// repeat makes the changes of a list again.
func (w *writing) repeat(list []byte) error {
	buckets := []*bucket{&w.top}
	for len(list) > 0 {
		if len(list) < 5 || int64(binary.BigEndian.Uint32(list[1:])) >= int64(len(buckets)) {
			return errMalformed
		}
		op, b := list[0], buckets[binary.BigEndian.Uint32(list[1:])]
		list = list[5:]
		var fields [2][]byte
		for i := range fieldsOf[op] {
			if len(list) < 4 || uint64(len(list)) < 4+uint64(binary.BigEndian.Uint32(list)) {
				return errMalformed
			}
			end := 4 + binary.BigEndian.Uint32(list)
			fields[i], list = list[4:end:end], list[end:]
		}
		if op != opBucket && b == &w.top {
			return errMalformed
		}
		var err error
		switch op {
		case opBucket:
			b, err = w.under(b, fields[0])
			buckets = append(buckets, b)
		case opPut:
			err = b.Put(fields[0], fields[1])
		case opDelete:
			err = b.Delete(fields[0])
		case opSequence:
			err = b.SetSequence(number(fields[0]))
		default:
			err = errMalformed
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// fieldsOf is how many fields a change has.
var fieldsOf = [256]int{opBucket: 1, opPut: 2, opDelete: 1, opSequence: 1}

var errMalformed = damaged("a change in the journal is malformed")
