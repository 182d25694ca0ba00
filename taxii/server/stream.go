package server

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"comity/stix"
	"comity/store"
	"comity/taxii"
	"comity/taxii/audit"
	"comity/taxii/sse"
)

// Times and bounds of a stream of server-sent events (HTML, 9.2).
const (
	maxStreams     = 4               // that an account may hold open
	maxRemembered  = 10_000          // objects whose deletion a stream tells
	streamPage     = 1 << 20         // bytes of objects that are read at once
	streamInterval = time.Second / 2 // between two looks at the collection
	retryStream    = 5 * time.Second // for a client whose stream broke
	retryMany      = time.Minute     // for a client that holds too many open
)

// stream is one answer that tells the changes of a collection as they happen.
type stream struct {
	*Server
	w *response
	r *http.Request
	c *caller

	filter taxii.Filter
	query  store.Query
	state  store.State     // of the collection when everything in it was sent
	past   uint64          // Past of the collection when the deletions were told
	given  map[string]bool // ids of the last objects that the client got
	order  []string        // the same, in the order in which it got them
	buffer bytes.Buffer
	events *sse.Writer // into buffer
	id     string      // of the last event
}

// getStream answers with the objects of a collection as server-sent events: first those that
// are there, then those that are added. It takes the filters of [Server.getObjects], and
// the data of an event is as in the streams of OpenCTI. The id of an event is a value of
// next, so that a client may go on with either. Credentials and access are checked again
// at each look; the stream ends with them.
//
// A delete is told only of an object that this connection got, since nobody else may learn
// that it was there.
func (s *Server) getStream(w *response, r *http.Request, c *caller) error {
	if id := r.Header.Get("Last-Event-ID"); id != "" {
		target := *r.URL
		values := target.Query()
		values.Set("next", id)
		target.RawQuery = values.Encode()
		copied := *r
		copied.URL = &target
		r = &copied
	}
	f, q, err := s.query(r, c, taxii.ListFields)
	if err != nil {
		return err
	}
	state, err := s.Store.State(r.Context(), c.grant.ID())
	if err != nil {
		return err
	}
	slot, ok := s.streams.tryAcquire(c.Account)
	if !ok {
		return &taxii.Error{Code: taxii.TooMany, Msg: fmt.Sprintf("the account holds %d streams open already", maxStreams), RetryAfter: retryMany}
	}
	defer slot.release()
	q.MaxBytes = streamPage
	st := &stream{Server: s, w: w, r: r, c: c, filter: f, query: q, past: state.Past, given: map[string]bool{}}
	if !q.After.IsZero() {
		st.id = next(c, f, q.After, true)
	}
	w.streamed = true
	sse.SetHeaders(w.Header())
	if r.Method == http.MethodHead {
		return nil
	}
	w.WriteHeader(http.StatusOK)
	st.events = sse.NewWriter(&st.buffer, retryStream)
	for {
		more, err := st.look()
		if err != nil {
			if err == errLeft {
				return nil
			}
			return err // to be logged: the answer has begun, and the client comes back
		}
		wait := streamInterval
		if more {
			wait = 0
		}
		select {
		case <-time.After(wait):
		case <-s.Ending:
			return nil
		case <-r.Context().Done():
			return nil
		}
		if s.decideAgain(r, c) != nil {
			return nil
		}
	}
}

// look sends what has changed since the last look, a page at most. more is true if there is
// more to send. An error ends the stream; the client comes back.
func (s *stream) look() (more bool, err error) {
	state, err := s.Store.State(s.r.Context(), s.c.grant.ID())
	if err != nil {
		return false, err
	}
	if state == s.state {
		s.Polls.note(s.c, &store.Standing{State: state})
		s.events.Idle(s.c.now, s.id)
		return false, s.send()
	}
	// The memory of a page is held until the client has it, as that of a poll, and not while
	// the stream waits for changes.
	memory, _, err := s.acquireMemory(s.r, s.c)
	if err != nil {
		return false, errLeft // or the access has ended
	}
	defer func() {
		s.buffer = bytes.Buffer{}
		memory.shrink(0)
	}()
	if more, err = s.page(); err != nil {
		return false, err
	}
	if !more {
		s.state = state
		if state.Past != s.past {
			if err := s.deletions(); err != nil {
				return false, err
			}
			s.past = state.Past
		}
		s.events.Idle(s.c.now, s.id)
	}
	memory.shrink(s.buffer.Cap())
	return more, s.send()
}

// page reads the next objects, and records them as delivered before they are sent.
func (s *stream) page() (more bool, err error) {
	defer s.Recorder.Reading(s.c.grant.ID())()
	into := pageBuffers.Get().(*store.Page)
	defer recycle(into)
	into.Buffer = into.Buffer[:0]
	q := s.query
	q.Into = into
	page, err := s.Store.Scan(s.r.Context(), s.c.grant, q)
	if err != nil {
		return false, err
	}
	if page.Len() == 0 {
		s.Polls.note(s.c, &page.Standing)
		return false, nil
	}
	if err := s.Recorder.Deliver(s.c.grant, audit.Narrow(s.query.Match, page.IDs), audit.Page{
		After: s.query.After, First: page.First, Last: page.Last, Count: page.Len(), HighWater: page.HighWater,
	}); err != nil {
		return false, err
	}
	s.Polls.note(s.c, &page.Standing)
	s.Metrics.Served(page.Len())
	s.c.served.objects += page.Len()
	for i := range page.Len() {
		s.id = next(s.c, s.filter, time.UnixMicro(page.Added[i]).UTC(), true)
		s.object(page.Object(i))
	}
	s.query.After = page.Last
	return page.More, nil
}

// object writes the event of an object.
func (s *stream) object(raw []byte) {
	o, err := stix.NewObject(raw)
	if err != nil {
		return // no store keeps an object that cannot be read
	}
	id, act := string(o.ID), "create"
	if s.given[id] || o.Modified.Time().After(o.Created.Time()) {
		act = "update"
	}
	if !s.given[id] {
		s.given[id] = true
		if s.order = append(s.order, id); len(s.order) > maxRemembered {
			delete(s.given, s.order[0])
			s.order = s.order[1:]
		}
	}
	s.tell(act, o.ID, raw)
}

// deletions tells which of the objects that the client got are not there any more.
func (s *stream) deletions() error {
	var left []string
	for ids := range slices.Chunk(s.order, 500) {
		q := store.Query{Match: s.query.Match, Limit: len(ids)}
		q.IDs, q.Versions = ids, taxii.Versioning{}
		m, err := s.Store.Manifest(s.r.Context(), s.c.grant, q)
		if err != nil {
			return err
		}
		there := map[string]bool{}
		for _, id := range m.IDs() {
			there[string(id)] = true
		}
		for _, id := range ids {
			if there[id] {
				left = append(left, id)
				continue
			}
			delete(s.given, id)
			s.tell("delete", stix.ID(id), fmt.Appendf(nil, `{"id":%q,"type":%q}`, id, stix.ID(id).Type()))
		}
	}
	s.order = left
	return nil
}

// tell writes the event of an object in the form of OpenCTI.
func (s *stream) tell(act string, id stix.ID, object []byte) {
	s.events.Event(s.c.now, act, fmt.Appendf(nil, `{"version":"4","type":%q,"message":%q,"origin":{},"data":%s}`, act, act+" "+string(id), object), s.id)
}

// errLeft says that the client has left, or reads too slowly.
var errLeft = errors.New("the client has left")

// send sends what was written. It fails with errLeft.
func (s *stream) send() error {
	if s.buffer.Len() == 0 {
		return nil
	}
	defer s.buffer.Reset()
	if _, err := s.w.Write(s.buffer.Bytes()); err != nil || sse.Flush(s.w.control) != nil {
		return errLeft
	}
	return nil
}
