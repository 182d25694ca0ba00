package bolt

import (
	"cmp"
	"slices"

	"go.etcd.io/bbolt"

	"comity/stix"
	"comity/store"
)

// A scan reads a collection in one of four ways: newestOnly, byType, everything or byID.
// Each adds the records that the query selects, oldest first, until the page is full.

// newestOnly is the way of the default poll. It reads live, and for the ids in mixed it
// selects the version that the caller has to see.
func (sc *scan) newestOnly() error {
	live, err := newDateCursor(sc.live, sc.from)
	if err != nil {
		return err
	}
	sc.readahead(live)
	mixed, err := newDateCursor(sc.mixed, sc.from)
	if err != nil {
		return err
	}
	for live.date != never || mixed.date != never {
		if err := sc.checkContext(); err != nil {
			return err
		}
		if mixed.date <= live.date {
			ok, err := sc.addMixed(mixed.date, mixed.value)
			if err != nil || !ok {
				return err
			}
			if mixed.date == live.date {
				err = live.next()
			}
			if err := cmp.Or(err, mixed.next()); err != nil {
				return err
			}
			continue
		}
		r := record(live.value)
		if sum, err := r.verify(live.date); err != nil {
			sc.leaveOut(live.date, err)
		} else if sc.wanted(r) && sc.choice.Admits(r.spec(), r.handling()) && !sc.add(live.date, r, sum) {
			return nil
		}
		if err := live.next(); err != nil {
			return err
		}
	}
	return nil
}

// byType is newestOnly for rare types: it reads the postings of the types, not all of live.
func (sc *scan) byType() error {
	types := make([]postingCursor, 0, len(sc.numbers))
	mixed, err := newDateCursor(sc.mixed, sc.from)
	if err != nil {
		return err
	}
	for _, number := range sc.numbers {
		p, err := newPostingCursor(sc.root.Bucket(typeName(number)), sc.from)
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
		if err := sc.checkContext(); err != nil {
			return err
		}
		ok := true
		if mixed.date == d {
			if ok, err = sc.addMixed(d, mixed.value); err == nil {
				err = mixed.next()
			}
		} else {
			k, v := live.Seek(dateKey(d))
			if k == nil || store.Date(number(k)) != d {
				return store.Damaged("type names a record added %s that is not there", d.Time())
			}
			r := record(v)
			if sum, damage := r.verify(d); damage != nil {
				sc.leaveOut(d, damage)
			} else if sc.choice.Admits(r.spec(), r.handling()) {
				ok = sc.add(d, r, sum)
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

// everything reads live and hist in parallel, in the order of dates.
func (sc *scan) everything() error {
	var streams [3]dateCursor
	for i, b := range []*bbolt.Bucket{sc.live, sc.history(), sc.mixed} {
		var err error
		if streams[i], err = newDateCursor(b, sc.from); err != nil {
			return err
		}
	}
	sc.readahead(streams[0])
	for {
		d := min(streams[0].date, streams[1].date)
		if d == never {
			return nil
		}
		if err := sc.checkContext(); err != nil {
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
			return store.Damaged("mixed names a record added %s that is not there", streams[2].date.Time())
		}
		if damage == nil && sc.wanted(r) {
			ok, err := sc.selects(d, r, i == 0, streams[2].date == d)
			if err != nil {
				return err
			}
			if ok && !sc.add(d, r, sum) {
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

// readahead asks the system to read the rest of a long page ahead. It assumes that all
// records are as long as the first. For a short page the call costs more than it saves,
// since the page is usually in memory.
func (sc *scan) readahead(live dateCursor) {
	const long = 256
	if n := min(sc.limit, 10_000); n >= long && live.date != never {
		readahead(live.value, min(n*len(live.value), 16<<20))
	}
}

// wanted tells whether the query asks for the type of a record.
func (sc *scan) wanted(r record) bool {
	return sc.types == nil || slices.Contains(sc.numbers, r.number())
}

// selects tells whether the query selects a version. It reads the other versions of the id
// only if the id is mixed, or if the query asks for the first of several.
func (sc *scan) selects(d store.Date, r record, live, mixed bool) (bool, error) {
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
	return sc.picks(key, d)
}

// maxChosen is how many ids scan.chosen has at most.
const maxChosen = 10_000

// picks tells whether the query selects the version of an id that was added at d. It reads
// all versions of the id, and keeps the result in sc.chosen.
func (sc *scan) picks(key stix.Key, d store.Date) (bool, error) {
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

// addMixed adds the record of date d, which is of a mixed id, to the page if the query
// selects it; false if the page is full.
func (sc *scan) addMixed(d store.Date, key []byte) (bool, error) {
	if len(key) != 16 {
		return false, store.Damaged("an entry of mixed is malformed")
	}
	ok, err := sc.picks(stix.Key(key), d)
	if err != nil || !ok {
		return true, err
	}
	return sc.addNamed(bucketMixed, d)
}

// byID looks up each id in the index.
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
		if ok, err := sc.addNamed(bucketVer, d); err != nil || !ok {
			return err
		}
	}
	return nil
}
