package bolt

import (
	"slices"

	"go.etcd.io/bbolt"

	"comity/stix"
	"comity/store"
)

// The four ways through a collection. Each hands what the query means to take,
// oldest first, until the page is full.

// newestOnly is the default poll: it reads live, and merges in what mixed says
// somebody may have to see instead.
func (sc *scan) newestOnly() error {
	live, err := newStream(sc.live, sc.from)
	if err != nil {
		return err
	}
	sc.readahead(live)
	mixed, err := newStream(sc.mixed, sc.from)
	if err != nil {
		return err
	}
	for live.date != never || mixed.date != never {
		if err := sc.pause(); err != nil {
			return err
		}
		if mixed.date <= live.date {
			ok, err := sc.takeMixed(mixed.date, mixed.value)
			if err != nil || !ok {
				return err
			}
			if mixed.date == live.date {
				err = live.next()
			}
			if err := firstOf(err, mixed.next()); err != nil {
				return err
			}
			continue
		}
		r := record(live.value)
		if sum, err := r.verify(live.date); err != nil {
			sc.leaveOut(live.date, err)
		} else if sc.wanted(r) && sc.choice.Admits(r.spec(), r.handling()) && !sc.take(live.date, r, sum) {
			return nil
		}
		if err := live.next(); err != nil {
			return err
		}
	}
	return nil
}

// byType is newestOnly by the postings of a few types.
func (sc *scan) byType() error {
	types := make([]posting, 0, len(sc.numbers))
	mixed, err := newStream(sc.mixed, sc.from)
	if err != nil {
		return err
	}
	for _, number := range sc.numbers {
		p, err := newPosting(sc.root.Bucket(typeName(number)), sc.from)
		if err != nil {
			return err
		}
		types = append(types, p)
	}
	live := sc.live.Cursor()
	for {
		d := mixed.date
		for i := range types {
			d = min(d, types[i].date)
		}
		if d == never {
			return nil
		}
		if err := sc.pause(); err != nil {
			return err
		}
		ok := true
		if mixed.date == d {
			if ok, err = sc.takeMixed(d, mixed.value); err == nil {
				err = mixed.next()
			}
		} else {
			k, v := live.Seek(dateKey(d))
			if k == nil || store.Date(number(k)) != d {
				return damaged("type names a record added %s that is not there", d.Time())
			}
			r := record(v)
			if sum, damage := r.verify(d); damage != nil {
				sc.leaveOut(d, damage)
			} else if sc.choice.Admits(r.spec(), r.handling()) {
				ok = sc.take(d, r, sum)
			}
		}
		if err != nil || !ok {
			return err
		}
		for i := range types {
			if types[i].date == d {
				if err := types[i].next(); err != nil {
					return err
				}
			}
		}
	}
}

// everything reads live and hist side by side.
func (sc *scan) everything() error {
	var streams [3]stream
	for i, b := range []*bbolt.Bucket{sc.live, sc.history(), sc.mixed} {
		var err error
		if streams[i], err = newStream(b, sc.from); err != nil {
			return err
		}
	}
	sc.readahead(streams[0])
	for {
		d := min(streams[0].date, streams[1].date)
		if d == never {
			return nil
		}
		if err := sc.pause(); err != nil {
			return err
		}
		i := 0
		if streams[1].date == d {
			i = 1
		}
		r := record(streams[i].value)
		sum, damage := r.verify(d)
		if damage != nil {
			sc.leaveOut(d, damage)
		}
		if streams[2].date < d {
			return damaged("mixed names a record added %s that is not there", streams[2].date.Time())
		}
		if damage == nil && sc.wanted(r) {
			ok, err := sc.means(d, r, i == 0, streams[2].date == d)
			if err != nil {
				return err
			}
			if ok && !sc.take(d, r, sum) {
				return nil
			}
		}
		for i := range streams {
			if streams[i].date == d {
				if err := streams[i].next(); err != nil {
					return err
				}
			}
		}
	}
}

// readahead has the rest of a long page read before it is walked through, taking all
// records to be as long as the first. In a short one it would cost more than it
// saves: most pages are in memory.
func (sc *scan) readahead(live stream) {
	const long = 256
	if n := min(sc.limit, 10_000); n >= long && live.date != never {
		readahead(live.value, min(n*len(live.value), 16<<20))
	}
}

// wanted tells whether the record is of a type asked for.
func (sc *scan) wanted(r record) bool {
	return sc.types == nil || slices.Contains(sc.numbers, r.number())
}

// means tells whether the query means this version. Only an id that is mixed,
// or the question for the first of several, takes a look at the others.
func (sc *scan) means(d store.Date, r record, live, mixed bool) (bool, error) {
	c := &sc.choice
	if !mixed {
		if !c.Admits(r.spec(), r.handling()) {
			return false, nil
		}
		if c.All || c.Last && live || c.At != nil && slices.Contains(c.At, r.instant(d)) || c.First && !r.is(flagMulti) {
			return true, nil
		}
		if !c.First {
			return false, nil
		}
	}
	key, err := r.key()
	if err != nil {
		return false, err
	}
	return sc.chosenBy(key, d)
}

// maxChosen bounds what a walk over a great many hidden versions remembers.
const maxChosen = 10_000

// chosenBy tells whether the query means the version of an id that was added
// at d, by a look at all of them; once for each id.
func (sc *scan) chosenBy(key stix.Key, d store.Date) (bool, error) {
	dates, ok := sc.chosen[key]
	if !ok {
		vs, err := sc.group(key)
		if err != nil {
			return false, err
		}
		for _, v := range sc.choice.Pick(vs) {
			dates = append(dates, v.Date)
		}
		slices.Sort(dates)
		if sc.chosen == nil || len(sc.chosen) >= maxChosen {
			sc.chosen = map[stix.Key][]store.Date{}
		}
		sc.chosen[key] = dates
	}
	_, found := slices.BinarySearch(dates, d)
	return found, nil
}

// takeMixed takes the record at d, of a mixed id, if the query means it; false
// if the page was full.
func (sc *scan) takeMixed(d store.Date, key []byte) (bool, error) {
	if len(key) != 16 {
		return false, damaged("an entry of mixed is malformed")
	}
	ok, err := sc.chosenBy(stix.Key(key), d)
	if err != nil || !ok {
		return true, err
	}
	return sc.takeNamed(bucketMixed, d)
}

// byID looks each id up.
func (sc *scan) byID(keys [][16]byte, found [][]uint64) error {
	var dates []store.Date
	for i, key := range keys {
		at, r, err := sc.verified(key, found[i])
		if err != nil {
			sc.leaveOut(at, err)
			continue
		}
		if at == 0 || !sc.wanted(r) {
			continue
		}
		vs, err := sc.versions(key, at, r)
		if err != nil {
			return err
		}
		for _, v := range sc.choice.Pick(vs) {
			if v.Date >= sc.from {
				dates = append(dates, v.Date)
			}
		}
	}
	slices.Sort(dates)
	for _, d := range dates {
		if ok, err := sc.takeNamed(bucketVer, d); err != nil || !ok {
			return err
		}
	}
	return nil
}
