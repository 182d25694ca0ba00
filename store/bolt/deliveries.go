package bolt

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"maps"
	"math/bits"
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

// The key of a delivery or gap is the class of its span of dates 1, the begin of the span
// 8, and the number of the entry 8. The class is the number of bits of the length of the
// span in µs. So a search for the holders of a few records can seek, in each class, to the
// spans that can reach them. Its cost does not grow with all that was ever delivered.
const deliveryKeyLen = 1 + 8 + 8

func deliveryKey(from, to store.Date, number uint64) []byte {
	b := append(make([]byte, 0, deliveryKeyLen), spanClass(from, to))
	b = binary.BigEndian.AppendUint64(b, uint64(from))
	return binary.BigEndian.AppendUint64(b, number)
}

func spanClass(from, to store.Date) byte {
	if to < from {
		return 0
	}
	return byte(bits.Len64(uint64(to - from)))
}

// fileDelivery adds an entry to delivered if it is a delivery or a gap.
func fileDelivery(delivered *bbolt.Bucket, n uint64, e *audit.Entry) error {
	if !isDelivery(e) {
		return nil
	}
	id := uuid.MustParse(e.Collection)
	b, err := delivered.CreateBucketIfNotExists(id[:])
	if err != nil {
		return err
	}
	from, to := store.DateOf(*e.From), store.DateOf(*e.To)
	return b.Put(deliveryKey(from, to, n), dateKey(to))
}

// isDelivery tells whether an entry records that records were delivered. In a gap of the
// audit record, all records that an account could read count as delivered.
func isDelivery(e *audit.Entry) bool {
	return (e.Act == audit.Delivery || e.Act == audit.Gap) && uuid.Validate(e.Collection) == nil && e.From != nil && e.To != nil
}

// eachDelivery calls f with the deliveries and gaps of a collection that have numbers
// greater than after and whose span overlaps the dates from first to last.
func eachDelivery(tx *bbolt.Tx, id uuid.UUID, first, last store.Date, after uint64, f func(audit.Entry) error) error {
	delivered := tx.Bucket(bucketDelivered).Bucket(id[:])
	if delivered == nil {
		return nil
	}
	links, cursor := tx.Bucket(bucketLinks), delivered.Cursor()
	for k, _ := cursor.First(); k != nil; {
		class := k[0]
		if class > 64 {
			return damaged("an entry of delivered is malformed")
		}
		earliest := store.Date(0) // that a span of this class can begin at and still reach first
		if longest := store.Date(1)<<class - 1; class < 64 && longest < first {
			earliest = first - longest
		}
		var v []byte
		for k, v = cursor.Seek(append([]byte{class}, dateKey(earliest)...)); k != nil && k[0] == class; k, v = cursor.Next() {
			if len(k) != deliveryKeyLen || len(v) != 8 {
				return damaged("an entry of delivered is malformed")
			}
			if store.Date(number(k[1:9])) > last {
				break
			}
			if store.Date(number(v)) < first || number(k[9:]) <= after {
				continue
			}
			link, err := parseLink(k[9:], links.Get(k[9:]))
			if err != nil {
				return err
			}
			e, err := link.Entry()
			if err != nil {
				return damaged("line %d of the audit record: %w", link.Number, err)
			}
			if err := f(e); err != nil {
				return err
			}
		}
		k, _ = cursor.Seek([]byte{class + 1})
	}
	return nil
}

// Holders implements store.Store.
func (s *Store) Holders(ctx context.Context, id uuid.UUID, dates []time.Time, after uint64) (holders []store.Holder, err error) {
	h := &holderSearch{accounts: map[string]*account{}}
	err = s.view(func(tx *bbolt.Tx) error {
		c := openCollection(tx, id)
		if c == nil {
			return nil
		}
		if err := h.load(ctx, c, dates); err != nil || len(h.targets) == 0 {
			return err
		}
		return eachDelivery(tx, id, h.targets[0].Date, h.targets[len(h.targets)-1].Date, after, func(e audit.Entry) error {
			h.add(&e)
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

// holderSearch finds the accounts that hold some given records.
type holderSearch struct {
	ids      []stix.ID
	versions [][]store.Version // all versions of each of ids
	targets  []target          // in the order of dates
	accounts map[string]*account
}

// target is one of the records whose holders the search looks for.
type target struct {
	store.Version
	object int // index in ids
}

// account is an account with the objects that it holds.
type account struct {
	org string
	has []bool // by index in ids
}

// load looks up the records that are still there, and all versions of their ids.
func (h *holderSearch) load(ctx context.Context, c *collection, dates []time.Time) error {
	known := map[stix.Key]int{}
	for i, t := range dates {
		if i%1024 == 1023 && ctx.Err() != nil {
			return ctx.Err()
		}
		d := store.DateOf(t)
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
		h.targets = append(h.targets, target{r.version(d), n})
	}
	slices.SortFunc(h.targets, func(p, q target) int { return cmp.Compare(p.Date, q.Date) })
	return nil
}

// add adds the records that one delivery gave its account.
func (h *holderSearch) add(e *audit.Entry) {
	view, match := exchange.Operator(uuid.Nil).View(), taxii.Match{} // an entry without them hid nothing
	if e.View != nil {
		view = *e.View
	}
	if e.Match != nil {
		match = *e.Match
	}
	types := store.Narrowed(match.Types, &view)
	shown := newPastQuery(e, view, match)
	from, _ := slices.BinarySearchFunc(h.targets, store.DateOf(*e.From), func(p target, d store.Date) int { return cmp.Compare(p.Date, d) })
	for _, p := range h.targets[from:] {
		if p.Date > store.DateOf(*e.To) {
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

// pastQuery decides which versions a recorded query may have shown.
//
// A version can hide another version of its id, but the lack of a version hides none. So
// a version counts as shown unless it was hidden by versions that were certainly there on
// every page: those added up to the entry's HighWater whose retention had not ended when
// the last page was asked for. A version that was removed since cannot be considered.
type pastQuery struct {
	store.Choice                // as of the first page
	last         store.Choice   // as of the last page
	provenUntil  store.Date     // versions added up to here were there on every page
	rivals       map[int]rivals // by object
}

// rivals are, among the versions of one object that were there on every page and have the
// specification version that the query shows, the first and the last.
type rivals struct {
	spec        byte // 0: there are none
	first, last store.Instant
}

func newPastQuery(e *audit.Entry, view exchange.View, match taxii.Match) *pastQuery {
	s := &pastQuery{Choice: store.NewChoice(view, match), rivals: map[int]rivals{}}
	if e.Act == audit.Gap { // the queries in a gap are not known
		s.All, s.AllSpecs = true, true
		return s
	}
	if e.HighWater != nil {
		s.provenUntil = store.DateOf(*e.HighWater)
	}
	if e.Ended != nil && view.At != 0 {
		view.At = uint32(e.Ended.Unix())
	}
	s.last = store.NewChoice(view, match)
	return s
}

// has tells whether the query may have shown p, which is in the span of its entry. all
// has the versions of the object of p.
func (s *pastQuery) has(all []store.Version, p target) bool {
	if !s.Admits(p.Spec, p.Handling) {
		return false
	}
	r, known := s.rivals[p.object]
	if !known {
		r = s.rivalsAmong(all)
		s.rivals[p.object] = r
	}
	oneSpec := !s.SpecsSet && !s.AllSpecs
	if r.spec == 0 || oneSpec && p.Spec > r.spec {
		r.first, r.last = p.Instant, p.Instant
	} else if oneSpec && p.Spec < r.spec {
		return false
	}
	return s.All || s.First && bytes.Compare(p.Instant[:], r.first[:]) <= 0 || s.Choice.Last && bytes.Compare(p.Instant[:], r.last[:]) >= 0 ||
		slices.Contains(s.At, p.Instant)
}

// rivalsAmong finds the rivals among the versions of one object.
func (s *pastQuery) rivalsAmong(all []store.Version) (r rivals) {
	for _, v := range all {
		if v.Date > s.provenUntil || !s.last.Admits(v.Spec, v.Handling) || !s.SpecsSet && !s.AllSpecs && v.Spec < r.spec {
			continue
		}
		if r.spec == 0 || !s.SpecsSet && !s.AllSpecs && v.Spec > r.spec {
			r = rivals{v.Spec, v.Instant, v.Instant}
		}
		if bytes.Compare(v.Instant[:], r.first[:]) < 0 {
			r.first = v.Instant
		}
		if bytes.Compare(v.Instant[:], r.last[:]) > 0 {
			r.last = v.Instant
		}
	}
	return r
}
