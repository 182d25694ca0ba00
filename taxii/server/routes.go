package server

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/gorilla/mux"

	"comity/taxii"
	"comity/taxii/exchange"
)

// action is what a request needs to be allowed. It has no zero value on
// purpose: a route says what it needs.
type action uint8

const (
	anyone       action = iota + 1 // no credentials
	account                        // any account
	openIt                         // any right on the collection of the path
	readIt                         // the right to read it
	addToIt                        // the right to add objects
	deleteFromIt                   // the right to delete objects
)

// verbs are the actions that concern a collection.
var verbs = map[action]exchange.Verb{
	openIt: exchange.Open, readIt: exchange.Read, addToIt: exchange.Write, deleteFromIt: exchange.Delete,
}

type route struct {
	method  string
	path    string
	action  action
	handler func(*Server, http.ResponseWriter, *http.Request, *caller) error
	section string // of TAXII 2.1, or of our own design
}

const (
	get  = http.MethodGet
	post = http.MethodPost
	del  = http.MethodDelete

	collection = "/{root}/collections/{collection}/"
	object     = collection + "objects/{object}/"
)

var routes = []route{
	{get, "/taxii2/", account, (*Server).getDiscovery, "4.1"},
	{get, "/{root}/", account, (*Server).getAPIRoot, "4.2"},
	{get, "/{root}/status/{status}/", account, (*Server).getStatus, "4.3"},
	{get, "/{root}/collections/", account, (*Server).getCollections, "5.1"},
	{get, collection, openIt, (*Server).getCollection, "5.2"},
	{get, collection + "manifest/", readIt, (*Server).getManifest, "5.3"},
	{get, collection + "objects/", readIt, (*Server).getObjects, "5.4"},
	{post, collection + "objects/", addToIt, (*Server).addObjects, "5.5"},
	{get, object, readIt, (*Server).getObject, "5.6"},
	{del, object, deleteFromIt, (*Server).deleteObject, "5.7"},
	{get, object + "versions/", readIt, (*Server).getVersions, "5.8"},
	{get, "/{root}/x-handling/", account, (*Server).getHandling, "x-handling"},
	{get, "/healthz/", anyone, (*Server).getHealth, "liveness"},
	{get, "/readyz/", anyone, (*Server).getReadiness, "readiness"},
}

// router dispatches by path; the methods of a path are told apart later, since
// credentials and Accept are looked at first.
func (s *Server) router() http.Handler {
	r := mux.NewRouter().SkipClean(true).UseEncodedPath()
	endpoints := map[string]*endpoint{}
	for _, row := range routes {
		e := endpoints[row.path]
		if e == nil {
			e = &endpoint{server: s, path: row.path, methods: map[string]route{}}
			endpoints[row.path] = e
		}
		e.methods[row.method] = row
	}
	// Paths are tried one after the other: what is asked for most comes first, and
	// fixed ones before those that begin with the name of a root.
	for _, path := range []string{collection + "objects/", "/taxii2/", "/healthz/", "/readyz/"} {
		r.Handle(path, endpoints[path])
	}
	for path, e := range endpoints {
		r.Handle(path, e)
	}
	r.NotFoundHandler = &endpoint{server: s, path: "unknown", methods: map[string]route{}}
	return normalise(r)
}

var slashes = regexp.MustCompile(`/{2,}`)

// normalise makes one path of the spellings that clients send: repeated
// slashes are one, and a slash ends it. It answers nothing and never
// redirects.
func normalise(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path := r.URL.EscapedPath()
		if strings.Contains(path, "//") {
			path = slashes.ReplaceAllString(path, "/")
		}
		if !strings.HasSuffix(path, "/") {
			path += "/"
		}
		if path != r.URL.EscapedPath() {
			clone := *r
			clone.URL = new(url.URL)
			*clone.URL = *r.URL
			clone.URL.RawPath = path
			clone.URL.Path, _ = url.PathUnescape(path)
			r = &clone
		}
		next.ServeHTTP(w, r)
	})
}

// pathValue is one variable of the path, unescaped. What cannot be unescaped
// names nothing.
func pathValue(r *http.Request, name string) (string, error) {
	value, err := url.PathUnescape(mux.Vars(r)[name])
	if err != nil {
		return "", taxii.Errorf(taxii.NotFound, "there is no such %s", name)
	}
	return value, nil
}
