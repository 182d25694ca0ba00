package bolt

import (
	"context"
	"slices"

	"github.com/google/uuid"
	"go.etcd.io/bbolt"

	"comity/stix"
	"comity/store"
	"comity/taxii/exchange"
)

// entry is a record on its way out. It dies with its transaction.
type entry struct {
	date   date
	record record
}

// Scan implements store.Store. The page is copied, so no transaction is open
// when it is sent.
func (s *Store) Scan(ctx context.Context, g exchange.Grant, q store.Query) (*store.Page, error) {
	page := &store.Page{}
	err := s.walk(ctx, g, q, func(entries []entry, more bool) error {
		size := 0
		for _, e := range entries {
			size += len(e.record.json()) + 1
		}
		if page.More = more; size == 0 {
			return nil
		}
		page.Objects = make([]byte, 0, size)
		page.Ends = make([]int, len(entries))
		for i, e := range entries {
			if i > 0 {
				page.Objects = append(page.Objects, ',')
			}
			page.Objects = append(page.Objects, e.record.json()...)
			page.Ends[i] = len(page.Objects)
		}
		page.First, page.Last = entries[0].date.time(), entries[len(entries)-1].date.time()
		return nil
	})
	if err != nil {
		return nil, err
	}
	return page, nil
}

// Manifest implements store.Store.
func (s *Store) Manifest(ctx context.Context, g exchange.Grant, q store.Query) (m store.Manifest, err error) {
	err = s.walk(ctx, g, q, func(entries []entry, more bool) error {
		m.More = more
		m.Records = make([]store.Record, len(entries))
		for i, e := range entries {
			id, err := e.record.id()
			if err != nil {
				return damaged("the record added %s: %w", e.date.time(), err)
			}
			version, err := e.record.versionText(e.date)
			if err != nil {
				return damaged("the record added %s: %w", e.date.time(), err)
			}
			m.Records[i] = store.Record{ID: id, Version: version, Spec: specText(e.record.spec()), DateAdded: e.date.time()}
		}
		return nil
	})
	if err != nil {
		return store.Manifest{}, err
	}
	return m, nil
}

// scan is one walk through a collection.
type scan struct {
	*collection
	ctx     context.Context
	choice  choice
	numbers []uint16 // types asked for
	typed   bool
	from    date // inclusive
	limit   int
	max     int // bytes; 0: no bound
	chosen  map[stix.Key][]date

	entries []entry
	size    int
	more    bool
	steps   int
}

// walk finds the page that q means and hands it to f, inside the transaction.
func (s *Store) walk(ctx context.Context, g exchange.Grant, q store.Query, f func([]entry, bool) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if !g.CanRead() {
		return f(nil, false)
	}
	sc := &scan{ctx: ctx, choice: newChoice(g, q), typed: q.Types != nil, limit: max(q.Limit, 1), max: q.MaxBytes}
	if sc.from = dateOf(q.After); !q.After.IsZero() {
		sc.from++
	}
	run := func(tx *bbolt.Tx, found [][]uint64, keys [][16]byte) error {
		if sc.collection = openCollection(tx, g.ID()); sc.collection == nil || !sc.setTypes(q.Types) {
			return f(nil, false)
		}
		var err error
		switch {
		case q.IDs != nil:
			err = sc.byID(keys, found)
		case !sc.choice.onlyLast():
			err = sc.everything()
		case sc.typed && sc.rare(q.Types):
			err = sc.byType()
		default:
			err = sc.newestOnly()
		}
		if err != nil {
			return err
		}
		return f(sc.entries, sc.more)
	}
	if q.IDs == nil {
		return s.view(func(tx *bbolt.Tx) error { return run(tx, nil, nil) })
	}
	keys := idKeys(q.IDs)
	return s.lookup(ctx, g.ID(), keys, func(tx *bbolt.Tx, found [][]uint64) error {
		sc.entries, sc.size, sc.more = nil, 0, false
		return run(tx, found, keys)
	})
}

// lookup is find in the index of a collection.
func (s *Store) lookup(ctx context.Context, id uuid.UUID, keys [][16]byte, f func(*bbolt.Tx, [][]uint64) error) error {
	pick := func() *index { return s.indexes[id] }
	build := func(b *batch) error { _, err := b.index(id); return err }
	return s.find(ctx, keys, pick, build, f)
}

// idKeys is the keys of ids, each once.
func idKeys(ids []string) [][16]byte {
	keys := make([][16]byte, 0, len(ids))
	seen := make(map[string]bool, len(ids))
	for _, id := range ids {
		if !seen[id] {
			seen[id] = true
			keys = append(keys, stix.ID(id).Key())
		}
	}
	return keys
}

// setTypes is false if the collection never held any of the types.
func (sc *scan) setTypes(names []string) bool {
	for _, name := range names {
		if t, ok := sc.typeOf(name); ok && !slices.Contains(sc.numbers, t.number) {
			sc.numbers = append(sc.numbers, t.number)
		}
	}
	return !sc.typed || len(sc.numbers) > 0
}

// rareShare is the share of live records, in percent, below which following
// the postings beats passing over the rest.
const rareShare = 15

func (sc *scan) rare(names []string) bool {
	n := uint64(0)
	for _, name := range names {
		t, _ := sc.typeOf(name)
		n += t.live
	}
	return n*100 < sc.head().live*rareShare
}

// take adds an entry to the page; false if the page was full.
func (sc *scan) take(d date, r record) bool {
	size := len(r) - headerLen
	if len(sc.entries) > 0 {
		size++ // the comma
		if len(sc.entries) == sc.limit || sc.max > 0 && sc.size+size > sc.max {
			sc.more = true
			return false
		}
	}
	sc.entries = append(sc.entries, entry{d, r})
	sc.size += size
	return true
}

// pause lets a walk that finds nothing end with its caller.
func (sc *scan) pause() error {
	if sc.steps++; sc.steps%1024 == 0 {
		return sc.ctx.Err()
	}
	return nil
}

// newestOnly is the default poll: it reads live, and merges in what mixed says
// somebody may have to see instead.
func (sc *scan) newestOnly() error {
	live, err := newStream(sc.live, sc.from)
	if err != nil {
		return err
	}
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
		if err := r.verify(live.date); err != nil {
			return err
		}
		if sc.wanted(r) && sc.choice.admits(r.spec(), r.label()) && !sc.take(live.date, r) {
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
	streams := make([]stream, 0, len(sc.numbers)+1)
	mixed, err := newStream(sc.mixed, sc.from)
	if err != nil {
		return err
	}
	postings := sc.root.Bucket(bucketType)
	for _, number := range sc.numbers {
		s, err := newStream(postings.Bucket(typeKey(number)), sc.from)
		if err != nil {
			return err
		}
		streams = append(streams, s)
	}
	live := sc.live.Cursor()
	for {
		d := mixed.date
		for i := range streams {
			d = min(d, streams[i].date)
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
			k, v := live.Seek(d.key())
			if k == nil || date(number(k)) != d {
				return damaged("type names a record added %s that is not there", d.time())
			}
			r := record(v)
			if err = r.verify(d); err == nil && sc.choice.admits(r.spec(), r.label()) {
				ok = sc.take(d, r)
			}
		}
		if err != nil || !ok {
			return err
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

// everything reads live and hist side by side.
func (sc *scan) everything() error {
	var streams [3]stream
	for i, b := range []*bbolt.Bucket{sc.live, sc.history(), sc.mixed} {
		var err error
		if streams[i], err = newStream(b, sc.from); err != nil {
			return err
		}
	}
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
		if err := r.verify(d); err != nil {
			return err
		}
		if streams[2].date < d {
			return damaged("mixed names a record added %s that is not there", streams[2].date.time())
		}
		if sc.wanted(r) {
			ok, err := sc.means(d, r, i == 0, streams[2].date == d)
			if err != nil {
				return err
			}
			if ok && !sc.take(d, r) {
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

// wanted tells whether the record is of a type asked for.
func (sc *scan) wanted(r record) bool { return !sc.typed || slices.Contains(sc.numbers, r.number()) }

// means tells whether the query means this version. Only an id that is mixed,
// or the question for the first of several, takes a look at the others.
func (sc *scan) means(d date, r record, live, mixed bool) (bool, error) {
	c := &sc.choice
	if !mixed {
		if !c.admits(r.spec(), r.label()) {
			return false, nil
		}
		if c.all || c.last && live || slices.Contains(c.at, instant(r[20:32])) || c.first && !r.is(flagMulti) {
			return true, nil
		}
		if !c.first {
			return false, nil
		}
	}
	return sc.chosenBy(r.key(), d)
}

// maxChosen bounds what a walk over a great many hidden versions remembers.
const maxChosen = 10_000

// chosenBy tells whether the query means the version of an id that was added
// at d, by a look at all of them; once for each id.
func (sc *scan) chosenBy(key stix.Key, d date) (bool, error) {
	dates, ok := sc.chosen[key]
	if !ok {
		vs, err := sc.group(key)
		if err != nil {
			return false, err
		}
		for _, v := range sc.choice.pick(vs) {
			dates = append(dates, v.date)
		}
		slices.Sort(dates)
		if sc.chosen == nil || len(sc.chosen) >= maxChosen {
			sc.chosen = map[stix.Key][]date{}
		}
		sc.chosen[key] = dates
	}
	_, found := slices.BinarySearch(dates, d)
	return found, nil
}

// takeMixed takes the record at d, of a mixed id, if the query means it; false
// if the page was full.
func (sc *scan) takeMixed(d date, key []byte) (bool, error) {
	if len(key) != 16 {
		return false, damaged("an entry of mixed is malformed")
	}
	ok, err := sc.chosenBy(stix.Key(key), d)
	if err != nil || !ok {
		return true, err
	}
	r, _, err := sc.record(d)
	if err != nil {
		return false, err
	}
	if r == nil {
		return false, damaged("mixed names a record added %s that is not there", d.time())
	}
	return !sc.wanted(r) || sc.take(d, r), nil
}

// byID looks each id up.
func (sc *scan) byID(keys [][16]byte, found [][]uint64) error {
	var dates []date
	for i, key := range keys {
		at, err := sc.verified(key, found[i])
		if err != nil {
			return err
		}
		if at == 0 {
			continue
		}
		vs, err := sc.versions(key, at)
		if err != nil {
			return err
		}
		for _, v := range sc.choice.pick(vs) {
			if v.date >= sc.from {
				dates = append(dates, v.date)
			}
		}
	}
	slices.Sort(dates)
	for _, d := range dates {
		r, _, err := sc.record(d)
		if err != nil {
			return err
		}
		if r == nil {
			return damaged("ver names a record added %s that is not there", d.time())
		}
		if sc.wanted(r) && !sc.take(d, r) {
			return nil
		}
	}
	return nil
}
