package bolt

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"
	"go.etcd.io/bbolt"

	"comity/stix"
	"comity/store"
	"comity/taxii"
	"comity/taxii/audit"
	"comity/taxii/exchange"
)

// noteDelivery enters a delivery or a gap under its collection, so that who asks for the
// holders of a few objects reads what can matter only.
func noteDelivery(delivered *bbolt.Bucket, n uint64, e *audit.Entry) error {
	value := deliveryValue(e)
	if value == nil {
		return nil
	}
	id := uuid.MustParse(e.Collection)
	b, err := delivered.CreateBucketIfNotExists(id[:])
	if err != nil {
		return err
	}
	b.FillPercent = delivered.FillPercent
	return b.Put(numberKey(n), value)
}

// deliveryValue is what delivered says of an entry; nil for one that tells of
// no records. In a gap everything that could be read counts as delivered.
func deliveryValue(e *audit.Entry) []byte {
	if e.Act != audit.Delivery && e.Act != audit.Gap || uuid.Validate(e.Collection) != nil || e.From == nil || e.To == nil {
		return nil
	}
	return append(dateOf(*e.From).key(), dateOf(*e.To).key()...)
}

// eachDelivery calls f with the entries under a collection that reach into the
// time from first to last.
func eachDelivery(tx *bbolt.Tx, id uuid.UUID, first, last date, f func(audit.Entry) error) error {
	delivered := tx.Bucket(bucketDelivered).Bucket(id[:])
	if delivered == nil {
		return nil
	}
	links := tx.Bucket(bucketLinks)
	return delivered.ForEach(func(k, v []byte) error {
		if len(v) != 16 {
			return damaged("an entry of delivered is malformed")
		}
		if from, to := binary.BigEndian.Uint64(v), binary.BigEndian.Uint64(v[8:]); date(from) > last || date(to) < first {
			return nil
		}
		link, err := parseLink(k, links.Get(k))
		if err != nil {
			return err
		}
		e, err := link.Entry()
		if err != nil {
			return damaged("line %d of the audit record: %w", link.Number, err)
		}
		return f(e)
	})
}

// Holders implements store.Store.
func (s *Store) Holders(ctx context.Context, id uuid.UUID, dates []time.Time) (holders []store.Holder, err error) {
	h := &holding{accounts: map[string]*account{}}
	err = s.view(func(tx *bbolt.Tx) error {
		c := openCollection(tx, id)
		if c == nil {
			return nil
		}
		if err := h.load(ctx, c, dates); err != nil || len(h.points) == 0 {
			return err
		}
		return eachDelivery(tx, id, h.points[0].date, h.points[len(h.points)-1].date, func(e audit.Entry) error {
			h.count(&e)
			return ctx.Err()
		})
	})
	if err != nil {
		return nil, err
	}
	for _, account := range slices.Sorted(maps.Keys(h.accounts)) {
		a := h.accounts[account]
		holder := store.Holder{Account: account, Org: a.org}
		for i, id := range h.ids {
			if a.has[i] {
				holder.IDs = append(holder.IDs, id)
			}
		}
		holders = append(holders, holder)
	}
	return holders, nil
}

// holding finds out who holds which of some records.
type holding struct {
	ids      []stix.ID
	versions [][]version // of each: all there are
	points   []point     // by date
	accounts map[string]*account
}

// point is one of the records.
type point struct {
	version
	object int
}

// account is what one account has been found to hold.
type account struct {
	org string
	has []bool // of the ids
}

// load finds the records that are there, and the versions beside them.
func (h *holding) load(ctx context.Context, c *collection, dates []time.Time) error {
	known := map[stix.Key]int{}
	for i, t := range dates {
		if i%1024 == 1023 && ctx.Err() != nil {
			return ctx.Err()
		}
		d := dateOf(t)
		r, _, err := c.record(d)
		if err != nil {
			return err
		}
		if r == nil {
			continue
		}
		id, err := r.id()
		if err != nil {
			return damaged("the record added %s: %w", t, err)
		}
		key := id.Key()
		n, ok := known[key]
		if !ok {
			n = len(h.ids)
			known[key] = n
			vs, err := c.versions(key, d, r)
			if err != nil {
				return err
			}
			h.ids, h.versions = append(h.ids, id), append(h.versions, vs)
		}
		h.points = append(h.points, point{r.version(d), n})
	}
	slices.SortFunc(h.points, func(p, q point) int { return cmp.Compare(p.date, q.date) })
	return nil
}

// count finds what one delivery brought.
func (h *holding) count(e *audit.Entry) {
	view, match := exchange.Operator(uuid.Nil).View(), taxii.Match{} // what is not said hides nothing
	if e.View != nil {
		view = *e.View
	}
	if e.Match != nil {
		match = *e.Match
	}
	types := narrowed(match.Types, &view)
	shown := newShowing(e, view, match)
	from, _ := slices.BinarySearchFunc(h.points, dateOf(*e.From), func(p point, d date) int { return cmp.Compare(p.date, d) })
	for _, p := range h.points[from:] {
		if p.date > dateOf(*e.To) {
			return
		}
		a := h.accounts[e.Account]
		if a != nil && a.has[p.object] {
			continue
		}
		id := h.ids[p.object]
		if match.IDs != nil && !slices.Contains(match.IDs, string(id)) || types != nil && !slices.Contains(types, id.Type()) ||
			!shown.has(h.versions[p.object], p) {
			continue
		}
		if a == nil {
			a = &account{org: e.Org, has: make([]bool, len(h.ids))}
			h.accounts[e.Account] = a
		}
		a.has[p.object] = true
	}
}

// showing is what one recorded query showed.
//
// Of two versions the query may show one because the other is there, never because
// it is not. So a version counts as shown if it would be beside those that can be
// proved to have been there on every page: added up to the entry's HighWater, and
// not ended by retention when the last page was asked for. What was removed since
// proves nothing, either.
type showing struct {
	choice                // as of the first page
	last   choice         // as of the last page
	sure   date           // versions up to here were there on every page
	rivals map[int]rivals // by object
}

// rivals are the versions of one object that were there on every page: of the
// specification version that the query shows, the first and the last.
type rivals struct {
	spec        byte // 0: there are none
	first, last instant
}

func newShowing(e *audit.Entry, view exchange.View, match taxii.Match) *showing {
	s := &showing{choice: newChoice(view, match), rivals: map[int]rivals{}}
	if e.Act == audit.Gap { // nobody knows what was asked
		s.all, s.allSpecs = true, true
		return s
	}
	if e.HighWater != nil {
		s.sure = dateOf(*e.HighWater)
	}
	if e.Ended != nil && view.At != 0 {
		view.At = uint32(e.Ended.Unix())
	}
	s.last = newChoice(view, match)
	return s
}

// has tells whether a walk over a range with p may have shown it. all is the
// versions of its object.
func (s *showing) has(all []version, p point) bool {
	if !s.admits(p.spec, p.handling) {
		return false
	}
	r, known := s.rivals[p.object]
	if !known {
		r = s.rivalsAmong(all)
		s.rivals[p.object] = r
	}
	oneSpec := !s.specsSet && !s.allSpecs
	if r.spec == 0 || oneSpec && p.spec > r.spec {
		r.first, r.last = p.instant, p.instant
	} else if oneSpec && p.spec < r.spec {
		return false
	}
	return s.all || s.first && bytes.Compare(p.instant[:], r.first[:]) <= 0 || s.choice.last && bytes.Compare(p.instant[:], r.last[:]) >= 0 ||
		slices.Contains(s.at, p.instant)
}

// rivalsAmong finds the rivals among the versions of one object.
func (s *showing) rivalsAmong(all []version) (r rivals) {
	for _, v := range all {
		if v.date > s.sure || !s.last.admits(v.spec, v.handling) || !s.specsSet && !s.allSpecs && v.spec < r.spec {
			continue
		}
		if r.spec == 0 || !s.specsSet && !s.allSpecs && v.spec > r.spec {
			r = rivals{v.spec, v.instant, v.instant}
		}
		if bytes.Compare(v.instant[:], r.first[:]) < 0 {
			r.first = v.instant
		}
		if bytes.Compare(v.instant[:], r.last[:]) > 0 {
			r.last = v.instant
		}
	}
	return r
}
