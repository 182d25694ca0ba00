package server

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/gorilla/mux"

	"comity/taxii"
)

// router registers each path of routes with gorilla/mux once, for all methods; the
// endpoint of the path finds the row of the method. So a caller learns the methods of a
// path only after its credentials and its Accept header were checked.
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

// methods are the methods that the row answers: GET includes HEAD.
func (r *route) methods() []string {
	if r.method == get {
		return []string{get, http.MethodHead}
	}
	return []string{r.method}
}

// plainSlashes rewrites every path to single slashes and one at the end, as the routes
// have it. It does not redirect: some clients do not follow a redirect, or drop their
// credentials when they do.
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
		target.Path, _ = url.PathUnescape(plain) // cannot fail: net/http has parsed this path
		copied := *r
		copied.URL = &target
		r = &copied
	}
	p.router.ServeHTTP(w, r)
}

// pathValue is one variable of the path, unescaped. If it cannot be unescaped, the
// error is NotFound.
func (c *caller) pathValue(name string) (string, error) {
	value, err := url.PathUnescape(c.path[name])
	if err != nil {
		return "", taxii.Errorf(taxii.NotFound, "there is no such %s", name)
	}
	return value, nil
}
