package bolt

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"

	"github.com/google/uuid"
	"go.etcd.io/bbolt"

	"comity/stix"
	"comity/store"
	"comity/taxii"
)

// collectionCheck is the check of one collection, with its counts.
type collectionCheck struct {
	*checker
	*collection
	id       uuid.UUID
	names    map[uint16]string
	live     map[uint16]uint64         // live records by type number
	postings map[uint16]*postingCursor // where the walk through live is in each type
	count    head
	index    *idIndex
	due      map[uint32]uint64 // number of records by the day they end on
	multi    uint64            // records with the multi flag
	inRun    uint64            // records that run names
}

func (ck *checker) checkCollection(id uuid.UUID) error {
	c := &collectionCheck{checker: ck, collection: openCollection(ck.tx, id), id: id, names: map[uint16]string{}, live: map[uint16]uint64{}, postings: map[uint16]*postingCursor{}, due: map[uint32]uint64{}}
	for _, step := range []func() error{c.types, c.records, c.runs, c.groups, c.counters} {
		if err := ck.guard("collection "+id.String(), step); err != nil {
			return err
		}
	}
	return nil
}

func (c *collectionCheck) report(format string, args ...any) {
	c.fault(fmt.Sprintf("collection %s: ", c.id) + fmt.Sprintf(format, args...))
}

func (c *collectionCheck) types() error {
	return c.root.Bucket(bucketTypes).ForEach(func(name, _ []byte) error {
		t, ok := c.typeOf(string(name))
		if other, taken := c.names[t.number]; !ok || taken {
			c.report("type %s is malformed, or has the number of %q", name, other)
		}
		c.names[t.number] = string(name)
		return nil
	})
}

// records reads live and hist.
func (c *collectionCheck) records() (err error) {
	if c.index, err = buildIndex(c.tx, c.id); err != nil {
		c.report("%v", err)
		c.index = newIDIndex(0)
	}
	for _, b := range []*bbolt.Bucket{c.collection.live, c.history()} {
		s, err := newDateCursor(b, 0)
		for ; err == nil && s.date != never; err = s.next() {
			if c.checker.records++; c.checker.records%1000 == 0 {
				if c.progress != nil {
					c.progress(c.checker.records)
				}
				if err := c.ctx.Err(); err != nil {
					return err
				}
			}
			if text := c.faultOf(s.date, s.value, b == c.collection.live); text != "" {
				c.report("the record added %s: %s", taxii.FormatTime(s.date.Time()), text)
			}
		}
		if err != nil {
			return err
		}
	}
	if c.progress != nil {
		c.progress(c.checker.records)
	}
	return nil
}

// faultOf describes the fault of one record; "" if it has none.
func (c *collectionCheck) faultOf(d store.Date, r record, live bool) string {
	if live {
		c.count.live++
	} else {
		c.count.hist++
	}
	if _, err := r.verify(d); err != nil {
		return errors.Unwrap(err).Error()
	}
	o, err := stix.NewObject(r.json())
	if err != nil {
		return err.Error()
	}
	if r.is(flagMulti) {
		c.multi++
	}
	if until := r.handling().Until; until != 0 {
		c.due[dayOf(until)]++
	}
	v := store.VersionOf(&o, r.handling()).AddedAt(d)
	id, idErr := r.id()
	key := o.Key()
	text, textErr := r.versionText(d)
	at, _, err := c.verified(key, c.index.candidates(nil, key))
	switch {
	case idErr != nil || id != o.ID:
		return "its header is for another id"
	case r.version(d) != v || textErr != nil || !v.None && text != o.Version().String():
		return "its header has another version"
	case c.names[r.number()] != o.Type:
		return "its header has another type"
	case !r.summaryFits():
		return "its summary is of another object"
	case live && c.history().Get(dateKey(d)) != nil:
		return "it is in live and in hist"
	case live && !c.isPosted(r.number(), d):
		return "type and live differ"
	case !live && !r.is(flagMulti):
		return "it is superseded by nothing"
	case err != nil || at == 0:
		return "run does not lead to its id"
	case !r.is(flagMulti) && at != d:
		return "its id stands twice"
	}
	if r.is(flagMulti) {
		if c.vers().Get(verKey(key, v)) == nil {
			return "ver lacks it"
		}
	}
	if live {
		c.live[r.number()]++
	}
	return ""
}

// isPosted tells whether the bucket of its type lists a live record. It must be called
// in the order of dates. The method counters finds superfluous entries of that bucket.
func (c *collectionCheck) isPosted(number uint16, d store.Date) bool {
	p := c.postings[number]
	if p == nil {
		p = &postingCursor{}
		c.postings[number] = p
		*p, _ = newPostingCursor(c.root.Bucket(typeName(number)), 0)
	}
	var err error // counters reports it
	for err == nil && p.date < d {
		err = p.next()
	}
	return p.date == d
}

// runs compares run and del with the records.
func (c *collectionCheck) runs() error {
	last := store.Date(0)
	del := c.root.Bucket(bucketDel)
	if err := c.eachAdded(func(key stix.Key, d store.Date, _ bool) error {
		if d <= last || d%1000 != 0 {
			c.report("run does not ascend in milliseconds at %s", taxii.FormatTime(d.Time()))
		}
		last = d
		tomb := del.Get(dateKey(d))
		r, _, err := c.collection.record(d)
		switch {
		case r == nil && tomb == nil:
			c.report("run names a record added %s that is not there", taxii.FormatTime(d.Time()))
		case tomb != nil && (len(tomb) != tombstoneLen || r != nil || !bytes.Equal(tomb[8:24], key[:])):
			c.report("the tombstone of what was added %s is malformed, or too early", taxii.FormatTime(d.Time()))
		case r != nil && err == nil && !r.hasID(key):
			c.report("run has another id for the record added %s", taxii.FormatTime(d.Time()))
		}
		if r != nil {
			c.inRun++
		}
		return c.ctx.Err()
	}); err != nil {
		return err
	}
	if h := c.readHead(); last > h.last {
		c.report("the last date given is %s, but something was added later", taxii.FormatTime(h.last.Time()))
	}
	return nil
}

// groups compares ver and mixed with the records.
func (c *collectionCheck) groups() error {
	var (
		group   []store.Version
		key     stix.Key
		entries uint64
		mixed   int
	)
	finish := func() {
		if len(group) == 0 {
			return
		}
		if len(group) == 1 {
			c.report("ver has a single version, added %s", taxii.FormatTime(group[0].Date.Time()))
		}
		isMixed := store.AnyDiffer(group)
		for i, v := range group {
			r, live, err := c.collection.record(v.Date)
			switch {
			case r == nil:
				c.report("ver names a record added %s that is not there", taxii.FormatTime(v.Date.Time()))
			case err != nil: // reported before
			case !r.hasID(key) || r.version(v.Date) != v || !r.is(flagMulti):
				c.report("ver does not match the record added %s", taxii.FormatTime(v.Date.Time()))
			case live != (i == len(group)-1):
				c.report("live and hist do not match ver at %s", taxii.FormatTime(v.Date.Time()))
			}
			entry := c.mixed.Get(dateKey(v.Date))
			if isMixed != (entry != nil) || isMixed && !bytes.Equal(entry, key[:]) {
				c.report("mixed does not match ver at %s", taxii.FormatTime(v.Date.Time()))
			}
			if isMixed {
				mixed++
			}
		}
	}
	err := c.vers().ForEach(func(k, value []byte) error {
		v, ok := parseVer(k, value)
		if !ok {
			c.report("an entry of ver is malformed")
			return nil
		}
		if entries++; key != stix.Key(k[:16]) {
			finish()
			group, key = group[:0], stix.Key(k[:16])
		}
		group = append(group, v)
		return c.ctx.Err()
	})
	if err != nil {
		return err
	}
	finish()
	if entries != c.multi {
		c.report("ver has %d entries, %d records have other versions", entries, c.multi)
	}
	n := 0
	if err := c.mixed.ForEach(func(_, _ []byte) error { n++; return nil }); err != nil {
		return err
	}
	if n != mixed {
		c.report("mixed has %d entries, should have %d", n, mixed)
	}
	return nil
}

// counters compares the stored counters with the counts of the check.
func (c *collectionCheck) counters() error {
	h := c.readHead()
	if h.live != c.count.live || h.hist != c.count.hist {
		c.report("counted %d live and %d superseded, the head says %d and %d", c.count.live, c.count.hist, h.live, h.hist)
	}
	if all := c.count.live + c.count.hist; c.inRun != all {
		c.report("run names %d of %d records", c.inRun, all)
	}
	for n, name := range c.names {
		t, _ := c.typeOf(name)
		posted := uint64(0)
		p, err := newPostingCursor(c.root.Bucket(typeName(n)), 0)
		for ; err == nil && p.date != never; err = p.next() {
			posted++
		}
		if err != nil {
			return err
		}
		if t.live != c.live[n] || posted != c.live[n] {
			c.report("type %s: counted %d, type has %d, types says %d", name, c.live[n], posted, t.live)
		}
	}
	for n, name := range c.names {
		if uint64(n) > h.types {
			c.report("type %s has number %d, the head has given %d", name, n, h.types)
		}
	}
	due := map[uint32]uint64{}
	if err := c.root.Bucket(bucketDue).ForEach(func(k, v []byte) error {
		if len(k) == 4 {
			due[binary.BigEndian.Uint32(k)] = number(v)
		}
		return nil
	}); err != nil {
		return err
	}
	if !maps.Equal(due, c.due) {
		c.report("counted %v records by the day they end on, due has %v", c.due, due)
	}
	return nil
}
