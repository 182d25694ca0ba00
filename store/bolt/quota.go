package bolt

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"go.etcd.io/bbolt"

	"comity/taxii"
	"comity/taxii/exchange"
)

// count counts a new push against the quota of its agreement; TooMany, and
// nothing written, if that is used up for the day.
func (b *batch) count(c *exchange.Collection) error {
	if c == nil {
		return nil
	}
	clause := c.Terms.By["pushes_per_day"]
	if clause.Agreement == "" {
		return nil // no agreement sets one
	}
	quota := b.bucket(bucketQuota)
	key := quotaKey(clause.Agreement, c.Writer, b.now)
	n := number(quota.Get(key))
	if most := c.Terms.Quota.PushesPerDay; most > 0 && n >= uint64(most) {
		midnight := b.now.Truncate(24 * time.Hour).Add(24 * time.Hour)
		return &taxii.Error{Code: taxii.TooMany, Msg: fmt.Sprintf("%s: more than %d pushes a day", c.Cite("pushes_per_day"), most), RetryAfter: midnight.Sub(b.now)}
	}
	b.writes++
	if n == 0 {
		if err := forgetDays(quota, quotaPrefix(clause.Agreement, c.Writer), key); err != nil {
			return err
		}
	}
	return quota.Put(key, binary.BigEndian.AppendUint64(nil, n+1))
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
