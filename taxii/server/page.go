package server

import (
	"bytes"
	"maps"
	"net/http"
	"strings"
	"sync"

	"comity/store"
	"comity/taxii/audit"
)

// writePage answers with one page of objects, or with 304 if the client has it already
// (RFC 9110 §13.1.2). fields are the match[...] fields of the endpoint.
func (s *Server) writePage(w *response, r *http.Request, c *caller, fields []string) error {
	p, err := s.page(r, c, fields)
	if err != nil {
		return err
	}
	defer s.pages.release(p)
	if p.key.object == "" {
		s.Polls.note(c, &p.Standing)
	}
	maps.Copy(w.Header(), p.header)
	if notModified(r, p.tag) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	c.served.objects, c.served.last = p.delivered.Count, p.last
	s.Metrics.Served(p.delivered.Count)
	w.begin(http.StatusOK, len(p.body), p.gzipped)
	w.Write(p.body) // an error means that the client has left
	return nil
}

// notModified reports whether If-None-Match of the request names this tag.
func notModified(r *http.Request, tag string) bool {
	for _, line := range r.Header["If-None-Match"] {
		for given := range strings.SplitSeq(line, ",") {
			given = strings.TrimSpace(given)
			if given == "*" || strings.TrimPrefix(given, "W/") == tag[len("W/"):] {
				return true
			}
		}
	}
	return false
}

// page returns the requested page from the cache, or makes it, and records it as
// delivered. The caller of page has to release it.
func (s *Server) page(r *http.Request, c *caller, fields []string) (*cachedPage, error) {
	if p, err := s.cachedPage(r, c, keyOf(r, c)); p != nil || err != nil {
		return p, err
	}
	// The memory comes first: nobody waits for the page of a request that waits itself.
	memory, waited, err := s.acquireMemory(r, c)
	if err != nil {
		return nil, err
	}
	key := keyOf(r, c)
	if waited { // another request may have made the page meanwhile
		if p, err := s.cachedPage(r, c, key); p != nil || err != nil {
			memory.shrink(0)
			return p, err
		}
	}
	m, first := s.pages.begin(key)
	if first {
		defer s.pages.end(key, m)
		return s.makePage(r, c, key, fields, memory, m)
	}
	memory.shrink(0)
	select {
	case <-m.done:
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	if err := s.decideAgain(r, c); err != nil {
		return nil, err
	}
	if p, err := s.cachedPage(r, c, keyOf(r, c)); p != nil || err != nil {
		return p, err
	}
	// The collection has changed meanwhile, or the page is too large for the cache.
	if memory, _, err = s.acquireMemory(r, c); err != nil {
		return nil, err
	}
	return s.makePage(r, c, keyOf(r, c), fields, memory, nil)
}

// cachedPage returns the page of that key, recorded as delivered; nil if the cache has
// none, or one that is out of date.
func (s *Server) cachedPage(r *http.Request, c *caller, key pageKey) (*cachedPage, error) {
	p := s.pages.find(key)
	if p == nil {
		return nil, nil
	}
	defer s.Recorder.Reading(c.grant.ID())()
	state, err := s.Store.State(r.Context(), c.grant.ID())
	if err == nil && p.Holds(state, c.grant.View().At) && (p.body != nil || notModified(r, p.tag)) {
		if err = s.deliver(c, p); err == nil {
			s.Metrics.CacheLookup(true)
			return p, nil
		}
	}
	s.pages.release(p)
	return nil, err
}

// deliver records that the caller gets the page. It does so before the page is sent, so
// that a recall in between reaches the caller. The answers to HEAD and 304 count as
// deliveries too: they reveal that the objects exist.
func (s *Server) deliver(c *caller, p *cachedPage) error {
	return s.Recorder.Deliver(c.grant, p.match, p.delivered)
}

// makePage reads the page from the store into the reserved memory and puts it into the
// cache. It caches the body only if the body was compressed, or if m says that other
// requests asked for the page; m may be nil.
func (s *Server) makePage(r *http.Request, c *caller, key pageKey, fields []string, memory *reservation, m *pendingPage) (made *cachedPage, err error) {
	defer func() {
		if made == nil { // an error, or a panic
			memory.shrink(0)
		}
	}()
	s.Metrics.CacheLookup(false)
	buffer := pageBuffers.Get().(*store.Page)
	p, err := s.readPage(r, c, key, fields, buffer)
	if err != nil {
		recycle(buffer)
		return nil, err
	}
	switch {
	case notModified(r, p.tag):
	case key.gzip && len(buffer.Buffer) >= gzipMin:
		p.body, p.gzipped = gzipped(buffer.Buffer), true
	case m != nil && s.pages.isShared(m) && s.pages.admits(p.size()+len(buffer.Buffer)):
		p.body = bytes.Clone(buffer.Buffer)
	default:
		s.pages.put(p.withoutBody())
		p.body, p.buffer, p.memory = buffer.Buffer, buffer, memory
		memory.shrink(len(p.body))
		return p, nil
	}
	recycle(buffer)
	if s.pages.put(p) {
		memory.shrink(0)
	} else {
		p.memory = memory
		memory.shrink(len(p.body))
	}
	return p, nil
}

// readPage reads a page from the store. The body of the result is nil: it is in the
// Buffer of into.
func (s *Server) readPage(r *http.Request, c *caller, key pageKey, fields []string, into *store.Page) (*cachedPage, error) {
	f, q, err := s.query(r, c, fields)
	if err != nil {
		return nil, err
	}
	defer s.Recorder.Reading(c.grant.ID())()
	if key.object != "" {
		if q.IDs, err = s.oneID(r, c); err != nil {
			return nil, err
		}
	}
	q.Into = into
	into.Buffer = append(into.Buffer[:0], `{"objects":[`...)
	page, err := s.Store.Scan(r.Context(), c.grant, q)
	if err != nil {
		return nil, err
	}
	var end []byte // of the envelope (TAXII 2.1 §3.7)
	switch {
	case page.Len() == 0:
		into.Buffer, end = into.Buffer[:0], emptyEnvelope(c)
	case page.More:
		end = []byte(`],"more":true,"next":"` + next(c, f, page.Last, true) + `"}`)
	default:
		end = []byte(`]}`)
	}
	into.Buffer = append(into.Buffer, end...)
	q.Match = audit.Narrow(q.Match, page.IDs)
	p := newCachedPage(key, page, q, end)
	return p, s.deliver(c, p)
}

// emptyEnvelope is {} as the standard demands, or an empty list for accounts whose
// client product cannot read {}.
func emptyEnvelope(c *caller) []byte {
	if c.EmptyList() {
		return []byte(`{"more":false,"objects":[]}`)
	}
	return []byte("{}")
}

// pageBuffers holds pages whose memory is reused.
var pageBuffers = sync.Pool{New: func() any { return &store.Page{} }}

// maxPageBuffer is the largest Buffer, in bytes, that is reused.
const maxPageBuffer = 2 << 20

func recycle(page *store.Page) {
	if cap(page.Buffer) <= maxPageBuffer {
		pageBuffers.Put(page)
	}
}
