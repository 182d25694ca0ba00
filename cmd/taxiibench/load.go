package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// load is a closed loop: every client sends its next request when it has the answer
// to its last one.
type load struct {
	clients int
	dial    func() (net.Conn, error)
	// The load ends after time, or when next has no more requests, whichever is
	// first; requests under way are finished.
	time time.Duration
	// next gives the n-th request of a client; a nil head ends that client.
	next func(client, n int) (head, body []byte)
	keep bool // check gets the bodies of the answers
	// check returns an error for a wrong answer. Its time counts for the rate, and
	// not for the latency. If it is nil, every status but 200 and 202 is an error.
	check func(client, n int, a answer) error
}

// measured is the result of a load.
type measured struct {
	requests int64
	sent     int64 // bytes of bodies
	received int64 // bytes of bodies, as they came
	took     time.Duration
	latency  *hdrhistogram.Histogram // in nanoseconds
}

func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(int64(time.Microsecond), int64(10*time.Minute), 3)
}

// rate is requests a second.
func (m measured) rate() float64 { return float64(m.requests) / m.took.Seconds() }

// quantile is a latency.
func (m measured) quantile(q float64) time.Duration {
	return time.Duration(m.latency.ValueAtQuantile(q))
}

// p50 is the median latency in milliseconds.
func (m measured) p50() float64 { return m.quantile(50).Seconds() * 1000 }

// record counts a request that got its answer.
func (m *measured) record(took time.Duration, sent int, a answer) error {
	m.requests++
	m.sent += int64(sent)
	m.received += a.bytes
	return m.latency.RecordValue(max(int64(took), int64(time.Microsecond)))
}

func (m *measured) add(o measured) {
	m.requests += o.requests
	m.sent += o.sent
	m.received += o.received
	m.took += o.took
	if m.latency == nil {
		m.latency = newHistogram()
	}
	m.latency.Merge(o.latency)
}

// longestAnswer is how long an answer may take beyond the end of a load.
const longestAnswer = 5 * time.Minute

// run runs the load over new connections, which are opened before the clock starts.
// The first error ends it.
func (l load) run(ctx context.Context) (total measured, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	conns := make([]*conn, l.clients)
	for i := range conns {
		conns[i] = newConn(func() (net.Conn, error) {
			c, err := l.dial()
			if err != nil {
				return nil, err
			}
			// A cancelled load does not wait for pending answers.
			context.AfterFunc(ctx, func() { c.SetDeadline(time.Unix(1, 0)) })
			return c, c.SetDeadline(time.Now().Add(l.time + longestAnswer))
		})
		defer conns[i].close()
		if err := conns[i].open(); err != nil {
			return total, err
		}
	}
	var over atomic.Bool
	stop := context.AfterFunc(ctx, func() { over.Store(true) })
	defer stop()
	if l.time > 0 {
		timer := time.AfterFunc(l.time, func() { over.Store(true) })
		defer timer.Stop()
	}
	parts := make([]measured, l.clients)
	var wg sync.WaitGroup
	start := time.Now()
	for i := range conns {
		wg.Go(func() {
			if err := l.client(i, conns[i], &over, &parts[i]); err != nil {
				cancel(err)
			}
		})
	}
	wg.Wait()
	took := time.Since(start)
	for _, part := range parts {
		total.add(part)
	}
	total.took = took
	if ctx.Err() != nil {
		return total, context.Cause(ctx)
	}
	if total.requests == 0 {
		return total, errors.New("no request was sent")
	}
	return total, nil
}

// client sends the requests of one client.
func (l load) client(i int, c *conn, over *atomic.Bool, m *measured) error {
	m.latency = newHistogram()
	for n := 0; !over.Load(); n++ {
		head, body := l.next(i, n)
		if head == nil {
			return nil
		}
		start := time.Now()
		a, err := c.do(head, body, l.keep)
		took := time.Since(start)
		if err == nil {
			err = m.record(took, len(body), a)
		}
		if err == nil && l.check != nil {
			err = l.check(i, n, a)
		} else if err == nil && a.status != 200 && a.status != 202 {
			err = unexpected(head, a)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// unexpected is the error of a request with a wrong answer.
func unexpected(head []byte, a answer) error {
	line, _, _ := bytes.Cut(head, []byte("\r"))
	return fmt.Errorf("%s: status %d %s", line, a.status, cut(a.body))
}
