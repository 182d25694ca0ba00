package bolt

import (
	"slices"
	"time"

	"comity/stix"
	"comity/taxii/audit"
)

// doomed is what to delete of one id.
type doomed struct {
	id        stix.ID
	anchor    date
	all, gone []version
}

// find looks up all versions of an id; the anchor is 0 if it is not there.
func (e *editing) find(d *doomed, key stix.Key) (err error) {
	if d.anchor, err = e.anchor(key); err != nil || d.anchor == 0 {
		return err
	}
	r, _, err := e.record(d.anchor)
	if err != nil || r == nil {
		return firstOf(err, damaged("the record added %s is gone", d.anchor.time()))
	}
	d.all, err = e.versions(key, d.anchor, r)
	return err
}

// remove deletes what is doomed, with the entry that says why, and says how
// many records that were.
func (b *batch) remove(e *editing, list []doomed, entry audit.Entry) (n int, err error) {
	b.writes++
	first, last := never, date(0)
	for _, d := range list {
		if err := e.take(d, b.now); err != nil {
			return 0, err
		}
		for _, v := range d.gone {
			first, last = min(first, v.date), max(last, v.date)
		}
		n += len(d.gone)
	}
	entry.Count, entry.From, entry.To = n, first.pointer(), last.pointer()
	return n, b.enter(entry)
}

// take deletes versions of one id, and puts what remains in its place: the
// newest into live with the date it always had.
func (e *editing) take(d doomed, now time.Time) error {
	e.past = true
	key := d.id.Key()
	if e.typeEntry(d.id.Type()) == nil {
		return damaged("types lacks %s", d.id.Type())
	}
	left := slices.DeleteFunc(slices.Clone(d.all), func(v version) bool { return slices.Contains(d.gone, v) })
	newest := date(0)
	if len(left) > 0 {
		newest = slices.MaxFunc(left, version.compare).date
	}
	mixed := anyDiffers(d.all)
	stillMixed := len(left) > 1 && anyDiffers(left)
	for _, v := range d.gone {
		if err := e.erase(key, v, len(d.all) > 1, mixed); err != nil {
			return err
		}
		next := date(0)
		if v.date == d.anchor && newest != 0 {
			next = newest
		}
		if err := e.del.Put(v.date.key(), tombstone(now, key, v, next)); err != nil {
			return err
		}
		if v.date == d.anchor {
			e.setAnchor(key, d.anchor, next)
		}
	}
	for _, v := range left {
		if mixed && !stillMixed {
			if err := e.mixed.Delete(v.date.key()); err != nil {
				return err
			}
		}
		if len(left) == 1 {
			if err := e.ver.Delete(verKey(key, v)); err != nil {
				return err
			}
		}
		if v.date == newest {
			if err := e.promote(v.date, len(left) > 1); err != nil {
				return err
			}
		}
	}
	return nil
}

// erase deletes one version wherever it is.
func (e *editing) erase(key stix.Key, v version, multi, mixed bool) error {
	r, live, err := e.record(v.date)
	if err != nil {
		return err
	}
	switch {
	case r == nil:
		return damaged("the record added %s is gone", v.date.time())
	case live:
		err = e.dropLive(v.date, r)
	default:
		err = e.dropHist(v.date)
	}
	e.ends(v.handling, -1)
	if err == nil && multi {
		err = e.ver.Delete(verKey(key, v))
	}
	if err == nil && mixed {
		err = e.mixed.Delete(v.date.key())
	}
	return err
}

// promote puts the newest version that is left into live.
func (e *editing) promote(d date, multi bool) error {
	r, live, err := e.record(d)
	if err != nil {
		return err
	}
	switch {
	case r == nil:
		return damaged("the record added %s is gone", d.time())
	case live && r.is(flagMulti) == multi:
		return nil
	}
	r = r.with(multi)
	if live {
		return e.live.Put(d.key(), r)
	}
	return firstOf(e.dropHist(d), e.putLive(d, r))
}
