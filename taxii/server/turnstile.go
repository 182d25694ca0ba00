package server

import (
	"context"
	"sync"
)

// turnstile lets each name through a bounded number of times at once; others
// of that name wait.
type turnstile struct {
	width int
	mu    sync.Mutex // guards gates
	gates map[string]*gate
}

// gate is the turnstile of one name, kept while anybody uses it.
type gate struct {
	users int
	slots chan struct{}
}

func newTurnstile(width int) *turnstile {
	return &turnstile{width: width, gates: map[string]*gate{}}
}

// enter waits for a place; leave gives it back. The error is ctx's.
func (t *turnstile) enter(ctx context.Context, name string) (leave func(), err error) {
	t.mu.Lock()
	g := t.gates[name]
	if g == nil {
		g = &gate{slots: make(chan struct{}, t.width)}
		t.gates[name] = g
	}
	g.users++
	t.mu.Unlock()
	forget := func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if g.users--; g.users == 0 {
			delete(t.gates, name)
		}
	}
	select {
	case g.slots <- struct{}{}:
		return func() { <-g.slots; forget() }, nil
	case <-ctx.Done():
		forget()
		return nil, ctx.Err()
	}
}
