package server

import (
	"net/http"
	"slices"
	"time"

	"comity/stix"
	"comity/store"
	"comity/taxii"
)

// query parses the filters of a list endpoint and applies the configured limits.
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

// next is the cursor for the page after an entry, "" if there is none. It carries the
// filters of the client.
func next(c *caller, f taxii.Filter, last time.Time, more bool) string {
	if !more {
		return ""
	}
	return taxii.NewCursor(c.grant.ID(), last, f.Match).String()
}

// getObjects answers TAXII 2.1 §5.4, in the order of date_added.
func (s *Server) getObjects(w *response, r *http.Request, c *caller) error {
	return s.writePage(w, r, c, taxii.ListFields)
}

// getObject answers TAXII 2.1 §5.6: the newest version, unless the query asks for
// others. It fails with NotFound only if the caller can see no version of the object;
// if the filters exclude all visible versions, the envelope is empty.
func (s *Server) getObject(w *response, r *http.Request, c *caller) error {
	return s.writePage(w, r, c, taxii.ObjectFields)
}

// oneID returns the object id of the path, as a list. It fails with NotFound if the
// caller can see no version of the object.
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

// deleteObject answers TAXII 2.1 §5.7. It deletes every version, unless match[version]
// names some.
func (s *Server) deleteObject(w *response, r *http.Request, c *caller) error {
	match, err := taxii.ParseDelete(r.URL.RawQuery)
	if err != nil {
		return err
	}
	if match.IDs, err = s.oneID(r, c); err != nil {
		return err
	}
	// All our tags are weak, and a weak tag never matches If-Match (RFC 9110 §13.1.1).
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
