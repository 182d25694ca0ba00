package server

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/gorilla/mux"

	"comity/taxii"
)

// router registers every path of routes with gorilla/mux, once: its endpoint finds
// the row of the method. A caller learns which methods a path has only with
// credentials and an Accept that this server can meet.
func (s *Server) router() *mux.Router {
	router := mux.NewRouter().UseEncodedPath().SkipClean(true)
	endpoints := map[string]*endpoint{}
	for i := range routes {
		row := &routes[i]
		e := endpoints[row.path]
		if e == nil {
			e = s.endpoint(row.path)
			endpoints[row.path] = e
			router.Path(row.path).Handler(e)
		}
		for _, method := range row.methods() {
			e.rows[method] = row
		}
	}
	router.NotFoundHandler = s.endpoint("unknown")
	return router
}

// methods are those that the row answers.
func (r *route) methods() []string {
	if r.method == get {
		return []string{get, http.MethodHead}
	}
	return []string{r.method}
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
