package auth

import (
	"sync"
	"time"
)

// Use is a use of a token.
type Use struct {
	Time    time.Time `json:"time"`
	Address string    `json:"address"` // network address of the caller
}

// uses are the last uses of tokens since somebody took them.
type uses struct {
	mu   sync.Mutex // guards last
	last map[string]Use
}

func (u *uses) add(token string, use Use) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.last == nil {
		u.last = map[string]Use{}
	}
	u.last[token] = use
}

// TakeUses gives the last use of each token that was used since the call before, by the id
// of the token.
func (a *Authenticator) TakeUses() map[string]Use {
	a.uses.mu.Lock()
	defer a.uses.mu.Unlock()
	taken := a.uses.last
	a.uses.last = nil
	return taken
}
