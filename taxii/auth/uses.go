package auth

import (
	"maps"
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

// SaveUses calls save with the last use of each token that was used since the call before, by
// the id of the token. After an error of save the next call has these uses, too.
func (a *Authenticator) SaveUses(save func(map[string]Use) error) error {
	a.uses.mu.Lock()
	taken := a.uses.last
	a.uses.last = nil
	a.uses.mu.Unlock()
	err := save(taken)
	if err != nil && taken != nil {
		a.uses.mu.Lock()
		defer a.uses.mu.Unlock()
		maps.Copy(taken, a.uses.last) // those since are later
		a.uses.last = taken
	}
	return err
}
