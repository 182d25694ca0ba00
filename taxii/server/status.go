package server

import (
	"bytes"
	"fmt"
	"iter"
	"net/http"

	"github.com/google/uuid"

	"comity/store"
	"comity/taxii"
	"comity/taxii/intake"
)

// getStatus answers TAXII 2.1 §4.3, for the account that made the push.
func (s *Server) getStatus(w *response, r *http.Request, c *caller) error {
	name, err := c.pathValue("status")
	if err != nil {
		return err
	}
	absent := taxii.Errorf(taxii.NotFound, "there is no such status") // also for statuses of other accounts
	id, err := uuid.Parse(name)
	if err != nil {
		return absent
	}
	head, err := s.Store.Status(r.Context(), c.Account, id)
	if taxii.CodeOf(err) == taxii.NotFound {
		return absent
	}
	if err != nil {
		return err
	}
	part := func(n int) (store.Outcomes, error) { return s.Store.Outcomes(r.Context(), head.ID, n) }
	return writeOutcomes(w, r, http.StatusOK, resource(head, part, ""), head.Parts)
}

// partsAtOnce is the largest number of parts of a status that is sent in one write. A
// status with more parts is written part by part, and the connection is closed if a part
// cannot be read.
const partsAtOnce = 4

// writeOutcomes answers with a status resource in chunks.
func writeOutcomes(w *response, r *http.Request, status int, chunks iter.Seq2[[]byte, error], parts int) error {
	if parts > partsAtOnce {
		w.WriteHeader(status)
		for chunk, err := range chunks {
			if err != nil {
				panic(err)
			}
			w.Write(chunk)
		}
		return nil
	}
	var body []byte
	for chunk, err := range chunks {
		if err != nil {
			return err
		}
		body = append(body, chunk...)
	}
	return write(w, r, status, body)
}

// resource is a status resource (TAXII 2.1 §4.3.1) as chunks of JSON. part reads one
// part of the outcomes; more is further JSON members. Warnings are an extension of ours,
// x_warnings. Clients refuse a list that is not as long as its count says: if not all
// failures are listed one by one, the list is named x_failures.
func resource(head store.Status, part func(int) (store.Outcomes, error), more string) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		list := func(name string, of func(store.Outcomes) []byte) bool {
			begin, end := `,"`+name+`":[`, ""
			for n := range head.Parts {
				outcomes, err := part(n)
				if err != nil {
					yield(nil, err)
					return false
				}
				details := of(outcomes)
				if len(details) == 0 {
					continue
				}
				if !yield([]byte(begin), nil) || !yield(details, nil) {
					return false
				}
				begin, end = ",", "]"
			}
			return yield([]byte(end), nil)
		}
		failures, listed := "failures", 0
		for n := 0; n < head.Parts && head.Failures > intake.MaxFailures; n++ {
			outcomes, err := part(n)
			if err != nil {
				yield(nil, err)
				return
			}
			listed += bytes.Count(outcomes.Failures, []byte(`{"id":`)) // inside a string the quotes have backslashes
			if n == head.Parts-1 && listed != head.Failures {
				failures = "x_failures"
			}
		}
		// A list that must be empty is left out: building it would read all parts again.
		warned := false
		successes := func(o store.Outcomes) []byte {
			warned = warned || len(o.Warnings) > 0
			return o.Successes
		}
		if yield(fmt.Appendf(nil,
			`{"id":%q,"status":"complete","request_timestamp":%q,"total_count":%d,"success_count":%d,"failure_count":%d,"pending_count":0%s`,
			head.ID, taxii.FormatTime(head.Requested), head.Successes+head.Failures, head.Successes, head.Failures, more), nil) &&
			(head.Successes == 0 || list("successes", successes)) &&
			(head.Failures == 0 || list(failures, func(o store.Outcomes) []byte { return o.Failures })) &&
			(!warned || list("x_warnings", func(o store.Outcomes) []byte { return o.Warnings })) {
			yield([]byte("}"), nil)
		}
	}
}
