package postgres

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"comity/store"
	"comity/taxii"
	"comity/taxii/audit"
)

// process is this program as one of those that use the database. It has a row there, and
// beats: it writes to the row twice a second. What it knows without a round trip it has read
// after its last beat, and it answers nothing when that beat was longer ago than
// processValid. So whatever another process has committed is known here that much later at
// the latest, also if this process, its network or its primary has stopped meanwhile.
//
// A process that has not beaten for processDead, longer than that, is buried by another one.
type process struct {
	backend    string // application_name of the connections
	allowAsync bool
	hold       atomic.Pointer[holdFunc]
	gap        atomic.Pointer[func(ctx context.Context, last time.Time) ([]audit.Entry, error)]
	bytes      atomic.Int64 // size of the database; -1: unknown

	holding sync.WaitGroup // calls of keepHeld
	burying sync.Mutex     // held while dead processes are buried

	mu      sync.Mutex       // guards the fields below
	id      uuid.UUID        // of the row: another one after this process was buried
	fresh   bool             // the row is new, and the readers of the fences are not held up yet
	heard   time.Time        // when the last beat was sent
	clock   func() time.Time // of this machine
	fault   error            // why nothing is answered; nil if only heard decides
	async   bool             // a standby is asynchronous
	serving *serving         // nil while it does not serve
	others  map[uuid.UUID]other
	held    map[uuid.UUID]*heldFence // fences of other processes
	owned   map[uuid.UUID]bool       // fences of this process that are in use
}

// serving is what Join was called with.
type serving struct {
	store.Process
	entry audit.Entry
}

const (
	beatInterval = time.Second / 2
	processValid = 4 * time.Second
	processDead  = 5 * time.Second
	maxSkew      = 2 * time.Second // between the clocks of this machine and of the database
)

// The keys of advisory locks.
const (
	storeKey     = 0x636f6d697479 // "comity": a program of schema 1 holds it while it runs
	directoryKey = storeKey + 1   // Amend holds it, and pushes share it
	processKey   = storeKey + 2   // held while a process joins, leaves or is buried
)

// OnExclusive implements store.Store.
func (s *Store) OnExclusive(hold holdFunc) {
	s.process.hold.Store(&hold)
}

// OnGap implements store.Store.
func (s *Store) OnGap(gap func(context.Context, time.Time) ([]audit.Entry, error)) {
	s.process.gap.Store(&gap)
}

// register writes the row of this process, under an id. If the process serves, the row says
// so, and the entry is committed with it.
func (s *Store) register(ctx context.Context, id uuid.UUID, p *serving) error {
	return s.try(ctx, func(tx *writeTx) error {
		q := &pgx.Batch{}
		q.Queue(`SELECT pg_advisory_xact_lock($1)`, int64(processKey))
		var others []store.Process
		queueProcesses(q, id, &others)
		if err := tx.begin(q); err != nil {
			return err
		}
		row := &serving{}
		var joined *time.Time
		if p != nil {
			row, joined = p, &tx.now
			if err := checkSettings(p.Process, others); err != nil {
				return err
			}
		}
		if row.Settings == nil {
			row.Settings = map[string]string{}
		}
		settings, err := json.Marshal(row.Settings)
		if err != nil {
			return err
		}
		tx.batch.Queue(`INSERT INTO process (id, joined, address, version, settings, backend, heard) VALUES ($1, $2, $3, $4, $5, $6, $7)
			ON CONFLICT (id) DO UPDATE SET joined = $2, address = $3, version = $4, settings = $5`,
			id, joined, row.Address, row.Version, settings, s.process.backend, tx.now)
		if p == nil {
			return nil
		}
		return tx.record(p.entry)
	})
}

// checkSettings refuses a process whose settings differ from those of another one.
func checkSettings(p store.Process, others []store.Process) error {
	for _, other := range others {
		names := maps.Clone(other.Settings)
		maps.Copy(names, p.Settings) // each of the two may lack one
		for _, name := range slices.Sorted(maps.Keys(names)) {
			if mine, its := p.Settings[name], other.Settings[name]; mine != its {
				return taxii.Errorf(taxii.Conflict, "the server at %s has %s %q and this one %q: servers of one database must have the same", other.Address, name, its, mine)
			}
		}
	}
	return nil
}

// queueProcesses queues the look-up of the processes that serve, but for one, in the order in
// which they joined.
func queueProcesses(q *pgx.Batch, except uuid.UUID, list *[]store.Process) {
	q.Queue(`SELECT p.joined, p.address, p.version, p.settings, array(SELECT name FROM duty WHERE leader = p.id ORDER BY name)
			FROM process p WHERE p.joined IS NOT NULL AND NOT p.ended AND p.id <> $1 ORDER BY p.joined, p.id`, except).
		Query(func(rows pgx.Rows) (err error) {
			*list, err = pgx.CollectRows(rows, func(r pgx.CollectableRow) (p store.Process, err error) {
				err = r.Scan(&p.Joined, &p.Address, &p.Version, &p.Settings, &p.Duties)
				return p, err
			})
			return err
		})
}

// Join implements store.Store.
func (s *Store) Join(ctx context.Context, p store.Process, entry audit.Entry) error {
	joining := &serving{p, entry}
	if err := cmp.Or(s.awaitUnread(ctx), s.check()); err != nil {
		return err
	}
	s.setServing(joining) // first, so that it serves also if it is buried meanwhile
	err := s.register(ctx, s.processID(), joining)
	if err != nil {
		s.setServing(nil)
	}
	return err
}

// setServing sets as what this process registers anew once it was buried.
func (s *Store) setServing(p *serving) {
	s.process.mu.Lock()
	defer s.process.mu.Unlock()
	s.process.serving = p
}

// Leave implements store.Store. If this process was buried meanwhile, its end is on record.
func (s *Store) Leave(ctx context.Context, entry audit.Entry) error {
	s.process.mu.Lock()
	id := s.process.id
	s.process.serving = nil // it joins no more, whatever comes
	s.process.mu.Unlock()
	return s.write(ctx, func(tx *writeTx) error {
		found, othersServe, err := tx.beginEnd(id, `SELECT true FROM process WHERE id = $1 FOR UPDATE`, id)
		if tx.nothing = !found; err != nil || !found {
			return err
		}
		tx.batch.Queue(`UPDATE process SET joined = NULL WHERE id = $1`, id)
		return tx.recordEnd([]audit.Entry{entry}, othersServe)
	})
}

// beginEnd begins the transaction in which a process ceases to serve, with a statement. It
// tells whether that has found a row, and whether other processes serve.
func (tx *writeTx) beginEnd(id uuid.UUID, sql string, args ...any) (found, othersServe bool, err error) {
	q := &pgx.Batch{}
	q.Queue(`SELECT pg_advisory_xact_lock($1)`, int64(processKey))
	var others []store.Process
	queueProcesses(q, id, &others)
	queueFind(q, &found, sql, args...)
	err = tx.begin(q)
	return found, len(others) > 0, err
}

// recordEnd queues the entries of a process that ceases to serve. The chain says whether any
// process serves, so it gets a start after the stop if others do.
func (tx *writeTx) recordEnd(entries []audit.Entry, othersServe bool) error {
	if othersServe {
		entries = append(entries, audit.Entry{Act: audit.Start, Text: "other servers go on"})
	}
	return tx.record(entries...)
}

// Processes implements store.Store.
func (s *Store) Processes(ctx context.Context) (list []store.Process, err error) {
	q := &pgx.Batch{}
	queueProcesses(q, uuid.Nil, &list)
	err = s.pool.SendBatch(ctx, q).Close()
	return list, failure(err)
}

// processID is the id of the row of this process.
func (s *Store) processID() uuid.UUID {
	s.process.mu.Lock()
	defer s.process.mu.Unlock()
	return s.process.id
}

// check returns Unavailable if this process may not answer from what it knows.
func (s *Store) check() error {
	p := &s.process
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.fault != nil:
		return p.fault
	case time.Since(p.heard) > processValid:
		return &taxii.Error{Code: taxii.Unavailable, Msg: "the database does not answer", RetryAfter: processDead}
	}
	return nil
}

// setFault sets why this process answers nothing, and logs that when it changes.
func (s *Store) setFault(err error) {
	p := &s.process
	p.mu.Lock()
	before := p.fault
	if before != errClosed {
		p.fault = err
	}
	p.mu.Unlock()
	if err != nil && err != errClosed && (before == nil || before.Error() != err.Error()) {
		s.log.Error("this server answers nothing", "error", err)
	}
}

// Ready implements store.Store. It asks nothing: the process beats twice a second.
func (s *Store) Ready(ctx context.Context) error {
	if err := cmp.Or(ctx.Err(), s.check()); err != nil {
		return err
	}
	p := &s.process
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.async && !p.allowAsync {
		return &taxii.Error{Code: taxii.Unavailable, Msg: "the database has an asynchronous standby", Err: errAsync}
	}
	return nil
}

// unregister deletes the row of this process, or notes that a server has ended in no good
// order, so that the next one need not wait until it is certain.
func (s *Store) unregister() error {
	ctx, cancel := context.WithTimeout(context.Background(), connectTimeout)
	defer cancel()
	q := &pgx.Batch{}
	q.Queue(`DELETE FROM process WHERE id = $1 AND joined IS NULL`, s.processID())
	q.Queue(`UPDATE process SET ended = true WHERE id = $1`, s.processID())
	err := s.pool.SendBatch(ctx, q).Close()
	if isBroken(err) || ctx.Err() != nil || failure(err) == errClosed { // then it is buried later, or Close was called before
		return nil
	}
	return failure(err)
}
