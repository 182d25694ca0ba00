package bolt

import (
	"cmp"
	"context"

	"github.com/google/uuid"
	"go.etcd.io/bbolt"

	"comity/stix"
	"comity/store"
	"comity/taxii/exchange"
)

// Scan implements store.Store. The page is a copy, so no transaction is open while it is
// sent.
func (s *Store) Scan(ctx context.Context, g exchange.Grant, q store.Query) (*store.Page, error) {
	page := q.Into
	if page == nil {
		page = &store.Page{}
	}
	page.Clear()
	head := len(page.Buffer)
	first, last := store.Date(0), store.Date(0)
	standing, err := s.walk(ctx, g, q, func(d store.Date, r record, sum uint32) {
		if first == 0 {
			first = d
		} else {
			page.Buffer = append(page.Buffer, ',')
		}
		last = d
		page.Buffer = append(page.Buffer, r.json()...)
		page.Ends, page.Added, page.Sums = append(page.Ends, len(page.Buffer)-head), append(page.Added, int64(d)), append(page.Sums, sum)
		if q.Detail {
			page.Details = append(page.Details, store.Detail{DateAdded: d.Time(), Handling: r.handling()})
		}
	})
	if err != nil {
		return nil, err
	}
	if page.Objects, page.Standing = page.Buffer[head:], standing; page.Len() > 0 {
		page.First, page.Last = first.Time(), last.Time()
	}
	return page, nil
}

// Manifest implements store.Store.
func (s *Store) Manifest(ctx context.Context, g exchange.Grant, q store.Query) (store.Manifest, error) {
	var m store.Manifest
	var unreadable error
	standing, err := s.walk(ctx, g, q, func(d store.Date, r record, _ uint32) {
		id, err := r.id()
		version, err2 := r.versionText(d)
		if err := cmp.Or(err, err2); err != nil && unreadable == nil {
			unreadable = store.Damaged("the record added %s: %w", d.Time(), err)
		}
		m.Records = append(m.Records, store.Record{ID: id, Version: version, Spec: store.SpecText(r.spec()), DateAdded: d.Time()})
	})
	if err := cmp.Or(err, unreadable); err != nil {
		return store.Manifest{}, err
	}
	m.Standing = standing
	return m, nil
}

// scan is one walk through a collection.
type scan struct {
	*collection
	ctx     context.Context
	id      uuid.UUID // of the collection
	choice  store.Choice
	types   []string   // asked for and visible; nil: all
	numbers []uint16   // of those types
	from    store.Date // inclusive
	limit   int
	max     int // bytes; 0: no bound
	chosen  map[stix.Key][]store.Date

	each  func(store.Date, record, uint32) // gets each record of the page and the checksum of its JSON; must copy the record
	store *Store
	count int
	size  int
	more  bool
	steps int
}

// walk calls each with the records of the page that q asks for, in order, and returns how
// long the page stands.
func (s *Store) walk(ctx context.Context, g exchange.Grant, q store.Query, each func(store.Date, record, uint32)) (standing store.Standing, err error) {
	if err := ctx.Err(); err != nil || !g.CanRead() {
		return standing, err
	}
	view := g.View()
	standing.Asked = view.At
	sc := &scan{ctx: ctx, id: g.ID(), choice: store.NewChoice(view, q.Match), types: store.Narrowed(q.Types, &view), limit: max(q.Limit, 1), max: q.MaxBytes, each: each, store: s}
	if sc.from = store.DateOf(q.After); !q.After.IsZero() {
		sc.from++
	}
	run := func(tx *bbolt.Tx, found [][]uint64, keys [][16]byte) error {
		if sc.collection = openCollection(tx, g.ID()); sc.collection == nil {
			return nil
		}
		standing.State = sc.state()
		standing.HighWater = sc.readHead().last.Time()
		if sc.numbers = sc.typeNumbers(sc.types); sc.types != nil && sc.numbers == nil {
			return nil
		}
		switch {
		case q.IDs != nil:
			return sc.byID(keys, found)
		case !sc.choice.OnlyLast():
			return sc.everything()
		case sc.types != nil && sc.rare():
			return sc.byType()
		}
		return sc.newestOnly()
	}
	if q.IDs == nil {
		err = s.view(func(tx *bbolt.Tx) error { return run(tx, nil, nil) })
	} else {
		keys := idKeys(q.IDs)
		err = s.lookup(ctx, g.ID(), keys, func(tx *bbolt.Tx, found [][]uint64) error { return run(tx, found, keys) })
	}
	standing.More, standing.Until = sc.more, sc.choice.Until
	return standing, err
}

// idKeys returns the keys of ids, each once.
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

// rareShare is the share of live records, in percent, below which byType is faster than
// newestOnly.
const rareShare = 15

func (sc *scan) rare() bool {
	n := uint64(0)
	for _, name := range sc.types {
		t, _ := sc.typeOf(name)
		n += t.live
	}
	return n*100 < sc.readHead().live*rareShare
}

// add adds a record with the checksum of its JSON to the page; false if the page is full.
func (sc *scan) add(d store.Date, r record, sum uint32) bool {
	size := len(r.json())
	if sc.count > 0 {
		size++ // the comma
		if sc.count == sc.limit || sc.max > 0 && sc.size+size > sc.max {
			sc.more = true
			return false
		}
	}
	sc.count++
	sc.size += size
	sc.each(d, r, sum)
	return true
}

// leaveOut logs that pages lack the damaged record added at d, once for each record. Pages
// go on without it, since otherwise no poll would get past it.
func (sc *scan) leaveOut(d store.Date, damage error) {
	if _, known := sc.store.leftOut.LoadOrStore(damagedRecord{sc.id, d}, true); !known {
		sc.store.log.Error("a damaged record is left out of every page: run comity check", "collection", sc.id, "error", damage)
	}
}

// damagedRecord names a record that does not match its checksum.
type damagedRecord struct {
	collection uuid.UUID
	date       store.Date
}

// addNamed adds the record of date d to the page, if the query asks for its type; false if
// the page is full. bucket is the bucket that names the record.
func (sc *scan) addNamed(bucket []byte, d store.Date) (bool, error) {
	r, _ := sc.get(d)
	if r == nil {
		return false, store.Damaged("%s names a record added %s that is not there", bucket, d.Time())
	}
	sum, damage := r.verify(d)
	if damage != nil {
		sc.leaveOut(d, damage)
		return true, nil
	}
	return !sc.wanted(r) || sc.add(d, r, sum), nil
}

// checkContext returns the error of the context, which it checks every 1,024 calls.
func (sc *scan) checkContext() error {
	if sc.steps++; sc.steps%1024 == 0 {
		return sc.ctx.Err()
	}
	return nil
}
