package postgres

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"comity/store"
)

// replica is a hot standby from which pages are read, so that polls are no load for the primary.
// It may be behind, or have what a failover has lost. So a page is taken from it only if its own
// snapshot has all that this process knows of the collection: see walk.head. Otherwise, and if
// the replica fails, the primary is asked at once.
type replica struct {
	store *Store
	pool  *pgxpool.Pool

	pages, passed atomic.Int64 // pages that were read here, and those that the primary had to read

	mu    sync.Mutex // guards the fields below
	fault error      // why no page is read here; nil: pages are
	retry time.Time  // when the replica is asked again after a failure
	heard time.Time  // when this process sent its last beat that the replica has
}

const (
	replicaInterval = time.Second     // between two looks at the replica
	replicaPause    = 5 * time.Second // after a failure
	maxLag          = 3 * time.Second // of a replica that pages are read from

	// replicaTimeout bounds how long a page is read: nobody takes this process for dead
	// meanwhile, and then removes records that the page has.
	replicaTimeout = processDead - processValid
)

var (
	errUnknown = errors.New("the replica is not known yet")
	errLag     = errors.New("the replica is behind")
)

// openReplica returns the replica of a DSN, which need not be there yet; nil if the DSN is "".
func openReplica(ctx context.Context, s *Store, dsn string) (*replica, error) {
	if dsn == "" {
		return nil, nil
	}
	config, err := parseDSN(dsn, pgconn.ValidateConnectTargetSessionAttrsStandby)
	if err != nil {
		return nil, err
	}
	config.ConnConfig.RuntimeParams["application_name"] = s.process.backend
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, failure(err)
	}
	return &replica{store: s, pool: pool, fault: errUnknown, heard: s.now()}, nil
}

// follow looks at the replica until ctx ends.
func (r *replica) follow(ctx context.Context) {
	tick := time.NewTicker(replicaInterval)
	defer tick.Stop()
	for {
		r.mu.Lock()
		wait := time.Now().Before(r.retry)
		r.mu.Unlock()
		if !wait {
			if err := r.look(ctx); ctx.Err() == nil {
				r.note(err)
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// look finds out how far the replica is behind, by the beats of this process.
func (r *replica) look(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	var timeline int64
	var heard time.Time
	err := r.pool.QueryRow(ctx, `SELECT timeline, heard FROM meta, process WHERE id = $1`, r.store.processID()).Scan(&timeline, &heard)
	if errors.Is(err, pgx.ErrNoRows) {
		return errLag
	}
	if err != nil {
		return err
	}
	r.mu.Lock()
	r.heard = heard
	r.mu.Unlock()
	if timeline != r.store.newestTimeline() || r.lag() > maxLag {
		return errLag
	}
	return nil
}

// lag is how long ago the replica was up to date, as far as is known. There is a beat in half a
// second, and a look in a second.
func (r *replica) lag() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return max(0, r.store.now().Sub(r.heard))
}

// note notes why no page is read from the replica, and logs that when it changes.
func (r *replica) note(err error) {
	r.mu.Lock()
	before := r.fault
	if err == nil && time.Now().Before(r.retry) { // a page has failed while follow looked
		err = before
	}
	r.fault = err
	if err != nil && err != errLag {
		r.retry = time.Now().Add(replicaPause)
	}
	r.mu.Unlock()
	switch {
	case err == nil && before != nil:
		r.store.log.Info("pages are read from the replica")
	case err != nil && (before == nil || before.Error() != err.Error()):
		r.store.log.Warn("pages are read from the primary", "error", failure(err), "lag", r.lag().Round(time.Second/10))
	}
}

// usable tells whether pages are read from the replica.
func (r *replica) usable() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.fault == nil
}

// newestTimeline is the timeline of the primary.
func (s *Store) newestTimeline() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.timeline
}

// lookAtReplica reads the page from the replica. It returns false if the primary has to read
// it, or what is left of it.
func (w *walk) lookAtReplica(q store.Query, standing *store.Standing) bool {
	r := w.store.replica
	if r == nil || q.Detail {
		return false
	}
	if r.usable() && r.read(w, q, standing) {
		r.pages.Add(1)
		return true
	}
	r.passed.Add(1)
	return false
}

// read is lookAtReplica at a replica that is usable.
func (r *replica) read(w *walk, q store.Query, standing *store.Standing) bool {
	ctx, pool := w.ctx, w.pool
	limited, cancel := context.WithTimeout(ctx, replicaTimeout)
	defer cancel()
	w.ctx, w.pool = limited, r.pool
	err := w.look(q, standing)
	w.ctx, w.pool = ctx, pool
	if err != nil && ctx.Err() == nil && !errors.Is(err, errLag) && !errors.Is(err, errNews) {
		r.note(err)
	}
	return err == nil
}

func (w *walk) atReplica() bool { return w.pool != w.store.pool }

// headQuery reads the head of a collection, and the timeline of the database.
const headQuery = `SELECT ` + headColumns + `, (SELECT m.timeline FROM meta m) FROM collection WHERE n = $1`

// head reads what headQuery returns. At a replica it returns errLag if the snapshot lacks
// something of the collection that this process knows, or if it is of another timeline: the
// replica may then have removals or records that a failover has lost.
func (w *walk) head(r pgx.Row) (h head, err error) {
	var timeline int64
	err = h.scan(r, &timeline)
	if !w.atReplica() || err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return h, err
	}
	if now := h.state(); err != nil || now.Past < w.end.Past || now.End < w.end.End || timeline != w.store.newestTimeline() {
		err = errLag
	}
	return h, err
}
