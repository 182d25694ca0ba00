package server

import (
	"net/http"
	"slices"
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

// deleteObject answers TAXII 2.1 §5.7: every version, unless some are named.
func (s *Server) deleteObject(w *response, r *http.Request, c *caller) error {
	match, err := taxii.ParseDelete(r.URL.RawQuery)
	if err != nil {
		return err
	}
	if match.IDs, err = s.oneID(r, c); err != nil {
		return err
	}
	// A weak tag, such as ours are, matches nothing in If-Match (RFC 9110 §13.1.1).
	if given := r.Header.Values("If-Match"); len(given) > 0 && !slices.Contains(given, "*") {
		return taxii.Errorf(taxii.Precondition, "no version of the object has a tag of If-Match; send * or no If-Match")
	}
	n, err := s.Custody.Delete(r.Context(), c.grant, store.Query{Match: match})
	if err != nil {
		return err
	}
	c.served.objects = n
	return write(w, r, http.StatusOK, []byte("{}"))
}
