package server

import (
	"context"
	"sync"
)

// turnstile lets each name through a bounded number of times at once; others
// of that name wait. It remembers the names: they are those of accounts.
type turnstile struct {
	width int
	mu    sync.RWMutex // guards gates
	gates map[string]gate
}

// gate holds a token of each who is through.
type gate chan struct{}

func newTurnstile(width int) *turnstile {
	return &turnstile{width: width, gates: map[string]gate{}}
}

// enter waits for a place, which leave gives back. The error is that of ctx.
func (t *turnstile) enter(ctx context.Context, name string) (gate, error) {
	g := t.gate(name)
	select {
	case g <- struct{}{}: // without a look at ctx, which costs more
		return g, nil
	default:
	}
	select {
	case g <- struct{}{}:
		return g, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (g gate) leave() { <-g }

func (t *turnstile) gate(name string) gate {
	t.mu.RLock()
	g := t.gates[name]
	t.mu.RUnlock()
	if g != nil {
		return g
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if g = t.gates[name]; g == nil {
		g = make(gate, t.width)
		t.gates[name] = g
	}
	return g
}
