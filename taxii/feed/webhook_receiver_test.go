package feed_test

import (
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"comity/taxii/audit"
	"comity/taxii/feed"
)

// receiver is a web server that gets the messages of the feed "f-block".
type receiver struct {
	*world
	server *httptest.Server
	trust  *x509.CertPool

	mu     sync.Mutex // guards what follows
	answer int        // status of the next answers
	got    []message
	hold   chan struct{} // if it is not nil, changes are answered once it is closed
}

// message is what a receiver got.
type message struct {
	id, signature string
	header        http.Header
	body          string
	Type          string
	Data          struct {
		Feed, Version, URL string
		Full               *bool
		Add, Remove        []struct{ Value string }
	}
}

// newReceiver makes one, and a feed with that content. more are lines of the feed file.
func newReceiver(t testing.TB, terms, content string) *receiver {
	r := &receiver{trust: x509.NewCertPool(), answer: http.StatusNoContent}
	r.server = httptest.NewTLSServer(r)
	t.Cleanup(r.server.Close)
	r.trust.AddCert(r.server.Certificate())
	r.world = newWorld(t, terms)
	r.allow("127.0.0.1")
	r.subscribe("block", "block", empty+r.file(content))
	return r
}

// allow starts the process anew with these targets.
func (r *receiver) allow(hosts ...string) {
	r.Helper()
	targets, err := feed.ParseTargets(hosts)
	r.must(err)
	r.config.Webhooks = targets
	r.serve()
}

// file is the block of the feed file.
func (r *receiver) file(content string) string {
	return fmt.Sprintf("[webhook]\nurl = %q\ncontent = %q\n", r.server.URL+"/hook", content)
}

// ServeHTTP implements http.Handler.
func (r *receiver) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	body, _ := io.ReadAll(q.Body)
	m := message{header: q.Header, body: string(body), id: q.Header.Get("webhook-id"), signature: q.Header.Get("webhook-signature")}
	if err := json.Unmarshal(body, &m); err != nil {
		r.Errorf("%s: %v", body, err)
	}
	r.mu.Lock()
	r.got = append(r.got, m)
	hold := r.hold
	r.mu.Unlock()
	if hold != nil && m.Type == "feed.changed" {
		<-hold
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	w.Header().Set("Location", r.server.URL+"/elsewhere")
	w.WriteHeader(r.answer)
}

// answers sets the status of the next answers.
func (r *receiver) answers(status int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = status
}

// send sends what is due, and returns what the receiver got.
func (r *receiver) send() []message {
	r.Helper()
	r.must(r.feeds.SendWebhooks(r.Context(), r.trust))
	r.mu.Lock()
	defer r.mu.Unlock()
	got := r.got
	r.got = nil
	return got
}

// one is the only message that is due.
func (r *receiver) one() message {
	r.Helper()
	got := r.send()
	if len(got) != 1 {
		r.Fatalf("%d messages, want 1: %+v", len(got), got)
	}
	return got[0]
}

// none checks that no message is due.
func (r *receiver) none(when string) {
	r.Helper()
	if got := r.send(); len(got) > 0 {
		r.Errorf("%s: %+v", when, got)
	}
}

// page is what the page of the feed says of the receiver.
func (r *receiver) page() *feed.WebhookPage {
	r.Helper()
	var p feed.Page
	r.must(json.Unmarshal([]byte(r.get("block", "").body), &p))
	return p.Webhook
}

// keys are the keys of the signatures, the newest first.
func (r *receiver) keys() (keys []string) {
	for _, s := range r.secrets("f-block") {
		if s.Purpose == "webhook" {
			keys = append(keys, s.Value)
		}
	}
	return keys
}

// verifies tells whether the receiver accepts a message with a key.
func (m *message) verifies(t testing.TB, key string) bool {
	t.Helper()
	w, err := standardwebhooks.NewWebhook(key)
	if err != nil {
		t.Fatal(err)
	}
	return w.VerifyIgnoringTimestamp([]byte(m.body), m.header) == nil
}

// values are the values that came and went, such as "+203.0.114.1".
func (m *message) values() (values []string) {
	for _, e := range m.Data.Add {
		values = append(values, "+"+e.Value)
	}
	for _, e := range m.Data.Remove {
		values = append(values, "-"+e.Value)
	}
	return values
}

// deliveries counts the deliveries by webhook that are on record.
func (w *world) deliveries() (n int) {
	w.Helper()
	w.must(w.recorder.Flush(w.Context()))
	links, err := w.store.Entries(w.Context(), 0, 1000)
	w.must(err)
	for _, l := range links {
		if e, err := l.Entry(); err == nil && e.Act == audit.Delivery && e.Feed == "f-block webhook" {
			n++
		}
	}
	return n
}
