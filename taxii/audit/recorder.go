package audit

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/semaphore"
)

// flushEvery is the interval at which Run commits the entries that are due.
const flushEvery = time.Second

// GatherFor is how long the deliveries to one reader grow in memory, once one is on
// record. So 1,000 clients with news each minute make 24,000 entries a day, not 1.4
// million. A server that is killed loses the deliveries in memory; its next start
// records a gap, in which every organisation that could poll counts as having done so.
const GatherFor = time.Hour

// maxRecorded bounds the readers whose last commit is remembered. Deliveries to others
// are committed within a second each time.
const maxRecorded = 20_000

// maxScans bounds the scans of a collection that run at a time. Nobody reaches it.
const maxScans = 1 << 30

// commitSize is the number of entries in one commit.
const commitSize = 4000

// Recorder gathers deliveries and refusals and commits them later, so that a poll does
// not wait for the disk and a reader that pages through a collection is one entry, not
// thousands. The first delivery to a reader is committed a second later, a refusal a
// minute later, further deliveries to that reader within an hour. [Recorder.Flush] must be
// called before the record is read. A Recorder is safe for concurrent use.
//
// It covers one process. Where several serve the same store, each has one, and the store
// calls Hold of each: see store.Processes.
type Recorder struct {
	commit func(context.Context, ...Entry) error
	now    func() time.Time
	log    *slog.Logger

	// flushing is held during a flush and guards uncommitted. A flush takes mu only to
	// take over gathered entries, never while it commits.
	flushing    sync.Mutex
	uncommitted []Entry // taken over and not committed yet, oldest first

	mu         sync.Mutex                        // guards what follows
	scans      map[uuid.UUID]*semaphore.Weighted // by collection: each page on its way from the store to Deliver holds 1 of maxScans
	waiting    []pending                         // in the order in which they began
	deliveries map[deliveryKey]*delivery         // the newest of those that wait
	recorded   map[deliveryKey]time.Time         // when deliveries to a reader were last taken over, in the last hour
	refusals   map[refusalKey]*refusal
	logins     map[loginKey]*login
	queries    map[second]int // number of different queries with a match
	held       int            // len(uncommitted) as of the last flush
	bytes      int            // memory of waiting, about
	heldBytes  int            // memory of uncommitted, about

	minute            int64          // of Unix time, in which the two maps count
	differentRefusals map[string]int // number of different refusals, by account
	differentLogins   map[string]int // number of different refused logins, by address, and of all under ""
}

// pending is a delivery or a refusal that may still grow.
type pending interface {
	entry() Entry
	due() time.Time // when it is committed at the latest
	size() int      // bytes, about
}

// New makes a recorder that commits with commit, all given entries or none.
// [Recorder.Run] has to run for anything to be committed.
func New(commit func(context.Context, ...Entry) error, now func() time.Time, log *slog.Logger) *Recorder {
	return &Recorder{
		commit:     commit,
		now:        now,
		log:        log,
		scans:      map[uuid.UUID]*semaphore.Weighted{},
		deliveries: map[deliveryKey]*delivery{},
		recorded:   map[deliveryKey]time.Time{},
		refusals:   map[refusalKey]*refusal{},
		logins:     map[loginKey]*login{},
		queries:    map[second]int{},
	}
}

// Reading is called before a scan of a collection whose page goes to a reader. The
// caller calls done, once, when [Recorder.Deliver] was told of the page or there is
// none.
func (r *Recorder) Reading(collection uuid.UUID) (done func()) {
	scans := r.scansOf(collection)
	_ = scans.Acquire(context.Background(), 1) // that context does not end
	return func() { scans.Release(1) }
}

func (r *Recorder) scansOf(collection uuid.UUID) *semaphore.Weighted {
	r.mu.Lock()
	defer r.mu.Unlock()
	scans := r.scans[collection]
	if scans == nil {
		scans = semaphore.NewWeighted(maxScans)
		r.scans[collection] = scans
	}
	return scans
}

// Hold waits until no page of a collection is between the store and the record, and commits
// the deliveries. New scans wait until release is called. Nothing is held up if the commit
// fails, or if ctx ends first.
//
// For uuid.Nil, which is no collection, it commits all that waits and holds up nothing.
//
// The caller must not call Reading or Hold before it calls release, and must be quick: the
// pollers of this collection wait. Pollers of other collections do not.
func (r *Recorder) Hold(ctx context.Context, collection uuid.UUID) (release func(), err error) {
	if collection == uuid.Nil {
		return func() {}, r.Flush(ctx)
	}
	scans := r.scansOf(collection)
	if err := scans.Acquire(ctx, maxScans); err != nil {
		return nil, err
	}
	release = func() { scans.Release(maxScans) }
	if err := r.Flush(ctx, collection); err != nil {
		release()
		return nil, err
	}
	return release, nil
}

// Run commits the entries that are due every second until ctx ends, and then all. A
// flush that fails is logged and tried again. Run returns the error of the last flush:
// a server that gets one has not ended in good order.
func (r *Recorder) Run(ctx context.Context) error {
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if err := r.flushDue(ctx); err != nil && ctx.Err() == nil {
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

// Waiting is the number of entries that are not committed.
func (r *Recorder) Waiting() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.waiting) + r.held
}

// countMinute returns the minute of Unix time, and counts anew if another one has begun.
// The caller holds mu.
func (r *Recorder) countMinute(now time.Time) int64 {
	if minute := now.Unix() / 60; r.minute != minute {
		r.minute, r.differentRefusals, r.differentLogins = minute, map[string]int{}, map[string]int{}
	}
	return r.minute
}

// add puts an entry into waiting. The caller holds mu.
func (r *Recorder) add(p pending) { r.waiting, r.bytes = append(r.waiting, p), r.bytes+p.size() }

// full tells whether too much waits. The caller holds mu.
func (r *Recorder) full() bool { return r.bytes+r.heldBytes >= maxWaiting }

// Flush commits waiting entries, in the order in which they began: all, or the
// deliveries of these collections. If that fails, the entries are kept, and come first
// in the next flush. A commit of unknown outcome is repeated: an entry may be on record
// twice, but is never missing.
func (r *Recorder) Flush(ctx context.Context, collections ...uuid.UUID) error {
	return r.flush(ctx, func(p pending) bool {
		d, ok := p.(*delivery)
		return len(collections) == 0 || ok && slices.Contains(collections, d.grant.ID())
	})
}

// flushDue commits the entries that are due.
func (r *Recorder) flushDue(ctx context.Context) error {
	now := r.now()
	return r.flush(ctx, func(p pending) bool { return !p.due().After(now) })
}

func (r *Recorder) flush(ctx context.Context, which func(pending) bool) error {
	r.flushing.Lock()
	defer r.flushing.Unlock()
	err := r.commitUncommitted(ctx)
	if err == nil { // otherwise the entries in waiting go on growing
		for _, p := range r.takeOver(which) {
			r.uncommitted = append(r.uncommitted, p.entry())
		}
		err = r.commitUncommitted(ctx)
	}
	r.mu.Lock()
	if r.held = len(r.uncommitted); r.held == 0 {
		r.heldBytes = 0
	}
	r.mu.Unlock()
	return err
}

// commitUncommitted commits the entries that were taken over. The caller holds flushing.
func (r *Recorder) commitUncommitted(ctx context.Context) error {
	for len(r.uncommitted) > 0 {
		n := min(len(r.uncommitted), commitSize)
		if err := r.commit(ctx, r.uncommitted[:n:n]...); err != nil {
			return err
		}
		r.uncommitted = r.uncommitted[n:]
	}
	r.uncommitted = nil
	return nil
}

// takeOver removes entries from waiting, so that they no longer grow, and returns them.
func (r *Recorder) takeOver(which func(pending) bool) (taken []pending) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	r.waiting = slices.DeleteFunc(r.waiting, func(p pending) bool {
		if !which(p) {
			return false
		}
		taken = append(taken, p)
		r.heldBytes, r.bytes = r.heldBytes+p.size(), r.bytes-p.size()
		switch p := p.(type) {
		case *delivery:
			delete(r.deliveries, p.key)
			if len(r.recorded) < maxRecorded {
				r.recorded[p.key] = now
			}
		case *refusal:
			delete(r.refusals, p.refusalKey)
		case *login:
			delete(r.logins, p.loginKey)
		}
		return true
	})
	r.held += len(taken)
	maps.DeleteFunc(r.recorded, func(_ deliveryKey, at time.Time) bool { return now.Sub(at) >= GatherFor })
	maps.DeleteFunc(r.queries, func(s second, _ int) bool { return s.unix < now.Unix() })
	return taken
}
