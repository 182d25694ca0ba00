package server

import (
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/gorilla/mux"

	"comity/taxii"
	"comity/taxii/auth"
	"comity/taxii/exchange"
	"comity/taxii/metrics"
)

// caller is the account that sent a request, with its rights. It is complete before
// the handler runs.
type caller struct {
	exchange.Principal
	path   map[string]string // variables of the path, as they were sent
	action action            // of the route
	policy *exchange.Policy
	grant  exchange.Grant // zero unless the path names a collection
	now    time.Time
	served served

	refusal *auth.Refusal // of the login; nil if the login succeeded
}

// served is the part of the log line about objects.
type served struct {
	collection string
	objects    int
	last       string // date_added of the last entry
}

// endpoint answers the requests for one path. It does the work that all handlers
// share: credentials, negotiation, policy, errors, the log line and metrics.
type endpoint struct {
	server *Server
	path   string
	rows   map[string]*route // by method; empty for unknown paths
	counts *metrics.Route
}

func (s *Server) endpoint(path string) *endpoint {
	return &endpoint{server: s, path: path, rows: map[string]*route{}, counts: s.Metrics.Route(path)}
}

// allow is the value of the Allow header (RFC 9110 §10.2.1).
func (e *endpoint) allow() string {
	methods := slices.Sorted(maps.Keys(e.rows))
	return strings.Join(append(methods, http.MethodOptions), ", ")
}

// commonHeaders are the headers of every answer. Caches must not share answers, since
// each caller sees other objects. The slices are shared by all answers: a handler
// replaces a header with Set and never changes its slice.
var commonHeaders = []struct {
	name  string
	value []string
}{
	{"Content-Type", []string{taxii.MediaType}},
	{"X-Content-Type-Options", []string{"nosniff"}},
	{"Cache-Control", []string{"private, no-cache"}},
}

// ServeHTTP implements http.Handler.
func (e *endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s, start := e.server, time.Now()
	c := &caller{path: mux.Vars(r), now: s.Now()}
	out := newResponse(s, w, r)
	header := w.Header()
	for _, h := range commonHeaders {
		header[h.name] = h.value
	}
	header["Vary"] = s.vary
	if apart := start.Sub(c.now); apart.Abs() > time.Second { // otherwise the Date of net/http is right
		header.Set("Date", c.now.UTC().Format(http.TimeFormat))
	}
	defer func() {
		if fault := recover(); fault != nil {
			attrs := []any{"request_id", out.id, "fault", fault, "path", e.path}
			s.stackTraces.Do(func() { attrs = append(attrs, "stack", string(debug.Stack())) })
			s.Log.Error("panic", attrs...)
			if out.started() {
				// An incomplete answer must not look complete.
				defer panic(http.ErrAbortHandler)
			} else {
				s.fail(out, r, taxii.Errorf(taxii.Internal, "panic"))
			}
		}
		e.logAndCount(r, out, c, time.Since(start))
	}()
	if err := e.answer(out, r, c); err != nil {
		s.fail(out, r, err)
		s.recordRefusal(out, c, err)
	}
}

// answer checks the path, credentials, Accept, method, collection and right, in this
// order, and then calls the handler.
func (e *endpoint) answer(w *response, r *http.Request, c *caller) error {
	s, row := e.server, e.rows[r.Method]
	if len(e.rows) == 0 {
		return taxii.Errorf(taxii.NotFound, "there is nothing at this path; discovery is at /taxii2/")
	}
	if row == nil || row.action != noAccount {
		if err := s.authenticate(r, c); err != nil {
			return err
		}
	}
	if !slices.Contains(ownMediaTypes, e.path) && !taxii.Acceptable(r.Header.Values("Accept")) {
		return taxii.Errorf(taxii.Unacceptable, "this server answers with %s only", taxii.MediaType)
	}
	if row == nil {
		w.Header().Set("Allow", e.allow())
		if r.Method == http.MethodOptions {
			w.WriteHeader(http.StatusNoContent)
			return nil
		}
		return taxii.Errorf(taxii.NotAllowed, "%s is not for this endpoint, which has %s", r.Method, e.allow())
	}
	if c.action = row.action; c.action == noAccount {
		return row.handler(s, w, r, c)
	}
	if err := s.decide(c); err != nil {
		return err
	}
	if e.path == streamPath { // would keep a slot for as long as it lasts
		return row.handler(s, w, r, c)
	}
	slot, err := s.acquireSlot(r, c, s.limiters[row.method])
	if err != nil {
		return err
	}
	defer slot.release()
	return row.handler(s, w, r, c)
}

// authenticate sets the principal and the current policy of c. It counts and records
// a refused login.
func (s *Server) authenticate(r *http.Request, c *caller) (err error) {
	c.Principal, c.policy, err = s.Auth.Authenticate(r)
	if errors.As(err, &c.refusal) {
		s.Metrics.LoginRefused(c.refusal.Reason)
		s.Recorder.RefuseLogin(c.refusal.Remote, c.refusal.Reason, c.refusal.Account, c.refusal.Token)
	}
	return err
}

// decide checks the API root, and sets the grant of c if the path names a collection.
func (s *Server) decide(c *caller) error {
	if c.path["root"] != "" {
		if root, err := c.pathValue("root"); err != nil || root != c.policy.Centre().ID {
			return taxii.Errorf(taxii.NotFound, "there is no such API root; discovery at /taxii2/ names those there are")
		}
	}
	if verb, ok := verbs[c.action]; ok {
		name, err := c.pathValue("collection")
		if err != nil {
			return err
		}
		if c.grant, err = c.policy.Decide(c.Principal, name, verb, c.now); err != nil {
			return err
		}
		c.served.collection = c.grant.Collection().Alias
	}
	return nil
}

// decideAgain authenticates and decides once more, for requests that had to wait.
func (s *Server) decideAgain(r *http.Request, c *caller) error {
	c.now = s.Now()
	if err := s.authenticate(r, c); err != nil {
		return err
	}
	return s.decide(c)
}

// recordRefusal writes to the audit record that an agreement refused a request for an
// existing collection. It sends the answer first: otherwise a slower answer would reveal that the
// collection exists.
func (s *Server) recordRefusal(w *response, c *caller, err error) {
	w.control.Flush()
	var obstacle *exchange.Obstacle
	if !errors.As(err, &obstacle) {
		return
	}
	name, _ := c.pathValue("collection") // an id or an alias; the audit record holds ids
	if collection, ok := c.policy.Collection(name, c.now); ok {
		name = collection.ID.String()
	}
	owner := c.Org // of the entry
	if taxii.CodeOf(err) == taxii.NotFound {
		owner = c.policy.Centre().ID // the caller reads its own record, and must not learn of the collection there
	}
	s.Metrics.Refused(obstacle.Agreement, obstacle.Article)
	s.Recorder.Refuse(c.Principal, owner, name, obstacle.Agreement, obstacle.Article, obstacle.Reason)
}

// countedMethods are the methods that are counted by name; all others count as "other".
var countedMethods = []string{
	get, post, del, http.MethodHead, http.MethodPut, http.MethodPatch, http.MethodOptions,
}

// logAndCount writes the log line and the metrics of one request. It logs the query,
// which holds no credentials.
func (e *endpoint) logAndCount(r *http.Request, w *response, c *caller, took time.Duration) {
	s, method := e.server, r.Method
	if !slices.Contains(countedMethods, method) {
		method = "other" // otherwise invented methods would add counters without end
	}
	counted := took
	if w.streamed {
		counted = 0
	}
	e.counts.Answer(method, w.status, counted, w.bytes)
	level := slog.LevelInfo
	if w.status >= 500 {
		level = slog.LevelError
	}
	log := s.Log.Handler()
	if !log.Enabled(r.Context(), level) {
		return
	}
	// The Handler is called directly, since a Logger would look up the caller's source line.
	line := slog.NewRecord(time.Now(), level, "request", 0)
	attrs := append(make([]slog.Attr, 0, 11), // capacity for all attributes, so that they stay on the stack
		slog.String("request_id", w.id),
		slog.String("account", c.Account),
		slog.String("method", r.Method),
		slog.String("route", e.path),
		slog.Int("status", w.status),
		slog.Int64("bytes", w.bytes),
		slog.Float64("seconds", took.Seconds()),
	)
	if c.served.collection != "" {
		attrs = append(attrs, slog.String("collection", c.served.collection), slog.String("query", r.URL.RawQuery),
			slog.Int("objects", c.served.objects))
	}
	if c.served.last != "" {
		attrs = append(attrs, slog.String("last", c.served.last))
	}
	if c.refusal != nil {
		attrs = append(attrs, slog.String("remote", c.refusal.Remote), slog.String("reason", c.refusal.Reason),
			slog.String("refused_account", c.refusal.Account), slog.String("token", c.refusal.Token))
	}
	line.AddAttrs(attrs...)
	log.Handle(r.Context(), line) // an error of the log cannot be logged
}
