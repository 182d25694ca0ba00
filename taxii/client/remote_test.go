package client_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"comity/taxii"
	"comity/taxii/client"
)

// remote is a TAXII server of one collection, "c" in the API root /api/. Its faults are
// set by its fields, or by wrapping it.
type remote struct {
	page    int    // objects of a page without limit; default 3
	most    int    // the greatest limit; default none
	noNext  bool   // more without next
	noDates bool   // pages without date headers
	date    string // layout of the dates in headers
	// moving cursor: next is one word, and each use of it moves on, as medallion's does.
	moving bool
	beside bool // next is taken only beside limit
	group  int  // objects that share a date; default 1
	far    int  // the last objects, which are dated in a far year

	mu      sync.Mutex
	objects []string
	at      map[string]int // the place of a moving cursor
	asked   []string       // queries
}

// epoch is the date of the first objects.
var epoch = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)

// added is when the n-th object was added.
func (f *remote) added(n int) time.Time {
	date := epoch.Add(time.Duration(n/max(f.group, 1)) * time.Millisecond)
	if n >= len(f.objects)-f.far {
		return date.AddDate(60, 0, 0)
	}
	return date
}

// object is the n-th object that the tests use.
func object(n int) string {
	return fmt.Sprintf(`{"type":"indicator","spec_version":"2.1","id":"indicator--%08d-0000-4000-8000-000000000000","created":"2024-01-01T00:00:00.000Z","modified":"2024-01-01T00:00:00.000Z","name":"é\u00e9 %d","score":1.50}`, n, n)
}

// objects are the first n objects.
func objects(n int) (list []string) {
	for i := range n {
		list = append(list, object(i))
	}
	return list
}

// change changes the server. A request for the page after one where a walk ended may still be
// under way.
func (f *remote) change(do func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	do()
}

// ServeHTTP implements http.Handler.
func (f *remote) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	w.Header().Set("Content-Type", taxii.MediaType)
	f.asked = append(f.asked, r.URL.RawQuery)
	from := 0
	if given := r.FormValue("added_after"); given != "" {
		after, err := time.Parse(time.RFC3339Nano, given)
		if err != nil {
			http.Error(w, err.Error(), 400)
			return
		}
		for from < len(f.objects) && !f.added(from).After(after) {
			from++
		}
	}
	next := r.FormValue("next")
	if next != "" {
		if f.moving {
			at, ok := f.at[next]
			if !ok {
				w.WriteHeader(404)
				io.WriteString(w, `{"title":"next is not known"}`)
				return
			}
			from = at
		} else {
			from, _ = strconv.Atoi(next)
		}
	}
	limit, _ := strconv.Atoi(r.FormValue("limit"))
	if f.beside && next != "" && limit == 0 {
		w.WriteHeader(500)
		return
	}
	if limit == 0 {
		limit = max(f.page, 3)
	}
	if f.most > 0 {
		limit = min(limit, f.most)
	}
	to := min(from+limit, len(f.objects))
	var envelope struct {
		More    bool              `json:"more,omitempty"`
		Next    string            `json:"next,omitempty"`
		Objects []json.RawMessage `json:"objects,omitempty"`
	}
	for _, o := range f.objects[from:to] {
		envelope.Objects = append(envelope.Objects, json.RawMessage(o))
	}
	if envelope.More = to < len(f.objects); envelope.More && !f.noNext {
		envelope.Next = strconv.Itoa(to)
		if f.moving {
			if next == "" {
				next = fmt.Sprint("cursor-", len(f.at))
			}
			if f.at == nil {
				f.at = map[string]int{}
			}
			f.at[next], envelope.Next = to, next
		}
	}
	if to > from && !f.noDates {
		layout := f.date
		if layout == "" {
			layout = taxii.TimeFormat
		}
		w.Header().Set("X-TAXII-Date-Added-First", f.added(from).Format(layout))
		w.Header().Set("X-TAXII-Date-Added-Last", f.added(to-1).Format(layout))
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.Encode(envelope)
}

// serve runs a server. Its URL is that of the API root /api/.
func serve(t testing.TB, h http.Handler) string {
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL + "/api/"
}

// connect makes a client that does not wait long, and that keeps what it notices.
func connect(t testing.TB, url string, config client.Config) (*client.Client, *notices) {
	t.Helper()
	n := &notices{}
	config.Notice = n.add
	c, err := client.New(url, config)
	if err != nil {
		t.Fatal(err)
	}
	c.Hasten()
	t.Cleanup(c.Close)
	return c, n
}

type notices struct {
	mu   sync.Mutex
	text []string
}

func (n *notices) add(s string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.text = append(n.text, s)
}

func (n *notices) String() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return strings.Join(n.text, "\n")
}

// pull reads all objects from a position. It returns the position behind them.
func pull(t testing.TB, c *client.Client, q client.Query) (got []string, end client.Position, faults []error, err error) {
	t.Helper()
	end = q.From
	for page, err := range c.Objects(t.Context(), "c", q) {
		if err != nil {
			return got, end, faults, err
		}
		for _, o := range page.Objects {
			got = append(got, string(o))
		}
		faults = append(faults, page.Faults...)
		end = page.Position
	}
	return got, end, faults, nil
}

// equal compares objects and says where they differ.
func equal(t testing.TB, got, want []string) {
	t.Helper()
	if slices.Equal(got, want) {
		return
	}
	t.Errorf("got %d objects, want %d", len(got), len(want))
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) || got[i] != want[i] {
			t.Fatalf("they differ at object %d", i)
		}
	}
}
