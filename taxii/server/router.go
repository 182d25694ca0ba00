package server

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"comity/taxii"
)

// router finds the endpoint of a path; the methods of a path are told apart later,
// since credentials and Accept are looked at first. Repeated slashes are one, and
// there may be one at the end or not: no spelling is redirected.
type router struct {
	server    *Server
	endpoints []*endpoint
	unknown   *endpoint
}

func (s *Server) router() http.Handler {
	r := &router{server: s, unknown: newEndpoint(s, "unknown")}
	for _, row := range routes {
		i := slices.IndexFunc(r.endpoints, func(e *endpoint) bool { return e.path == row.path })
		if i < 0 {
			i = len(r.endpoints)
			r.endpoints = append(r.endpoints, newEndpoint(s, row.path))
		}
		r.endpoints[i].methods[row.method] = row
	}
	return r
}

func (r *router) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	c := &caller{now: r.server.Now()}
	names, fits := split(&c.path.room, request.URL.EscapedPath())
	c.path.names, c.path.of = names, r.unknown
	for _, e := range r.endpoints {
		if fits && e.matches(names) {
			c.path.of = e
			break
		}
	}
	c.path.of.serve(w, request, c)
}

// path is that of a request, in the endpoint's terms.
type path struct {
	of    *endpoint
	names []string // between the slashes, as they were sent
	room  [6]string
}

// split gives the names between slashes; false if there are more than any
// endpoint has.
func split(room *[6]string, path string) ([]string, bool) {
	names := room[:0]
	for name := range strings.SplitSeq(path, "/") {
		if name == "" {
			continue
		}
		if len(names) == len(room) {
			return nil, false
		}
		names = append(names, name)
	}
	return names, true
}

// matches tells whether a path is the endpoint's: names in braces stand for any.
func (e *endpoint) matches(names []string) bool {
	return slices.EqualFunc(e.names, names, func(mine, given string) bool { return mine == given || mine[0] == '{' })
}

// sent is one variable of the path as it was sent, "" if the endpoint has none of
// that name in braces.
func (p *path) sent(name string) string {
	if i := slices.Index(p.of.names, name); i >= 0 {
		return p.names[i]
	}
	return ""
}

// value is one variable of the path, unescaped. What cannot be unescaped names
// nothing.
func (p *path) value(name string) (string, error) {
	value, err := url.PathUnescape(p.sent(name))
	if err != nil {
		return "", taxii.Errorf(taxii.NotFound, "there is no such %s", strings.Trim(name, "{}"))
	}
	return value, nil
}
