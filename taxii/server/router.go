package server

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/gorilla/mux"

	"comity/taxii"
)

// router registers every row of routes with gorilla/mux. Behind the rows of a
// path stands a route for the methods that it lacks: a caller learns of them only
// with credentials and an Accept that this server can meet.
func (s *Server) router() *mux.Router {
	router := mux.NewRouter().UseEncodedPath().SkipClean(true)
	seen := map[string]bool{}
	for _, row := range routes {
		if seen[row.path] {
			continue
		}
		seen[row.path] = true
		e := s.endpoint(row.path)
		for i := range routes {
			if row := &routes[i]; row.path == e.path {
				router.Path(row.path).Methods(row.methods()...).Handler(e.handler(row))
			}
		}
		router.Path(row.path).Handler(e.handler(nil))
	}
	router.NotFoundHandler = s.endpoint("unknown").handler(nil)
	return router
}

// methods are those that the row answers.
func (r *route) methods() []string {
	if r.method == get {
		return []string{get, http.MethodHead}
	}
	return []string{r.method}
}

// allowed are the methods of a path (RFC 9110 §10.2.1), "" if there is no such
// path.
func allowed(path string) string {
	var methods []string
	for i := range routes {
		if routes[i].path == path {
			methods = append(methods, routes[i].methods()...)
		}
	}
	if methods == nil {
		return ""
	}
	slices.Sort(methods)
	return strings.Join(append(methods, http.MethodOptions), ", ")
}

// plainSlashes gives the router every path as the routes spell it, with single
// slashes and one at the end. No other spelling is redirected: some clients do not
// follow a redirect, or lose their credentials on the way.
type plainSlashes struct{ router *mux.Router }

// ServeHTTP implements http.Handler.
func (p plainSlashes) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := r.URL.EscapedPath()
	if !strings.HasPrefix(path, "/") || !strings.HasSuffix(path, "/") || strings.Contains(path, "//") {
		plain := "/"
		for name := range strings.SplitSeq(path, "/") {
			if name != "" {
				plain += name + "/"
			}
		}
		target := *r.URL
		target.RawPath = plain
		target.Path, _ = url.PathUnescape(plain) // which the path was before
		copied := *r
		copied.URL = &target
		r = &copied
	}
	p.router.ServeHTTP(w, r)
}

// pathValue is one variable of the path, unescaped. A name that cannot be unescaped
// stands for nothing.
func (c *caller) pathValue(name string) (string, error) {
	value, err := url.PathUnescape(c.path[name])
	if err != nil {
		return "", taxii.Errorf(taxii.NotFound, "there is no such %s", name)
	}
	return value, nil
}
