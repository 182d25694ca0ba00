package server_test

import (
	"strings"
	"testing"
)

// A browser asks before it lets a page send credentials, and sends none with that
// question.
func TestPagesOfANamedOriginMayCallTheServer(t *testing.T) {
	const origin = "https://viewer.example"
	w := newWorld(t, func(w *world) { w.config.CORSOrigins = []string{origin} })
	objects := w.collection("sharing.reports") + "objects/"
	for _, header := range []string{"accept", "authorization", "content-type", "range", "version", "x-api-key"} {
		a := w.preflight(objects, origin, header).want(204)
		if got := a.header.Get("Access-Control-Allow-Origin"); got != origin || a.header.Get("Access-Control-Allow-Headers") != header {
			t.Errorf("%s: %q", header, a.header)
		}
	}
	a := w.as("bureau/soc").get(objects, header{"Origin", origin}).want(200)
	if a.header.Get("Access-Control-Allow-Origin") != origin || !strings.Contains(a.header.Get("Vary"), "Origin") ||
		!strings.Contains(strings.ToLower(a.header.Get("Access-Control-Expose-Headers")), "x-taxii-date-added-last") {
		t.Errorf("%q", a.header)
	}
	w.nobody().get(objects, header{"Origin", origin}).refused(401)
}

func TestOtherOriginsAreNotLetIn(t *testing.T) {
	for _, origins := range [][]string{nil, {"https://viewer.example"}} {
		w := newWorld(t, func(w *world) { w.config.CORSOrigins = origins })
		objects := w.collection("sharing.reports") + "objects/"
		for _, a := range []*answer{
			w.preflight(objects, "https://evil.example", "authorization"),
			w.as("bureau/soc").get(objects, header{"Origin", "https://evil.example"}).want(200),
		} {
			if got := a.header.Get("Access-Control-Allow-Origin"); got != "" {
				t.Errorf("%s with %q: allowed for %s", a.request, origins, got)
			}
		}
	}
}

func (w *world) preflight(path, origin, name string) *answer {
	return w.nobody().do("OPTIONS", path, nil,
		header{"Origin", origin}, header{"Access-Control-Request-Method", "GET"}, header{"Access-Control-Request-Headers", name})
}
