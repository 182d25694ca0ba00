package postgres

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"comity/store"
	"comity/taxii"
)

// writeTx is one write transaction. It takes its locks in the order guards; collections, by
// n; quota; meta; chain.
type writeTx struct {
	*Store
	ctx  context.Context
	end  context.Context // of the commit: see try
	conn *pgxpool.Conn
	now  time.Time // the time of the transaction, in UTC

	xid     int64     // 0: it has not begun
	batch   pgx.Batch // sent together with the commit
	entries bool      // batch adds audit entries
	nothing bool      // it has nothing to commit
	after   []func()  // called after the commit, before the caller learns of it
	sent    time.Time // when the commit was sent; zero: it was not
}

// maxTries is how often a transaction is tried that fails because of others.
const maxTries = 20

// write runs f in a transaction and commits it. f may run several times: when PostgreSQL
// says that the transaction has to be repeated, and when the connection breaks before the
// commit has taken effect.
func (s *Store) write(ctx context.Context, f func(*writeTx) error) error {
	if err := cmp.Or(ctx.Err(), s.check()); err != nil {
		return err
	}
	return s.try(ctx, f)
}

// try is write, also while this process may not answer. If ctx is cancelled after the commit
// was sent, for example since this process leads no more, it still finds out whether the
// commit has taken effect.
func (s *Store) try(ctx context.Context, f func(*writeTx) error) error {
	s.waiting.Add(1)
	defer s.waiting.Add(-1)
	limited, cancel := context.WithTimeout(ctx, transactionTimeout)
	defer cancel()
	deadline, _ := limited.Deadline()
	end, cancelEnd := context.WithDeadline(context.WithoutCancel(ctx), deadline)
	defer cancelEnd()
	for try := 1; ; try++ {
		tx := &writeTx{Store: s, ctx: limited, end: end, now: s.now().UTC()}
		err := tx.run(f)
		if err == nil {
			return nil
		}
		again := isTransient(err)
		if isBroken(err) || limited.Err() != nil {
			again = true
			if !tx.sent.IsZero() {
				if done, known := s.outcome(end, tx.xid, tx.sent); done {
					tx.publish()
					return nil
				} else if !known {
					again = false
				}
			}
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !again || try == maxTries || sleep(limited, time.Duration(try*try)*time.Millisecond) != nil {
			return failure(err)
		}
	}
}

// run runs f and commits, once.
func (tx *writeTx) run(f func(*writeTx) error) (err error) {
	if tx.conn, err = tx.pool.Acquire(tx.ctx); err != nil {
		return err
	}
	defer tx.conn.Release()
	defer tx.rollback()
	if err := f(tx); err != nil || tx.nothing || tx.xid == 0 {
		return err
	}
	tx.sent = time.Now()
	tx.batch.Queue(`COMMIT`)
	if err := tx.conn.SendBatch(tx.end, &tx.batch).Close(); err != nil {
		return err
	}
	if conn := tx.conn.Conn(); conn.PgConn().CustomData()[warnedKey] != nil { // perhaps that the standby may lack it
		if err := passBarrier(tx.end, conn); err != nil {
			return err
		}
	}
	if f := tx.onCommit.Load(); f != nil {
		(*f)(time.Since(tx.sent))
	}
	tx.publish()
	return nil
}

// begin begins the transaction, together with the statements of q. The context may carry
// guards, which have to hold until it commits.
func (tx *writeTx) begin(q *pgx.Batch) error {
	first := &pgx.Batch{}
	first.Queue(`BEGIN`)
	first.Queue(`SELECT pg_current_xact_id()::text::bigint`).QueryRow(func(r pgx.Row) error { return r.Scan(&tx.xid) })
	guards := guardsOf(tx.ctx)
	hold := make([]bool, len(guards))
	for i, g := range guards {
		queueFind(first, &hold[i], g.sql, g.args...)
	}
	first.QueuedQueries = append(first.QueuedQueries, q.QueuedQueries...)
	if err := tx.conn.SendBatch(tx.ctx, first).Close(); err != nil {
		return err
	}
	if i := slices.Index(hold, false); i >= 0 {
		return guards[i].lost
	}
	return nil
}

// guard is a condition on which everything that is written with a context commits: a
// statement returns a row, and locks it.
type guard struct {
	sql  string
	args []any
	lost error // if it returns none
}

type guardsKey struct{}

func guardsOf(ctx context.Context) []guard {
	guards, _ := ctx.Value(guardsKey{}).([]guard)
	return guards
}

func withGuard(ctx context.Context, g guard) context.Context {
	return context.WithValue(ctx, guardsKey{}, append(slices.Clip(guardsOf(ctx)), g))
}

// beginWith begins the transaction, together with one statement, and tells whether that has
// returned a row.
func (tx *writeTx) beginWith(sql string, args ...any) (found bool, err error) {
	q := &pgx.Batch{}
	queueFind(q, &found, sql, args...)
	err = tx.begin(q)
	return found, err
}

// queueFind queues a statement, and tells in found whether it has returned a row.
func queueFind(q *pgx.Batch, found *bool, sql string, args ...any) {
	q.Queue(sql, args...).Query(func(rows pgx.Rows) error {
		*found = rows.Next()
		rows.Close()
		return rows.Err()
	})
}

// send sends the statements of q.
func (tx *writeTx) send(q *pgx.Batch) error { return tx.conn.SendBatch(tx.ctx, q).Close() }

// flush sends what is queued so far, before the commit.
func (tx *writeTx) flush() error {
	if tx.batch.Len() == 0 {
		return nil
	}
	err := tx.send(&tx.batch)
	tx.batch = pgx.Batch{}
	return err
}

// rollback ends a transaction that was not committed.
func (tx *writeTx) rollback() {
	if tx.conn.Conn().PgConn().TxStatus() == 'I' {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(tx.ctx), connectTimeout)
	defer cancel()
	if _, err := tx.conn.Exec(ctx, `ROLLBACK`); err != nil {
		_ = tx.conn.Conn().Close(ctx) // the end of the connection ends the transaction too
	}
}

// publish makes known in memory what was committed.
func (tx *writeTx) publish() {
	for _, f := range tx.after {
		f()
	}
	if tx.entries {
		select {
		case tx.wake <- struct{}{}:
		default:
		}
	}
}

// outcome asks whether a transaction has committed whose commit was sent at a time and not
// answered. known is false if the database cannot say.
func (s *Store) outcome(ctx context.Context, xid int64, sent time.Time) (committed, known bool) {
	for {
		status, since, err := s.status(ctx, xid)
		switch {
		case err == nil && status == "committed":
			// After a crash or failover the number may be that of another transaction. A
			// connection that is older than the commit shows that there was none. The
			// wait for the standby may have been cut off, so wait again.
			if since.Before(sent) {
				err = s.awaitStandby(ctx)
				return err == nil, err == nil
			}
			return false, false
		case err == nil && status == "aborted", isCode(err, "22023"): // in the future: a standby has taken over that never had it
			return false, true
		}
		if sleep(ctx, 50*time.Millisecond) != nil {
			return false, false
		}
	}
}

// status asks for the status of a transaction, on a connection that there is since a time.
func (s *Store) status(ctx context.Context, xid int64) (status string, since time.Time, err error) {
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return "", since, err
	}
	defer conn.Release()
	err = conn.QueryRow(ctx, `SELECT coalesce(pg_xact_status($1::bigint::text::xid8), '')`, xid).Scan(&status)
	return status, conn.Conn().PgConn().CustomData()[sinceKey].(time.Time), err
}

// read runs f in a read-only transaction that sees one state of the database. long lets
// statements and pauses between them take any time.
func read(ctx context.Context, pool *pgxpool.Pool, long bool, f func(pgx.Tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	err := pgx.BeginTxFunc(ctx, pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		if long {
			if _, err := tx.Exec(ctx, `SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0`); err != nil {
				return err
			}
		}
		return f(tx)
	})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return failure(err)
}

// isTransient tells whether a transaction failed because of others that ran beside it, or
// because the database is about to stop.
func isTransient(err error) bool {
	return isCode(err, "40001", "40P01", "57P01", "57P02", "57P03")
}

// isCode tells whether PostgreSQL returned one of those SQLSTATEs.
func isCode(err error, codes ...string) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && slices.Contains(codes, pg.Code)
}

// isBroken tells whether the connection failed, so that the outcome of the last statement
// is not known.
func isBroken(err error) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return strings.HasPrefix(pg.Code, "08") || strings.HasPrefix(pg.Code, "57P")
	}
	var network net.Error
	return errors.As(err, &network) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) || pgconn.SafeToRetry(err)
}

// failure turns an error that a caller can act on into a taxii.Error. It quotes nothing of
// the address of the database.
func failure(err error) error {
	var known *taxii.Error
	var connect *pgconn.ConnectError
	switch {
	case err == nil || errors.As(err, &known) || errors.Is(err, store.ErrStale) || errors.Is(err, ErrEmpty):
		return err
	case strings.Contains(err.Error(), "closed pool"):
		return errClosed
	case errors.As(err, &connect):
		return &taxii.Error{Code: taxii.Unavailable, Msg: "the database cannot be reached", Err: connectReason(err), RetryAfter: processDead}
	case isCode(err, "53100", "53200", "53300", "53400"):
		return &taxii.Error{Code: taxii.Unavailable, Msg: "the database has no room", Err: err, RetryAfter: time.Minute}
	case isTransient(err) || isBroken(err) || isCode(err, "25006", "55P03", "57014") || errors.Is(err, context.DeadlineExceeded):
		return &taxii.Error{Code: taxii.Unavailable, Msg: "the database does not answer", Err: err, RetryAfter: processDead}
	}
	return err
}

// connectReason says why a connection failed, without its address. It is for our log only,
// since it may name the role or the host.
func connectReason(err error) error {
	var pg *pgconn.PgError
	var network *net.OpError
	switch {
	case errors.As(err, &pg):
		return pg
	case errors.As(err, &network):
		return network.Err
	}
	return errors.New("the connection failed")
}
