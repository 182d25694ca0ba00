package bolt

import (
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
	shown := showing{choice: newChoice(view, match), asked: date(max(int64(view.At)-commitTakes, 0)) * 1e6, dates: map[int][]date{}}
	if e.Act == audit.Gap { // nobody knows what was asked
		shown.all, shown.allSpecs, shown.asked = true, true, 0
	}
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

// commitTakes is how many seconds may pass at most between the date a version gets
// and the moment from which it is seen.
const commitTakes = 2

// showing is what one recorded query showed, going by the versions that were
// there when it was asked.
type showing struct {
	choice
	asked date
	dates map[int][]date // of the versions shown, ascending, by object
}

// has tells whether a walk over a range with p showed it. A version that came
// after the question can only have taken the place of another once that one was
// passed over; so where the walk took long, it is rather counted than forgotten.
func (s *showing) has(all []version, p point) bool {
	if p.date > s.asked {
		return s.admits(p.spec, p.handling) && (s.all || s.first || s.last || slices.Contains(s.at, p.instant))
	}
	dates, known := s.dates[p.object]
	if !known {
		there := slices.DeleteFunc(slices.Clone(all), func(v version) bool { return v.date > s.asked })
		for _, v := range s.pick(there) {
			dates = append(dates, v.date)
		}
		slices.Sort(dates)
		s.dates[p.object] = dates
	}
	_, found := slices.BinarySearch(dates, p.date)
	return found
}
