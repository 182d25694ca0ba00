package feed

import (
	"cmp"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/gorilla/mux"

	stixfeed "comity/stix/feed"
	"comity/taxii"
	"comity/taxii/auth"
	"comity/taxii/exchange"
	"comity/taxii/metrics"
)

// handler answers the requests for feeds.
type handler struct {
	*Service
	auth    *auth.Authenticator
	metrics *metrics.Metrics
	router  *mux.Router
	header  http.Header // of every answer; its lists are shared, and never changed
	readers readers     // of files
	streams readers
}

// IsPath tells whether a path, as it is escaped in a request, is one of a feed.
func IsPath(escaped string) bool {
	_, rest, _ := strings.Cut(strings.TrimLeft(escaped, "/"), "/")
	segment, _, _ := strings.Cut(strings.TrimLeft(rest, "/"), "/")
	return segment == "x-feeds"
}

// The paths, below that of the API root of the centre. The last segment of a file is a
// plain name, since several products take it for the name of the file they keep.
const (
	listPath = "/{root}/x-feeds"
	pagePath = "/{root}/x-feeds/{feed}"
	filePath = "/{root}/x-feeds/{feed}/{file}" // feed is the id, or the id, "~" and a secret

	mispPath      = "/{root}/x-feeds/{feed}/misp/{file}" // as MISP appends it
	streamPath    = "/{root}/x-feeds/{feed}/stream"
	decisionsPath = "/{root}/x-feeds/{feed}/v1/decisions/stream" // as bouncers append it
)

// Handler serves the feeds: GET and HEAD, for the account of each feed. An answer has the
// media type of its format whatever the Accept header says, since most products send none
// that fits. Errors are a line of text.
func (s *Service) Handler(a *auth.Authenticator, m *metrics.Metrics) http.Handler {
	h := &handler{
		Service: s, auth: a, metrics: m, router: mux.NewRouter().UseEncodedPath().SkipClean(true),
		header: http.Header{
			"Cache-Control":          {"private, no-cache"},
			"X-Content-Type-Options": {"nosniff"},
			"Vary":                   {strings.Join(append(a.Headers(), "Accept-Encoding"), ", ")},
		},
		readers: newReaders(), streams: newReaders(),
	}
	for _, route := range []struct {
		path  string
		serve func(*response, *http.Request, *caller) error
	}{ // mux tries them in this order, and files are asked for most
		{streamPath, h.getStream}, {filePath, h.getFile}, {mispPath, h.getMISP}, {decisionsPath, h.getDecisions}, {pagePath, h.getFeed}, {listPath, h.getFeeds},
	} {
		h.router.Path(route.path).Handler(&endpoint{h, route.serve, route.path, m.Route(route.path)})
	}
	h.router.NotFoundHandler = &endpoint{h, func(*response, *http.Request, *caller) error {
		return taxii.Errorf(taxii.NotFound, "there is nothing at this path")
	}, "unknown feed", m.Route("unknown feed")}
	return h
}

// ServeHTTP implements http.Handler. It routes by the path without doubled slashes and the
// one at the end; it does not redirect, since some products do not follow.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if escaped := r.URL.EscapedPath(); !strings.Contains(escaped, "//") && !strings.HasSuffix(escaped, "/") {
		h.router.ServeHTTP(w, r)
		return
	}
	target := *r.URL
	target.RawPath = "/" + strings.Join(strings.FieldsFunc(r.URL.EscapedPath(), func(r rune) bool { return r == '/' }), "/")
	target.Path, _ = url.PathUnescape(target.RawPath) // cannot fail: net/http has parsed this path
	plain := *r
	plain.URL = &target
	h.router.ServeHTTP(w, &plain)
}

// caller is the account that sent a request.
type caller struct {
	exchange.Principal
	policy *exchange.Policy
	path   map[string]string
	byURL  bool   // the path has the secret of the feed
	secret string // that it has
	feed   string // that was found
	now    time.Time

	leftOut map[stixfeed.Reason]int // entries that the file lacks
}

// endpoint answers the requests for one path.
type endpoint struct {
	handler *handler
	serve   func(*response, *http.Request, *caller) error
	path    string
	counts  *metrics.Route
}

// ServeHTTP implements http.Handler.
func (e *endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start, c := time.Now(), &caller{path: mux.Vars(r), now: e.handler.now()}
	out := &response{ResponseWriter: w, control: http.NewResponseController(w), id: uuid.NewString()}
	maps.Copy(w.Header(), e.handler.header)
	if err := e.answer(out, r, c); err != nil {
		e.handler.fail(out, err)
	}
	took := time.Since(start)
	e.counts.Answer(r.Method, out.status, cmp.Or(out.waited, took), out.bytes)
	if c.path["feed"] != "" && e.path != pagePath {
		e.handler.count(r, c, out.status)
	}
	level := slog.LevelInfo
	if out.status >= 500 {
		level = slog.LevelError
	}
	feed := c.feed
	if c.byURL {
		feed += "~…" // never the secret
	}
	e.handler.log.LogAttrs(r.Context(), level, "request", slog.String("request_id", out.id), slog.String("account", c.Account), slog.String("method", r.Method),
		slog.String("route", e.path), slog.Int("status", out.status), slog.Int64("bytes", out.bytes), slog.Float64("seconds", took.Seconds()),
		slog.String("feed", feed), slog.String("file", c.path["file"]))
	if out.cut {
		panic(http.ErrAbortHandler)
	}
}

// answer checks credentials, method and API root, in this order, and serves.
func (e *endpoint) answer(w *response, r *http.Request, c *caller) (err error) {
	h := e.handler
	var refusal *auth.Refusal
	if id, secret, ok := cutSecret(c.path["feed"]); ok {
		c.path["feed"], c.secret, c.byURL = id, secret, true
		w.Header().Set("Referrer-Policy", "no-referrer")
	}
	err = h.authenticate(r, c)
	if errors.As(err, &refusal) {
		h.metrics.LoginRefused(refusal.Reason)
		h.recorder.RefuseLogin(refusal.Remote, refusal.Reason, refusal.Account, refusal.Token)
	}
	switch {
	case err != nil:
		return err
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.Header().Set("Allow", "GET, HEAD")
		return taxii.Errorf(taxii.NotAllowed, "feeds are read with GET")
	case c.path != nil && c.path["root"] != c.policy.Centre().ID:
		return taxii.Errorf(taxii.NotFound, "there is nothing at this path")
	}
	return e.serve(w, r, c)
}

// authenticate finds the account and the policy of the caller.
func (h *handler) authenticate(r *http.Request, c *caller) (err error) {
	if c.byURL {
		c.Principal, c.policy, err = h.principalByURL(r.Context(), c.path["feed"], c.secret)
	} else {
		c.Principal, c.policy, err = h.auth.Authenticate(r)
	}
	return err
}

// fail answers with an error, as one line of text. A failure of ours is always 503: products keep
// what they have then, and come again.
func (h *handler) fail(w *response, err error) {
	if w.cut = w.status != 0; w.cut {
		return
	}
	var known *taxii.Error
	if !errors.As(err, &known) {
		known = &taxii.Error{Code: taxii.Internal, Err: err}
	}
	if known.Code == taxii.Internal {
		h.log.Error("failed", "request_id", w.id, "err", err)
		known = &taxii.Error{Code: taxii.Unavailable, Msg: "something failed on our side; quote " + w.id + " to the operator"}
	}
	header := w.Header()
	switch known.Code {
	case taxii.Unauthorized:
		header.Add("WWW-Authenticate", `Basic realm="comity", charset="UTF-8"`)
		header.Add("WWW-Authenticate", `Bearer realm="comity"`)
	case taxii.Unavailable, taxii.TooMany:
		after := cmp.Or(known.RetryAfter, 5*time.Second)
		header.Set("Retry-After", strconv.Itoa(int((after+time.Second-1)/time.Second)))
	}
	header.Del("ETag")
	header.Del("Last-Modified")
	http.Error(w, known.Msg, known.Code.Status())
}

// response writes the answer to one request, keeps its status and size for the log, and cuts
// the connection of a client that reads too slowly.
type response struct {
	http.ResponseWriter
	control *http.ResponseController
	id      string // of the request
	status  int
	bytes   int64
	waited  time.Duration // of a stream: until its first event was sent
	cut     bool          // an error came after the answer had begun: the client has to notice
}

// WriteHeader implements http.ResponseWriter.
func (w *response) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
		w.control.SetWriteDeadline(time.Now().Add(grace))
	}
	w.ResponseWriter.WriteHeader(status)
}

// grace is how long a client may take to read the beginning of an answer, and then each
// part of minRate bytes a second more.
const (
	grace   = 30 * time.Second
	minRate = 16 << 10
)

// Write implements http.ResponseWriter.
func (w *response) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	w.control.SetWriteDeadline(time.Now().Add(grace + time.Duration(len(b))*time.Second/minRate))
	n, err := w.ResponseWriter.Write(b)
	w.bytes += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController reach the connection.
func (w *response) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// writeJSON answers with one JSON value.
func writeJSON(w *response, v any) error {
	body, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.Write(append(body, '\n')) // an error means that the client has left
	return nil
}
