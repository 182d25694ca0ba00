package postgres

import (
	"cmp"
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"comity/store"
)

// progress is how far the database had come at one moment. The numbers only grow.
//
// A commit waits for the standby before others see it. But PostgreSQL shows it at once if
// something ends that wait, such as the end of the connection, and a failover may lose it
// then. So a process shows no more than its confirmed progress: what it has read before a
// barrier, or has itself committed. The records behind that do not exist for its readers.
type progress struct {
	generation uint64                    // of the directory
	link       uint64                    // number of the last link of the audit chain
	states     map[uuid.UUID]store.State // of all collections that have had records
}

// queue queues the look-up of the progress: the states last, so that they tell of every
// record that the audit chain tells of.
func (p *progress) queue(q *pgx.Batch) {
	p.states = map[uuid.UUID]store.State{}
	q.Queue(`SELECT generation, number FROM meta, chain`).QueryRow(func(r pgx.Row) error { return r.Scan(&p.generation, &p.link) })
	q.Queue(`SELECT id, past, last FROM collection WHERE last > 0`).Query(func(rows pgx.Rows) error {
		var id uuid.UUID
		var state store.State
		_, err := pgx.ForEachRow(rows, []any{&id, &state.Past, &state.End}, func() error { p.states[id] = state; return nil })
		return err
	})
}

// add adds what is read or committed to p.
func (p *progress) add(more *progress) {
	p.generation, p.link = max(p.generation, more.generation), max(p.link, more.link)
	for id, state := range more.states {
		before := p.states[id]
		p.states[id] = store.State{Past: max(before.Past, state.Past), End: max(before.End, state.End)}
	}
}

// covers tells whether p has come at least as far as other.
func (p *progress) covers(other *progress) bool {
	if p.generation < other.generation || p.link < other.link {
		return false
	}
	for id, state := range other.states {
		if known := p.states[id]; known.Past < state.Past || known.End < state.End {
			return false
		}
	}
	return true
}

// learn adds to the confirmed progress what the standby has for certain.
func (s *Store) learn(more *progress) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.confirmed.add(more)
}

// forget forgets the confirmed progress.
func (s *Store) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.confirmed, s.complete = progress{states: map[uuid.UUID]store.State{}}, false
}

// covers tells whether the confirmed progress has come at least as far as p.
func (s *Store) covers(p *progress) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.complete && s.confirmed.covers(p)
}

// confirm waits until the standby has come as far as the whole progress that was read just
// now, and learns that. It passes a barrier on the connection only if something is new.
func (s *Store) confirm(ctx context.Context, conn *pgx.Conn, seen *progress) error {
	if !s.covers(seen) {
		if err := passBarrier(ctx, conn); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.confirmed.add(seen)
	s.complete = true
	return nil
}

// catchUp confirms how far the database has come by now.
func (s *Store) catchUp(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, transactionTimeout)
	defer cancel()
	return failure(s.pool.AcquireFunc(ctx, func(conn *pgxpool.Conn) error {
		var seen progress
		q := &pgx.Batch{}
		seen.queue(q)
		if err := conn.SendBatch(ctx, q).Close(); err != nil {
			return err
		}
		return s.confirm(ctx, conn.Conn(), &seen)
	}))
}

// reach catches up if what was read just now is not confirmed yet.
func (s *Store) reach(ctx context.Context, read progress) error {
	if s.covers(&read) {
		return nil
	}
	return s.catchUp(ctx)
}

// awaitStandby waits until the standby has everything that was visible before. It is for what
// is read seldom and is not part of the progress: it costs a commit.
func (s *Store) awaitStandby(ctx context.Context) error {
	return failure(s.pool.AcquireFunc(ctx, func(conn *pgxpool.Conn) error { return passBarrier(ctx, conn.Conn()) }))
}

// known calls f with the confirmed progress, without a round trip: see process.
func (s *Store) known(ctx context.Context, f func(*progress)) error {
	for {
		if err := cmp.Or(ctx.Err(), s.check()); err != nil {
			return err
		}
		s.mu.Lock()
		if s.complete {
			f(&s.confirmed)
			s.mu.Unlock()
			return nil
		}
		s.mu.Unlock()
		if err := s.catchUp(ctx); err != nil {
			return err
		}
	}
}

// State implements store.Store. The server asks for it before it repeats a page.
func (s *Store) State(ctx context.Context, id uuid.UUID) (state store.State, err error) {
	err = s.known(ctx, func(p *progress) { state = p.states[id] })
	return state, err
}
