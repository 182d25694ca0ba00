package server

import (
	"context"
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
	head, outcomes, err := s.status(r.Context(), c, id)
	if err != nil {
		return err
	}
	return writeStatus(w, r, http.StatusOK, head, outcomes, "")
}

// status reads all of one.
func (s *Server) status(ctx context.Context, c *caller, id uuid.UUID) (store.Status, []store.Outcomes, error) {
	head, err := s.store.Status(ctx, c.Account, id)
	if err != nil {
		return head, nil, err
	}
	outcomes := make([]store.Outcomes, head.Parts)
	for n := range outcomes {
		if outcomes[n], err = s.store.Outcomes(ctx, id, n); err != nil {
			return head, nil, err
		}
	}
	return head, outcomes, nil
}

// writeStatus answers with a status resource (TAXII 2.1 §4.3.1). Warnings are
// an extension of ours, x_warnings; more is what else to say, as JSON members.
func writeStatus(w http.ResponseWriter, r *http.Request, status int, head store.Status, outcomes []store.Outcomes, more string) error {
	body := [][]byte{fmt.Appendf(nil,
		`{"id":%q,"status":"complete","request_timestamp":%q,"total_count":%d,"success_count":%d,"failure_count":%d,"pending_count":0%s`,
		head.ID, taxii.FormatTime(head.Requested), head.Successes+head.Failures, head.Successes, head.Failures, more)}
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
		for _, part := range outcomes {
			if details := list.of(part); len(details) > 0 {
				body = append(body, []byte(sep), details)
				sep = ","
			}
		}
		if sep != open {
			body = append(body, []byte("]"))
		}
	}
	return write(w, r, status, append(body, []byte("}"))...)
}
