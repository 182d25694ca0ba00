package main

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"comity/store/bolt"
	"comity/taxii/metrics"
)

// The admin listener serves profiles with --pprof only.
func TestAdminListenerServesProfilesWithPprofOnly(t *testing.T) {
	for path, want := range map[string][2]int{
		"/metrics": {200, 200}, "/debug/pprof/": {404, 200}, "/debug/pprof/heap": {404, 200}, "/debug/pprof/profile?seconds=1": {404, 200},
	} {
		for i, c := range []*serveCmd{{}, {Pprof: true}} {
			answer := httptest.NewRecorder()
			c.adminHandler(metrics.New(), http.NotFoundHandler()).ServeHTTP(answer, httptest.NewRequest("GET", path, nil))
			if answer.Code != want[i] {
				t.Errorf("%s with pprof=%v: %d, want %d", path, c.Pprof, answer.Code, want[i])
			}
		}
	}
}

// With --acme the server listens on port 443, unless --listen is given.
func TestACMEServesOnPort443(t *testing.T) {
	for _, test := range []struct{ listen, acme, want, url string }{
		{"", "", "127.0.0.1:8080", ""},
		{"", "taxii.example", ":443", "https://taxii.example"},
		{"192.0.2.1:8443", "taxii.example", "192.0.2.1:8443", "https://taxii.example"},
	} {
		c := &serveCmd{Listen: test.listen, MaxContent: 1, Limit: 1, MaxLimit: 1, IdleTimeout: 1, tlsFlags: tlsFlags{ACME: test.acme}, connectionFlags: connectionFlags{PerAddress: 1}}
		if err := c.check(); err != nil || c.Listen != test.want || c.PublicURL != test.url {
			t.Errorf("--listen %q --acme %q: %s and %s, %v; want %s and %s", test.listen, test.acme, c.Listen, c.PublicURL, err, test.want, test.url)
		}
	}
}

// The start of a server is recorded before its first answer, so that a kill right afterwards
// leaves a gap in the record.
func TestTheStartIsOnRecordBeforeTheFirstAnswer(t *testing.T) {
	data, log := t.TempDir(), slog.New(slog.DiscardHandler)
	s, err := bolt.Open(data, time.Now, log, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ex := &exchangeServer{store: s, data: data, socket: filepath.Join(data, "s"), now: time.Now, log: log}
	if err := ex.start(&serveCmd{Listen: "127.0.0.1:0"}); err != nil {
		t.Fatal(err)
	}
	defer ex.stop()
	if head, err := s.ChainHead(t.Context()); err != nil || !head.Open {
		t.Errorf("the listeners are open and the record has %+v, %v", head, err)
	}
}
