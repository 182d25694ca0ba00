package server

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/semaphore"

	"comity/taxii"
)

// maxWaiting is how many requests of one account may wait at each limiter.
const maxWaiting = 1024

// limiter bounds how many requests of each account run at once, and how many wait.
type limiter struct {
	maxRunning int
	mu         sync.RWMutex // guards accounts
	accounts   map[string]*slots
}

// slots are the slots of one account.
type slots struct {
	taken   chan struct{} // holds an element for each running request
	waiting atomic.Int32
}

func newLimiter(maxRunning int) *limiter {
	return &limiter{maxRunning: maxRunning, accounts: map[string]*slots{}}
}

// tryAcquire takes a slot if one is free.
func (l *limiter) tryAcquire(account string) (s *slots, ok bool) {
	s = l.slots(account)
	select {
	case s.taken <- struct{}{}:
		return s, true
	default:
		return s, false
	}
}

// acquire waits for a slot; release gives it back. It fails with Unavailable if too
// many requests of the account wait already, and with the error of ctx if that ends.
func (l *limiter) acquire(ctx context.Context, account string) (s *slots, waited bool, err error) {
	s, ok := l.tryAcquire(account)
	if ok {
		return s, false, nil
	}
	defer s.waiting.Add(-1)
	if s.waiting.Add(1) > maxWaiting {
		return nil, true, errBusy
	}
	select {
	case s.taken <- struct{}{}:
		return s, true, nil
	case <-ctx.Done():
		return nil, true, ctx.Err()
	}
}

var errBusy = taxii.Errorf(taxii.Unavailable, "too many requests of this account wait for an answer")

func (s *slots) release() { <-s.taken }

func (l *limiter) slots(account string) *slots {
	l.mu.RLock()
	s := l.accounts[account]
	l.mu.RUnlock()
	if s != nil {
		return s
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if s = l.accounts[account]; s == nil {
		s = &slots{taken: make(chan struct{}, l.maxRunning)}
		l.accounts[account] = s
	}
	return s
}

// acquireSlot acquires a slot for the request. After a wait it decides access again,
// since the account may have lost it meanwhile.
func (s *Server) acquireSlot(r *http.Request, c *caller, l *limiter) (*slots, error) {
	slot, waited, err := l.acquire(r.Context(), c.Account)
	if err == nil && waited {
		if err = s.decideAgain(r, c); err != nil {
			slot.release()
		}
	}
	return slot, err
}

// acquireMemory reserves the memory of a page. After a wait, access is decided again.
func (s *Server) acquireMemory(r *http.Request, c *caller) (memory *reservation, waited bool, err error) {
	memory, waited, err = s.memory.reserve(r.Context(), c.Account)
	if err == nil && waited {
		if err = s.decideAgain(r, c); err != nil {
			memory.shrink(0)
		}
	}
	return memory, waited, err
}

// pageMemory bounds the bytes of the pages that are read or sent at a time, for the
// whole server and for each account. The page cache has its own bound.
type pageMemory struct {
	all      *semaphore.Weighted
	account  int64      // bytes
	mu       sync.Mutex // guards accounts
	accounts map[string]*semaphore.Weighted
}

// newPageMemory gives each account a quarter of the bytes at most, so that slow clients
// of one account do not block the others.
func newPageMemory(bytes int64) *pageMemory {
	return &pageMemory{
		all: semaphore.NewWeighted(bytes), account: max(bytes/4, maxPage), accounts: map[string]*semaphore.Weighted{},
	}
}

// reservation is memory for one page.
type reservation struct {
	memory  *pageMemory
	account *semaphore.Weighted
	bytes   int64
}

// reserve waits for the memory of the largest page. It fails only if ctx ends.
func (m *pageMemory) reserve(ctx context.Context, account string) (r *reservation, waited bool, err error) {
	m.mu.Lock()
	own := m.accounts[account]
	if own == nil {
		own = semaphore.NewWeighted(m.account)
		m.accounts[account] = own
	}
	m.mu.Unlock()
	for _, s := range []*semaphore.Weighted{own, m.all} {
		if s.TryAcquire(maxPage) {
			continue
		}
		waited = true
		if err := s.Acquire(ctx, maxPage); err != nil {
			if s == m.all {
				own.Release(maxPage)
			}
			return nil, true, err
		}
	}
	return &reservation{m, own, maxPage}, waited, nil
}

// shrink gives back all but the given number of bytes.
func (r *reservation) shrink(bytes int) {
	if spare := r.bytes - int64(bytes); spare > 0 {
		r.bytes -= spare
		r.memory.all.Release(spare)
		r.account.Release(spare)
	}
}
