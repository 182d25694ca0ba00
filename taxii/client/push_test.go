package client_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"comity/taxii"
	"comity/taxii/client"
)

// taker is a server that takes pushes. The status of a push is made by status.
type taker struct {
	limit    int64 // max_content_length, and 413 above accept
	accept   int   // bytes; default any number
	media    string
	readOnly bool
	comity   bool
	refuse   func(objects []json.RawMessage) int // HTTP status of a push; 0 for 202
	status   func(objects []json.RawMessage) string
	pending  int // answers of the status before it is complete

	mu     sync.Mutex
	pushes [][]json.RawMessage
	asked  []string
}

func (f *taker) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, r.Method+" "+r.URL.String())
	w.Header().Set("Content-Type", taxii.MediaType)
	switch path := r.URL.Path; {
	case path == "/api/":
		fmt.Fprintf(w, `{"title":"x","versions":[%q],"max_content_length":%d}`, taxii.MediaType, f.limit)
	case path == "/api/collections/c/":
		media := f.media
		if media == "" {
			media = `"application/stix+json;version=2.1"`
		}
		fmt.Fprintf(w, `{"id":"c","title":"C","can_read":true,"can_write":%t,"media_types":[%s]}`, !f.readOnly, media)
	case path == "/api/x-handling/" && f.comity:
		io.WriteString(w, "{}")
	case strings.HasPrefix(path, "/api/status/"):
		if f.pending--; f.pending > 0 {
			io.WriteString(w, `{"id":"s","status":"pending","total_count":1,"success_count":0,"failure_count":0,"pending_count":1}`)
			return
		}
		io.WriteString(w, complete(f.pushes[len(f.pushes)-1]))
	case r.Method == http.MethodPost:
		body, _ := io.ReadAll(r.Body)
		var envelope struct{ Objects []json.RawMessage }
		if err := json.Unmarshal(body, &envelope); err != nil {
			w.WriteHeader(400)
			return
		}
		if f.accept > 0 && len(body) > f.accept {
			w.WriteHeader(413)
			io.WriteString(w, `{"title":"too long"}`)
			return
		}
		if f.refuse != nil {
			if status := f.refuse(envelope.Objects); status != 0 {
				w.WriteHeader(status)
				io.WriteString(w, `{"title":"no"}`)
				return
			}
		}
		f.pushes = append(f.pushes, envelope.Objects)
		w.WriteHeader(202)
		switch {
		case f.pending > 0:
			io.WriteString(w, `{"id":"s","status":"pending","total_count":1,"success_count":0,"failure_count":0,"pending_count":1}`)
		case f.status != nil:
			io.WriteString(w, f.status(envelope.Objects))
		default:
			io.WriteString(w, complete(envelope.Objects))
		}
	default:
		w.WriteHeader(404)
	}
}

func complete(objects []json.RawMessage) string {
	return fmt.Sprintf(`{"id":"s","status":"complete","total_count":%d,"success_count":%[1]d,"failure_count":0,"pending_count":0}`, len(objects))
}

// send pushes objects and returns their outcomes.
func send(t *testing.T, f *taker, list []string) ([]client.Outcome, error) {
	t.Helper()
	c, _ := connect(t, serve(t, f), client.Config{})
	p, err := c.Pusher(t.Context(), "c", false)
	if err != nil {
		return nil, err
	}
	var got []client.Outcome
	for o, err := range p.Push(t.Context(), raw(list)) {
		if err != nil {
			return got, err
		}
		got = append(got, o)
	}
	return got, nil
}

func raw(list []string) func(yield func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for _, o := range list {
			if !yield([]byte(o)) {
				return
			}
		}
	}
}

// received are the objects that the server took.
func (f *taker) received() (list []string) {
	for _, p := range f.pushes {
		for _, o := range p {
			list = append(list, string(o))
		}
	}
	return list
}

func id(n int) string { return fmt.Sprintf("indicator--%08d-0000-4000-8000-000000000000", n) }

func TestPushIsSplitByCountAndBytes(t *testing.T) {
	sent := objects(2500)
	for name, f := range map[string]*taker{
		"by count": {limit: 100 << 20}, "by bytes": {limit: 10_000}, "by the limit that is really enforced": {limit: 100 << 20, accept: 50_000},
		"without a limit": {},
	} {
		got, err := send(t, f, sent)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		equal(t, f.received(), sent)
		for i, o := range got {
			if o.ID != id(i) || o.Verdict != client.Accepted || o.Version == "" {
				t.Fatalf("%s: outcome %d is %+v", name, i, o)
			}
		}
		for _, p := range f.pushes {
			if size := len(p) * (len(sent[0]) + 1); len(p) > 1000 || f.limit > 0 && int64(size) > f.limit {
				t.Errorf("%s: a push of %d objects, %d bytes", name, len(p), size)
			}
		}
	}
}

// Each kind of status says for each object what became of it.
func TestOutcomesAreJoinedByObject(t *testing.T) {
	v := `"version":"2024-01-01T00:00:00.000Z"`
	status := func(rest string) func([]json.RawMessage) string {
		return func([]json.RawMessage) string { return `{"id":"s","status":"complete",` + rest + `}` }
	}
	tests := []struct {
		name   string
		status string
		want   []string
	}{
		{"failures named", `"total_count":3,"success_count":2,"failure_count":1,"failures":[{"id":"` + id(1) + `",` + v + `,"message":"bad"}]`, []string{"accepted", "refused bad", "accepted"}},
		{"the version respelled", `"success_count":2,"failure_count":1,"failures":[{"id":"` + id(1) + `","version":"2024-01-01T00:00:00Z","message":"bad"}]`, []string{"accepted", "refused bad", "accepted"}},
		{"the version left out", `"success_count":2,"failure_count":1,"failures":[{"id":"` + id(1) + `","message":"bad"}]`, []string{"accepted", "refused bad", "accepted"}},
		{"by place", `"success_count":2,"failure_count":1,"failures":[{"id":"objects/1","message":"bad"}]`, []string{"accepted", "refused bad", "accepted"}},
		{"not all failures listed", `"success_count":1,"failure_count":2,"x_failures":[{"id":"` + id(1) + `","message":"bad"}]`, []string{"unknown", "refused bad", "unknown"}},
		{"only the successes named", `"success_count":1,"failure_count":2,"successes":[{"id":"` + id(1) + `"}]`, []string{"refused", "accepted", "refused"}},
		{"success with a message", `"success_count":3,"failure_count":0,"successes":[{"id":"` + id(2) + `","message":"already there"}]`, []string{"accepted", "accepted", "accepted already there"}},
		{"objects that were not sent", `"success_count":3,"failure_count":0,"failures":[{"id":"x"},{"id":"objects/7"}]`, []string{"accepted", "accepted", "accepted"}},
	}
	for _, tt := range tests {
		got, err := send(t, &taker{status: status(tt.status)}, objects(3))
		if err != nil || len(got) != 3 {
			t.Errorf("%s: %v %v", tt.name, got, err)
			continue
		}
		for i, o := range got {
			if said := strings.TrimSpace(o.Verdict + " " + o.Message); !strings.HasPrefix(said, tt.want[i]) {
				t.Errorf("%s: object %d: %q, want %q", tt.name, i, said, tt.want[i])
			}
		}
	}
}

func TestPendingStatusIsAskedUntilItIsComplete(t *testing.T) {
	f := &taker{pending: 4}
	got, err := send(t, f, objects(2))
	if err != nil || len(got) != 2 || got[0].Verdict != client.Accepted {
		t.Errorf("%v %v", got, err)
	}
	if n := len(slices.DeleteFunc(f.asked, func(s string) bool { return !strings.Contains(s, "/status/s/") })); n != 4 {
		t.Errorf("asked for the status %d times", n)
	}
}

// One object for which the server refuses a whole push does not stop the others.
func TestObjectThatSpoilsAPushIsFound(t *testing.T) {
	for _, status := range []int{413, 422, 400} {
		f := &taker{refuse: func(objects []json.RawMessage) int {
			if slices.ContainsFunc(objects, func(o json.RawMessage) bool { return strings.Contains(string(o), id(67)) }) {
				return status
			}
			return 0
		}}
		got, err := send(t, f, objects(100))
		if err != nil || len(got) != 100 {
			t.Fatalf("%d: %d outcomes, %v", status, len(got), err)
		}
		for i, o := range got {
			if (o.Verdict == client.Refused) != (i == 67) {
				t.Errorf("%d: object %d: %+v", status, i, o)
			}
		}
		if len(f.received()) != 99 {
			t.Errorf("%d: %d objects arrived", status, len(f.received()))
		}
	}
}

func TestPushOfWhichNothingIsTakenEnds(t *testing.T) {
	f := &taker{refuse: func([]json.RawMessage) int { return 400 }}
	got, err := send(t, f, objects(2000))
	if taxii.CodeOf(err) != taxii.Invalid || len(got) != 1000 {
		t.Errorf("%d outcomes, %v", len(got), err)
	}
}

func TestCollectionSaysWhatItTakes(t *testing.T) {
	if _, err := send(t, &taker{readOnly: true}, objects(1)); taxii.CodeOf(err) != taxii.Forbidden {
		t.Errorf("read-only: %v", err)
	}
	old := `{"type":"indicator","id":"indicator--6b0ab7b0-5a5e-4b9e-9f5b-0e4c2d1f6a11","created":"2017-01-01T00:00:00.000Z"}`
	got, err := send(t, &taker{}, []string{old, object(0)})
	if err != nil || got[0].Verdict != client.Refused || got[1].Verdict != client.Accepted {
		t.Errorf("STIX 2.0 to a collection of STIX 2.1: %v %v", got, err)
	}
	got, err = send(t, &taker{media: `"application/stix+json;version=2.0"`}, []string{old, object(0)})
	if err != nil || got[0].Verdict != client.Accepted || got[1].Verdict != client.Refused {
		t.Errorf("STIX 2.1 to a collection of STIX 2.0: %v %v", got, err)
	}
}

// A dry run goes only to servers that are known to store nothing.
func TestDryRunStoresNothing(t *testing.T) {
	f := &taker{}
	c, _ := connect(t, serve(t, f), client.Config{})
	if _, err := c.Pusher(t.Context(), "c", true); taxii.CodeOf(err) != taxii.Unsupported {
		t.Errorf("another server: %v", err)
	}
	f = &taker{comity: true}
	c, _ = connect(t, serve(t, f), client.Config{})
	p, err := c.Pusher(t.Context(), "c", true)
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range p.Push(t.Context(), raw(objects(1))) {
		if err != nil {
			t.Error(err)
		}
	}
	if last := f.asked[len(f.asked)-1]; !strings.HasSuffix(last, "?x_dry_run=true") {
		t.Errorf("asked %s", last)
	}
}

// A push whose answer was lost is sent again, since a server takes an object once. What it
// refused is not.
func TestPushIsRetriedWhereThatIsSafe(t *testing.T) {
	for status, want := range map[int]int{429: 2, 502: 2, 503: 2, 504: 2, 500: 1, 401: 1, 403: 1} {
		n := 0
		f := &taker{refuse: func([]json.RawMessage) int {
			if n++; n == 1 {
				return status
			}
			return 0
		}}
		_, err := send(t, f, objects(1))
		if n != want || (want == 1) != (err != nil) {
			t.Errorf("status %d: sent %d times, %v", status, n, err)
		}
	}
	n := 0
	f := &taker{refuse: func([]json.RawMessage) int {
		if n++; n == 1 {
			panic(http.ErrAbortHandler)
		}
		return 0
	}}
	if got, err := send(t, f, objects(1)); err != nil || n != 2 || got[0].Verdict != client.Accepted {
		t.Errorf("after a lost answer: sent %d times, %v", n, err)
	}
}

// Some servers refuse what they have, so a refusal after a lost answer says so.
func TestRefusalAfterALostAnswerSaysThatTheObjectMayBeThere(t *testing.T) {
	n := 0
	f := &taker{
		refuse: func([]json.RawMessage) int {
			if n++; n == 1 {
				return 502
			}
			return 0
		},
		status: func([]json.RawMessage) string { return `{"id":"s","status":"complete","failure_count":1}` },
	}
	got, err := send(t, f, objects(1))
	if err != nil || got[0].Verdict != client.Refused || !strings.Contains(got[0].Message, "the server may have it") {
		t.Errorf("%v %v", got, err)
	}
}

func TestRetryAfterIsHonoured(t *testing.T) {
	var at []time.Time
	url := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if at = append(at, time.Now()); len(at) == 1 {
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(429)
			return
		}
		io.WriteString(w, "{}")
	}))
	c, _ := connect(t, url, client.Config{})
	if _, _, _, err := pull(t, c, client.Query{}); err != nil {
		t.Fatal(err)
	}
	if len(at) != 2 || at[1].Sub(at[0]) < time.Second {
		t.Errorf("asked at %v", at)
	}
	c, _ = connect(t, serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Retry-After", "3600")
		w.WriteHeader(503)
	})), client.Config{})
	_, _, _, err := pull(t, c, client.Query{})
	if e, ok := err.(*taxii.Error); !ok || e.RetryAfter != time.Hour || e.Code != taxii.Unavailable {
		t.Errorf("a wait of an hour is the caller's: %v", err)
	}
	far := &http.Response{StatusCode: 503, Header: http.Header{"Retry-After": {"Fri, 01 Jan 2083 00:00:00 GMT"}}, Body: http.NoBody}
	if e, ok := client.Refusal(far).(*taxii.Error); !ok || e.RetryAfter != 24*time.Hour {
		t.Errorf("a wait of years: %+v", e)
	}
}
