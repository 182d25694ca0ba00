package bolt

import (
	"bytes"
	"context"
	"time"

	"github.com/google/uuid"
)

// maxForget bounds the statuses that one transaction forgets.
const maxForget = 2000

// ExpireStatuses implements store.Store. It takes as many transactions as it
// needs.
func (s *Store) ExpireStatuses(ctx context.Context, t time.Time) error {
	return s.forgetStatuses(ctx, func(root *bucket, _ uint64) (numbers []uint64, _ error) {
		cursor := root.Bucket(bucketOrder).Cursor()
		for k, _ := cursor.First(); len(k) == 16 && date(number(k[:8])) < dateOf(t) && len(numbers) < maxForget; k, _ = cursor.Next() {
			numbers = append(numbers, number(k[8:]))
		}
		return numbers, nil
	})
}

// ForgetStatuses implements store.Store, in as many transactions.
func (s *Store) ForgetStatuses(ctx context.Context, collection uuid.UUID) error {
	return s.forgetStatuses(ctx, func(root *bucket, after uint64) (numbers []uint64, _ error) {
		cursor := root.Bucket(bucketHeads).Cursor()
		for k, v := cursor.Seek(numberKey(after + 1)); k != nil && len(numbers) < maxForget; k, v = cursor.Next() {
			h, err := parseStatus(v)
			if err != nil {
				return nil, err
			}
			if h.Collection == collection {
				numbers = append(numbers, number(k))
			}
		}
		return numbers, nil
	})
}

// forgetStatuses forgets the statuses that find numbers, at most maxForget at a
// time; after is the last one forgotten before.
func (s *Store) forgetStatuses(ctx context.Context, find func(root *bucket, after uint64) ([]uint64, error)) error {
	last := uint64(0)
	for {
		var numbers []uint64
		if err := s.do(ctx, &job{objects: alone, run: func(b *batch) (err error) {
			root := b.tx.Bucket(bucketStatus)
			if root.Bucket(bucketHeads) == nil {
				return nil
			}
			if numbers, err = find(root, last); err != nil {
				return err
			}
			return b.forget(root, numbers)
		}}); err != nil || len(numbers) < maxForget {
			return err
		}
		last = numbers[len(numbers)-1]
	}
}

// forget drops statuses.
func (b *batch) forget(root *bucket, numbers []uint64) error {
	heads, parts, order := root.Bucket(bucketHeads), root.Bucket(bucketParts), root.Bucket(bucketOrder)
	for _, n := range numbers {
		b.writes++
		h, err := parseStatus(heads.Get(numberKey(n)))
		if err != nil {
			return err
		}
		var pieces [][]byte // a cursor loses its place where something is deleted
		cursor := parts.Cursor()
		for k, _ := cursor.Seek(numberKey(n)); bytes.HasPrefix(k, numberKey(n)); k, _ = cursor.Next() {
			pieces = append(pieces, bytes.Clone(k))
		}
		for _, k := range pieces {
			if err := parts.Delete(k); err != nil {
				return err
			}
		}
		if err := firstOf(heads.Delete(numberKey(n)), order.Delete(orderKey(h.Requested, n))); err != nil {
			return err
		}
		if _, fresh := b.statuses[h.ID]; fresh {
			delete(b.statuses, h.ID)
		} else {
			b.removed[h.ID] = n
		}
	}
	return nil
}
