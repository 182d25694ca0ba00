package bolt

import (
	"bytes"
	"context"
	"encoding/binary"
	"slices"
	"time"

	"github.com/google/uuid"
	"go.etcd.io/bbolt"

	"comity/store"
	"comity/taxii"
)

// statusHead is a value of heads: a status, and whether it has its last part.
//
//	0   id, 16
//	16  collection, 16
//	32  requested, 12
//	44  successes, failures, stored, parts: 4 each
//	60  1 if it is complete
//	61  account
type statusHead struct {
	store.Status
	complete bool
}

const statusHeadLen = 61

func appendStatus(b []byte, h statusHead) []byte {
	b = append(append(b, h.ID[:]...), h.Collection[:]...)
	requested := store.InstantOf(h.Requested)
	b = append(b, requested[:]...)
	for _, n := range []int{h.Successes, h.Failures, h.Stored, h.Parts} {
		b = binary.BigEndian.AppendUint32(b, uint32(n))
	}
	complete := byte(0)
	if h.complete {
		complete = 1
	}
	return append(append(b, complete), h.Account...)
}

func parseStatus(b []byte) (h statusHead, err error) {
	if len(b) < statusHeadLen {
		return h, store.Damaged("the head of a status is cut off")
	}
	h.ID, h.Collection, h.Requested = uuid.UUID(b[:16]), uuid.UUID(b[16:32]), store.Instant(b[32:44]).Time()
	for i, n := range []*int{&h.Successes, &h.Failures, &h.Stored, &h.Parts} {
		*n = int(binary.BigEndian.Uint32(b[44+4*i:]))
	}
	h.complete, h.Account = b[60] == 1, string(b[statusHeadLen:])
	return h, nil
}

// findStatus returns the number and the head of the status of an id among candidates; 0 if
// it is not there.
func findStatus(tx *bbolt.Tx, id uuid.UUID, candidates []uint64) (uint64, statusHead, error) {
	heads := tx.Bucket(bucketHeads)
	for _, n := range candidates {
		b := heads.Get(numberKey(n))
		if b == nil {
			continue
		}
		h, err := parseStatus(b)
		if err != nil || h.ID == id {
			return n, h, err
		}
	}
	return 0, statusHead{}, nil
}

// buildStatuses builds the index of statuses.
func buildStatuses(tx *bbolt.Tx) (*idIndex, error) {
	heads := tx.Bucket(bucketHeads)
	n := 0
	if err := forEach(heads, func(_, _ []byte) error { n++; return nil }); err != nil {
		return nil, err
	}
	x := newIDIndex(n)
	return x, heads.ForEach(func(k, v []byte) error {
		h, err := parseStatus(v)
		if err == nil {
			x.put(h.ID, number(k))
		}
		return err
	})
}

// statusIndex returns the index of statuses as of the last commit, and builds it if there
// is none.
func (w *writeTx) statusIndex() (x *idIndex, err error) {
	if w.store.statuses != nil {
		return w.store.statuses, nil
	}
	if err = w.store.view(func(tx *bbolt.Tx) error {
		x, err = buildStatuses(tx)
		return err
	}); err != nil {
		return nil, err
	}
	w.store.mu.Lock()
	defer w.store.mu.Unlock()
	w.store.statuses = x
	return x, nil
}

// pushStatus is the status of a push while one part is added.
type pushStatus struct {
	number uint64 // 0: a new one
	head   statusHead
}

// status finds the status that a part belongs to, or begins one. It writes nothing.
func (w *writeTx) status(part store.Part) (*pushStatus, error) {
	id := part.Submission.ID
	candidates := []uint64{}
	if n, ok := w.statuses[id]; ok {
		candidates = append(candidates, n)
	} else {
		x, err := w.statusIndex()
		if err != nil {
			return nil, err
		}
		candidates = x.candidates(nil, id)
	}
	n, h, err := findStatus(w.tx, id, candidates)
	if err != nil {
		return nil, err
	}
	if n == 0 {
		h.Submission = part.Submission
	}
	return &pushStatus{n, h}, h.CheckPart(part, n != 0, h.complete)
}

// has tells whether the status has that part already.
func (p *pushStatus) has(part store.Part) bool { return part.N < p.head.Parts }

// save adds a part to the status and writes it.
func (p *pushStatus) save(w *writeTx, part store.Part, t *store.Tally) error {
	heads := w.bucket(bucketHeads)
	if p.number == 0 {
		if w.lastStatus == 0 {
			w.lastStatus = number(w.bucket(bucketMeta).Get(keyStatus))
		}
		w.lastStatus++
		p.number = w.lastStatus
		w.statuses[part.Submission.ID] = p.number
	}
	h := &p.head
	h.Counts = h.Counts.Plus(t.Counts)
	h.Parts++
	h.complete = part.Last
	if err := putFrame(w, p.number, part.N, w.store.codec.Pack(t.Outcomes)); err != nil {
		return err
	}
	return heads.Put(numberKey(p.number), appendStatus(nil, *h))
}

// putFrame writes the outcomes of one part of a status, in pieces.
func putFrame(w *writeTx, number uint64, part int, frame []byte) error {
	parts, piece := w.bucket(bucketParts), 0
	for value := range slices.Chunk(frame, pieceLen) {
		if err := parts.Put(pieceKey(number, part, piece), value); err != nil {
			return err
		}
		piece++
	}
	return nil
}

// frameOf is the inverse of putFrame.
func frameOf(tx *bbolt.Tx, number uint64, part int) (frame []byte) {
	prefix, cursor := partKey(number, part), tx.Bucket(bucketParts).Cursor()
	for k, v := cursor.Seek(prefix); bytes.HasPrefix(k, prefix); k, v = cursor.Next() {
		frame = append(frame, v...)
	}
	return frame
}

// outcomes returns the outcomes of one part of a status.
func (s *Store) outcomes(tx *bbolt.Tx, number uint64, part int) (o store.Outcomes, err error) {
	if o, err = s.codec.Unpack(frameOf(tx, number, part)); err != nil {
		return o, store.Damaged("part %d of status number %d: %w", part, number, err)
	}
	return o, nil
}

// viewStatus runs f on a status that has its last part. NotFound if there is none.
func (s *Store) viewStatus(ctx context.Context, id uuid.UUID, f func(*bbolt.Tx, uint64, statusHead) error) error {
	pick := func() *idIndex { return s.statuses }
	build := func(w *writeTx) error { _, err := w.statusIndex(); return err }
	return s.find(ctx, [][16]byte{id}, pick, build, func(tx *bbolt.Tx, found [][]uint64) error {
		n, h, err := findStatus(tx, id, found[0])
		if err == nil && (n == 0 || !h.complete) {
			err = taxii.Errorf(taxii.NotFound, "there is no status %s", id)
		}
		if err != nil {
			return err
		}
		return f(tx, n, h)
	})
}

// Status implements store.Store.
func (s *Store) Status(ctx context.Context, account string, id uuid.UUID) (store.Status, error) {
	status, err := s.Push(ctx, id)
	if err == nil && status.Account != account {
		return store.Status{}, taxii.Errorf(taxii.NotFound, "there is no status %s", id)
	}
	return status, err
}

// Push implements store.Store.
func (s *Store) Push(ctx context.Context, id uuid.UUID) (status store.Status, err error) {
	err = s.viewStatus(ctx, id, func(_ *bbolt.Tx, _ uint64, h statusHead) error {
		status = h.Status
		return nil
	})
	return status, err
}

// Outcomes implements store.Store. NotFound if the status has no such part.
func (s *Store) Outcomes(ctx context.Context, id uuid.UUID, n int) (o store.Outcomes, err error) {
	err = s.viewStatus(ctx, id, func(tx *bbolt.Tx, number uint64, h statusHead) error {
		if n < 0 || n >= h.Parts {
			return taxii.Errorf(taxii.NotFound, "status %s has no part %d", id, n)
		}
		o, err = s.outcomes(tx, number, n)
		return err
	})
	return o, err
}

// maxForget is how many statuses one transaction deletes at most.
const maxForget = 2000

// longestPush is more than the time from the request of a push to its first part. A status
// gets its number with the first part, so numbers are only roughly in the order of
// requests.
const longestPush = 24 * time.Hour

// ExpireStatuses implements store.Store. It deletes maxForget statuses a transaction.
func (s *Store) ExpireStatuses(ctx context.Context, t time.Time) error {
	return s.forgetStatuses(ctx, func(h *statusHead) (match, end bool) {
		return h.Requested.Before(t), !h.Requested.Before(t.Add(longestPush))
	})
}

// ForgetStatuses implements store.Store. It deletes maxForget statuses a transaction.
func (s *Store) ForgetStatuses(ctx context.Context, collection uuid.UUID) error {
	return s.forgetStatuses(ctx, func(h *statusHead) (match, end bool) { return h.Collection == collection, false })
}

// forgetStatuses deletes the statuses that match, in the order of their numbers. It stops
// once match returns end, which says that no later status matches.
func (s *Store) forgetStatuses(ctx context.Context, match func(*statusHead) (match, end bool)) error {
	last := uint64(0)
	for {
		var numbers []uint64
		if err := s.do(ctx, &job{objects: exclusive, run: func(w *writeTx) (err error) {
			if numbers, err = statusesFrom(w.bucket(bucketHeads), last+1, match); err != nil {
				return err
			}
			return w.deleteStatuses(numbers)
		}}); err != nil || len(numbers) < maxForget {
			return err
		}
		last = numbers[len(numbers)-1]
	}
}

// statusesFrom returns the numbers of up to maxForget matching statuses, from a number on.
func statusesFrom(heads *bbolt.Bucket, from uint64, match func(*statusHead) (match, end bool)) (numbers []uint64, err error) {
	cursor := heads.Cursor()
	for k, v := cursor.Seek(numberKey(from)); k != nil && len(numbers) < maxForget; k, v = cursor.Next() {
		h, err := parseStatus(v)
		if err != nil {
			return nil, err
		}
		matches, end := match(&h)
		if end {
			break
		}
		if matches {
			numbers = append(numbers, number(k))
		}
	}
	return numbers, nil
}

// deleteStatuses deletes statuses with their parts. Its job must have a transaction of its
// own, so that none of them is of this transaction.
func (w *writeTx) deleteStatuses(numbers []uint64) error {
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
		w.removed[h.ID] = n
	}
	return nil
}
