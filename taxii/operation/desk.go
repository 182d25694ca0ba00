package operation

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
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

// Desk runs the operations of one centre. It is safe for concurrent use.
type Desk struct {
	store   store.Store
	custody *custody.Service
	tables  string
	now     func() time.Time
	log     *slog.Logger

	current *exchange.Current

	mu         sync.Mutex // guards what follows, and that one thing is done at a time
	snapshot   *exchange.Snapshot
	policy     *exchange.Policy    // of the snapshot
	directory  *exchange.Directory // of the snapshot
	operations map[string]*operation
}

// New makes a Desk. The tables that operations name are files in the folder
// tables. Custody recalls and removes what relied on data that was taken back.
func New(s store.Store, current *exchange.Current, st *custody.Service, tables string, now func() time.Time, log *slog.Logger) *Desk {
	return &Desk{store: s, current: current, custody: st, tables: tables, now: now, log: log, operations: map[string]*operation{}}
}

// Run keeps all operations up to date until ctx ends: what was pushed is in the
// findings within a second. What fails is logged once, and tried again.
func (d *Desk) Run(ctx context.Context) { follow.Run(ctx, d.log, "operation", d.Settle) }

// Settle brings every operation up to date with the audit chain: findings, what
// is owed to contributors, and what has to be reworked. One that fails does not
// hold up the others.
func (d *Desk) Settle(ctx context.Context) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.renew(ctx); err != nil {
		return err
	}
	var errs []error
	for _, id := range slices.Sorted(maps.Keys(d.operations)) {
		if err := d.operations[id].settle(ctx); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", id, err))
		}
	}
	return errors.Join(errs...)
}

// settled is one operation, up to date. The caller holds the lock. NotFound if
// there is none.
func (d *Desk) settled(ctx context.Context, id string) (*operation, error) {
	if err := d.renew(ctx); err != nil {
		return nil, err
	}
	o := d.operations[id]
	if o == nil {
		return nil, taxii.Errorf(taxii.NotFound, "there is no operation %s in this exchange", id)
	}
	return o, o.settle(ctx)
}

// renew looks whether the directory has changed. An operation whose terms have
// changed starts over.
func (d *Desk) renew(ctx context.Context) error {
	snapshot, err := d.current.Snapshot(ctx)
	if err != nil || snapshot == d.snapshot {
		return err
	}
	d.snapshot, d.policy, d.directory = snapshot, snapshot.Policy, snapshot.Directory
	now := d.now()
	for _, id := range d.policy.Agreements() {
		text := d.policy.Agreement(id, now)
		if text.Kind != agreement.Operation || text.Fusion == nil || d.policy.State(id, now) == exchange.Deposited {
			continue
		}
		if terms := d.terms(text); d.operations[id] == nil || d.operations[id].terms != terms {
			d.operations[id] = &operation{desk: d, text: text, terms: terms}
		}
	}
	return nil
}

// terms is all that decides how an operation reads what was sent: its text,
// those it rests on, and who is who.
func (d *Desk) terms(text *agreement.Agreement) string {
	terms := text.Digest()
	for _, id := range text.Parents() {
		if parent := d.policy.Agreement(id, d.now()); parent != nil {
			terms += parent.Digest()
		}
	}
	for _, m := range text.Members() {
		if o := d.directory.Organisations[m.Org]; o != nil {
			terms += "|" + o.ID + o.Identity + o.Country + o.Name
		}
	}
	return terms
}
