package server

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/semaphore"

	"comity/taxii"
)

// maxWaiting is how many requests of one account wait at each limiter.
const maxWaiting = 1024

// limiter bounds how many requests of an account run at once, and how many wait.
// It remembers the accounts.
type limiter struct {
	atOnce   int
	mu       sync.RWMutex // guards accounts
	accounts map[string]*slots
}

// slots are those of one account.
type slots struct {
	taken   chan struct{} // holds an element for each request that runs
	waiting atomic.Int32
}

func newLimiter(atOnce int) *limiter {
	return &limiter{atOnce: atOnce, accounts: map[string]*slots{}}
}

// acquire waits for a slot, which release gives back. Unavailable if too many wait
// already; otherwise an error is that of ctx.
func (l *limiter) acquire(ctx context.Context, account string) (s *slots, waited bool, err error) {
	s = l.slots(account)
	select {
	case s.taken <- struct{}{}:
		return s, false, nil
	default:
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
		s = &slots{taken: make(chan struct{}, l.atOnce)}
		l.accounts[account] = s
	}
	return s
}

// enter acquires a slot for the request. After a wait the access is decided again,
// since it may have ended meanwhile.
func (s *Server) enter(r *http.Request, c *caller, l *limiter) (*slots, error) {
	slot, waited, err := l.acquire(r.Context(), c.Account)
	if err == nil && waited {
		if err = s.decideAgain(r, c); err != nil {
			slot.release()
		}
	}
	return slot, err
}

// pageMemory bounds the bytes of the pages that are made or sent, for the whole
// server and for each account. Pages in the cache have a bound of their own.
type pageMemory struct {
	all      *semaphore.Weighted
	account  int64      // bytes
	mu       sync.Mutex // guards accounts
	accounts map[string]*semaphore.Weighted
}

// An account gets a quarter of the memory, so that its slow clients leave the rest
// to others.
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

// reserve waits for the memory of the largest page. The error is that of ctx.
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

// shrink gives back all but so many bytes.
func (r *reservation) shrink(bytes int) {
	if spare := r.bytes - int64(bytes); spare > 0 {
		r.bytes -= spare
		r.memory.all.Release(spare)
		r.account.Release(spare)
	}
}
