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

// caller is the account that sent a request and what it may do, found out before
// any handler runs.
type caller struct {
	exchange.Principal
	path   map[string]string // variables of the path, as they were sent
	action action            // that the request needs to be allowed
	policy *exchange.Policy
	grant  exchange.Grant // zero unless the path names a collection
	now    time.Time
	served served

	refusal *auth.Refusal // of the login, nil if it was none
}

// served is the part of the log line that tells of objects.
type served struct {
	collection string
	objects    int
	last       string // date_added of the last entry
}

// endpoint answers one path. For every method it does the work that all handlers
// share: credentials, negotiation, policy, errors, the log line and metrics.
type endpoint struct {
	server *Server
	path   string
	rows   map[string]*route // by method; none if there is no such path
	counts *metrics.Route
}

func (s *Server) endpoint(path string) *endpoint {
	return &endpoint{server: s, path: path, rows: map[string]*route{}, counts: s.Metrics.Route(path)}
}

// allow are the methods of the path (RFC 9110 §10.2.1).
func (e *endpoint) allow() string {
	methods := slices.Sorted(maps.Keys(e.rows))
	return strings.Join(append(methods, http.MethodOptions), ", ")
}

// headersOfAll are those that every answer has. What one caller may see is nobody
// else's. They are made once: a header that is set takes the place of the slice.
var headersOfAll = []struct {
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
	for _, h := range headersOfAll {
		header[h.name] = h.value
	}
	header["Vary"] = s.vary
	if apart := start.Sub(c.now); apart.Abs() > time.Second { // else net/http's is as good
		header.Set("Date", c.now.UTC().Format(http.TimeFormat))
	}
	defer func() {
		if fault := recover(); fault != nil {
			attrs := []any{"request_id", out.id, "fault", fault, "path", e.path}
			s.stacks.Do(func() { attrs = append(attrs, "stack", string(debug.Stack())) })
			s.Log.Error("panic", attrs...)
			if out.started() {
				// Half an answer must not look like a whole one.
				defer panic(http.ErrAbortHandler)
			} else {
				s.fail(out, r, taxii.Errorf(taxii.Internal, "panic"))
			}
		}
		e.account(r, out, c, time.Since(start))
	}()
	if err := e.answer(out, r, c); err != nil {
		s.fail(out, r, err)
		s.refused(out, c, err)
	}
}

// answer runs the checks in the order of the TAXII checklist: path,
// credentials, Accept, method, collection, right; then the handler.
func (e *endpoint) answer(w *response, r *http.Request, c *caller) error {
	s, row := e.server, e.rows[r.Method]
	if len(e.rows) == 0 {
		return taxii.Errorf(taxii.NotFound, "there is nothing at this path; discovery is at /taxii2/")
	}
	if row == nil || row.action != anyone {
		if err := s.authenticate(r, c); err != nil {
			return err
		}
	}
	if e.path != "/" && !taxii.Acceptable(r.Header.Values("Accept")) {
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
	if c.action = row.action; c.action == anyone {
		return row.handler(s, w, r, c)
	}
	if err := s.decide(c); err != nil {
		return err
	}
	slot, err := s.enter(r, c, s.limiters[row.method])
	if err != nil {
		return err
	}
	defer slot.release()
	return row.handler(s, w, r, c)
}

// authenticate finds who sends the request, and the policy in force.
func (s *Server) authenticate(r *http.Request, c *caller) (err error) {
	c.Principal, c.policy, err = s.Auth.Authenticate(r)
	if errors.As(err, &c.refusal) {
		s.Metrics.LoginRefused(c.refusal.Reason)
		s.Recorder.RefuseLogin(c.refusal.Remote, c.refusal.Reason, c.refusal.Account, c.refusal.Token)
	}
	return err
}

// decide finds out what the caller may do.
func (s *Server) decide(c *caller) error {
	if c.path["root"] != "" {
		if root, err := c.pathValue("root"); err != nil || root != c.policy.Centre().ID {
			return taxii.Errorf(taxii.NotFound, "there is no such API root; discovery at /taxii2/ names those there are")
		}
	}
	if verb, concerns := verbs[c.action]; concerns {
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

// decideAgain is for requests that waited.
func (s *Server) decideAgain(r *http.Request, c *caller) error {
	c.now = s.Now()
	if err := s.authenticate(r, c); err != nil {
		return err
	}
	return s.decide(c)
}

// refused puts on record that a caller was refused what there is. The answer is sent
// before, so that its time does not tell what there is.
func (s *Server) refused(w *response, c *caller, err error) {
	w.control.Flush()
	var why *exchange.Obstacle
	if !errors.As(err, &why) {
		return
	}
	name, _ := c.pathValue("collection") // an id or an alias; the record knows ids
	if collection, ok := c.policy.Collection(name, c.now); ok {
		name = collection.ID.String()
	}
	whose := c.Org
	if taxii.CodeOf(err) == taxii.NotFound {
		whose = c.policy.Centre().ID // what c may not know of must not stand in its own record
	}
	s.Recorder.Refuse(c.Principal, whose, name, why.Agreement, why.Article, why.Reason)
}

// countedMethods are those with counters of their own.
var countedMethods = []string{
	get, post, del, http.MethodHead, http.MethodPut, http.MethodPatch, http.MethodOptions,
}

// account writes the log line and the metrics of one request. The query is
// logged, credentials never are: they do not travel in it.
func (e *endpoint) account(r *http.Request, w *response, c *caller, took time.Duration) {
	s, method := e.server, r.Method
	if !slices.Contains(countedMethods, method) {
		method = "other" // counters must not grow with what callers make up
	}
	e.counts.Answer(method, w.status, took, w.bytes)
	level := slog.LevelInfo
	if w.status >= 500 {
		level = slog.LevelError
	}
	log := s.Log.Handler()
	if !log.Enabled(r.Context(), level) {
		return
	}
	// Past the Logger, which would look up from where it is called.
	line := slog.NewRecord(time.Now(), level, "request", 0)
	attrs := append(make([]slog.Attr, 0, 11), // room for all, so that they stay on the stack
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
	log.Handle(r.Context(), line) // an error has nowhere to go
}
