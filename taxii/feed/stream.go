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
)

// Times and bounds of a stream of server-sent events (HTML, 9.2).
const (
	maxStreams     = 4                // that an account may hold open
	lookEvery      = 5 * time.Second  // at least; usually CatchUp wakes the streams twice a second
	commentAfter   = 10 * time.Second // without an event, so that proxies keep the connection
	heartbeatAfter = time.Minute      // without an event
	retryAfter     = 5 * time.Second  // for a client whose stream broke
	retryAtEnd     = time.Minute      // for a client whose access has ended
)

// stream is one answer that tells the changes of a feed as they happen. Every look at the
// feed checks credentials and access anew.
type stream struct {
	*handler
	w      *response
	out    *bufio.Writer
	r      *http.Request
	c      *caller
	cursor string
	retry  time.Duration // to tell with the next event; 0: none
	spoke  time.Time     // when anything was sent last
	event  time.Time     // when an event was sent last
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
	s := &stream{handler: h, w: w, out: bufio.NewWriterSize(w, 64<<10), r: r, c: c, cursor: r.Header.Get("Last-Event-ID"), retry: retryAfter}
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
		s.heartbeat()
		return true, nil
	}
	defer a.Close()
	s.c.feed = a.Definition.ID
	if !began {
		header := s.w.Header()
		header.Set("Content-Type", "text/event-stream; charset=utf-8")
		header.Set("X-Accel-Buffering", "no") // nginx would keep the events back
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
		s.retry = retryAtEnd
		s.beat()
		s.flush()
		return false, nil
	}
	s.heartbeat()
	return true, nil
}

// send writes the changes since the cursor. The error is that of [Answer.Deliver]: nothing
// was written then.
func (s *stream) send(a *Answer) error {
	_, kinds, _ := stixfeed.Find("all.json")
	d := a.Since(s.cursor).of(kinds)
	if len(d.Add) > 0 {
		if err := a.Deliver("stream"); err != nil {
			return err
		}
	}
	a.Close() // before the client reads, which may take long
	left := len(d.Remove) + len(d.Add)
	if d.Full {
		left++
	}
	event := func(name string, data []byte) {
		id := ""
		if left--; left == 0 {
			id = d.Cursor
		}
		s.write(name, data, id)
	}
	if d.Full {
		event("reset", fmt.Appendf(nil, `{"entries":%d}`, len(d.Add)))
	}
	for _, e := range d.Remove {
		event("remove", e.Value.AppendJSON(nil))
	}
	for _, e := range d.Add {
		event("add", e.AppendJSON(nil))
	}
	if s.cursor = d.Cursor; s.event.Equal(s.c.now) {
		s.pulled(a, s.c, s.r, "stream", s.w.status, s.w.bytes)
	}
	return nil
}

// write writes one event, which always has a name and data: several clients take a block
// without them for an event of their own. An id of "" leaves that of the event before.
func (s *stream) write(name string, data []byte, id string) {
	if s.retry > 0 {
		fmt.Fprintf(s.out, "retry: %d\n", s.retry.Milliseconds())
		s.retry = 0
	}
	fmt.Fprintf(s.out, "event: %s\ndata: %s\n", name, data)
	if id != "" {
		fmt.Fprintf(s.out, "id: %s\n", id)
	}
	s.out.WriteByte('\n')
	s.spoke, s.event = s.c.now, s.c.now
}

// beat writes a heartbeat.
func (s *stream) beat() {
	s.write("heartbeat", fmt.Appendf(nil, `{"time":%q}`, taxii.FormatTime(s.c.now)), s.cursor)
}

// heartbeat writes a heartbeat or a comment if it is time for one. The first thing on a
// stream is always an event.
func (s *stream) heartbeat() {
	switch {
	case s.c.now.Sub(s.event) >= heartbeatAfter:
		s.beat()
	case s.c.now.Sub(s.spoke) >= commentAfter:
		s.out.WriteString(":\n") // no empty line, which some clients take for the end of an event
		s.spoke = s.c.now
	}
}

// flush sends what was written; ok is false if the client has left, or reads too slowly.
func (s *stream) flush() (ok bool) {
	if s.out.Flush() != nil || s.w.control.Flush() != nil {
		return false
	}
	// HTTP/2 ends a stream at its deadline even if nothing is to be written.
	return s.w.control.SetWriteDeadline(time.Time{}) == nil
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
