package server_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/gorilla/mux"

	"comity/taxii/server"
)

// gorilla/mux finds every endpoint: its routes are the paths of the table, each once
// and for all methods.
func TestPathsAreRoutesOfMux(t *testing.T) {
	w := newWorld(t)
	found := map[string]int{}
	err := server.Router(w.handler()).Walk(func(route *mux.Route, _ *mux.Router, _ []*mux.Route) error {
		path, err := route.GetPathTemplate()
		if err != nil {
			return err
		}
		if methods, err := route.GetMethods(); err == nil {
			t.Errorf("the route of %s is for %v only", path, methods)
		}
		found[path]++
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]int{}
	for path := range server.Rows() {
		want[path] = 1
	}
	if diff := cmp.Diff(want, found); diff != "" {
		t.Errorf("paths and routes differ (-paths +routes):\n%s", diff)
	}
}

// Every row answers, and nothing beside them does.
func TestOnlyRowsAreServed(t *testing.T) {
	w := newWorld(t)
	vendor := w.as("vendor/feed")
	status := vendor.push(w.collection("sharing.reports"), indicator(1, 0))
	paths := append(endpoints(w, status.ID), "/", "/healthz/", "/readyz/", "/openapi.json/", "/igci/x-handling/")
	stream := w.collection("sharing.reports") + "x-stream/" // which has no end
	vendor.do("HEAD", stream, nil).want(200)
	vendor.get(stream + "x/").refused(404)
	if got, want := len(paths)+1, len(server.Rows()); got != want {
		t.Errorf("%d paths are asked for, the table has %d", got, want)
	}
	for _, path := range paths {
		vendor.get(path).want(200)
		for _, more := range []string{"x/", "x/y/", "x/y/z/"} {
			if a := vendor.get(path + more); a.status != 404 {
				t.Errorf("%s, want 404", a)
			}
		}
	}
}
