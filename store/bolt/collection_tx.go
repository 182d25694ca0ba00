package bolt

import (
	"encoding/binary"
	"time"

	"github.com/google/uuid"
	"go.etcd.io/bbolt"

	"comity/stix"
	"comity/store"
	"comity/taxii/exchange"
)

// collectionTx is a collection in the write transaction. It keeps counters and lists
// beside the buckets, which flush writes once.
type collectionTx struct {
	collection
	del *bbolt.Bucket

	head         head
	base         *idIndex                 // as of the last commit
	indexChanges map[stix.Key]indexChange // what differs from base
	run          []added
	types        map[string]*typeEntry
	numbers      map[uint16]*typeEntry
	postings     map[uint16][]posted // what changed, by type
	due          map[uint32]int64    // change in the number of records that end on a day
	committed    store.State         // as it was flushed
	past         bool                // more changed than ids that are new: see store.State
}

// collection opens a collection for writing and makes it if there is none. It writes:
// raise writes before.
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
		postings:     map[uint16][]posted{},
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

// next is the date of what is added now: the next whole millisecond, but always
// later than any before. Rounded down it could lie before the clock of somebody
// who has just polled.
func (c *collectionTx) next(now time.Time) store.Date {
	c.head.last = after(c.head.last, now)
	return c.head.last
}

func after(last store.Date, now time.Time) store.Date {
	return max(store.DateOf(now.Add(time.Millisecond-1))/1000*1000, last+1000)
}

// typeNumbers that a collection can have.
const maxTypes = 1<<16 - 1

// typeEntry is the entry of a type name, made if there is none; nil if there
// are too many.
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

// takesType implements contents.
func (c *collectionTx) takesType(name string) bool { return c.typeEntry(name) != nil }

// insert implements contents.
func (c *collectionTx) insert(d draft, at store.Date, v store.Version, o *stix.Object) error {
	d.record.finish(v, c.types[o.Type].number, at != 0)
	c.run = append(c.run, added{d.key, v.Date, at != 0})
	c.countEnds(v.Handling, 1)
	if at != 0 {
		return c.addVersion(d.key, at, v, d.record)
	}
	c.setIndexed(d.key, 0, v.Date)
	return c.putLive(v.Date, d.record)
}

// putLive and the three beside it keep live, hist, type and the counters in
// step. The type's entry must have been fetched.
func (c *collectionTx) putLive(d store.Date, r record) error {
	n := r.number()
	c.head.live++
	c.numbers[n].live++
	c.postings[n] = append(c.postings[n], posted{d, true})
	return c.live.Put(dateKey(d), r)
}

func (c *collectionTx) dropLive(d store.Date, r record) error {
	n := r.number()
	c.head.live--
	c.numbers[n].live--
	c.postings[n] = append(c.postings[n], posted{d, false})
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

// countEnds counts n records more, or fewer, whose retention ends on the day of h.
func (c *collectionTx) countEnds(h exchange.Handling, n int64) {
	if h.Until != 0 {
		c.due[dayOf(h.Until)] += n
	}
}

// flush writes what is kept beside the buckets.
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
	err := firstOf(c.flushPostings(), c.flushDue(), c.root.Put(keyHead, c.head.bytes()))
	c.committed = c.state()
	return err
}

// flushDue writes the changed counts into the bucket due.
func (c *collectionTx) flushDue() error {
	due := c.root.Bucket(bucketDue)
	for day, n := range c.due {
		key := dayKey(day)
		left := int64(number(due.Get(key))) + n
		var err error
		switch {
		case left < 0:
			return damaged("fewer records end on %s than have ended", dayTime(day).Format(time.DateOnly))
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
