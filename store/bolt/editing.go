package bolt

import (
	"time"

	"github.com/google/uuid"
	"go.etcd.io/bbolt"

	"comity/stix"
	"comity/store"
)

// editing is a collection in the write transaction. What it keeps beside the
// buckets is written by flush, once.
type editing struct {
	collection
	del *bbolt.Bucket

	head     head
	base     *index              // as of the last commit
	anchors  map[stix.Key]anchor // what differs from base
	run      []added
	types    map[string]*typeEntry
	numbers  map[uint16]*typeEntry
	postings map[uint16][]posted // what changed, by type
	due      map[uint32]int64    // change in the number of records that end on a day
	stands   store.State         // as it was flushed
	past     bool                // something changed beside what was added under ids of its own
}

// edit opens a collection for writing and makes it if there is none. It writes:
// raise writes before.
func (b *batch) edit(id uuid.UUID) (*editing, error) {
	if e := b.collections[id]; e != nil {
		return e, nil
	}
	base, err := b.index(id)
	if err != nil {
		return nil, err
	}
	root, err := b.tx.CreateBucketIfNotExists(collectionName(id))
	if err != nil {
		return nil, err
	}
	e := &editing{
		base:     base,
		anchors:  map[stix.Key]anchor{},
		types:    map[string]*typeEntry{},
		numbers:  map[uint16]*typeEntry{},
		postings: map[uint16][]posted{},
		due:      map[uint32]int64{},
	}
	e.root = root
	for _, sub := range []struct {
		name []byte
		to   **bbolt.Bucket
	}{
		{bucketLive, &e.live}, {bucketHist, &e.hist}, {bucketVer, &e.ver}, {bucketMixed, &e.mixed}, {bucketDel, &e.del},
		{bucketRun, nil}, {bucketTypes, nil}, {bucketDue, nil},
	} {
		bucket, err := subBucket(root, sub.name)
		if err != nil {
			return nil, err
		}
		if sub.to != nil {
			*sub.to = bucket
		}
	}
	e.head = e.collection.head()
	b.collections[id] = e
	return e, nil
}

// next is the date of what is added now: the next whole millisecond, but always
// later than any before. Rounded down it could lie before the clock of somebody
// who has just polled.
func (e *editing) next(now time.Time) date {
	e.head.last = max(dateOf(now.Add(time.Millisecond-1))/1000*1000, e.head.last+1000)
	return e.head.last
}

// typeNumbers that a collection can have.
const maxTypes = 1<<16 - 1

// typeEntry is the entry of a type name, made if there is none; nil if there
// are too many.
func (e *editing) typeEntry(name string) *typeEntry {
	t := e.types[name]
	if t == nil {
		found, ok := e.typeOf(name)
		if !ok {
			if e.head.types >= maxTypes {
				return nil
			}
			e.head.types++
			found.number = uint16(e.head.types)
		}
		t = &found
		e.types[name], e.numbers[found.number] = t, t
	}
	return t
}

// putLive and the three beside it keep live, hist, type and the counters in
// step. The type's entry must have been fetched.
func (e *editing) putLive(d date, r record) error {
	n := r.number()
	e.head.live++
	e.numbers[n].live++
	e.postings[n] = append(e.postings[n], posted{d, true})
	return e.live.Put(d.key(), r)
}

func (e *editing) dropLive(d date, r record) error {
	n := r.number()
	e.head.live--
	e.numbers[n].live--
	e.postings[n] = append(e.postings[n], posted{d, false})
	return e.live.Delete(d.key())
}

func (e *editing) putHist(d date, r record) error {
	e.head.hist++
	return e.hist.Put(d.key(), r)
}

func (e *editing) dropHist(d date) error {
	e.head.hist--
	return e.hist.Delete(d.key())
}

// added notes a record for run.
func (e *editing) added(key stix.Key, d date, known bool) {
	e.run = append(e.run, added{key, d, known})
}

// flush writes what is kept beside the buckets.
func (e *editing) flush() error {
	run := e.root.Bucket(bucketRun)
	for len(e.run) > 0 {
		var k, piece []byte
		k, piece, e.run = packRun(e.run)
		if err := run.Put(k, piece); err != nil {
			return err
		}
	}
	types := e.root.Bucket(bucketTypes)
	for name, t := range e.types {
		if err := types.Put([]byte(name), t.bytes()); err != nil {
			return err
		}
	}
	if e.past {
		if _, err := e.root.NextSequence(); err != nil {
			return err
		}
	}
	err := firstOf(e.flushPostings(), e.flushDue(), e.root.Put(keyHead, e.head.bytes()))
	e.stands = e.state()
	return err
}
