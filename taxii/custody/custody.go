// Package custody takes care of the data that parties entrust to the centre: it
// notifies parties of transitions of their agreements, recalls and removes data that
// was taken back or is past its retention, and signs checkpoints of the audit chain.
//
// It decides no access and answers no request. Its notices to a party go into a
// collection that the centre writes and that party alone reads.
package custody

import (
	"context"
	"crypto/ed25519"
	"log/slog"
	"time"

	"comity/store"
	"comity/taxii/audit"
	"comity/taxii/exchange"
)

// Service is the custody of one exchange. It is safe for concurrent use.
type Service struct {
	store    store.Store
	current  *exchange.Current
	recorder *audit.Recorder
	key      ed25519.PrivateKey // of the centre; nil: nothing is signed
	now      func() time.Time
	log      *slog.Logger

	deletions deletions
}

// New makes a Service. The recorder is that of the server: the store lets it commit every
// delivery before objects are removed.
func New(s store.Store, current *exchange.Current, r *audit.Recorder, key ed25519.PrivateKey, now func() time.Time, log *slog.Logger) *Service {
	service := &Service{store: s, current: current, recorder: r, key: key, now: now, log: log}
	s.OnExclusive(r.Hold)
	s.OnGap(service.gapUntilNow)
	return service
}

// policy is the policy and the directory in force.
func (s *Service) policy(ctx context.Context) (*exchange.Policy, *exchange.Directory, error) {
	newest, err := s.current.Snapshot(ctx)
	if err != nil {
		return nil, nil, err
	}
	return newest.Policy, newest.Directory, nil
}

// The intervals of Run's tasks.
const (
	transitionInterval = time.Second
	purgeInterval      = time.Hour
	checkpointInterval = 24 * time.Hour
)

// statusKept is how long the status of a push can be read (TAXII 2.1 §4.3 asks for 24
// hours).
const statusKept = 48 * time.Hour

// Run commits the deliveries that are due until ctx ends, and then records the stop of the
// server; Begin comes before. While no other process does, it also does the tasks that depend
// on the clock: it announces transitions of agreements within a second. Each hour it purges
// the data whose retention ended on an earlier day, and forgets old statuses. It signs a
// checkpoint at once and then daily. A task that fails is logged and tried again.
func (s *Service) Run(ctx context.Context) error {
	flushed := make(chan error, 1)
	go func() { flushed <- s.recorder.Run(ctx) }()
	s.store.Lead(ctx, "custody", s.runTasks)
	if err := <-flushed; err != nil {
		return err // without a stop on record, the next start notes a gap
	}
	return s.store.Leave(context.WithoutCancel(ctx), audit.Entry{Act: audit.Stop})
}

// runTasks does the tasks that depend on the clock until ctx ends.
func (s *Service) runTasks(ctx context.Context) {
	tick := time.NewTicker(transitionInterval)
	defer tick.Stop()
	var last schedule
	for ctx.Err() == nil {
		s.runDue(ctx, &last)
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}

// schedule is when each task of runTasks was last done.
type schedule struct {
	generation     uint64
	nextTransition time.Time // of any agreement; zero: none will come
	purged, signed time.Time
}

// runDue runs the tasks that are due now.
func (s *Service) runDue(ctx context.Context, last *schedule) {
	now := s.now()
	attempt := func(task string, f func(context.Context) error) (done bool) {
		err := f(ctx)
		if err != nil && ctx.Err() == nil {
			s.log.Error(task, "err", err)
		}
		return err == nil
	}
	newest, err := s.current.Snapshot(ctx)
	if err == nil && (newest.Generation != last.generation || !last.nextTransition.IsZero() && !now.Before(last.nextTransition)) {
		if attempt("announce transitions", s.AnnounceTransitions) {
			last.generation, last.nextTransition = newest.Generation, newest.Policy.Next(now)
		}
	}
	if now.Sub(last.purged) >= purgeInterval {
		last.purged = now
		attempt("purge", s.purgeDays)
		attempt("forget statuses", func(ctx context.Context) error { return s.store.ExpireStatuses(ctx, now.Add(-statusKept)) })
	}
	if now.Sub(last.signed) >= checkpointInterval {
		last.signed = now
		attempt("sign a checkpoint", func(ctx context.Context) error { _, err := s.Checkpoint(ctx); return err })
	}
}
