package audit

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"
)

// flushEvery is how long a delivery waits in memory at most. A server that is
// killed loses that much, and its next start records the gap.
const flushEvery = time.Second

// commitSize is how many entries go into one commit.
const commitSize = 4000

// Recorder gathers deliveries and refusals and commits them a second later, so
// that a poll does not wait for the disk and a reader that pages through a
// collection is one entry, not thousands. It is safe for concurrent use.
//
// It speaks for one process: where several serve the same store, each has one.
type Recorder struct {
	commit func(context.Context, ...Entry) error
	now    func() time.Time
	log    *slog.Logger

	// flushing is held by the one flush there is. It guards late. A flush takes
	// mu only to take over what was gathered, never while it commits.
	flushing sync.Mutex
	late     []Entry // taken over and not committed yet, oldest first

	mu         sync.Mutex                  // guards what follows
	scans      map[uuid.UUID]*sync.RWMutex // by collection; held shared while a page is on its way from the store to Deliver
	waiting    []pending                   // in the order in which they began
	deliveries map[place]*delivery
	refusals   map[refused]*refusal
	different  map[second]int // different refusals
	held       int            // len(late) as of the last flush
}

// pending is a delivery or a refusal that may still grow.
type pending interface{ entry() Entry }

// New makes a recorder that commits with commit, all given entries or none.
// [Recorder.Run] has to run for anything to be committed.
func New(commit func(context.Context, ...Entry) error, now func() time.Time, log *slog.Logger) *Recorder {
	return &Recorder{
		commit:     commit,
		now:        now,
		log:        log,
		scans:      map[uuid.UUID]*sync.RWMutex{},
		deliveries: map[place]*delivery{},
		refusals:   map[refused]*refusal{},
		different:  map[second]int{},
	}
}

// Reading is called before a scan of a collection whose page goes to a reader. The
// caller calls done, once, when [Recorder.Deliver] was told of the page or there is
// none.
func (r *Recorder) Reading(collection uuid.UUID) (done func()) {
	scans := r.scansOf(collection)
	scans.RLock()
	return scans.RUnlock
}

func (r *Recorder) scansOf(collection uuid.UUID) *sync.RWMutex {
	r.mu.Lock()
	defer r.mu.Unlock()
	scans := r.scans[collection]
	if scans == nil {
		scans = &sync.RWMutex{}
		r.scans[collection] = scans
	}
	return scans
}

// Exclusive runs f while no page of a collection is between the store and the
// record: it lets the scans under way end and new ones wait, commits what they
// delivered, and only then runs f. So whatever f removes from that collection,
// everyone who got it is on record, and nobody gets it after. f is not run if the
// commit fails.
//
// f must not call Reading or Exclusive, and must be short: all who poll this
// collection wait. Those who poll another one do not.
func (r *Recorder) Exclusive(ctx context.Context, collection uuid.UUID, f func() error) error {
	scans := r.scansOf(collection)
	scans.Lock()
	defer scans.Unlock()
	if err := r.Flush(ctx); err != nil {
		return err
	}
	return f()
}

// Run flushes every second until ctx ends, and once more after. What fails is
// logged and tried again; the error is that of the last flush, after which a
// server has not ended in good order.
func (r *Recorder) Run(ctx context.Context) error {
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if err := r.Flush(ctx); err != nil && ctx.Err() == nil {
				r.log.Error("audit: deliveries are not recorded yet", "waiting", r.Waiting(), "err", err)
			}
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*flushEvery)
			defer cancel()
			err := r.Flush(last)
			if err != nil {
				r.log.Error("audit: deliveries are lost to the record", "lost", r.Waiting(), "err", err)
			}
			return err
		}
	}
}

// Waiting is how many entries are not committed.
func (r *Recorder) Waiting() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.waiting) + r.held
}

// Flush commits what waits, in the order in which it began. If
// that fails all of it is kept, and comes first in the next flush. A commit whose
// outcome is unknown is repeated: better on record twice than not.
func (r *Recorder) Flush(ctx context.Context) error {
	r.flushing.Lock()
	defer r.flushing.Unlock()
	err := r.commitLate(ctx)
	if err == nil { // else what was gathered may as well go on growing
		for _, g := range r.takeOver() {
			r.late = append(r.late, g.entry())
		}
		err = r.commitLate(ctx)
	}
	r.mu.Lock()
	r.held = len(r.late)
	r.mu.Unlock()
	return err
}

// commitLate commits what was taken over. The caller holds flushing.
func (r *Recorder) commitLate(ctx context.Context) error {
	for len(r.late) > 0 {
		n := min(len(r.late), commitSize)
		if err := r.commit(ctx, r.late[:n:n]...); err != nil {
			return err
		}
		r.late = r.late[n:]
	}
	r.late = nil
	return nil
}

// takeOver ends the growing of everything gathered, and returns it.
func (r *Recorder) takeOver() []pending {
	r.mu.Lock()
	defer r.mu.Unlock()
	taken := r.waiting
	if len(taken) == 0 {
		return nil
	}
	r.held += len(taken)
	r.waiting = nil
	clear(r.deliveries)
	clear(r.refusals)
	now := r.now().Unix()
	for s := range r.different {
		if s.unix < now {
			delete(r.different, s)
		}
	}
	return taken
}
