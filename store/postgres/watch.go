package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"comity/taxii"
)

// watchInterval is the time between two snapshots. A notification by PostgreSQL would tell
// of the same changes 20 ms earlier at most.
const watchInterval = 20 * time.Millisecond

// reconnectPause is the time between two attempts to reach the database.
const reconnectPause = 100 * time.Millisecond

// maxPause is the longest pause between two snapshots after which this process trusts what
// it has seen of others: when the database stands still, nobody can beat.
const maxPause = time.Second

// watcher beats, and reads what other processes have committed, on a connection of its own.
type watcher struct {
	*Store
	config *pgx.ConnConfig
	conn   *pgx.Conn // nil: lost
	beats  int
	beaten time.Time // when the last beat was sent
}

// watch beats and reads until ctx ends. If the connection breaks, it makes another one.
func (w *watcher) watch(ctx context.Context) {
	tick := time.NewTicker(watchInterval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			if w.conn != nil {
				_ = w.conn.Close(context.WithoutCancel(ctx)) // nothing is under way
			}
			return
		}
		err := w.step(context.WithoutCancel(ctx)) // a statement that is cancelled breaks the connection
		if err != nil && ctx.Err() == nil && w.conn != nil {
			w.log.Error("the connection to the database is lost", "error", failure(err))
		}
		if err != nil {
			if w.conn != nil {
				_ = w.conn.Close(context.WithoutCancel(ctx)) // it is broken
				w.conn = nil
			}
			_ = sleep(ctx, reconnectPause) // the loop asks ctx
		}
	}
}

// step beats if it is time, and reads a snapshot.
func (w *watcher) step(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, processValid)
	defer cancel()
	if w.conn == nil {
		if err := w.connect(ctx); err != nil {
			return err
		}
	}
	if time.Since(w.beaten) >= beatInterval {
		if err := w.beat(ctx); err != nil {
			return err
		}
	}
	began := time.Now()
	var seen snapshot
	if err := seen.read(ctx, w.conn); err != nil {
		return err
	}
	if err := w.confirm(ctx, w.conn, &seen.progress); err != nil {
		return err
	}
	w.takeOver(&seen, began)
	if id := w.processID(); seen.generation != seen.acknowledged[id] {
		_, err := w.conn.Exec(ctx, `UPDATE process SET generation = $2 WHERE id = $1`, id, int64(seen.generation))
		return err
	}
	return nil
}

// connect opens the connection. What is known is forgotten: the database may be another one
// after a failover.
func (w *watcher) connect(ctx context.Context) error {
	conn, err := pgx.ConnectConfig(ctx, w.config)
	if err != nil {
		return err
	}
	err = w.afterConnect(ctx, conn)
	if err == nil {
		_, err = conn.Exec(ctx, `UPDATE meta SET timeline = $1 WHERE timeline <> $1`, conn.PgConn().CustomData()[timelineKey])
	}
	if err != nil {
		_ = conn.Close(ctx) // it was not used yet
		return err
	}
	w.conn, w.beaten = conn, time.Time{}
	if w.beats > 0 {
		w.log.Info("the database is connected again")
	}
	w.forget()
	w.numbers.Clear()
	w.documents.Clear()
	return nil
}

// beat writes to the row of this process. If there is none, the process was buried: it
// registers anew.
func (w *watcher) beat(ctx context.Context) error {
	w.process.mu.Lock()
	id, now := w.process.id, w.process.clock
	w.process.mu.Unlock()
	sent, before := time.Now(), now()
	var clock time.Time
	var async bool
	err := w.conn.QueryRow(ctx, `UPDATE process SET beat = beat + 1, heard = $2 WHERE id = $1
		RETURNING clock_timestamp(), current_setting('synchronous_standby_names') = ''
			AND EXISTS (SELECT FROM pg_stat_replication WHERE state IS DISTINCT FROM 'backup' AND application_name IS DISTINCT FROM 'pg_basebackup')`, id, w.now().UTC()).Scan(&clock, &async)
	if errors.Is(err, pgx.ErrNoRows) {
		return w.registerAnew(ctx)
	}
	if err != nil {
		return err
	}
	w.checkSkew(before, clock, now())
	if w.beats++; w.beats%120 == 1 {
		var size int64
		if err := w.conn.QueryRow(ctx, `SELECT pg_database_size(current_database())`).Scan(&size); err != nil {
			return err
		}
		w.process.bytes.Store(size)
	}
	w.beaten = sent
	w.process.mu.Lock()
	w.process.async = async
	w.process.mu.Unlock()
	return nil
}

// registerAnew gives this process another row. If it cannot serve beside the others any more,
// it answers nothing.
func (w *watcher) registerAnew(ctx context.Context) error {
	w.process.mu.Lock()
	serving, buried := w.process.serving, !w.process.fresh
	id := uuid.New()
	w.process.id, w.process.fresh, w.process.heard = id, true, time.Time{}
	w.process.mu.Unlock()
	if buried {
		w.log.Warn("another process has taken this one for dead: it goes on as a new one")
	}
	err := w.register(ctx, id, serving)
	if taxii.CodeOf(err) == taxii.Conflict {
		w.setFault(err)
	}
	return err
}

// checkSkew compares the clock of this machine, before and after a question, with that of
// the database. Retention, tokens and the terms of agreements depend on it.
func (w *watcher) checkSkew(before, clock, after time.Time) {
	skew := max(before.Sub(clock), clock.Sub(after))
	if skew <= maxSkew {
		w.setFault(nil)
		return
	}
	w.setFault(&taxii.Error{Code: taxii.Unavailable, Msg: "the clock of the server is wrong", RetryAfter: time.Minute,
		Err: fmt.Errorf("the clocks of this machine and of the database differ by %s: set them by NTP", skew.Round(time.Second/10))})
}

// snapshot is what the database has at one moment.
type snapshot struct {
	progress
	fences       map[uuid.UUID]fence
	others       map[uuid.UUID]other
	acknowledged map[uuid.UUID]uint64 // generation by process
}

// read reads all in one round trip.
func (seen *snapshot) read(ctx context.Context, conn *pgx.Conn) error {
	*seen = snapshot{fences: map[uuid.UUID]fence{}, others: map[uuid.UUID]other{}, acknowledged: map[uuid.UUID]uint64{}}
	q := &pgx.Batch{}
	q.Queue(`BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY`)
	seen.queue(q)
	q.Queue(`SELECT id, collection, owner FROM fence`).Query(func(rows pgx.Rows) error {
		var f fence
		_, err := pgx.ForEachRow(rows, []any{&f.id, &f.collection, &f.owner}, func() error { seen.fences[f.id] = f; return nil })
		return err
	})
	q.Queue(`SELECT id, beat, ended, generation FROM process`).Query(func(rows pgx.Rows) error {
		var id uuid.UUID
		var o other
		var generation uint64
		_, err := pgx.ForEachRow(rows, []any{&id, &o.beat, &o.ended, &generation}, func() error {
			seen.others[id], seen.acknowledged[id] = o, generation
			return nil
		})
		return err
	})
	q.Queue(`COMMIT`)
	return conn.SendBatch(ctx, q).Close()
}

// takeOver makes known what was read from a time on.
func (w *watcher) takeOver(seen *snapshot, began time.Time) {
	w.followFences(seen.fences)
	w.observe(seen.others, began)
	p := &w.process
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fresh && w.allHeld(seen.fences) {
		p.fresh = false
	}
	if _, there := seen.acknowledged[p.id]; there && !p.fresh {
		p.heard = w.beaten
	}
}
