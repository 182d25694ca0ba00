package server

import (
	"fmt"
	"net/http"

	"github.com/google/uuid"

	"comity/store"
	"comity/taxii"
)

// getStatus answers TAXII 2.1 §4.3, for the account that made the push.
func (s *Server) getStatus(w http.ResponseWriter, r *http.Request, c *caller) error {
	name, err := pathValue(r, "status")
	if err != nil {
		return err
	}
	id, err := uuid.Parse(name)
	if err != nil {
		return taxii.Errorf(taxii.NotFound, "there is no such status")
	}
	return s.writeStatus(w, r, c, http.StatusOK, id)
}

// writeStatus answers with the status of a push.
func (s *Server) writeStatus(w http.ResponseWriter, r *http.Request, c *caller, status int, id uuid.UUID) error {
	head, err := s.store.Status(r.Context(), c.Account, id)
	if err != nil {
		return err
	}
	if r.Method == post {
		c.served.objects = head.Successes
		s.metrics.Pushed(head.Successes, head.Failures)
	}
	part := func(n int) (store.Outcomes, error) { return s.store.Outcomes(r.Context(), id, n) }
	return writeOutcomes(w, r, status, head, part, "")
}

// writeOutcomes answers with a status resource (TAXII 2.1 §4.3.1). Warnings are
// an extension of ours, x_warnings; more is what else to say, as JSON members.
// That of a large push is large too: it is written part by part, and cut off
// if a part cannot be read.
func writeOutcomes(w http.ResponseWriter, r *http.Request, status int, head store.Status, part func(int) (store.Outcomes, error), more string) error {
	var body [][]byte
	put := func(b ...[]byte) { body = append(body, b...) }
	if large := head.Parts > 4; large {
		w.WriteHeader(status)
		put = func(b ...[]byte) {
			for _, b := range b {
				w.Write(b)
			}
		}
	}
	put(fmt.Appendf(nil,
		`{"id":%q,"status":"complete","request_timestamp":%q,"total_count":%d,"success_count":%d,"failure_count":%d,"pending_count":0%s`,
		head.ID, taxii.FormatTime(head.Requested), head.Successes+head.Failures, head.Successes, head.Failures, more))
	for _, list := range []struct {
		name string
		of   func(store.Outcomes) []byte
	}{
		{"successes", func(o store.Outcomes) []byte { return o.Successes }},
		{"failures", func(o store.Outcomes) []byte { return o.Failures }},
		{"x_warnings", func(o store.Outcomes) []byte { return o.Warnings }},
	} {
		open := `,"` + list.name + `":[`
		sep := open
		for n := range head.Parts {
			outcomes, err := part(n)
			if err != nil && body == nil {
				panic(http.ErrAbortHandler)
			}
			if err != nil {
				return err
			}
			if details := list.of(outcomes); len(details) > 0 {
				put([]byte(sep), details)
				sep = ","
			}
		}
		if sep != open {
			put([]byte("]"))
		}
	}
	if put([]byte("}")); body == nil {
		return nil
	}
	return write(w, r, status, body...)
}
