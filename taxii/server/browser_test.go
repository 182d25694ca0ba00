package server_test

import (
	"strings"
	"testing"
)

// TestABrowserIsToldWhereClientsBegin holds that the top of the server is a page,
// whatever a browser accepts, and that other dead ends name the way out.
func TestABrowserIsToldWhereClientsBegin(t *testing.T) {
	w := newWorld(t)
	for _, accept := range []string{"text/html", "text/html,application/xhtml+xml,*/*;q=0.8", "*/*"} {
		a := w.nobody().do("GET", "/", "", header{"Accept", accept})
		if a.status != 200 || a.header.Get("Content-Type") != "text/html; charset=utf-8" || !strings.Contains(string(a.body), w.server.URL+"/taxii2/") {
			t.Errorf("Accept %s: %s", accept, a)
		}
		if strings.Contains(string(a.body), "igci") {
			t.Errorf("who has not proved who he is learns the centre: %s", a)
		}
	}
	for _, path := range []string{"/taxii/", "/IGCI/", "/taxii2/collections/"} {
		a := w.as("vendor/feed").get(path).want(404)
		if m := a.refused(404); !strings.Contains(m.Description, "/taxii2/") {
			t.Errorf("%s: %s", path, m.Description)
		}
	}
}
