package bolt

import (
	"cmp"
	"encoding/binary"
	"time"

	"github.com/google/uuid"
	"go.etcd.io/bbolt"

	"comity/stix"
	"comity/store"
	"comity/taxii/exchange"
)

// collectionTx is a collection in the write transaction. It keeps counters and lists in
// memory, and flush writes them once for the whole transaction.
type collectionTx struct {
	collection
	del *bbolt.Bucket

	head         head
	base         *idIndex                 // as of the last commit
	indexChanges map[stix.Key]indexChange // since base
	run          []runEntry
	types        map[string]*typeEntry
	numbers      map[uint16]*typeEntry
	postings     map[uint16][]postingChange // changes by the number of the type
	due          map[uint32]int64           // change in the number of records that end on a day
	committed    store.State                // set by flush
	past         bool                       // something beside new ids changed: see store.State.Past
}

// collection opens a collection for writing, and creates it if there is none. Since that
// is a write, a job must raise w.writes first unless the collection exists.
func (w *writeTx) collection(id uuid.UUID) (*collectionTx, error) {
	if c := w.collections[id]; c != nil {
		return c, nil
	}
	base, err := w.index(id)
	if err != nil {
		return nil, err
	}
	root, err := w.tx.CreateBucketIfNotExists(collectionName(id))
	if err != nil {
		return nil, err
	}
	c := &collectionTx{
		base:         base,
		indexChanges: map[stix.Key]indexChange{},
		types:        map[string]*typeEntry{},
		numbers:      map[uint16]*typeEntry{},
		postings:     map[uint16][]postingChange{},
		due:          map[uint32]int64{},
	}
	c.root = root
	for _, sub := range []struct {
		name []byte
		to   **bbolt.Bucket
	}{
		{bucketLive, &c.live}, {bucketHist, &c.hist}, {bucketVer, &c.ver}, {bucketMixed, &c.mixed}, {bucketDel, &c.del},
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
	c.head = c.collection.readHead()
	w.collections[id] = c
	return c, nil
}

// nextDate implements appendTarget.
func (c *collectionTx) nextDate(now time.Time) store.Date {
	c.head.last = store.DateAfter(c.head.last, now)
	return c.head.last
}

// maxTypes is how many types a collection can number.
const maxTypes = 1<<16 - 1

// typeEntry returns the entry of a type, and makes one if there is none. It returns nil
// if the collection has maxTypes already.
func (c *collectionTx) typeEntry(name string) *typeEntry {
	t := c.types[name]
	if t == nil {
		found, ok := c.typeOf(name)
		if !ok {
			if c.head.types >= maxTypes {
				return nil
			}
			c.head.types++
			found.number = uint16(c.head.types)
		}
		t = &found
		c.types[name], c.numbers[found.number] = t, t
	}
	return t
}

// acceptsType implements appendTarget.
func (c *collectionTx) acceptsType(name string) bool { return c.typeEntry(name) != nil }

// insert implements appendTarget.
func (c *collectionTx) insert(d draft, at store.Date, v store.Version, o *stix.Object) error {
	d.record.finish(v, c.types[o.Type].number, at != 0)
	c.run = append(c.run, runEntry{d.key, v.Date, at != 0})
	c.countEnds(v.Handling, 1)
	if at != 0 {
		return c.addVersion(d.key, at, v, d.record)
	}
	c.setIndexed(d.key, 0, v.Date)
	return c.putLive(v.Date, d.record)
}

// putLive, dropLive, putHist and dropHist write records. They also note the changes of
// the counters and of the bucket of the type for flush. typeEntry must have been called
// for the type of the record before.

func (c *collectionTx) putLive(d store.Date, r record) error {
	n := r.number()
	c.head.live++
	c.numbers[n].live++
	c.postings[n] = append(c.postings[n], postingChange{d, true})
	return c.live.Put(dateKey(d), r)
}

func (c *collectionTx) dropLive(d store.Date, r record) error {
	n := r.number()
	c.head.live--
	c.numbers[n].live--
	c.postings[n] = append(c.postings[n], postingChange{d, false})
	return c.live.Delete(dateKey(d))
}

func (c *collectionTx) putHist(d store.Date, r record) error {
	c.head.hist++
	return c.hist.Put(dateKey(d), r)
}

func (c *collectionTx) dropHist(d store.Date) error {
	c.head.hist--
	return c.hist.Delete(dateKey(d))
}

// countEnds adds n, which may be negative, to the number of records whose retention ends
// on the day of h.
func (c *collectionTx) countEnds(h exchange.Handling, n int64) {
	if h.Until != 0 {
		c.due[dayOf(h.Until)] += n
	}
}

// flush writes the counters and lists that are kept in memory.
func (c *collectionTx) flush() error {
	run := c.root.Bucket(bucketRun)
	for len(c.run) > 0 {
		var k, piece []byte
		k, piece, c.run = packRun(c.run)
		if err := run.Put(k, piece); err != nil {
			return err
		}
	}
	types := c.root.Bucket(bucketTypes)
	for name, t := range c.types {
		if err := types.Put([]byte(name), t.bytes()); err != nil {
			return err
		}
	}
	if c.past {
		if _, err := c.root.NextSequence(); err != nil {
			return err
		}
	}
	err := cmp.Or(c.flushPostings(), c.flushDue(), c.root.Put(keyHead, c.head.bytes()))
	c.committed = c.state()
	return err
}

// flushDue writes the changed counts to due.
func (c *collectionTx) flushDue() error {
	due := c.root.Bucket(bucketDue)
	for day, n := range c.due {
		key := dayKey(day)
		left := int64(number(due.Get(key))) + n
		var err error
		switch {
		case left < 0:
			return store.Damaged("fewer records end on %s than have ended", dayTime(day).Format(time.DateOnly))
		case left == 0:
			err = due.Delete(key)
		default:
			err = due.Put(key, binary.BigEndian.AppendUint64(nil, uint64(left)))
		}
		if err != nil {
			return err
		}
	}
	return nil
}
