package auth

import (
	"context"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// A few attempts are answered at once, further ones late: at most one a second and
// at most slowest later, so that nobody is locked out for good.
const (
	freeFailures = 10
	slowest      = 5 * time.Second
	watched      = 10_000
	longestUser  = 200 // no account has a longer id
)

// failures slows down those who keep failing, by address and by account. A password
// counts before it is hashed, so a right one counts once in the time for which it is
// remembered.
type failures struct {
	mu   sync.Mutex // guards seen
	seen map[string]*rate.Limiter
}

func newFailures() *failures { return &failures{seen: map[string]*rate.Limiter{}} }

// wait waits as long as the worse of the two has earned, or until ctx ends. It is
// false if that was the longest, or ctx ended.
func (f *failures) wait(ctx context.Context, address, user string) bool {
	if ctx.Err() != nil {
		return false // a caller who has left has tried nothing
	}
	delay := f.delay("a " + address)
	if len(user) > longestUser {
		user = "?" // as what cannot be read: names must not fill the memory
	}
	if user != "" {
		delay = max(delay, f.delay("u "+user))
	}
	if delay == 0 {
		return true
	}
	select {
	case <-time.After(min(delay, slowest)):
		return delay < slowest
	case <-ctx.Done():
		return false
	}
}

func (f *failures) delay(who string) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	limiter := f.seen[who]
	if limiter == nil {
		f.forget()
		limiter = rate.NewLimiter(rate.Every(time.Second), freeFailures)
		f.seen[who] = limiter
	}
	reservation := limiter.Reserve()
	if reservation.Delay() > slowest {
		reservation.Cancel() // a flood must not build up a debt
		return slowest
	}
	return reservation.Delay()
}

// forget makes room: first by those who have been quiet long enough, then by
// everybody.
func (f *failures) forget() {
	if len(f.seen) < watched {
		return
	}
	for who, limiter := range f.seen {
		if limiter.Tokens() >= freeFailures {
			delete(f.seen, who)
		}
	}
	if len(f.seen) >= watched {
		clear(f.seen)
	}
}
