package bolt

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"comity/store"
	"comity/taxii/audit"
)

// process is what the store knows of this process, the only one that has the file open.
type process struct {
	hold func(ctx context.Context, collection uuid.UUID) (release func(), err error)
	gap  func(ctx context.Context, last time.Time) ([]audit.Entry, error)

	mu     sync.Mutex     // guards the fields below
	joined *store.Process // nil while it does not serve
	duties map[string]int // calls of Lead under way, by duty
}

// OnExclusive implements store.Store.
func (s *Store) OnExclusive(hold func(context.Context, uuid.UUID) (func(), error)) {
	s.process.hold = hold
}

// OnGap implements store.Store.
func (s *Store) OnGap(gap func(context.Context, time.Time) ([]audit.Entry, error)) {
	s.process.gap = gap
}

// Recover implements store.Store. The last process was alive when it committed the last
// entry.
func (s *Store) Recover(ctx context.Context) error {
	last, head, err := store.LastEntry(ctx, s)
	if err != nil || !head.Open {
		return err
	}
	entries, err := s.process.gap(ctx, last.Time)
	if err != nil {
		return err
	}
	return s.Record(ctx, entries...)
}

// Join implements store.Store.
func (s *Store) Join(ctx context.Context, p store.Process, entry audit.Entry) error {
	if err := s.Record(ctx, entry); err != nil {
		return err
	}
	s.process.mu.Lock()
	defer s.process.mu.Unlock()
	p.Joined = s.now()
	s.process.joined = &p
	return nil
}

// Leave implements store.Store.
func (s *Store) Leave(ctx context.Context, entry audit.Entry) error {
	if err := s.Record(ctx, entry); err != nil {
		return err
	}
	s.process.mu.Lock()
	defer s.process.mu.Unlock()
	s.process.joined = nil
	return nil
}

// Processes implements store.Store.
func (s *Store) Processes(ctx context.Context) ([]store.Process, error) {
	s.process.mu.Lock()
	defer s.process.mu.Unlock()
	if s.process.joined == nil {
		return nil, ctx.Err()
	}
	p := *s.process.joined
	p.Duties = slices.Sorted(maps.Keys(s.process.duties))
	return []store.Process{p}, ctx.Err()
}

// Exclusive implements store.Store.
func (s *Store) Exclusive(ctx context.Context, collection uuid.UUID, f func(context.Context) error) error {
	if s.process.hold != nil {
		release, err := s.process.hold(ctx, collection)
		if err != nil {
			return err
		}
		defer release()
	}
	return f(ctx)
}

// Lead implements store.Store: the only process is always the leader.
func (s *Store) Lead(ctx context.Context, duty string, f func(context.Context)) {
	s.process.count(duty, 1)
	defer s.process.count(duty, -1)
	f(ctx)
}

func (p *process) count(duty string, n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.duties == nil {
		p.duties = map[string]int{}
	}
	if p.duties[duty] += n; p.duties[duty] == 0 {
		delete(p.duties, duty)
	}
}
