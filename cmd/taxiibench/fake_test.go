package main

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// fake is a TAXII server of one collection in memory, which can misbehave.
type fake struct {
	drop   func(n int) bool // the n-th object is accepted and forgotten
	double func(n int) bool // the n-th object is listed twice
	refuse func(n int) bool // the n-th object is refused in the status
	fail   func(n int) bool // the n-th request is answered with 503
	slow   bool             // a push is pending at first
	noNext bool             // every page has more, and no next

	mu      sync.Mutex
	heard   int
	taken   int
	objects []json.RawMessage
	pushes  int
	polls   int
	asked   []*http.Request // one of each query
}

func (f *fake) serve(t *testing.T) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/collections/c/{$}", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "{}") })
	mux.HandleFunc("POST /api/collections/c/objects/", f.push)
	mux.HandleFunc("GET /api/collections/c/objects/", f.poll)
	mux.HandleFunc("GET /api/status/{id}/", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `{"status":"complete","success_count":%s,"failure_count":0}`, r.PathValue("id"))
	})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "u" || password != "p" {
			w.WriteHeader(401)
			return
		}
		f.mu.Lock()
		n := f.heard
		f.heard++
		f.mu.Unlock()
		if f.fail != nil && f.fail(n) {
			w.WriteHeader(503)
			return
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	return s.URL + "/api"
}

func (f *fake) push(w http.ResponseWriter, r *http.Request) {
	var envelope struct{ Objects []json.RawMessage }
	if err := json.NewDecoder(r.Body).Decode(&envelope); err != nil {
		http.Error(w, err.Error(), 400)
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.pushes++
	success, failure := 0, 0
	for _, o := range envelope.Objects {
		n := f.taken
		f.taken++
		if f.refuse != nil && f.refuse(n) {
			failure++
			continue
		}
		success++
		if f.drop != nil && f.drop(n) {
			continue
		}
		f.objects = append(f.objects, o)
		if f.double != nil && f.double(n) {
			f.objects = append(f.objects, o)
		}
	}
	w.WriteHeader(202)
	if f.slow {
		fmt.Fprintf(w, `{"id":"%d","status":"pending","success_count":0,"failure_count":0,"pending_count":%d}`, success, success)
		return
	}
	fmt.Fprintf(w, `{"id":"1","status":"complete","success_count": %d,"failure_count":%d,"failures":[{"id":"x","message":"why"}]}`, success, failure)
}

// Dates are places in the list: the n-th object was added n seconds after this.
var epoch = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)

func (f *fake) poll(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.polls++
	f.asked = append(f.asked, r)
	from := 0
	if after := r.FormValue("added_after"); after != "" {
		t, _ := time.Parse(time.RFC3339, after)
		from = int(t.Sub(epoch)/time.Second) + 1
	}
	if next := r.FormValue("next"); next != "" {
		from, _ = strconv.Atoi(next)
	}
	tag := fmt.Sprintf(`"%d-%d"`, from, len(f.objects))
	if r.Header.Get("If-None-Match") == tag {
		w.WriteHeader(304)
		return
	}
	w.Header().Set("ETag", tag)
	limit, _ := strconv.Atoi(r.FormValue("limit"))
	to := min(from+limit, len(f.objects))
	if from >= to {
		io.WriteString(w, "{}")
		return
	}
	w.Header().Set("X-TAXII-Date-Added-Last", epoch.Add(time.Duration(to-1)*time.Second).Format(time.RFC3339))
	page := map[string]any{"objects": f.objects[from:to]}
	if f.noNext {
		page["more"] = true
	} else if to < len(f.objects) {
		page["more"], page["next"] = true, strconv.Itoa(to)
	}
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		defer z.Close()
		json.NewEncoder(z).Encode(page)
		return
	}
	json.NewEncoder(w).Encode(page)
}

// only picks one object.
func only(k int) func(int) bool { return func(n int) bool { return n == k } }
