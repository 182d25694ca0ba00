package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"comity/taxii"
)

// leadInterval is the time between two attempts to become the leader, and between two looks
// whether this process still is.
const leadInterval = time.Second / 4

// Lead implements store.Store. The leader is in a row, which forgets it when it is buried.
func (s *Store) Lead(ctx context.Context, duty string, f func(context.Context)) {
	logged := ""
	for ctx.Err() == nil {
		id := s.processID()
		epoch, err := s.becomeLeader(ctx, duty, id)
		switch {
		case err != nil && ctx.Err() == nil && err.Error() != logged:
			logged = err.Error()
			s.log.Error("no leader can be found for "+duty, "error", err)
		case epoch != 0:
			logged = ""
			if s.lead(ctx, duty, id, epoch, f) {
				return
			}
		}
		_ = sleep(ctx, leadInterval) // the loop asks ctx
	}
}

// becomeLeader returns the epoch in which this process leads; 0 if another one does.
func (s *Store) becomeLeader(ctx context.Context, duty string, id uuid.UUID) (int64, error) {
	if err := s.check(); err != nil {
		return 0, err
	}
	var epoch int64
	err := s.pool.QueryRow(ctx, `INSERT INTO duty AS d SELECT $1, $2, 1 WHERE NOT EXISTS (SELECT FROM duty WHERE name = $1 AND leader <> $2)
		ON CONFLICT (name) DO UPDATE SET leader = $2, epoch = d.epoch + 1 WHERE d.leader IS NULL OR d.leader = $2 RETURNING epoch`, duty, id).Scan(&epoch)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, nil
	}
	return epoch, failure(err)
}

// selectDuty finds the row of a duty while a process leads in an epoch.
const selectDuty = `SELECT true FROM duty WHERE name = $1 AND leader = $2 AND epoch = $3`

// hasLost tells whether the row of a duty is certain to name another leader or epoch. A
// failover may have lost that this process became the leader.
func (s *Store) hasLost(ctx context.Context, duty string, id uuid.UUID, epoch int64) bool {
	ctx, cancel := context.WithTimeout(ctx, leadInterval) // a new connection would wait for a lost standby
	defer cancel()
	var leads bool
	return errors.Is(s.pool.QueryRow(ctx, selectDuty, duty, id, epoch).Scan(&leads), pgx.ErrNoRows)
}

// lead runs f in an epoch in which this process leads. It tells whether f has returned of its
// own accord.
func (s *Store) lead(ctx context.Context, duty string, id uuid.UUID, epoch int64, f func(context.Context)) (returned bool) {
	leading, lost := context.WithCancel(ctx)
	defer lost()
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		for sleep(leading, leadInterval) == nil {
			if s.check() != nil || s.processID() != id || s.hasLost(leading, duty, id, epoch) {
				s.log.Warn("this server does not lead any more", "duty", duty)
				lost()
			}
		}
	}()
	f(withGuard(leading, guard{
		sql: selectDuty + ` FOR SHARE`, args: []any{duty, id, epoch},
		lost: taxii.Errorf(taxii.Unavailable, "another server leads in %s", duty),
	}))
	returned = leading.Err() == nil
	lost()
	<-watched
	release, cancel := context.WithTimeout(context.WithoutCancel(ctx), connectTimeout)
	defer cancel()
	if _, err := s.pool.Exec(release, `UPDATE duty SET leader = NULL WHERE name = $1 AND leader = $2 AND epoch = $3`, duty, id, epoch); err != nil {
		s.log.Warn("the next leader has to wait until this server has left", "duty", duty, "error", failure(err))
	}
	return returned
}
