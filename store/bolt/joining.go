package bolt

import (
	"bytes"

	"go.etcd.io/bbolt"

	"comity/stix"
)

// join adds a version to an id that is there. It takes the same time however
// many versions there are, unless v is the first that differs from the others.
func (a *adding) join(key stix.Key, at date, v version, r record) error {
	a.past = true
	first, _, err := a.record(at)
	if err != nil {
		return err
	}
	newest := first.version(at)
	if multi := first.is(flagMulti); multi {
		if newest, err = a.newest(key); err != nil {
			return err
		}
	} else if err := a.ver.Put(verKey(key, newest), verValue(newest)); err != nil {
		return err
	}
	if err := a.ver.Put(verKey(key, v), verValue(v)); err != nil {
		return err
	}
	old, live, err := a.record(newest.date)
	if err != nil {
		return err
	}
	if !live {
		return damaged("the newest version of an id, added %s, is not in live", newest.date.time())
	}
	if v.compare(newest) > 0 {
		// Copied before it is dropped: bbolt may move what it points at.
		old = old.with(true)
		err = firstOf(a.dropLive(newest.date, old), a.putHist(newest.date, old), a.putLive(v.date, r))
	} else {
		if !old.is(flagMulti) {
			err = a.live.Put(newest.date.key(), old.with(true))
		}
		err = firstOf(err, a.putHist(v.date, r))
	}
	if err != nil {
		return err
	}
	return a.mix(key, newest, v)
}

// mix enters v into mixed if its id is there, and the whole id if v is what
// makes it a mixed one: then it differs from a version next to it.
func (a *adding) mix(key stix.Key, newest, v version) error {
	if a.mixed.Get(newest.date.key()) != nil {
		return a.mixed.Put(v.date.key(), bytes.Clone(key[:]))
	}
	before, after, err := a.neighbours(key, v)
	if err != nil || (before == nil || !v.differs(*before)) && (after == nil || !after.differs(v)) {
		return err
	}
	vs, err := a.group(key)
	if err != nil {
		return err
	}
	return putMixed(a.mixed, key, vs)
}

// neighbours are the versions next to v, which is in ver; nil if there is none.
func (a *adding) neighbours(key stix.Key, v version) (before, after *version, err error) {
	cursor := a.ver.Cursor()
	for _, n := range []struct {
		to   **version
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

func putMixed(mixed *bbolt.Bucket, key stix.Key, vs []version) error {
	for _, v := range vs {
		if err := mixed.Put(v.date.key(), bytes.Clone(key[:])); err != nil {
			return err
		}
	}
	return nil
}
