package bolt

import (
	"context"

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
			if q.Detail {
				page.Details = append(page.Details, store.Detail{DateAdded: e.date.time(), Handling: e.record.handling()})
			}
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
	types   []string // asked for and visible; nil: all
	numbers []uint16 // of those types
	from    date     // inclusive
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
	view := g.View()
	sc := &scan{ctx: ctx, choice: newChoice(view, q.Match), types: narrowed(q.Types, &view), limit: max(q.Limit, 1), max: q.MaxBytes}
	if sc.from = dateOf(q.After); !q.After.IsZero() {
		sc.from++
	}
	run := func(tx *bbolt.Tx, found [][]uint64, keys [][16]byte) error {
		if sc.collection = openCollection(tx, g.ID()); sc.collection == nil {
			return f(nil, false)
		}
		if sc.numbers = sc.typeNumbers(sc.types); sc.types != nil && sc.numbers == nil {
			return f(nil, false)
		}
		var err error
		switch {
		case q.IDs != nil:
			err = sc.byID(keys, found)
		case !sc.choice.onlyLast():
			err = sc.everything()
		case sc.types != nil && sc.rare():
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

// rareShare is the share of live records, in percent, below which following
// the postings beats passing over the rest.
const rareShare = 15

func (sc *scan) rare() bool {
	n := uint64(0)
	for _, name := range sc.types {
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
