package auth

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// burst attempts are answered at once, further ones are delayed to one a second, by
// maxDelay at most, so that no account is ever locked out.
const (
	burst         = 10
	maxDelay      = 5 * time.Second
	maxLimiters   = 10_000
	maxUserLength = 200 // no account has a longer id
)

// failures delays repeated failures, by address and by account. A password counts as an
// attempt before it is hashed, so a right password counts once in the time for which it
// is remembered.
type failures struct {
	mu       sync.Mutex // guards limiters
	limiters map[string]*rate.Limiter
}

func newFailures() *failures { return &failures{limiters: map[string]*rate.Limiter{}} }

// wait waits for the longer delay of the address and the user, or until ctx ends. It
// returns false if the delay is maxDelay, or if ctx ended.
func (f *failures) wait(ctx context.Context, address, user string) bool {
	if ctx.Err() != nil {
		return false // the attempt of a client that has left does not count
	}
	delay := f.attempt(address, user)
	if delay == 0 {
		return true
	}
	select {
	case <-time.After(min(delay, maxDelay)):
		return delay < maxDelay
	case <-ctx.Done():
		return false
	}
}

// attempt counts an attempt, and returns its delay. It counts for address and user at once:
// otherwise two attempts could take the last free one of the address and that of the user
// from each other.
func (f *failures) attempt(address, user string) time.Duration {
	if len(user) > maxUserLength {
		user = "?" // as for a malformed header, so that long names do not fill the memory
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	delay := f.delay("a " + Network(address))
	if user != "" {
		delay = max(delay, f.delay("u "+user))
	}
	return delay
}

// Network is the addresses that one client can choose from: an IPv6 client usually has a
// /64 network.
func Network(address string) string {
	a, err := netip.ParseAddr(address)
	if err != nil || !a.Is6() || a.Is4In6() {
		return address
	}
	p, _ := a.WithZone("").Prefix(64)
	return p.String()
}

// delay is the delay of one more attempt by that key. The caller holds mu.
func (f *failures) delay(key string) time.Duration {
	limiter := f.limiters[key]
	if limiter == nil {
		f.evict()
		limiter = rate.NewLimiter(rate.Every(time.Second), burst)
		f.limiters[key] = limiter
	}
	reservation := limiter.Reserve()
	if reservation.Delay() > maxDelay {
		reservation.Cancel() // otherwise a flood would delay later attempts for hours
		return maxDelay
	}
	return reservation.Delay()
}

// evict removes limiters if there are too many: first those without a delay and without
// recent attempts, then all.
func (f *failures) evict() {
	if len(f.limiters) < maxLimiters {
		return
	}
	for key, limiter := range f.limiters {
		if limiter.Tokens() >= burst {
			delete(f.limiters, key)
		}
	}
	if len(f.limiters) >= maxLimiters {
		clear(f.limiters)
	}
}
