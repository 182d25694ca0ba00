package server

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"

	"comity/store"
	"comity/taxii"
	"comity/taxii/intake"
)

// addObjects answers TAXII 2.1 §5.5: 202 and a status that is complete. With
// x_dry_run it stores nothing.
func (s *Server) addObjects(w *response, r *http.Request, c *caller) error {
	if !taxii.Postable(r.Header.Get("Content-Type")) {
		return taxii.Errorf(taxii.Unsupported, "send %s", taxii.MediaType)
	}
	limit := s.config.MaxContentLength
	tooLarge := taxii.Errorf(taxii.TooLarge, "a push has at most %d octets", limit)
	if r.ContentLength > limit {
		return tooLarge
	}
	rehearse, err := rehearsal(r)
	if err != nil {
		return err
	}
	gate, err := s.pushes.enter(r.Context(), c.Account)
	if err != nil {
		return err
	}
	defer gate.leave()
	// The limit holds before and after unpacking: there is gzip without end that
	// yields nothing.
	paced := &pacedBody{r: r.Body, control: http.NewResponseController(w), patience: s.patience, start: time.Now()}
	body, err := decoded(r, &intake.Limited{R: paced, Left: limit, TooLarge: tooLarge})
	if err != nil {
		return err
	}
	push := &intake.Limited{R: body, Left: limit, TooLarge: tooLarge}
	if rehearse {
		head, outcomes, err := s.Intake.Rehearse(r.Context(), c.grant, push)
		if err != nil {
			return err
		}
		part := func(n int) (store.Outcomes, error) { return outcomes[n], nil }
		return writeOutcomes(w, r, http.StatusAccepted, resource(head, part, `,"x_dry_run":true`), head.Parts)
	}
	pushed, err := s.Intake.Push(r.Context(), c.grant, push)
	if err != nil {
		s.pushRefused(c, err)
		return err
	}
	// What was taken is taken: who sent it need not wait for the rest.
	if err := s.Custody.Revoked(context.WithoutCancel(r.Context()), c.grant.Collection(), pushed.Revoked); err != nil {
		return err
	}
	head := pushed.Status
	c.served.objects = head.Successes
	s.Metrics.Pushed(head.Successes, head.Failures)
	part := func(n int) (store.Outcomes, error) {
		if n == head.Parts-1 {
			return pushed.Last, nil
		}
		return s.Store.Outcomes(r.Context(), head.ID, n)
	}
	return writeOutcomes(w, r, http.StatusAccepted, resource(head, part, ""), head.Parts)
}

// pushRefused puts on record that a whole push was refused by the agreement.
func (s *Server) pushRefused(c *caller, err error) {
	if code := taxii.CodeOf(err); code == taxii.TooLarge || code == taxii.TooMany {
		col := c.grant.Collection()
		s.Recorder.Refuse(c.Principal, c.Org, col.ID.String(), col.Agreement, "", err.Error())
	}
}

// rehearsal reads x_dry_run, an extension of ours: true asks for the status
// that a push would get.
func rehearsal(r *http.Request) (bool, error) {
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

// decoded undoes the Content-Encoding of a push: none or gzip.
func decoded(r *http.Request, body io.Reader) (io.Reader, error) {
	switch coding := strings.ToLower(r.Header.Get("Content-Encoding")); coding {
	case "", "identity":
		return body, nil
	case "gzip":
		return &gzipBody{r: body}, nil
	default:
		return nil, taxii.Errorf(taxii.Unsupported, "Content-Encoding %q is not supported; send gzip or none", coding)
	}
}

// gzipBody unpacks as it is read. What is no gzip is the sender's fault.
type gzipBody struct {
	r io.Reader
	z *gzip.Reader
}

func (b *gzipBody) Read(p []byte) (n int, err error) {
	if b.z == nil {
		if b.z, err = gzip.NewReader(b.r); err != nil {
			return 0, badGzip(err)
		}
	}
	n, err = b.z.Read(p)
	if err != nil && err != io.EOF {
		err = badGzip(err)
	}
	return n, err
}

// badGzip leaves alone what the body below it has said itself.
func badGzip(err error) error {
	var known *taxii.Error
	if errors.As(err, &known) {
		return err
	}
	return &taxii.Error{Code: taxii.Invalid, Msg: "the body is no complete gzip stream", Err: err}
}

// pacedBody cuts off a body that comes more slowly than patience allows. What
// else keeps it from being read is the sender's doing.
type pacedBody struct {
	r        io.Reader
	control  *http.ResponseController
	patience func(int64) time.Duration
	start    time.Time
	read     int64
}

func (b *pacedBody) Read(p []byte) (int, error) {
	b.control.SetReadDeadline(b.start.Add(b.patience(b.read)))
	n, err := b.r.Read(p)
	b.read += int64(n)
	switch {
	case err == io.EOF:
		// Not before: what we leave unread net/http still reads.
		b.control.SetReadDeadline(time.Time{})
	case errors.Is(err, os.ErrDeadlineExceeded):
		err = &taxii.Error{Code: taxii.Timeout, Msg: "the body came too slowly", Err: err}
	case err != nil:
		err = &taxii.Error{Code: taxii.Invalid, Msg: "the body could not be read to its end", Err: err}
	}
	return n, err
}
