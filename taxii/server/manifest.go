package server

import (
	"net/http"
	"time"

	"comity/store"
	"comity/taxii"
	"comity/taxii/audit"
)

// getManifest answers TAXII 2.1 §5.3 with one record for each version, in the order of
// date_added.
func (s *Server) getManifest(w *response, r *http.Request, c *caller) error {
	f, q, err := s.query(r, c, taxii.ListFields)
	if err != nil {
		return err
	}
	m, last, err := s.manifest(w, r, c, f, q)
	if err != nil {
		return err
	}
	if len(m.Records) == 0 {
		return write(w, r, http.StatusOK, emptyEnvelope(c))
	}
	resource := taxii.Manifest{More: m.More, Next: next(c, f, last, m.More)}
	for _, record := range m.Records {
		resource.Objects = append(resource.Objects, taxii.ManifestRecord{
			ID:        string(record.ID),
			DateAdded: taxii.FormatTime(record.DateAdded),
			Version:   record.Version,
			MediaType: taxii.STIXMediaType(record.Spec),
		})
	}
	return writeJSON(w, r, http.StatusOK, resource)
}

// getVersions answers TAXII 2.1 §5.8, in the order of date_added.
func (s *Server) getVersions(w *response, r *http.Request, c *caller) error {
	f, q, err := s.query(r, c, taxii.VersionsFields)
	if err != nil {
		return err
	}
	if q.IDs, err = s.oneID(r, c); err != nil {
		return err
	}
	q.Versions = taxii.Versioning{All: true}
	m, last, err := s.manifest(w, r, c, f, q)
	if err != nil {
		return err
	}
	resource := taxii.Versions{More: m.More, Next: next(c, f, last, m.More)}
	for _, record := range m.Records {
		resource.Versions = append(resource.Versions, record.Version)
	}
	return writeJSON(w, r, http.StatusOK, resource)
}

// manifest reads a page of records, sets the date headers, and records the page as
// delivered: an id may hold the whole content of an object, such as an address.
func (s *Server) manifest(w *response, r *http.Request, c *caller, f taxii.Filter, q store.Query) (m store.Manifest, last time.Time, err error) {
	defer s.Recorder.Reading(c.grant.ID())()
	m, err = s.Store.Manifest(r.Context(), c.grant, q)
	if err != nil {
		return m, last, err
	}
	var first time.Time
	if n := len(m.Records); n > 0 {
		first, last = m.Records[0].DateAdded, m.Records[n-1].DateAdded
		c.served.objects, c.served.last = n, taxii.FormatTime(last)
	}
	setDates(w.Header(), first, last, f.AddedAfter, len(m.Records) == 0)
	return m, last, s.Recorder.Deliver(c.grant, audit.Narrow(q.Match, m.IDs), audit.Page{
		After: q.After, First: first, Last: last, Count: len(m.Records), HighWater: m.HighWater,
	})
}
