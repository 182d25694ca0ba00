package bolt

import (
	"context"
	"encoding/binary"
	"math/bits"
	"time"

	"github.com/google/uuid"
	"go.etcd.io/bbolt"

	"comity/store"
	"comity/taxii/audit"
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
	if !store.IsDelivery(e) {
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
			return store.Damaged("an entry of delivered is malformed")
		}
		earliest := store.Date(0) // that a span of this class can begin at and still reach first
		if longest := store.Date(1)<<class - 1; class < 64 && longest < first {
			earliest = first - longest
		}
		var v []byte
		for k, v = cursor.Seek(append([]byte{class}, dateKey(earliest)...)); k != nil && k[0] == class; k, v = cursor.Next() {
			if len(k) != deliveryKeyLen || len(v) != 8 {
				return store.Damaged("an entry of delivered is malformed")
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
				return store.Damaged("line %d of the audit record: %w", link.Number, err)
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
func (s *Store) Holders(ctx context.Context, id uuid.UUID, dates []time.Time, after uint64) ([]store.Holder, error) {
	search := store.NewHolderSearch()
	err := s.view(func(tx *bbolt.Tx) error {
		c := openCollection(tx, id)
		if c == nil {
			return nil
		}
		if err := c.addTargets(ctx, search, dates); err != nil {
			return err
		}
		first, last, ok := search.Span()
		if !ok {
			return nil
		}
		return eachDelivery(tx, id, first, last, after, func(e audit.Entry) error {
			search.Deliver(&e)
			return ctx.Err()
		})
	})
	if err != nil {
		return nil, err
	}
	return search.Holders(), nil
}

// addTargets adds the records that are still there to the search.
func (c *collection) addTargets(ctx context.Context, search *store.HolderSearch, dates []time.Time) error {
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
			return store.Damaged("the record added %s: %w", t, err)
		}
		if err := search.Add(id, r.version(d), func() ([]store.Version, error) { return c.versions(id.Key(), d, r) }); err != nil {
			return err
		}
	}
	return nil
}
