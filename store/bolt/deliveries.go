package bolt

import (
	"cmp"
	"context"
	"encoding/binary"
	"maps"
	"slices"

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
func noteDelivery(root *bbolt.Bucket, n uint64, e *audit.Entry) error {
	value := deliveryValue(e)
	if value == nil {
		return nil
	}
	id := uuid.MustParse(e.Collection)
	b, err := root.Bucket(bucketDelivered).CreateBucketIfNotExists(id[:])
	if err != nil {
		return err
	}
	b.FillPercent = fill(bucketDelivered)
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
	root := tx.Bucket(bucketAudit)
	delivered := root.Bucket(bucketDelivered).Bucket(id[:])
	if delivered == nil {
		return nil
	}
	links := root.Bucket(bucketLinks)
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
func (s *Store) Holders(ctx context.Context, id uuid.UUID, ids []stix.ID) (holders []store.Holder, err error) {
	h := &holding{}
	var keys [][16]byte
	seen := map[stix.Key]bool{}
	for _, id := range ids {
		if key := id.Key(); !seen[key] {
			seen[key] = true
			h.ids, keys = append(h.ids, id), append(keys, key)
		}
	}
	err = s.lookup(ctx, id, keys, func(tx *bbolt.Tx, found [][]uint64) error {
		c := openCollection(tx, id)
		if c == nil {
			return nil
		}
		if err := h.load(c, keys, found); err != nil || len(h.points) == 0 {
			return err
		}
		first, last := h.points[0].date, h.points[len(h.points)-1].date
		return eachDelivery(tx, id, first, last, func(e audit.Entry) error {
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

// holding finds out who holds which of some objects.
type holding struct {
	ids      []stix.ID
	versions [][]version // of each
	points   []point     // by date
	accounts map[string]*account
}

// point is one version of one of the objects.
type point struct {
	date   date
	object int
}

// account is what one account has been found to hold.
type account struct {
	org string
	has []bool // of the objects
}

// load reads the versions of all objects that are there.
func (h *holding) load(c *collection, keys [][16]byte, found [][]uint64) error {
	h.versions, h.points, h.accounts = make([][]version, len(keys)), nil, map[string]*account{}
	for i, key := range keys {
		d, r, err := c.verified(key, found[i])
		if err != nil {
			return err
		}
		if d == 0 {
			continue
		}
		if h.versions[i], err = c.versions(key, d, r); err != nil {
			return err
		}
		for _, v := range h.versions[i] {
			h.points = append(h.points, point{v.date, i})
		}
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
	c, types := newChoice(view, match), narrowed(match.Types, &view)
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
			!c.showed(h.versions[p.object], p.date) {
			continue
		}
		if a == nil {
			a = &account{org: e.Org, has: make([]bool, len(h.ids))}
			h.accounts[e.Account] = a
		}
		a.has[p.object] = true
	}
}

// showed tells whether a walk over a range with the version added at d showed
// it, going by the versions that were there when the query was asked, and d. A
// version that came later can only have taken the place of d once d was passed
// over; so where the walk took long, it is rather counted than forgotten.
func (c *choice) showed(vs []version, d date) bool {
	asked := max(d, date(c.view.At)*1e6)
	there := slices.DeleteFunc(slices.Clone(vs), func(v version) bool { return v.date > asked })
	return slices.ContainsFunc(c.pick(there), func(v version) bool { return v.date == d })
}
