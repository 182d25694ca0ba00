package feed

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	stixfeed "comity/stix/feed"
	"comity/taxii"
	"comity/taxii/exchange"
	"comity/taxii/sse"
)

// Times and bounds of a stream of server-sent events (HTML, 9.2).
const (
	maxStreams = 4               // that an account may hold open
	lookEvery  = 5 * time.Second // at least; usually CatchUp wakes the streams twice a second
	retryAfter = 5 * time.Second // for a client whose stream broke
	retryAtEnd = time.Minute     // for a client whose access has ended
)

// stream is one answer that tells the changes of a feed as they happen. Every look at the
// feed checks credentials and access anew.
type stream struct {
	*handler
	w      *response
	out    *bufio.Writer
	events *sse.Writer // into out
	r      *http.Request
	c      *caller
	cursor string
}

// getStream answers with server-sent events: add and remove, whose data is an entry, as in
// the format json; reset before all entries, which tells the client to drop what it has;
// and a heartbeat each minute. The id is a cursor, on the last event of a batch only: a
// client that was cut off within a batch gets all of it again. The stream ends with the
// access of the account, after the entries were removed.
func (h *handler) getStream(w *response, r *http.Request, c *caller) error {
	done, ok := h.streams.enter(c.Account, maxStreams)
	if !ok {
		return taxii.Errorf(taxii.TooMany, "the account holds %d streams open already", maxStreams)
	}
	defer done()
	start := time.Now()
	out := bufio.NewWriterSize(w, 64<<10)
	s := &stream{handler: h, w: w, out: out, events: sse.NewWriter(out, retryAfter), r: r, c: c, cursor: r.Header.Get("Last-Event-ID")}
	for {
		woken := h.changed.wait()
		open, err := s.look()
		if err != nil {
			return err
		}
		if r.Method == http.MethodHead || !open || !s.flush() {
			return nil
		}
		if w.waited == 0 {
			w.waited = time.Since(start)
			defer h.figures.stream(exchange.FeedKey(c.Account, c.feed))()
		}
		select {
		case <-woken:
		case <-time.After(lookEvery):
		case <-h.ending:
			return nil
		case <-r.Context().Done():
			return nil
		}
		c.now = h.now()
		if err = h.authenticate(r, c); refused(err) {
			return nil
		}
	}
}

// refused tells whether an error is a decision, which asking again does not change.
func refused(err error) bool {
	switch taxii.CodeOf(err) {
	case taxii.Unauthorized, taxii.NotFound, taxii.Forbidden:
		return true
	}
	return false
}

// look sends what has changed since the last look. open is false if the stream ends here. An
// error means that nothing was sent yet, and that there is no stream.
func (s *stream) look() (open bool, err error) {
	ctx, cancel := context.WithTimeout(s.r.Context(), patience)
	defer cancel()
	a, err := s.Open(ctx, s.c.Principal, s.c.path["feed"], Stream)
	began := s.w.status != 0
	switch {
	case err != nil && !began:
		return false, err
	case refused(err):
		return false, nil
	case err != nil: // a failure of ours passes
		s.events.Idle(s.c.now, s.cursor)
		return true, nil
	}
	defer a.Close()
	s.c.feed = a.Definition.ID
	if !began {
		sse.SetHeaders(s.w.Header())
		s.w.WriteHeader(http.StatusOK)
	}
	if s.r.Method == http.MethodHead {
		return true, nil
	}
	if a.checkEmpty() == nil {
		if err := s.send(a); err != nil {
			return false, nil
		}
	}
	if !a.Open {
		s.events.Retry = retryAtEnd
		s.events.Heartbeat(s.c.now, s.cursor)
		s.flush()
		return false, nil
	}
	s.events.Idle(s.c.now, s.cursor)
	return true, nil
}

// send writes the changes since the cursor. The error is that of [Answer.Deliver]: nothing
// was written then.
func (s *stream) send(a *Answer) error {
	_, kinds, _ := stixfeed.Find("all.json")
	d := a.Since(s.cursor).of(kinds)
	if d.added() > 0 {
		if err := a.Deliver("stream"); err != nil {
			return err
		}
	}
	a.Close() // before the client reads, which may take long
	left := len(d.Remove) + d.added()
	if d.Full {
		left++
	}
	told := left > 0
	event := func(name string, data []byte) {
		id := ""
		if left--; left == 0 {
			id = d.Cursor
		}
		s.events.Event(s.c.now, name, data, id)
	}
	if d.Full {
		event("reset", fmt.Appendf(nil, `{"entries":%d}`, d.added()))
	}
	for _, e := range d.Remove {
		event("remove", e.Value.AppendJSON(nil))
	}
	for e := range d.Added() {
		event("add", e.AppendJSON(nil))
	}
	if s.cursor = d.Cursor; told {
		s.pulled(a, s.c, s.r, "stream", s.w.status, s.w.bytes)
	}
	return nil
}

// flush sends what was written; ok is false if the client has left, or reads too slowly.
func (s *stream) flush() (ok bool) {
	return s.out.Flush() == nil && sse.Flush(s.w.control) == nil
}

// broadcast wakes all that wait for it. It is safe for concurrent use.
type broadcast struct {
	mu   sync.Mutex // guards next
	next chan struct{}
}

// wait is a channel that the next wake closes.
func (b *broadcast) wait() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.next == nil {
		b.next = make(chan struct{})
	}
	return b.next
}

func (b *broadcast) wake() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.next != nil {
		close(b.next)
		b.next = nil
	}
}

// EndStreams ends the streams that are open, and each later one after its first events. A
// server that shuts down calls it, since it would wait for them.
func (s *Service) EndStreams() { s.endStreams() }
