package server

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"comity/taxii"
)

// statusClientLeft is the status that nginx logs if the client left before its answer,
// which is not an error of the server.
const statusClientLeft = 499

// fail answers with an error resource (TAXII 2.1 §3.6). An error that is not a
// taxii.Error is logged, and the client gets an id to quote.
func (s *Server) fail(w *response, r *http.Request, err error) {
	var known *taxii.Error
	if !errors.As(err, &known) {
		known = &taxii.Error{Code: taxii.Internal, Err: err}
	}
	status, title := known.Code.Status(), ""
	if known.Code == taxii.Internal && r.Context().Err() != nil && errors.Is(err, context.Canceled) {
		status, title = statusClientLeft, "Client Closed Request"
	}
	message := taxii.ErrorMessage{
		Title:       cmp.Or(title, http.StatusText(status)),
		Description: known.Msg,
		ErrorID:     w.id,
		ErrorCode:   known.Code,
		HTTPStatus:  strconv.Itoa(status),
	}
	switch known.Code {
	case taxii.Internal:
		if status != statusClientLeft {
			s.Log.Error("failed", "request_id", w.id, "err", err)
		}
		message.Description = "something failed on our side; quote the error id to the operator"
	case taxii.Unauthorized:
		w.Header().Add("WWW-Authenticate", `Basic realm="comity", charset="UTF-8"`)
		w.Header().Add("WWW-Authenticate", `Bearer realm="comity"`)
	case taxii.Unavailable, taxii.TooMany:
		after := cmp.Or(known.RetryAfter, 5*time.Second)
		w.Header().Set("Retry-After", strconv.Itoa(int((after+time.Second-1)/time.Second)))
	}
	if w.started() {
		return // the status is sent already
	}
	writeJSON(w, r, status, message)
}
