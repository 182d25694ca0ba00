package server

import (
	"net/http"
	"sync"
	"time"

	"comity/stix"
	"comity/store"
	"comity/taxii"
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
func (s *Server) getObjects(w http.ResponseWriter, r *http.Request, c *caller) error {
	f, q, err := s.query(r, c, taxii.ListFields)
	if err != nil {
		return err
	}
	return s.writePage(w, r, c, f, q)
}

// getObject answers TAXII 2.1 §5.6: the newest version, unless others are
// asked for. The object is NotFound only if no version of it can be seen; what
// filters leave of it may be empty.
func (s *Server) getObject(w http.ResponseWriter, r *http.Request, c *caller) error {
	f, q, err := s.query(r, c, taxii.ObjectFields)
	if err != nil {
		return err
	}
	if q.IDs, err = s.oneID(r, c); err != nil {
		return err
	}
	return s.writePage(w, r, c, f, q)
}

// oneID is the object of the path, as a list. NotFound if the caller can see
// no version of it.
func (s *Server) oneID(r *http.Request, c *caller) ([]string, error) {
	id, err := pathValue(r, "object")
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

// sheets are pages whose memory is used again.
var sheets = sync.Pool{New: func() any { return &store.Page{} }}

// maxSheet is the largest that is kept for another page.
const maxSheet = 2 << 20

// writePage answers with one page of objects as an envelope (TAXII 2.1 §3.7). It
// is put together where the store writes its objects, and goes out as one piece.
func (s *Server) writePage(w http.ResponseWriter, r *http.Request, c *caller, f taxii.Filter, q store.Query) error {
	q.Into = sheets.Get().(*store.Page)
	defer func() {
		if cap(q.Into.Buffer) <= maxSheet {
			sheets.Put(q.Into)
		}
	}()
	q.Into.Buffer = append(q.Into.Buffer[:0], `{"objects":[`...)
	page, err := s.scan(r, c, q)
	if err != nil {
		return err
	}
	c.served.objects, c.served.last = page.Len(), page.Last
	s.Metrics.Served(page.Len())
	setDates(w.Header(), page.First, page.Last, f.AddedAfter, page.Len() == 0)
	if page.Len() == 0 {
		return write(w, r, http.StatusOK, emptyEnvelope(c))
	}
	page.Buffer = append(page.Buffer, ']')
	if page.More {
		page.Buffer = append(page.Buffer, `,"more":true,"next":"`+next(c, f, page.Last, true)+`"`...)
	}
	page.Buffer = append(page.Buffer, '}')
	return write(w, r, http.StatusOK, page.Buffer)
}

// scan reads a page and puts it on record as delivered, before it is: what is
// recalled meanwhile is then known to be held here. HEAD delivers nothing.
func (s *Server) scan(r *http.Request, c *caller, q store.Query) (*store.Page, error) {
	defer s.Recorder.Reading()()
	page, err := s.Store.Scan(r.Context(), c.grant, q)
	if err != nil || r.Method == http.MethodHead {
		return page, err
	}
	return page, s.Recorder.Deliver(c.grant, q.Match, q.After, page.First, page.Last, page.Len())
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
func (s *Server) deleteObject(w http.ResponseWriter, r *http.Request, c *caller) error {
	match, err := taxii.ParseDelete(r.URL.RawQuery)
	if err != nil {
		return err
	}
	if match.IDs, err = s.oneID(r, c); err != nil {
		return err
	}
	n, err := s.Steward.Delete(r.Context(), c.grant, store.Query{Match: match})
	if err != nil {
		return err
	}
	c.served.objects = n
	return write(w, r, http.StatusOK, []byte("{}"))
}
