package front

import (
	"context"
	"sync"
	"time"
)

// presence is the context of the requests of a connection. It ends when the client
// leaves, which it finds out for those who wait for that: now and then.
type presence struct {
	conn *conn

	mu    sync.Mutex // guards what follows
	done  chan struct{}
	timer *time.Timer
	err   error
}

// lookEvery is how often it looks whether the client is there.
const lookEvery = 250 * time.Millisecond

// Done implements context.Context.
func (p *presence) Done() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.done == nil {
		p.done, p.timer = make(chan struct{}), time.AfterFunc(lookEvery, p.look)
	}
	return p.done
}

func (p *presence) look() {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.done == nil || p.err != nil:
	case p.conn.sender.gone():
		p.err = context.Canceled
		close(p.done)
	default:
		p.timer.Reset(lookEvery)
	}
}

// end is the end of a request.
func (p *presence) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.done != nil {
		p.timer.Stop()
		p.done, p.timer, p.err = nil, nil, nil
	}
}

// Err implements context.Context.
func (p *presence) Err() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

// Deadline implements context.Context.
func (p *presence) Deadline() (time.Time, bool) { return time.Time{}, false }

// Value implements context.Context.
func (p *presence) Value(any) any { return nil }
