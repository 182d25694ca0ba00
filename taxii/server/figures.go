package server

import (
	"context"
	"maps"
	"sync"
	"time"

	"github.com/google/uuid"

	"comity/store"
	"comity/taxii/exchange"
	"comity/taxii/metrics"
)

// Polls holds when each account last read objects of each collection since the server
// started. They show a client that has stopped, and one that asks for the same page for
// ever. The manifest and single objects do not count: no client follows a collection by
// them.
type Polls struct {
	mu   sync.Mutex // guards last
	last map[pollKey]poll
}

// NewPolls makes one without polls.
func NewPolls() *Polls { return &Polls{last: map[pollKey]poll{}} }

// Last is the last poll of a collection by one of the accounts for which of is true, and
// whether that account had everything then. The time is zero if there was none.
func (p *Polls) Last(collection uuid.UUID, of func(account string) bool) (at time.Time, complete bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for key, poll := range p.last {
		if key.collection == collection && poll.at.After(at) && of(key.account) {
			at, complete = poll.at, poll.whole
		}
	}
	return at, complete
}

// pollKey names the account and the collection of a poll.
type pollKey struct {
	account    string
	collection uuid.UUID
}

// poll is the last poll of an account and a collection.
type poll struct {
	principal exchange.Principal
	at        time.Time
	complete  bool      // a page was the last one: the account had everything then
	whole     bool      // the last page was such a one
	end       uint64    // of store.State when it had everything last
	waiting   time.Time // when lag first found that objects wait for it; zero if none do
}

// note takes note that c got a page of a collection.
func (p *Polls) note(c *caller, page *store.Standing) {
	key := pollKey{c.Account, c.grant.ID()}
	p.mu.Lock()
	defer p.mu.Unlock()
	last := p.last[key]
	last.principal, last.at, last.whole = c.Principal, c.now, !page.More
	if !page.More {
		last.complete, last.end, last.waiting = true, page.State.End, time.Time{}
	}
	p.last[key] = last
}

// all is a copy of the polls.
func (p *Polls) all() map[pollKey]poll {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.last)
}

// lag is for how long objects of the collection have waited for the account, which is as
// exact as lag is called often; 0 if it has all.
func (p *Polls) lag(key pollKey, state store.State, now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	last := p.last[key]
	if last.complete && last.end == state.End {
		last.waiting = time.Time{}
	} else if last.waiting.IsZero() {
		last.waiting = now
	}
	p.last[key] = last
	if last.waiting.IsZero() {
		return 0
	}
	return max(0, now.Sub(last.waiting))
}

// report reports the cache and the polls of accounts that still may read.
func (s *Server) report(gauge metrics.Gauge) {
	gauge("comity_page_cache_bytes", float64(s.pages.bytes()))
	ctx, now := context.Background(), s.Now()
	newest, err := s.Current.Snapshot(ctx)
	if err != nil {
		return
	}
	lastPoll := map[string]time.Time{} // by account that may log in
	for id, account := range newest.Directory.Accounts {
		if org := newest.Directory.Organisations[account.Org]; account.Usable(now) && org != nil && !org.Suspended {
			lastPoll[id] = time.Time{}
		}
	}
	for key, poll := range s.Polls.all() {
		at, usable := lastPoll[key.account]
		if !usable {
			continue
		}
		if poll.at.After(at) {
			lastPoll[key.account] = poll.at
		}
		grant, err := newest.Policy.Decide(poll.principal, key.collection.String(), exchange.Read, now)
		if err != nil {
			continue
		}
		if state, err := s.Store.State(ctx, key.collection); err == nil {
			gauge("comity_poll_lag_seconds", s.Polls.lag(key, state, now).Seconds(), key.account, grant.Collection().Alias)
		}
	}
	for id, at := range lastPoll {
		gauge.Time("comity_last_poll_timestamp_seconds", at, id)
	}
}
