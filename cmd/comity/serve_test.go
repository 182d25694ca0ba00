package main

import (
	"net/http/httptest"
	"testing"

	"comity/taxii/metrics"
)

// Profiles are there for who asked for them, beside the metrics.
func TestAdminListenerHasProfilesIfAskedFor(t *testing.T) {
	for path, want := range map[string][2]int{
		"/metrics": {200, 200}, "/debug/pprof/": {404, 200}, "/debug/pprof/heap": {404, 200}, "/debug/pprof/profile?seconds=1": {404, 200},
	} {
		for i, c := range []*serveCmd{{}, {Pprof: true}} {
			answer := httptest.NewRecorder()
			c.inside(metrics.New()).ServeHTTP(answer, httptest.NewRequest("GET", path, nil))
			if answer.Code != want[i] {
				t.Errorf("%s with pprof=%v: %d, want %d", path, c.Pprof, answer.Code, want[i])
			}
		}
	}
}
