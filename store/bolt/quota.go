package bolt

import (
	"bytes"
	"context"
	"encoding/binary"
	"time"

	"go.etcd.io/bbolt"

	"comity/store"
	"comity/taxii/exchange"
)

// countPush counts a new push against the quota of its agreement; TooMany, and
// nothing written, if that is used up for the day.
func (w *writeTx) countPush(c *exchange.Collection) error {
	if c == nil {
		return nil
	}
	clause := c.Terms.By["pushes_per_day"]
	if clause.Agreement == "" {
		return nil // no agreement sets one
	}
	quota := w.bucket(bucketQuota)
	key := quotaKey(clause.Agreement, c.Writer, w.now)
	n := number(quota.Get(key))
	if err := store.CheckPushes(c, int64(n), w.now); err != nil {
		return err
	}
	w.writes++
	if n == 0 {
		if err := forgetDays(quota, quotaPrefix(clause.Agreement, c.Writer), key); err != nil {
			return err
		}
	}
	return quota.Put(key, binary.BigEndian.AppendUint64(nil, n+1))
}

// checkHeld is TooLarge if n objects more are more than the quota lets the writer hold,
// with what this transaction has added so far.
func (w *writeTx) checkHeld(c *exchange.Collection, n int) error {
	if c == nil || c.Terms.Quota.ObjectsHeld == 0 {
		return nil
	}
	held := int64(n)
	for _, id := range c.Held {
		if e := w.collections[id]; e != nil {
			held += int64(e.head.live + e.head.hist)
		} else if there := openCollection(w.tx, id); there != nil {
			h := there.readHead()
			held += int64(h.live + h.hist)
		}
	}
	return store.CheckHeld(c, held)
}

// forgetDays drops the counters under a prefix that come before key.
func forgetDays(quota *bbolt.Bucket, prefix, key []byte) error {
	var old [][]byte
	cursor := quota.Cursor()
	for k, _ := cursor.Seek(prefix); bytes.HasPrefix(k, prefix) && bytes.Compare(k, key) < 0; k, _ = cursor.Next() {
		old = append(old, bytes.Clone(k))
	}
	for _, k := range old {
		if err := quota.Delete(k); err != nil {
			return err
		}
	}
	return nil
}

// Pushes implements store.Store. Of days before the last one with a push it
// knows nothing.
func (s *Store) Pushes(ctx context.Context, agreement, org string, day time.Time) (n int64, err error) {
	err = s.view(func(tx *bbolt.Tx) error {
		n = int64(number(tx.Bucket(bucketQuota).Get(quotaKey(agreement, org, day))))
		return ctx.Err()
	})
	return n, err
}
