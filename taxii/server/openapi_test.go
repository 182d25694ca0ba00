package server_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"comity/taxii/server"
)

// The description of the endpoints has every route with its methods, and beside them only
// the paths of feeds, which another package serves.
func TestOpenAPIDescribesEveryRoute(t *testing.T) {
	w := newWorld(t)
	answer := w.nobody().get("/openapi.json", header{"Accept", "application/json"}).want(200)
	if got := answer.header.Get("Content-Type"); got != "application/json" {
		t.Errorf("Content-Type %s", got)
	}
	var description struct {
		OpenAPI string                                `json:"openapi"`
		Paths   map[string]map[string]json.RawMessage `json:"paths"`
	}
	if err := json.Unmarshal(answer.body, &description); err != nil || !strings.HasPrefix(description.OpenAPI, "3.1.") {
		t.Fatalf("OpenAPI %q, %v", description.OpenAPI, err)
	}
	described := map[string][]string{}
	for path, item := range description.Paths {
		if strings.Contains(path, "/x-feeds") {
			continue
		}
		path = strings.TrimSuffix(path, "/") + "/" // a route has a slash at the end
		for method := range item {
			if method != "parameters" {
				described[path] = append(described[path], strings.ToUpper(method))
			}
		}
		slices.Sort(described[path])
	}
	served := server.Rows()
	for path, methods := range served {
		served[path] = slices.DeleteFunc(methods, func(m string) bool { return m == "HEAD" }) // part of GET
		slices.Sort(served[path])
	}
	if diff := cmp.Diff(served, described); diff != "" {
		t.Errorf("routes and description differ (-routes +description):\n%s", diff)
	}
}
