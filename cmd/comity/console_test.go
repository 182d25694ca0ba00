package main

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"comity/store/bolt"
)

// The front page leads a browser to the console, and a client that asks for no HTML gets what
// it got before. With --no-console there is neither.
func TestConsoleIsLeftOutWithNoConsole(t *testing.T) {
	for _, without := range []bool{false, true} {
		data, log := t.TempDir(), slog.New(slog.DiscardHandler)
		s, err := bolt.Open(data, time.Now, log, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		ex := &exchangeServer{store: s, data: data, socket: filepath.Join(data, "s"), now: time.Now, log: log}
		if err := ex.start(&serveCmd{Listen: "127.0.0.1:0", NoConsole: without}); err != nil {
			t.Fatal(err)
		}
		defer ex.stop()
		for _, test := range []struct {
			path, accept  string
			with, without int
			console       bool // answers, unless it is left out
		}{
			{"/", "text/html,*/*;q=0.8", http.StatusOK, http.StatusOK, true},
			{"/", "*/*", http.StatusOK, http.StatusOK, false},
			{"/console/sign-in", "text/html", http.StatusOK, http.StatusNotFound, true},
			{"/console/", "text/html", http.StatusSeeOther, http.StatusUnauthorized, true},
		} {
			r := httptest.NewRequest("GET", test.path, nil)
			r.Header.Set("Accept", test.accept)
			answer := httptest.NewRecorder()
			ex.servers[0].Handler.ServeHTTP(answer, r)
			want := test.with
			if without {
				want = test.without
			}
			if answer.Code != want {
				t.Errorf("%s with Accept %s, NoConsole=%v: status %d, want %d", test.path, test.accept, without, answer.Code, want)
			}
			if isConsole := answer.Header().Get("Cache-Control") == "no-store"; isConsole != (test.console && !without) {
				t.Errorf("%s with Accept %s, NoConsole=%v: answered by the console: %v", test.path, test.accept, without, isConsole)
			}
		}
	}
}
