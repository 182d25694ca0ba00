package postgres

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"comity/store"
	"comity/taxii"
)

// pushStatus is the status of a push.
type pushStatus struct {
	store.Status
	there    bool // the database has it
	complete bool // it has its last part
}

const pushColumns = `id, collection, account, requested, successes, failures, stored, parts, complete`

// scan reads pushColumns, and then more columns.
func (p *pushStatus) scan(r pgx.Row, more ...any) error {
	var requested []byte
	err := r.Scan(append([]any{&p.ID, &p.Collection, &p.Account, &requested, &p.Successes, &p.Failures, &p.Stored, &p.Parts, &p.complete}, more...)...)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err == nil && len(requested) != len(store.Instant{}) {
		err = store.Damaged("the time of push %s is cut off", p.ID)
	}
	if err == nil {
		p.Requested, p.there = store.Instant(requested).Time(), true
	}
	return err
}

// queue queues the look-up of the status of an id.
func (p *pushStatus) queue(q *pgx.Batch, id uuid.UUID) {
	q.Queue(`SELECT `+pushColumns+` FROM push WHERE id = $1`, id).QueryRow(func(r pgx.Row) error { return p.scan(r) })
}

// add adds a part to the status.
func (p *pushStatus) add(part store.Part, t *store.Tally) {
	p.Counts = p.Counts.Plus(t.Counts)
	p.Parts++
	p.complete = part.Last
}

// save queues the status and the outcomes of its last part.
func (p *pushStatus) save(tx *writeTx, part store.Part, frame []byte) {
	tx.batch.Queue(`INSERT INTO push (`+pushColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
		ON CONFLICT (id) DO UPDATE SET successes = $5, failures = $6, stored = $7, parts = $8, complete = $9`, p.args()...)
	tx.batch.Queue(`INSERT INTO part VALUES ($1, $2, $3)`, p.ID, part.N, frame)
}

// args are the values of pushColumns.
func (p *pushStatus) args() []any {
	requested := store.InstantOf(p.Requested)
	return []any{p.ID, p.Collection, p.Account, requested[:], p.Successes, p.Failures, p.Stored, p.Parts, p.complete}
}

// querier is a pool, a connection or a transaction.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// outcomes reads the outcomes of one part of a status.
func (s *Store) outcomes(ctx context.Context, from querier, id uuid.UUID, n int) (o store.Outcomes, err error) {
	var frame []byte
	if err := from.QueryRow(ctx, `SELECT frame FROM part WHERE push = $1 AND n = $2`, id, n).Scan(&frame); err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return o, err
	}
	if o, err = s.codec.Unpack(frame); err != nil {
		return o, store.Damaged("part %d of the status %s: %w", n, id, err)
	}
	return o, nil
}

// Status implements store.Store.
func (s *Store) Status(ctx context.Context, account string, id uuid.UUID) (store.Status, error) {
	status, err := s.Push(ctx, id)
	if err == nil && status.Account != account {
		return store.Status{}, taxii.Errorf(taxii.NotFound, "there is no status %s", id)
	}
	return status, err
}

// Push implements store.Store. A complete status acknowledges the push, so Push waits until the
// standby has it.
func (s *Store) Push(ctx context.Context, id uuid.UUID) (store.Status, error) {
	status, err := s.push(ctx, id)
	if err == nil {
		err = s.awaitStandby(ctx)
	}
	if err != nil {
		return store.Status{}, err
	}
	return status, nil
}

// push reads the status of a push, which the standby may lack.
func (s *Store) push(ctx context.Context, id uuid.UUID) (store.Status, error) {
	var p pushStatus
	if err := p.scan(s.pool.QueryRow(ctx, `SELECT `+pushColumns+` FROM push WHERE id = $1`, id)); err != nil {
		return store.Status{}, failure(err)
	}
	if !p.complete {
		return store.Status{}, taxii.Errorf(taxii.NotFound, "there is no status %s", id)
	}
	return p.Status, nil
}

// Outcomes implements store.Store. NotFound if the status has no such part. The standby has
// them: the caller knows the number of parts from Push or Append.
func (s *Store) Outcomes(ctx context.Context, id uuid.UUID, n int) (store.Outcomes, error) {
	status, err := s.push(ctx, id)
	if err != nil {
		return store.Outcomes{}, err
	}
	if n < 0 || n >= status.Parts {
		return store.Outcomes{}, taxii.Errorf(taxii.NotFound, "status %s has no part %d", id, n)
	}
	o, err := s.outcomes(ctx, s.pool, id, n)
	return o, failure(err)
}

// ExpireStatuses implements store.Store.
func (s *Store) ExpireStatuses(ctx context.Context, t time.Time) error {
	before := store.InstantOf(t)
	return s.forgetStatuses(ctx, `requested < $1`, before[:])
}

// ForgetStatuses implements store.Store.
func (s *Store) ForgetStatuses(ctx context.Context, collection uuid.UUID) error {
	return s.forgetStatuses(ctx, `collection = $1`, collection)
}

// forgetStatuses deletes the statuses that match, 2,000 in one transaction.
func (s *Store) forgetStatuses(ctx context.Context, match string, arg any) error {
	for {
		var n int
		if err := s.write(ctx, func(tx *writeTx) error {
			q := &pgx.Batch{}
			q.Queue(`WITH old AS (DELETE FROM push WHERE id IN (SELECT id FROM push WHERE `+match+` LIMIT 2000) RETURNING id),
				parts AS (DELETE FROM part USING old WHERE push = old.id)
				SELECT count(*) FROM old`, arg).QueryRow(func(r pgx.Row) error { return r.Scan(&n) })
			err := tx.begin(q)
			tx.nothing = n == 0
			return err
		}); err != nil || n == 0 {
			return err
		}
	}
}

// quarantine is store.QuarantineItems in a transaction.
func (tx *writeTx) quarantine(part store.Part) ([]store.Item, error) {
	used := func() (*store.QuarantineRoom, error) { return tx.roomInQuarantine(part.Submission.Collection) }
	return store.QuarantineItems(part, tx.now, used, func(q *store.Quarantined) error {
		note, err := q.Note()
		if err != nil {
			return err
		}
		tx.batch.Queue(`INSERT INTO quarantine (collection, note, object) VALUES ($1, $2, $3)`, q.Collection, note, q.Object)
		return nil
	})
}

// roomInQuarantine returns the room that a collection has used.
func (tx *writeTx) roomInQuarantine(id uuid.UUID) (*store.QuarantineRoom, error) {
	rows, err := tx.conn.Query(tx.ctx, `SELECT octet_length(object) FROM quarantine WHERE collection = $1`, id)
	if err != nil {
		return nil, err
	}
	room, size := new(store.QuarantineRoom), 0
	_, err = pgx.ForEachRow(rows, []any{&size}, func() error {
		room.Take(size)
		return nil
	})
	return room, err
}

// Quarantined implements store.Store.
func (s *Store) Quarantined(ctx context.Context, after uint64, n int) (list []store.Quarantined, err error) {
	rows, err := s.pool.Query(ctx, `SELECT number, note, object FROM quarantine WHERE number > $1 ORDER BY number LIMIT $2`, int64(after), n)
	if err != nil {
		return nil, failure(err)
	}
	list, err = pgx.CollectRows(rows, scanQuarantined)
	if err != nil || len(list) == 0 {
		return nil, failure(err)
	}
	return list, s.awaitStandby(ctx)
}

func scanQuarantined(r pgx.CollectableRow) (store.Quarantined, error) {
	var number uint64
	var note, object []byte
	if err := r.Scan(&number, &note, &object); err != nil {
		return store.Quarantined{}, err
	}
	q, err := store.ReadQuarantined(number, note, bytes.Clone(object))
	if err != nil {
		err = store.Damaged("quarantine: %w", err)
	}
	return q, err
}
