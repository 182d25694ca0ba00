package postgres

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"comity/taxii/audit"
)

// other is what this process has seen of another one.
type other struct {
	beat  int64
	ended bool      // it has said that it ends
	since time.Time // when that beat was first seen
	alive bool      // it has beaten while this process watched
	seen  time.Time // of the last snapshot that had it
}

// observe compares the rows of other processes with what was seen of them before.
func (s *Store) observe(rows map[uuid.UUID]other, now time.Time) {
	p := &s.process
	p.mu.Lock()
	defer p.mu.Unlock()
	before := p.others
	p.others = rows
	for id, o := range rows {
		was, known := before[id]
		if !known || o.beat != was.beat || now.Sub(was.seen) > maxPause {
			was = other{since: now, alive: known && (was.alive || o.beat != was.beat)}
		}
		rows[id] = other{beat: o.beat, ended: o.ended, since: was.since, alive: was.alive, seen: now}
	}
	delete(rows, p.id)
}

// dead tells whether a process has ended, or has not beaten for so long that it answers
// nothing any more.
func (o other) dead(now time.Time) bool { return o.ended || now.Sub(o.since) >= processDead }

// buryDead buries the processes that are dead. undecided is the number of those of which it
// is not certain yet whether they are alive.
func (s *Store) buryDead(ctx context.Context) (undecided int, err error) {
	p := &s.process
	p.burying.Lock()
	defer p.burying.Unlock()
	p.mu.Lock()
	dead := map[uuid.UUID]other{}
	for id, o := range p.others {
		switch {
		case o.dead(time.Now()) && time.Since(o.seen) < maxPause:
			dead[id] = o
		case !o.alive || time.Since(o.since) > 2*beatInterval:
			undecided++
		}
	}
	p.mu.Unlock()
	for id, o := range dead {
		if err := s.bury(ctx, id, o.beat); err != nil {
			return 0, err
		}
	}
	return undecided, nil
}

// bury deletes the row of a process, unless it has beaten. If it was serving, the entries of
// its gap commit with that. Its fences and duties end.
func (s *Store) bury(ctx context.Context, id uuid.UUID, beat int64) error {
	var backend string
	var last time.Time
	var serving bool
	if err := s.pool.QueryRow(ctx, `SELECT backend, heard, joined IS NOT NULL FROM process WHERE id = $1`, id).Scan(&backend, &last, &serving); err != nil {
		if err == pgx.ErrNoRows {
			return nil // another process was first
		}
		return failure(err)
	}
	// Its transactions would hold locks until they time out. Without the right to end them,
	// the transaction below waits. A process that goes on as a new one keeps its connections.
	_, _ = s.pool.Exec(ctx, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name = $1 AND $1 <> ''
		AND NOT EXISTS (SELECT FROM process WHERE backend = $1 AND id <> $2)`, backend, id)
	var entries []audit.Entry
	if serving {
		gap := s.process.gap.Load()
		if gap == nil {
			return nil // a process that can make the entries buries it
		}
		var err error
		if entries, err = (*gap)(ctx, last.UTC()); err != nil {
			return err
		}
	}
	return s.write(ctx, func(tx *writeTx) error {
		found, othersServe, err := tx.beginEnd(id, `DELETE FROM process WHERE id = $1 AND beat = $2 RETURNING true`, id, beat)
		if tx.nothing = !found; err != nil || !found || !serving {
			return err
		}
		return tx.recordEnd(entries, othersServe)
	})
}

// buryAll buries dead processes until ctx ends.
func (s *Store) buryAll(ctx context.Context) {
	logged := ""
	for sleep(ctx, beatInterval) == nil {
		_, err := s.buryDead(ctx)
		if err == nil || ctx.Err() != nil {
			logged = ""
		} else if err.Error() != logged {
			logged = err.Error()
			s.log.Error("the gap of a server that was killed cannot be recorded yet", "error", err)
		}
	}
}

// Recover implements store.Store.
func (s *Store) Recover(ctx context.Context) error {
	return poll(ctx, watchInterval, func() (bool, error) {
		undecided, err := s.buryDead(ctx)
		return undecided == 0, err
	})
}
