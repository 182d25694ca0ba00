package operation

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"slices"
	"sync"
	"time"

	"comity/store"
	"comity/taxii"
	"comity/taxii/agreement"
	"comity/taxii/custody"
	"comity/taxii/exchange"
	"comity/taxii/follow"
)

// Store is the part of a store that a Runner uses.
type Store interface {
	store.Appender
	store.AuditLog
	store.Documents
	store.Reader
	Lead(ctx context.Context, duty string, f func(ctx context.Context)) // see store.Processes
}

// Runner runs the operations of one centre. Several processes may each have one on the same
// store: one of them acts on what comes in, and each shows the same figures and lets persons
// publish. It is safe for concurrent use.
type Runner struct {
	store   Store
	current *exchange.Current
	custody *custody.Service
	tables  string
	now     func() time.Time
	log     *slog.Logger

	mu         sync.Mutex // held by each method from beginning to end; guards what follows
	leads      bool       // Run acts
	snapshot   *exchange.Snapshot
	operations map[string]*operation

	boards  sync.Mutex // may be locked under mu; guards what follows
	kept    map[boardKey]keptBoard
	waiting map[boardKey]*boardCall
	making  sync.WaitGroup // the calls of makeBoard under way

	caughtUp sync.Map // the time.Time of CaughtUp, by the id of the operation
}

// New makes a Runner. The tables that operations name are files in the folder
// tables. Custody recalls and removes what relied on data that was taken back.
func New(s Store, current *exchange.Current, c *custody.Service, tables string, now func() time.Time, log *slog.Logger) *Runner {
	return &Runner{
		store: s, current: current, custody: c, tables: tables, now: now, log: log, operations: map[string]*operation{},
		kept: map[boardKey]keptBoard{}, waiting: map[boardKey]*boardCall{},
	}
}

// Run acts on what comes in to all operations until ctx ends, while no other process does:
// a pushed object is in the findings within a second. An error is logged once, and the call
// tried again. Run ends when no board is being made any more.
func (r *Runner) Run(ctx context.Context) {
	defer r.making.Wait()
	r.store.Lead(ctx, "operations", func(ctx context.Context) {
		r.setLeads(true)
		defer r.setLeads(false)
		follow.Run(ctx, r.log, "operation", r.CatchUp)
	})
}

// setLeads notes whether this process acts. When it begins to, it forgets which issues
// matched when it last did: another process may have recorded the matches since.
func (r *Runner) setLeads(leads bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.leads = leads
	for _, o := range r.operations {
		o.matched, o.changed = nil, true
	}
	r.caughtUp.Clear()
}

// CatchUp brings every operation up to date with the audit chain: its findings, its
// returns to contributors, and its publications. One that fails does not hold up the
// others.
func (r *Runner) CatchUp(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.renew(ctx); err != nil {
		return err
	}
	var errs []error
	for _, id := range slices.Sorted(maps.Keys(r.operations)) {
		began := r.now()
		o := r.operations[id]
		err := o.follow(ctx)
		if err == nil {
			err = o.react(ctx)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", id, err))
			r.caughtUp.LoadOrStore(id, began)
		} else {
			r.caughtUp.Store(id, began)
		}
	}
	return errors.Join(errs...)
}

// CaughtUp tells for each operation, by its id, when the last successful CatchUp began; if
// there was none yet, when the first one that failed did. It is empty while another process
// acts. It does not wait for a CatchUp under way.
func (r *Runner) CaughtUp() map[string]time.Time {
	times := map[string]time.Time{}
	for id, at := range r.caughtUp.Range {
		times[id.(string)] = at.(time.Time)
	}
	return times
}

// SavePositions brings every operation up to date, and saves up to which audit entry that
// is. No operation needs the entries up to the one returned, the lowest, any more.
func (r *Runner) SavePositions(ctx context.Context) (uint64, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.renew(ctx); err != nil {
		return 0, err
	}
	lowest := uint64(math.MaxUint64)
	for _, o := range r.operations {
		if err := o.alone(ctx, func(ctx context.Context) error {
			if o.saved == nil {
				return nil // nothing is drafted or published that would have to be reworked
			}
			if at := o.chain.Position(); o.progress.Reworked != at {
				progress := o.progress
				progress.Reworked = at
				if err := o.saveProgress(ctx, progress); err != nil {
					return err
				}
			}
			lowest = min(lowest, o.progress.Reworked)
			return nil
		}); err != nil {
			return 0, err
		}
	}
	return lowest, nil
}

// upToDate is one operation, up to date. If Run acts, it has acted on everything up to now.
// The caller holds the lock. NotFound if there is none.
func (r *Runner) upToDate(ctx context.Context, id string) (*operation, error) {
	o, err := r.operation(ctx, id)
	if err != nil {
		return nil, err
	}
	if err := o.follow(ctx); err != nil || !r.leads {
		return o, err
	}
	return o, o.react(ctx)
}

func (r *Runner) operation(ctx context.Context, id string) (*operation, error) {
	if err := r.renew(ctx); err != nil {
		return nil, err
	}
	if o := r.operations[id]; o != nil {
		return o, nil
	}
	return nil, taxii.Errorf(taxii.NotFound, "there is no operation %s in this exchange", id)
}

// alone calls f when the operation is up to date and its publications are reworked, while no
// other process changes them. It calls f again if this process ceased to lead before f has
// succeeded.
func (o *operation) alone(ctx context.Context, f func(ctx context.Context) error) error {
	err := context.Canceled // unless f is called
	o.runner.store.Lead(ctx, "operation "+o.text.ID, func(ctx context.Context) {
		if err == nil {
			return
		}
		if err = o.follow(ctx); err == nil {
			err = o.rework(ctx)
		}
		if err == nil {
			err = f(ctx)
		}
	})
	return err
}

// renew looks whether the directory has changed. An operation whose terms have
// changed starts over.
func (r *Runner) renew(ctx context.Context) error {
	snapshot, err := r.current.Snapshot(ctx)
	if err != nil || snapshot == r.snapshot {
		return err
	}
	r.snapshot = snapshot
	policy, now := snapshot.Policy, r.now()
	for _, id := range policy.Agreements() {
		text := policy.Agreement(id, now)
		if text.Kind != agreement.Operation || text.Fusion == nil || policy.State(id, now) == exchange.Deposited {
			continue
		}
		if terms := r.terms(text); r.operations[id] == nil || r.operations[id].terms != terms {
			r.operations[id] = &operation{runner: r, text: text, terms: terms}
			r.dropBoards(func(key boardKey) bool { return key.operation == id })
		}
	}
	return nil
}

// terms identifies everything that decides how an operation reads objects: the digests
// of its agreement and of the parents of that, and the identities of its members.
func (r *Runner) terms(text *agreement.Agreement) string {
	terms := text.Digest()
	for _, id := range text.Parents() {
		if parent := r.snapshot.Policy.Agreement(id, r.now()); parent != nil {
			terms += parent.Digest()
		}
	}
	for _, m := range text.Members() {
		if o := r.snapshot.Directory.Organisations[m.Org]; o != nil {
			terms += "|" + o.ID + o.Identity + o.Country + o.Name
		}
	}
	return terms
}
