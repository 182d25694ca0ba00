package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// pullFrom runs comity pull from a server of one object. While hold is open, the server does
// not answer with objects, and asked tells that it was asked for them.
func pullFrom(t *testing.T, asked chan<- bool, hold <-chan bool) func(args ...string) (code int, stderr string) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/api/":
			io.WriteString(w, `{"title":"x","versions":["application/taxii+json;version=2.1"]}`)
		case "/api/collections/":
			io.WriteString(w, `{"collections":[{"id":"c","title":"C","can_read":true}]}`)
		default:
			asked <- true
			<-hold
			w.Header().Set("X-TAXII-Date-Added-Last", "2026-01-01T00:00:00Z")
			fmt.Fprint(w, `{"objects":[{"id":"a"}]}`)
		}
	}))
	t.Cleanup(s.Close)
	return func(args ...string) (int, string) {
		var stderr bytes.Buffer
		code := run(t.Context(), append([]string{"pull", s.URL + "/api/"}, args...), strings.NewReader(""), io.Discard, &stderr)
		return code, stderr.String()
	}
}

// Two pulls at once, as of a timer that is too fast, do not both add to one file.
func TestASecondPullWithTheSameStateIsRefused(t *testing.T) {
	asked, hold := make(chan bool, 9), make(chan bool)
	pull := pullFrom(t, asked, hold)
	dir := t.TempDir()
	args := []string{"--state", filepath.Join(dir, "state"), "--out", filepath.Join(dir, "out.ndjson")}
	first := make(chan int)
	go func() {
		code, _ := pull(args...)
		first <- code
	}()
	<-asked
	second := make(chan string)
	go func() {
		code, stderr := pull(args...)
		second <- fmt.Sprint(code, " ", stderr)
	}()
	select {
	case got := <-second:
		if !strings.HasPrefix(got, "1 ") || !strings.Contains(got, "another pull with it is running") {
			t.Errorf("the second pull: %s", got)
		}
	case <-asked:
		t.Error("the second pull pulls")
	}
	close(hold)
	if code := <-first; code != 0 {
		t.Errorf("the first pull: status %d", code)
	}
	if text, err := os.ReadFile(filepath.Join(dir, "out.ndjson")); string(text) != "{\"id\":\"a\"}\n" {
		t.Errorf("%q, %v", text, err)
	}
	if code, stderr := pull(args...); code != 0 || !strings.Contains(stderr, "nothing new") {
		t.Errorf("a later pull: %d %s", code, stderr)
	}
}

// A file that only its owner may read stays so when a later pull replaces it.
func TestAPullKeepsThePermissionsOfItsFile(t *testing.T) {
	hold := make(chan bool)
	close(hold)
	pull := pullFrom(t, make(chan bool, 9), hold)
	out := filepath.Join(t.TempDir(), "out.json")
	if err := os.WriteFile(out, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if code, stderr := pull("--out", out); code != 0 {
		t.Fatal(stderr)
	}
	if info, err := os.Stat(out); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}
