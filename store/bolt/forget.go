package bolt

import (
	"bytes"
	"context"
	"time"

	"github.com/google/uuid"
	"go.etcd.io/bbolt"
)

// maxForget bounds the statuses that one transaction forgets.
const maxForget = 2000

// longestPush is more than a push may take from its request to its first part:
// statuses are numbered then, and so not quite in the order of requests.
const longestPush = 24 * time.Hour

// ExpireStatuses implements store.Store. It takes as many transactions as it
// needs.
func (s *Store) ExpireStatuses(ctx context.Context, t time.Time) error {
	return s.forgetStatuses(ctx, func(h *statusHead) (old, ends bool) {
		return h.Requested.Before(t), !h.Requested.Before(t.Add(longestPush))
	})
}

// ForgetStatuses implements store.Store, in as many transactions.
func (s *Store) ForgetStatuses(ctx context.Context, collection uuid.UUID) error {
	return s.forgetStatuses(ctx, func(h *statusHead) (its, ends bool) { return h.Collection == collection, false })
}

// forgetStatuses forgets the statuses of which is says so, at most maxForget at a
// time, and looks no further once it says that none follows.
func (s *Store) forgetStatuses(ctx context.Context, is func(*statusHead) (it, ends bool)) error {
	last := uint64(0)
	for {
		var numbers []uint64
		if err := s.do(ctx, &job{objects: exclusive, run: func(w *writeTx) (err error) {
			if numbers, err = statusesFrom(w.bucket(bucketHeads), last+1, is); err != nil {
				return err
			}
			return w.forget(numbers)
		}}); err != nil || len(numbers) < maxForget {
			return err
		}
		last = numbers[len(numbers)-1]
	}
}

// statusesFrom are the numbers of statuses to forget, from a number on.
func statusesFrom(heads *bbolt.Bucket, from uint64, is func(*statusHead) (it, ends bool)) (numbers []uint64, err error) {
	cursor := heads.Cursor()
	for k, v := cursor.Seek(numberKey(from)); k != nil && len(numbers) < maxForget; k, v = cursor.Next() {
		h, err := parseStatus(v)
		if err != nil {
			return nil, err
		}
		it, ends := is(&h)
		if ends {
			break
		}
		if it {
			numbers = append(numbers, number(k))
		}
	}
	return numbers, nil
}

// forget drops statuses.
func (w *writeTx) forget(numbers []uint64) error {
	heads, parts := w.bucket(bucketHeads), w.bucket(bucketParts)
	for _, n := range numbers {
		w.writes++
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
		if err := heads.Delete(numberKey(n)); err != nil {
			return err
		}
		if _, fresh := w.statuses[h.ID]; fresh {
			delete(w.statuses, h.ID)
		} else {
			w.removed[h.ID] = n
		}
	}
	return nil
}
