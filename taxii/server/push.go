package server

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"comity/store"
	"comity/taxii"
	"comity/taxii/exchange"
	"comity/taxii/intake"
)

// addObjects answers TAXII 2.1 §5.5 with 202 and a status that is complete. With
// x_dry_run it stores nothing.
func (s *Server) addObjects(w *response, r *http.Request, c *caller) error {
	if !taxii.Postable(r.Header.Get("Content-Type")) {
		return taxii.Errorf(taxii.Unsupported, "send %s", taxii.MediaType)
	}
	limit := s.config.MaxContentLength
	tooLarge := taxii.Errorf(taxii.TooLarge, "a push has at most %d bytes", limit)
	if r.ContentLength > limit {
		return tooLarge
	}
	dryRun, err := parseDryRun(r)
	if err != nil {
		return err
	}
	// The limit holds before and after decompression: endless gzip may decompress to nothing.
	body, err := decodeBody(w, r, &intake.Limited{R: r.Body, Left: limit, TooLarge: tooLarge})
	if err != nil {
		return err
	}
	push := &checkedBody{&intake.Limited{R: body, Left: limit, TooLarge: tooLarge}, func() error { return s.decideAgain(r, c) }}
	// A push whose body was read whole is carried out even if the client leaves before
	// the answer. If the client leaves earlier, reading the body fails.
	ctx := context.WithoutCancel(r.Context())
	if dryRun {
		head, part, err := s.Intake.Rehearse(ctx, c.grant, push)
		if err != nil {
			return err
		}
		return writeOutcomes(w, r, http.StatusAccepted, resource(head, part, `,"x_dry_run":true`), head.Parts)
	}
	pushed, err := s.Intake.Push(ctx, c.grant, push)
	if err != nil {
		if errors.Is(err, tooLarge) { // the limit of the server, not of the agreement
			return err
		}
		return c.quotaRefusal(err)
	}
	if err := s.Custody.Revoked(ctx, c.grant.Collection(), pushed.Revoked); err != nil {
		return err
	}
	head := pushed.Status
	c.served.objects = head.Successes
	s.Metrics.Pushed(head.Successes, head.Failures)
	part := func(n int) (store.Outcomes, error) {
		if n == head.Parts-1 {
			return pushed.Last, nil
		}
		return s.Store.Outcomes(ctx, head.ID, n)
	}
	return writeOutcomes(w, r, http.StatusAccepted, resource(head, part, ""), head.Parts)
}

// quotaRefusal gives an error of Push the agreement as its cause if a quota of the
// agreement refused the whole push, so that the refusal is recorded. Other errors it
// returns unchanged.
func (c *caller) quotaRefusal(err error) error {
	var known *taxii.Error
	if !errors.As(err, &known) || known.Err != nil || known.Code != taxii.TooLarge && known.Code != taxii.TooMany {
		return err
	}
	refused := *known
	refused.Err = &exchange.Obstacle{Agreement: c.grant.Collection().Agreement, Reason: known.Msg}
	return &refused
}

// parseDryRun reads x_dry_run, an extension of ours: with true, the client gets the
// status that the push would have.
func parseDryRun(r *http.Request) (bool, error) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return false, taxii.Errorf(taxii.Invalid, "the query is malformed")
	}
	given := query["x_dry_run"]
	if len(given) == 0 {
		return false, nil
	}
	if len(given) > 1 || given[0] != "true" {
		return false, taxii.Errorf(taxii.Invalid, "x_dry_run is true or left out")
	}
	return true, nil
}
