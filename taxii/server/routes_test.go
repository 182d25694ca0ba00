package server_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/gorilla/mux"

	"comity/taxii/server"
)

// gorilla/mux finds every endpoint: its routes are the rows of the table, each with
// its methods, and one for all other methods of each path.
func TestRowsAreRoutesOfMux(t *testing.T) {
	w := newWorld(t)
	methods, others := map[string][]string{}, map[string]int{}
	err := server.Router(w.server.Config.Handler).Walk(func(route *mux.Route, _ *mux.Router, _ []*mux.Route) error {
		path, err := route.GetPathTemplate()
		if err != nil {
			return err
		}
		if got, err := route.GetMethods(); err == nil {
			methods[path] = append(methods[path], got...)
		} else {
			others[path]++
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(server.Rows(), methods); diff != "" {
		t.Errorf("rows and routes differ (-rows +routes):\n%s", diff)
	}
	for path := range methods {
		if others[path] != 1 {
			t.Errorf("%s has %d routes for other methods", path, others[path])
		}
	}
	if len(others) != len(methods) {
		t.Errorf("routes without a row: %v", others)
	}
}

// Every row answers, and nothing beside them does.
func TestOnlyRowsAreServed(t *testing.T) {
	w := newWorld(t)
	vendor := w.as("vendor/feed")
	status := vendor.push(w.collection("sharing.reports"), indicator(1, 0))
	paths := append(endpoints(w, status.ID), "/", "/healthz/", "/readyz/", "/igci/x-handling/")
	if got, want := len(paths), len(server.Rows()); got != want {
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
