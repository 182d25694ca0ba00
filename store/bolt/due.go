package bolt

import (
	"context"
	"encoding/binary"
	"time"

	"github.com/google/uuid"
	"go.etcd.io/bbolt"

	"comity/store"
	"comity/taxii/exchange"
)

// countEnds counts n records more, or fewer, whose retention ends on the day of h.
func (c *collectionTx) countEnds(h exchange.Handling, n int64) {
	if h.Until != 0 {
		c.due[dayOf(h.Until)] += n
	}
}

// flushDue writes the changed counts into the bucket due.
func (c *collectionTx) flushDue() error {
	due := c.root.Bucket(bucketDue)
	for day, n := range c.due {
		key := dayKey(day)
		left := int64(number(due.Get(key))) + n
		var err error
		switch {
		case left < 0:
			return damaged("fewer records end on %s than have ended", dayTime(day).Format(time.DateOnly))
		case left == 0:
			err = due.Delete(key)
		default:
			err = due.Put(key, binary.BigEndian.AppendUint64(nil, uint64(left)))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Due implements store.Store. In order of collection and day.
func (s *Store) Due(ctx context.Context, t time.Time) (list []store.Due, err error) {
	err = s.view(func(tx *bbolt.Tx) error {
		return eachCollection(tx, func(id uuid.UUID, root *bbolt.Bucket) error {
			cursor := root.Bucket(bucketDue).Cursor()
			for k, v := cursor.First(); k != nil; k, v = cursor.Next() {
				if len(k) != 4 {
					return damaged("an entry of due is malformed")
				}
				day := dayTime(binary.BigEndian.Uint32(k))
				if day.After(t) {
					break
				}
				list = append(list, store.Due{Collection: id, Day: day, Count: int64(number(v))})
			}
			return ctx.Err()
		})
	})
	return list, err
}
