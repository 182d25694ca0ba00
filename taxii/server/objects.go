package server

import (
	"maps"
	"net/http"
	"sync"
	"time"

	"comity/stix"
	"comity/store"
	"comity/taxii"
	"comity/taxii/audit"
)

// query reads the filters of a list endpoint and applies the limits.
func (s *Server) query(r *http.Request, c *caller, fields []string) (taxii.Filter, store.Query, error) {
	f, err := taxii.ParseFilter(r.URL.RawQuery, fields, c.grant.ID())
	if err != nil {
		return f, store.Query{}, err
	}
	limit := s.config.DefaultLimit
	if f.Limit > 0 {
		limit = f.Limit
	}
	return f, store.Query{
		Match:    f.Match,
		After:    f.AddedAfter,
		Limit:    min(limit, s.config.MaxLimit),
		MaxBytes: maxPage,
	}, nil
}

// next is the cursor after an entry, "" if nothing follows. It carries the
// query as the client sent it.
func next(c *caller, f taxii.Filter, last time.Time, more bool) string {
	if !more {
		return ""
	}
	return taxii.NewCursor(c.grant.ID(), last, f.Match).String()
}

// getObjects answers TAXII 2.1 §5.4, oldest added first.
func (s *Server) getObjects(w *response, r *http.Request, c *caller) error {
	return s.writePage(w, r, c, taxii.ListFields)
}

// getObject answers TAXII 2.1 §5.6: the newest version, unless others are
// asked for. The object is NotFound only if no version of it can be seen; what
// filters leave of it may be empty.
func (s *Server) getObject(w *response, r *http.Request, c *caller) error {
	return s.writePage(w, r, c, taxii.ObjectFields)
}

// oneID is the object of the path, as a list. NotFound if the caller can see
// no version of it.
func (s *Server) oneID(r *http.Request, c *caller) ([]string, error) {
	id, err := c.pathValue("object")
	if err != nil {
		return nil, err
	}
	has, err := s.Store.Has(r.Context(), c.grant, stix.ID(id))
	if err != nil {
		return nil, err
	}
	if !has {
		return nil, taxii.Errorf(taxii.NotFound, "there is no such object")
	}
	return []string{id}, nil
}

// blanks are pages whose memory is used again.
var blanks = sync.Pool{New: func() any { return &store.Page{} }}

// maxBlank is the largest that is kept for another page.
const maxBlank = 2 << 20

// writePage answers with one page of objects, or that the caller has it already
// (RFC 9110 §13.1.2). It takes the filters of those fields.
func (s *Server) writePage(w *response, r *http.Request, c *caller, fields []string) error {
	into := blanks.Get().(*store.Page)
	defer dispose(into)
	a := askedFor(r, c)
	p, err := s.read(r, c, a, fields, into)
	if err != nil {
		return err
	}
	maps.Copy(w.Header(), p.header)
	if hasAlready(r, p.tag) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	c.served.objects, c.served.last = p.count, p.spelled
	s.Metrics.Served(p.count)
	switch {
	case p.mosaic != nil:
		parts, size := p.mosaic.pack(s.shelf)
		w.begin(http.StatusOK, size, true)
		w.writeParts(parts)
		return nil
	case p.again:
		p.sheet = p.with(a, into.Buffer)
		s.shelf.put(a, p.sheet)
	case !p.kept():
		return write(w, r, http.StatusOK, into.Buffer)
	}
	p.write(w)
	return nil
}

// dispose gives back what was taken from blanks.
func dispose(page *store.Page) {
	if cap(page.Buffer) <= maxBlank {
		blanks.Put(page)
	}
}

// found is a page that was looked for. If it is neither on the shelf with its body
// nor a mosaic, its body is in the Buffer of the page it was read into.
type found struct {
	*sheet
	mosaic *mosaic
	again  bool // it was asked for before, and is worth to be kept
}

// read finds the page that is asked for, on the shelf or in the store, and puts
// it on record as delivered, before it is: what is recalled meanwhile is then
// known to be held here. A page that is not sent is delivered as well: the answer to
// HEAD tells that its objects are there, and so does 304 to those that guess its tag.
func (s *Server) read(r *http.Request, c *caller, a asked, fields []string, into *store.Page) (p found, err error) {
	defer s.Recorder.Reading(c.grant.ID())()
	if p.sheet, err = s.onShelf(r.Context(), c.grant, a); err != nil {
		return p, err
	}
	if p.sheet == nil || !p.kept() && !hasAlready(r, p.tag) {
		p.again = p.sheet != nil
		f, q, err := s.query(r, c, fields)
		if err != nil {
			return p, err
		}
		if a.object != "" {
			if q.IDs, err = s.oneID(r, c); err != nil {
				return p, err
			}
		}
		q.Into = into
		var e extent
		if e, p.mosaic, err = s.collect(r, c, a, q, p.again); err != nil {
			return p, err
		}
		rest := ending(&e, c, f)
		switch {
		case p.mosaic != nil:
			p.mosaic.ending = rest
		case e.count == 0:
			into.Buffer = append(into.Buffer[:0], rest...)
		default:
			into.Buffer = append(into.Buffer, rest...)
		}
		q.Match = audit.Narrow(q.Match, into.IDs)
		p.sheet = newSheet(e, q, rest)
		s.shelf.put(a, p.sheet)
	}
	return p, s.Recorder.Deliver(c.grant, p.match, audit.Page{After: p.after, First: p.first, Last: p.last, Count: p.count, HighWater: p.HighWater})
}

// opening is what stands before the objects of a page (TAXII 2.1 §3.7).
const opening = `{"objects":[`

// ending is what follows the objects of a page, or, if there are none, the whole
// envelope.
func ending(e *extent, c *caller, f taxii.Filter) []byte {
	switch {
	case e.count > 0 && e.More:
		return []byte(`],"more":true,"next":"` + next(c, f, e.last, true) + `"}`)
	case e.count > 0:
		return []byte(`]}`)
	}
	return emptyEnvelope(c)
}

// emptyEnvelope is {} as the standard demands, or what the account's client
// can read.
func emptyEnvelope(c *caller) []byte {
	if c.EmptyList() {
		return []byte(`{"more":false,"objects":[]}`)
	}
	return []byte("{}")
}

// deleteObject answers TAXII 2.1 §5.7: every version, unless some are named.
func (s *Server) deleteObject(w *response, r *http.Request, c *caller) error {
	match, err := taxii.ParseDelete(r.URL.RawQuery)
	if err != nil {
		return err
	}
	if match.IDs, err = s.oneID(r, c); err != nil {
		return err
	}
	n, err := s.Custody.Delete(r.Context(), c.grant, store.Query{Match: match})
	if err != nil {
		return err
	}
	c.served.objects = n
	return write(w, r, http.StatusOK, []byte("{}"))
}
