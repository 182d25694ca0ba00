package bolt

import (
	"cmp"
	"context"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"go.etcd.io/bbolt"

	"comity/store"
	"comity/taxii/audit"
)

// The limits of one transaction. A job that is larger has a transaction of its own.
const (
	maxObjects = 4000
	maxBytes   = 4 << 20
	exclusive  = maxObjects + 1 // the objects of a job that must have a transaction of its own
)

// job is one change that waits for the writer.
type job struct {
	objects, bytes int
	// run makes the change. It must raise writeTx.writes before it writes: if it fails
	// after that, the transaction is rolled back and its other jobs run again. So run may
	// be called twice.
	run func(*writeTx) error

	state atomic.Int32
	err   error
	done  chan struct{}
}

// States of a job. The goroutine that moves it away from waiting owns it.
const (
	waiting = iota
	taken
	givenUp
)

// do hands a job to the writer and waits until it is done. If ctx ends before the writer
// takes the job, the job never runs. After that, do waits in spite of ctx.
func (s *Store) do(ctx context.Context, j *job) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	j.done = make(chan struct{})
	if !s.queue.add(j) {
		return errClosed
	}
	select {
	case <-j.done:
	case <-ctx.Done():
		if j.state.CompareAndSwap(waiting, givenUp) {
			return ctx.Err()
		}
		<-j.done
	}
	return j.err
}

// queue has the jobs that wait for the writer. Each caller waits for its job, so the
// number of callers bounds the length.
type queue struct {
	mu     sync.Mutex // guards jobs and closed
	jobs   []*job
	closed bool
	wake   chan struct{} // has a token if jobs or closed may have changed
}

func (q *queue) add(j *job) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return false
	}
	q.jobs = append(q.jobs, j)
	q.signal()
	return true
}

func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.signal()
}

func (q *queue) isClosed() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.closed
}

func (q *queue) len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.jobs)
}

func (q *queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// take waits for jobs and takes as many as fit in one transaction. It returns none once the
// queue is closed and empty.
func (q *queue) take() []*job {
	for {
		// Goroutines that are about to hand in a job run first: a commit of several
		// jobs costs little more than one of a single job.
		runtime.Gosched()
		q.mu.Lock()
		var jobs []*job
		objects, bytes, n := 0, 0, 0
		for _, j := range q.jobs {
			if len(jobs) > 0 && (objects+j.objects > maxObjects || bytes+j.bytes > maxBytes) {
				break
			}
			if n++; j.state.CompareAndSwap(waiting, taken) {
				jobs = append(jobs, j)
				objects, bytes = objects+j.objects, bytes+j.bytes
			}
		}
		q.jobs = append(q.jobs[:0], q.jobs[n:]...)
		clear(q.jobs[len(q.jobs):cap(q.jobs)])
		ended := q.closed && len(q.jobs) == 0
		q.mu.Unlock()
		if len(jobs) > 0 || ended {
			return jobs
		}
		<-q.wake
	}
}

// write is the writer. It uses no timer: a transaction has the jobs that came while the
// transaction before it was written to the disk.
func (s *Store) write() {
	defer close(s.closed)
	debug.SetPanicOnFault(true) // of a page beyond the end of the file
	for {
		jobs := s.queue.take()
		if len(jobs) == 0 {
			return
		}
		if err := s.transact(jobs); err != nil {
			for _, j := range jobs {
				if len(jobs) > 1 {
					err = s.transact([]*job{j})
				}
				if err != nil {
					j.err = err
				}
			}
		}
		for _, j := range jobs {
			close(j.done)
		}
	}
}

// writeTx is one write transaction, which several jobs may share.
type writeTx struct {
	store       *Store
	tx          *bbolt.Tx
	now         time.Time // the time of the transaction, in UTC
	writes      int       // a job raises it before it writes
	collections map[uuid.UUID]*collectionTx
	statuses    map[uuid.UUID]uint64 // numbers of the statuses that this transaction added
	removed     map[uuid.UUID]uint64 // numbers of the statuses that it deleted
	generation  uint64               // of the directory; 0: unchanged
	lastStatus  uint64               // the last number of a status; 0: unchanged
	chain       *audit.Head          // the end of the audit chain; nil: unchanged
}

// transact runs jobs in one transaction, commits it and publishes the changes. After an
// error none of the changes is in the store, unless the error is that of a sync: then
// nobody knows, and the store stops.
func (s *Store) transact(jobs []*job) (err error) {
	defer recovered(s.db, &err)
	s.mu.RLock()
	failed := s.failed
	s.mu.RUnlock()
	if failed != nil {
		return failed
	}
	tx, err := s.db.Begin(true)
	if err != nil {
		return stopped(err)
	}
	defer tx.Rollback()
	s.db.AllocSize = growth(tx.Size())
	w := &writeTx{store: s, tx: tx, now: s.now().UTC(), collections: map[uuid.UUID]*collectionTx{}, statuses: map[uuid.UUID]uint64{}, removed: map[uuid.UUID]uint64{}}
	for _, j := range jobs {
		before := w.writes
		if j.err = j.run(w); j.err != nil && w.writes != before {
			return j.err
		}
	}
	if w.writes == 0 {
		return nil
	}
	if err := cmp.Or(w.flush(), s.inPlace()); err != nil {
		return err
	}
	id, began := tx.ID(), time.Now()
	if err := s.commit(tx); err != nil {
		tx.Rollback()
		return s.commitFailed(err)
	}
	if f := s.onCommit.Load(); f != nil {
		(*f)(time.Since(began))
	}
	s.publish(id, w)
	return nil
}

// bucket returns a top-level bucket, for writing.
func (w *writeTx) bucket(name []byte) *bbolt.Bucket {
	found := w.tx.Bucket(name)
	found.FillPercent = fill(name)
	return found
}

// flush writes the state that the jobs share, once for the transaction.
func (w *writeTx) flush() error {
	for _, c := range w.collections {
		if err := c.flush(); err != nil {
			return err
		}
	}
	if w.lastStatus != 0 {
		if err := w.bucket(bucketMeta).Put(keyStatus, numberKey(w.lastStatus)); err != nil {
			return err
		}
	}
	if w.chain != nil {
		return w.bucket(bucketMeta).Put(keyChain, chainHeadBytes(*w.chain))
	}
	return nil
}

// publish brings the state in memory up to the transaction id, which was committed.
func (s *Store) publish(id int, w *writeTx) {
	s.mu.Lock()
	defer s.mu.Unlock()
	// A full index is dropped. It is built again, with more room, when it is needed.
	for c, e := range w.collections {
		s.states[c] = e.committed
		if x := s.indexes[c]; x != nil && x.fits(len(e.indexChanges)) {
			e.apply(x)
		} else {
			delete(s.indexes, c)
		}
	}
	if s.statuses != nil && !s.statuses.fits(len(w.statuses)) {
		s.statuses = nil
	} else if s.statuses != nil {
		for id, n := range w.removed {
			s.statuses.replace(id, n, 0)
		}
		for id, n := range w.statuses {
			s.statuses.put(id, n)
		}
	}
	if w.generation != 0 {
		s.generation.Store(w.generation)
	}
	if w.chain != nil {
		s.head.Store(w.chain)
	}
	s.published, s.full = id, nil
	s.committed.Broadcast()
}

// dropCaches drops the state in memory after a commit that may or may not have happened.
// The state is read again when it is needed.
func (s *Store) dropCaches() {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.committed.Broadcast()
	s.indexes, s.states, s.statuses = map[uuid.UUID]*idIndex{}, map[uuid.UUID]store.State{}, nil
	if err := s.db.View(func(tx *bbolt.Tx) error {
		s.readMeta(tx)
		return nil
	}); err != nil {
		s.log.Error("the store cannot be read after a failed commit", "error", err)
	}
}
