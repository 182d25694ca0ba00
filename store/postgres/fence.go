package postgres

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"comity/taxii"
)

// fence is the row by which one process asks all others to hold up the readers of a
// collection.
type fence struct {
	id, collection, owner uuid.UUID
}

// holdFunc is what OnExclusive is called with.
type holdFunc = func(ctx context.Context, collection uuid.UUID) (release func(), err error)

// heldFence is a fence of another process, as this one sees it.
type heldFence struct {
	held   atomic.Bool // the readers are held up, and the owner knows it
	unread bool        // there were no readers yet to hold up
	gone   context.CancelFunc
}

// exclusiveWait is how long Exclusive waits for other processes. One that has died is buried
// within that time.
const exclusiveWait = 3 * processDead

// Exclusive implements store.Store. The fence ends with f, or when this process is buried:
// then nothing more that f writes commits.
func (s *Store) Exclusive(ctx context.Context, collection uuid.UUID, f func(context.Context) error) error {
	fence := fence{uuid.New(), collection, s.processID()}
	s.own(fence.id, true)
	defer s.own(fence.id, false)
	defer s.dropFence(context.WithoutCancel(ctx), fence.id)
	deadline := time.Now().Add(exclusiveWait)
	if err := s.raiseFence(ctx, fence, deadline); err != nil {
		return err
	}
	if hold := s.process.hold.Load(); hold != nil {
		waiting, cancel := context.WithDeadline(ctx, deadline)
		release, err := (*hold)(waiting, collection)
		cancel()
		if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
			return taxii.Errorf(taxii.Unavailable, "this server does not let its readers of the collection end: try again")
		}
		if err != nil {
			return err
		}
		defer release()
	}
	if err := s.awaitHeld(ctx, fence, deadline); err != nil {
		return err
	}
	return f(withGuard(ctx, guard{
		sql: `SELECT true FROM fence WHERE id = $1 FOR SHARE`, args: []any{fence.id},
		lost: taxii.Errorf(taxii.Unavailable, "the readers of the collection are not held up any more: try again"),
	}))
}

// raiseFence writes the row of a fence, once there is no other one of that collection.
func (s *Store) raiseFence(ctx context.Context, f fence, deadline time.Time) error {
	return poll(ctx, watchInterval/2, func() (raised bool, err error) {
		err = s.write(ctx, func(tx *writeTx) (err error) {
			raised, err = tx.beginWith(`INSERT INTO fence VALUES ($1, $2, $3) ON CONFLICT DO NOTHING RETURNING true`, f.id, f.collection, f.owner)
			tx.nothing = !raised
			return err
		})
		if err == nil && !raised && time.Now().After(deadline) {
			err = taxii.Errorf(taxii.Unavailable, "something else is removed from the collection: try again")
		}
		return raised, err
	})
}

// awaitHeld waits until all other processes hold up their readers.
func (s *Store) awaitHeld(ctx context.Context, f fence, deadline time.Time) error {
	return poll(ctx, watchInterval/2, func() (bool, error) {
		var waiting *string
		var n int
		if err := s.pool.QueryRow(ctx, `SELECT count(*), min(address) FROM process p WHERE id <> $1
			AND NOT EXISTS (SELECT FROM fence_held h WHERE h.fence = $2 AND h.process = p.id)`, f.owner, f.id).Scan(&n, &waiting); err != nil {
			return false, failure(err)
		}
		if n > 0 && time.Now().After(deadline) {
			return false, taxii.Errorf(taxii.Unavailable, "the server at %s does not let its readers of the collection end: try again", *waiting)
		}
		return n == 0, nil
	})
}

// dropFence deletes the row of a fence. If that fails, followFences does it later.
func (s *Store) dropFence(ctx context.Context, id uuid.UUID) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	if _, err := s.pool.Exec(ctx, `DELETE FROM fence WHERE id = $1`, id); err != nil {
		s.log.Warn("readers are held up a little longer", "error", failure(err))
	}
}

// own notes whether a fence of this process is in use.
func (s *Store) own(id uuid.UUID, inUse bool) {
	p := &s.process
	p.mu.Lock()
	defer p.mu.Unlock()
	if delete(p.owned, id); inUse {
		p.owned[id] = true
	}
}

// followFences holds up readers for the fences of other processes, and lets them go on when
// a snapshot has a fence no more. It is called after the states of that snapshot are known.
func (s *Store) followFences(fences map[uuid.UUID]fence) {
	p := &s.process
	p.mu.Lock()
	defer p.mu.Unlock()
	for id, held := range p.held {
		if _, there := fences[id]; !there {
			held.gone()
			delete(p.held, id)
		}
	}
	for id, f := range fences {
		if p.held[id] != nil || p.owned[id] {
			continue
		}
		ctx, gone := context.WithCancel(context.Background())
		hold := s.process.hold.Load()
		held := &heldFence{gone: gone, unread: hold == nil}
		p.held[id] = held
		own := f.owner == p.id
		p.holding.Go(func() {
			if !own {
				s.keepHeld(ctx, f, held, hold)
				return
			}
			s.dropFence(ctx, id) // it could not be dropped before
			p.mu.Lock()
			defer p.mu.Unlock()
			delete(p.held, id) // otherwise it would not be tried again
		})
	}
}

// keepHeld holds up the readers of a collection until ctx ends.
func (s *Store) keepHeld(ctx context.Context, f fence, held *heldFence, hold *holdFunc) {
	release := func() {}
	for hold != nil {
		var err error
		if release, err = (*hold)(ctx, f.collection); err == nil {
			break
		}
		if sleep(ctx, beatInterval) != nil {
			return
		}
		s.log.Error("deliveries cannot be recorded before a removal", "error", err)
	}
	defer release()
	for {
		if _, err := s.pool.Exec(ctx, `INSERT INTO fence_held SELECT id, $2 FROM fence WHERE id = $1 ON CONFLICT DO NOTHING`, f.id, s.processID()); err == nil {
			break
		}
		if sleep(ctx, watchInterval) != nil {
			return
		}
	}
	held.held.Store(true)
	<-ctx.Done()
}

// allHeld tells whether this process holds up its readers for all these fences. The caller
// holds the mutex of process.
func (s *Store) allHeld(fences map[uuid.UUID]fence) bool {
	for id := range fences {
		if held := s.process.held[id]; held != nil && !held.held.Load() {
			return false
		}
	}
	return true
}

// awaitUnread waits until the fences are gone that this process had no readers to hold up for.
func (s *Store) awaitUnread(ctx context.Context) error {
	p := &s.process
	return poll(ctx, watchInterval, func() (bool, error) {
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, held := range p.held {
			if held.unread {
				return false, nil
			}
		}
		return true, nil
	})
}

// letGo ends all that this process holds for the fences of others, when it closes the store.
func (s *Store) letGo() {
	p := &s.process
	p.mu.Lock()
	for _, held := range p.held {
		held.gone()
	}
	p.mu.Unlock()
	p.holding.Wait()
}
