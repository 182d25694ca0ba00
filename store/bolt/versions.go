package bolt

import (
	"bytes"

	"go.etcd.io/bbolt"

	"comity/stix"
	"comity/store"
)

// addVersion adds a version to an id that is there. It takes the same time however
// many versions there are, unless v is the first that differs from the others.
func (c *collectionTx) addVersion(key stix.Key, at store.Date, v store.Version, r record) error {
	c.past = true
	first, _, err := c.header(at)
	if err != nil {
		return err
	}
	newest := first.version(at)
	if multi := first.is(flagMulti); multi {
		if newest, err = c.newest(key); err != nil {
			return err
		}
	} else if err := c.ver.Put(verKey(key, newest), verValue(newest)); err != nil {
		return err
	}
	if err := c.ver.Put(verKey(key, v), verValue(v)); err != nil {
		return err
	}
	old, live, err := c.header(newest.Date)
	if err != nil {
		return err
	}
	if !live {
		return damaged("the newest version of an id, added %s, is not in live", newest.Date.Time())
	}
	if v.Compare(newest) > 0 || !old.is(flagMulti) { // it is written again, with a new checksum
		if _, err := old.verify(newest.Date); err != nil {
			return err
		}
	}
	if v.Compare(newest) > 0 {
		// Copied before it is dropped: bbolt may move what it points at.
		old = old.with(true)
		err = firstOf(c.dropLive(newest.Date, old), c.putHist(newest.Date, old), c.putLive(v.Date, r))
	} else {
		if !old.is(flagMulti) {
			err = c.live.Put(dateKey(newest.Date), old.with(true))
		}
		err = firstOf(err, c.putHist(v.Date, r))
	}
	if err != nil {
		return err
	}
	return c.updateMixed(key, newest, v)
}

// updateMixed enters v into mixed if its id is there, and the whole id if v is what
// makes it a mixed one: then it differs from a version next to it.
func (c *collectionTx) updateMixed(key stix.Key, newest, v store.Version) error {
	if c.mixed.Get(dateKey(newest.Date)) != nil {
		return c.mixed.Put(dateKey(v.Date), bytes.Clone(key[:]))
	}
	before, after, err := c.neighbours(key, v)
	if err != nil || (before == nil || !v.Differs(*before)) && (after == nil || !after.Differs(v)) {
		return err
	}
	vs, err := c.group(key)
	if err != nil {
		return err
	}
	return putMixed(c.mixed, key, vs)
}

// neighbours are the versions next to v, which is in ver; nil if there is none.
func (c *collectionTx) neighbours(key stix.Key, v store.Version) (before, after *store.Version, err error) {
	cursor := c.ver.Cursor()
	for _, n := range []struct {
		to   **store.Version
		step func() (k, value []byte)
	}{{&before, cursor.Prev}, {&after, cursor.Next}} {
		cursor.Seek(verKey(key, v))
		k, value := n.step()
		if !bytes.HasPrefix(k, key[:]) {
			continue
		}
		w, ok := parseVer(k, value)
		if !ok {
			return nil, nil, damaged("an entry of ver is malformed")
		}
		*n.to = &w
	}
	return before, after, nil
}

func putMixed(mixed *bbolt.Bucket, key stix.Key, vs []store.Version) error {
	for _, v := range vs {
		if err := mixed.Put(dateKey(v.Date), bytes.Clone(key[:])); err != nil {
			return err
		}
	}
	return nil
}
