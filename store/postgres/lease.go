package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"comity/store"
	"comity/taxii"
)

// lease lets one process at a time have the database. It holds an advisory lock on a
// connection of its own, and asks on it twice a second. Each process that gets the lock
// has a new epoch, which every write transaction compares.
//
// A process that hears nothing for leaseValid serves nothing more. If the process before
// has not released the database, the next one waits for leaseTaken, which is longer. So at
// no time two processes answer, and what is known in memory is what the database has.
type lease struct {
	store      *Store
	config     *pgx.ConnConfig
	allowAsync bool
	epoch      int64
	bytes      atomic.Int64 // size of the database; -1: unknown

	conn *pgx.Conn // nil: lost; only acquire, keep and release use it

	mu    sync.Mutex // guards the fields below
	heard time.Time  // when the last question that was answered was asked
	ended error      // why the lease has ended for good; nil while it has not
	async bool       // a standby is asynchronous
}

const (
	leaseKey   = 0x636f6d697479 // of the advisory lock: "comity"
	leaseAsk   = time.Second / 2
	leaseValid = 4 * time.Second
	leaseTaken = 5 * time.Second
	leaseIdle  = "10s" // PostgreSQL ends the connection of a process that asks nothing for so long
)

// errTaken is the error of a process that has lost its lease to another one.
var errTaken error = taxii.Errorf(taxii.Unavailable, "another process has taken over the database: this one serves nothing more until it is restarted")

// acquire gets the lease. If another process has it, acquire waits for up to wait.
func (l *lease) acquire(ctx context.Context, wait time.Duration) (err error) {
	deadline := time.Now().Add(wait)
	for {
		err := l.connect(ctx)
		if err == nil {
			break
		}
		if taxii.CodeOf(err) != taxii.Unavailable || time.Now().After(deadline) {
			return err
		}
		if err := sleep(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
	var released bool
	if err := l.conn.QueryRow(ctx, `WITH before AS (SELECT released FROM meta FOR UPDATE)
		UPDATE meta SET epoch = epoch + 1, released = false FROM before RETURNING epoch, before.released`).Scan(&l.epoch, &released); err != nil {
		return failure(err)
	}
	if !released {
		l.store.log.Info("the process that had the database before has not released it: waiting until it has noticed", "wait", leaseTaken)
		if _, err := l.conn.Exec(ctx, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
			WHERE datname = current_database() AND usename = current_user AND application_name = 'comity' AND pid <> pg_backend_pid()`); err != nil {
			return failure(err)
		}
		if err := sleep(ctx, leaseTaken); err != nil {
			return err
		}
	}
	if err := l.ask(ctx, true); err != nil {
		return failure(err)
	}
	if l.async && !l.allowAsync {
		return errors.Join(errAsync, l.release())
	}
	return nil
}

// errAsync is the error of a database whose standby may lack what was acknowledged.
var errAsync error = taxii.Errorf(taxii.Conflict, "the database has an asynchronous standby, so a failover would lose pushes that were acknowledged: set synchronous_standby_names, or accept that with --allow-async")

// connect opens the connection of the lease and locks. It returns Unavailable if another
// process has the lock.
func (l *lease) connect(ctx context.Context) error {
	conn, err := pgx.ConnectConfig(ctx, l.config)
	if err != nil {
		return failure(err)
	}
	var locked bool
	if err = afterConnect(ctx, conn); err == nil {
		err = conn.QueryRow(ctx, `SELECT pg_try_advisory_lock($1)`, int64(leaseKey)).Scan(&locked)
	}
	if err != nil || !locked {
		_ = conn.Close(context.WithoutCancel(ctx)) // nothing was written
		return cmp.Or(failure(err), error(taxii.Errorf(taxii.Unavailable, "another process uses the database")))
	}
	l.conn = conn
	return nil
}

// ask notes that the database has answered. size also asks for its size.
func (l *lease) ask(ctx context.Context, size bool) error {
	ctx, cancel := context.WithTimeout(ctx, leaseValid/2)
	defer cancel()
	began := time.Now()
	var async bool
	if err := l.conn.QueryRow(ctx, `SELECT current_setting('synchronous_standby_names') = ''
		AND EXISTS (SELECT FROM pg_stat_replication WHERE state IS DISTINCT FROM 'backup')`).Scan(&async); err != nil {
		return err
	}
	if size {
		var n int64
		if err := l.conn.QueryRow(ctx, `SELECT pg_database_size(current_database())`).Scan(&n); err != nil {
			return err
		}
		l.bytes.Store(n)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.heard, l.async = began, async
	return nil
}

// keep asks until ctx ends. If the connection breaks, it makes another one.
func (l *lease) keep(ctx context.Context) {
	for n := 1; sleep(ctx, leaseAsk) == nil; n++ {
		var err error
		if l.conn == nil {
			err = l.regain(ctx)
		}
		if err == nil {
			err = l.ask(context.WithoutCancel(ctx), n%120 == 0) // a question that is cancelled breaks the connection
		}
		if err == nil || ctx.Err() != nil {
			continue
		}
		if l.conn != nil {
			l.store.log.Error("the connection to the database is lost", "error", failure(err))
			_ = l.conn.Close(context.WithoutCancel(ctx)) // it is broken
			l.conn = nil
		}
		if errors.Is(err, errTaken) {
			l.store.log.Error(errTaken.Error())
			l.mu.Lock()
			l.ended = errTaken
			l.mu.Unlock()
			return
		}
	}
}

// regain gets the lease again after its connection was lost. It returns errTaken if
// another process had it meanwhile. Otherwise it forgets what is known without a round
// trip: the database may be another one after a failover.
func (l *lease) regain(ctx context.Context) error {
	if err := l.connect(ctx); err != nil {
		return err
	}
	var epoch int64
	if err := l.conn.QueryRow(ctx, `SELECT epoch FROM meta`).Scan(&epoch); err != nil {
		return err
	}
	if epoch != l.epoch {
		return errTaken
	}
	l.store.doubtStates()
	l.store.log.Info("the database is connected again")
	return nil
}

// check returns Unavailable if the lease may have ended.
func (l *lease) check() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.ended != nil:
		return l.ended
	case time.Since(l.heard) > leaseValid:
		return &taxii.Error{Code: taxii.Unavailable, Msg: "the database does not answer", RetryAfter: leaseTaken}
	}
	return nil
}

// ready is check, and returns Unavailable too if a standby has become asynchronous.
func (l *lease) ready() error {
	if err := l.check(); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.async && !l.allowAsync {
		return &taxii.Error{Code: taxii.Unavailable, Msg: "the database has an asynchronous standby", Err: errAsync}
	}
	return nil
}

// release ends the lease, so that another process need not wait.
func (l *lease) release() error {
	l.mu.Lock()
	taken := l.ended != nil
	l.ended = errClosed
	l.mu.Unlock()
	if l.conn == nil || taken {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), connectTimeout)
	defer cancel()
	_, err := l.conn.Exec(ctx, `UPDATE meta SET released = true WHERE epoch = $1`, l.epoch)
	if err == nil { // the end of the connection would do, but later
		_, err = l.conn.Exec(ctx, `SELECT pg_advisory_unlock($1)`, int64(leaseKey))
	}
	if err != nil && l.conn.IsClosed() { // the lock ended with the connection
		return nil
	}
	if err != nil {
		err = fmt.Errorf("release the database: %w", err)
	}
	return errors.Join(err, l.conn.Close(ctx))
}

// doubtStates forgets the states of collections and the generation of the directory. They
// are read from the database each time for as long as a commit of unknown outcome may take
// to become visible.
func (s *Store) doubtStates() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.states, s.generation = map[uuid.UUID]store.State{}, 0
	s.uncachedUntil = time.Now().Add(2 * transactionTimeout)
	s.numbers.Clear()
	s.unsealed.Store(true)
}

// doubtful tells whether a commit of unknown outcome may still become visible. The caller
// holds mu.
func (s *Store) doubtful() bool { return time.Now().Before(s.uncachedUntil) }

// sleep waits for d, or until ctx ends, whose error it returns.
func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
