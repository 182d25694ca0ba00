package console

import (
	"context"
	"errors"
	"sync"
	"time"
)

// work is work that goes on beside requests, one run at a time. Pages show how far it is when
// they are loaded. P is its progress.
type work[P any] struct {
	mu    sync.Mutex // guards what follows
	last  run[P]
	ended chan struct{} // closed at the end of the last run
}

// run is how far one run is.
type run[P any] struct {
	Began, Ended time.Time // the zero time: it did not begin, or goes on
	Progress     P
	Err          error // why it failed
}

// Running tells whether it goes on.
func (r run[P]) Running() bool { return !r.Began.IsZero() && r.Ended.IsZero() }

// begin begins a run, which the console waits for at its end. It is false if one goes on.
func (w *work[P]) begin(c *Console, f func(ctx context.Context, report func(P)) error) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.last.Running() {
		return false
	}
	ended := make(chan struct{})
	w.last, w.ended = run[P]{Began: c.Now()}, ended
	c.working.Go(func() {
		defer close(ended)
		err := f(c.working.ctx, func(p P) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.last.Progress = p
		})
		if err != nil && !errors.Is(err, context.Canceled) {
			c.Log.Error("console", "err", err)
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		w.last.Ended, w.last.Err = c.Now(), err
	})
	return true
}

// state is how far the last run is.
func (w *work[P]) state() run[P] {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.last
}

// moment is how long the page of an act waits for the end of the work that it began.
const moment = time.Second

// wait waits for a moment until the last run has ended: the page that began a short one shows
// what came of it.
func (w *work[P]) wait(ctx context.Context) run[P] {
	w.mu.Lock()
	ended := w.ended
	w.mu.Unlock()
	select {
	case <-ended:
	case <-time.After(moment):
	case <-ctx.Done():
	}
	return w.state()
}

// working is the work that goes on beside requests.
type working struct {
	sync.WaitGroup
	ctx context.Context // ends when the work has to
	end context.CancelFunc
}

// Run lets the work that goes on beside requests end when ctx does, and returns when it has
// ended. No request is served any more then.
func (c *Console) Run(ctx context.Context) {
	<-ctx.Done()
	c.working.end()
	c.working.Wait()
}
