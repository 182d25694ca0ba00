package feed_test

import (
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"pgregory.net/rapid"

	"comity/taxii"
	"comity/taxii/audit"
	"comity/taxii/exchange"
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

// A receiver learns that the feed has changed, and no entry: it reads the feed with its own
// credentials.
func TestAPingTellsOfAChangeAndNoEntry(t *testing.T) {
	r := newReceiver(t, "", "ping")
	r.push("fir", indicator(1, address("203.0.114.1"), ""))
	m := r.one()
	if m.Type != "feed.changed" || m.Data.Feed != "f-block" || m.Data.URL != "https://igci.example/igci/x-feeds/f-block/" ||
		m.Data.Version != "2026-06-01T12:00:00.000000Z" || strings.Contains(m.body, "203.0.114") || strings.Contains(m.body, "add") {
		t.Errorf("%s", m.body)
	}
	if m.header.Get("Content-Type") != "application/json" || m.header.Get("webhook-timestamp") != fmt.Sprint(noon.Unix()) || !m.verifies(t, r.keys()[0]) {
		t.Errorf("%v", m.header)
	}
	r.none("without a change")
	red := `,"object_marking_refs":["marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1"]`
	r.push("fir", indicator(9, address("203.0.114.9"), red))
	r.none("after a change that the account may not see")
	r.serve()
	r.none("after a restart")
	r.move(time.Minute)
	r.remove("fir", 1, "")
	if next := r.one(); next.id == m.id || next.Data.Version != "2026-06-01T12:01:00.000000Z" {
		t.Errorf("%+v", next)
	}
	if n := r.deliveries(); n != 0 {
		t.Errorf("%d deliveries", n)
	}
	if p := r.page(); p.Last != r.now() || p.Failures != 0 || p.Content != "ping" || p.Dead {
		t.Errorf("%+v", p)
	}
}

// A receiver that was away gets one message, of what has changed in all, and a repetition
// has the id of the first attempt.
func TestAReceiverThatWasAwayGetsOneNetDelta(t *testing.T) {
	r := newReceiver(t, "", "delta")
	r.push("fir", indicator(1, address("203.0.114.1"), ""), indicator(2, address("203.0.114.2"), ""))
	if m := r.one(); !*m.Data.Full || !slices.Equal(m.values(), []string{"+203.0.114.1", "+203.0.114.2"}) {
		t.Errorf("at first: %s", m.body)
	}
	if n := r.deliveries(); n != 1 {
		t.Errorf("%d deliveries", n)
	}
	r.server.CloseClientConnections()
	listener := r.server.Listener
	r.must(listener.Close())
	for n := 3; n < 6; n++ {
		r.push("fir", indicator(n, address(fmt.Sprintf("203.0.114.%d", n)), ""))
		r.none("while the receiver is away")
		r.move(10 * time.Minute)
	}
	r.remove("fir", 2, "")
	r.remove("fir", 3, "")
	if p := r.page(); p.Failures != 3 || p.Problem == "" || strings.Contains(p.Problem, "/hook") || p.Dead {
		t.Errorf("while it is away: %+v", p)
	}
	reopened, err := net.Listen("tcp", listener.Addr().String())
	r.must(err)
	again := &httptest.Server{Listener: reopened, Config: &http.Server{Handler: r}}
	again.StartTLS()
	t.Cleanup(again.Close)
	r.answers(http.StatusServiceUnavailable)
	m := r.one()
	if *m.Data.Full || !slices.Equal(m.values(), []string{"+203.0.114.4", "+203.0.114.5", "-203.0.114.2"}) {
		t.Errorf("once it is back: %s", m.body)
	}
	r.none("before the pause is over")
	r.answers(http.StatusOK)
	r.move(10 * time.Minute)
	if repeated := r.one(); repeated.id != m.id || repeated.body != m.body {
		t.Errorf("%s, then %s", m.body, repeated.body)
	}
	r.none("at the end")
	if p := r.page(); p.Failures != 0 || p.Problem != "" {
		t.Errorf("at the end: %+v", p)
	}
}

// A message that is tried again and again is one delivery.
func TestARepeatedMessageIsOneDelivery(t *testing.T) {
	r := newReceiver(t, "", "delta")
	r.push("fir", indicator(1, address("203.0.114.1"), ""))
	r.answers(http.StatusInternalServerError)
	for range 5 {
		r.one()
		r.deliveries() // those so far are on record
		r.move(2 * time.Hour)
	}
	r.answers(http.StatusOK)
	r.one()
	if n := r.deliveries(); n != 1 {
		t.Errorf("%d deliveries", n)
	}
	r.push("fir", indicator(2, address("203.0.114.2"), ""))
	r.one()
	if n := r.deliveries(); n != 2 {
		t.Errorf("%d deliveries of two messages", n)
	}
}

// A test of the receiver does not send a message twice that is under way.
func TestATestLeavesAMessageUnderWay(t *testing.T) {
	r := newReceiver(t, "", "delta")
	r.hold = make(chan struct{})
	r.push("fir", indicator(1, address("203.0.114.1"), ""))
	types := func() (list []string) {
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, m := range r.got {
			list = append(list, m.Type)
		}
		return list
	}
	sent := make(chan error)
	go func() { sent <- r.feeds.SendWebhooks(t.Context(), r.trust) }()
	for len(types()) == 0 {
		time.Sleep(time.Millisecond)
	}
	got, err := r.feeds.TestWebhook(t.Context(), "ncb-kh/f-block")
	if err != nil || got.Problem != "" {
		t.Errorf("%+v %v", got, err)
	}
	r.must(r.feeds.SendWebhooks(t.Context(), r.trust))
	if list := types(); !slices.Equal(list, []string{"feed.changed", "feed.test"}) {
		t.Errorf("the receiver got %q", list)
	}
	close(r.hold)
	r.must(<-sent)
	r.send()
	r.none("after the message was taken")
	if p := r.page(); p.Failures != 0 || p.Last.IsZero() {
		t.Errorf("%+v", p)
	}
}

// Whether a message has arrived is not always known. Whatever was lost, a receiver that
// applies what it gets has the entries of the feed in the end.
func TestDeltasByWebhookLeadToTheFeed(t *testing.T) {
	rapid.Check(t, func(draw *rapid.T) {
		r := newReceiver(t, "", "delta")
		held := map[string]bool{}
		send := func(loses bool) {
			for _, m := range r.send() {
				if loses {
					continue
				}
				if *m.Data.Full {
					clear(held)
				}
				for _, e := range m.Data.Add {
					held[e.Value] = true
				}
				for _, e := range m.Data.Remove {
					delete(held, e.Value)
				}
			}
		}
		listed := map[int]bool{}
		for step := range rapid.IntRange(4, 12).Draw(draw, "steps") {
			if n := rapid.IntRange(1, 2).Draw(draw, "value"); listed[n] {
				r.remove("fir", n, "")
				listed[n] = false
			} else {
				r.push("fir", indicatorAt(n, address(fmt.Sprintf("203.0.114.%d", n)), fmt.Sprintf("2026-05-02T00:00:%02d.000Z", step), ""))
				listed[n] = true
			}
			outcome := rapid.SampledFrom([]int{http.StatusOK, http.StatusGatewayTimeout, http.StatusInternalServerError}).Draw(draw, "outcome")
			r.answers(outcome)
			send(outcome == http.StatusInternalServerError)
			if rapid.IntRange(1, 8).Draw(draw, "restart") == 1 {
				r.serve()
			}
			r.move(3 * time.Minute)
		}
		r.answers(http.StatusOK)
		send(false)
		for r.page().Failures > 0 {
			r.move(time.Minute)
			send(false)
		}
		send(false)
		want := strings.Fields(r.get("block", "ipv4.txt").body)
		if got := slices.Sorted(maps.Keys(held)); !slices.Equal(got, want) {
			draw.Errorf("the receiver has %v, the feed %v", got, want)
		}
	})
}

// While two keys are valid, a receiver that has either accepts each message.
func TestAMessageIsSignedByEachValidKey(t *testing.T) {
	r := newReceiver(t, "", "ping")
	first := r.keys()[0]
	for n, old := range []bool{true, true, false} {
		r.push("fir", indicator(n, address(fmt.Sprintf("203.0.114.%d", n)), ""))
		m := r.one()
		if newest := r.keys()[0]; !m.verifies(t, newest) || m.verifies(t, first) != old {
			t.Errorf("after %d rotations: %s", n, m.signature)
		}
		r.rotate("f-block")
	}
}

// A receiver that fails is asked less and less often, and in the end not any more, until the
// operator tests it or names another one.
func TestAReceiverIsGivenUpAfterThreeDays(t *testing.T) {
	r := newReceiver(t, "", "ping")
	r.push("fir", indicator(1, address("203.0.114.1"), ""))
	r.answers(http.StatusInternalServerError)
	attempts, last, begin := 0, time.Time{}, r.now()
	for !r.page().Dead {
		if len(r.send()) > 0 {
			if wait := r.now().Sub(last); attempts > 0 && (wait < 5*time.Second || wait > time.Hour+time.Minute) {
				t.Errorf("attempt %d after %s", attempts, wait)
			}
			attempts, last = attempts+1, r.now()
		}
		r.move(max(r.page().Next.Sub(r.now()), time.Second))
	}
	if took := last.Sub(begin); took < 3*24*time.Hour || took > 3*24*time.Hour+time.Hour || attempts < 72 || attempts > 250 {
		t.Errorf("given up after %s and %d attempts", took, attempts)
	}
	r.move(24 * time.Hour)
	r.push("fir", indicator(2, address("203.0.114.2"), ""))
	r.none("after it was given up")
	if got, err := r.feeds.TestWebhook(t.Context(), "ncb-kh/f-block"); err != nil || got.Status != 500 || got.Problem != "it answers 500" || !r.page().Dead {
		t.Errorf("a test that fails: %+v %v", got, err)
	}
	r.answers(http.StatusOK)
	if got, err := r.feeds.TestWebhook(t.Context(), "ncb-kh/f-block"); err != nil || got.Status != 200 || got.Problem != "" {
		t.Errorf("a test: %+v %v", got, err)
	}
	if got := r.send(); len(got) != 3 || got[0].Type != "feed.test" || got[2].Type != "feed.changed" {
		t.Errorf("after a test: %+v", got)
	}
	r.answers(http.StatusGone)
	r.push("fir", indicator(3, address("203.0.114.3"), ""))
	r.one()
	if p := r.page(); !p.Dead || p.Problem != "it answers 410" {
		t.Errorf("after 410: %+v", p)
	}
	r.answers(http.StatusOK)
	r.subscribe("block", "block", empty+strings.Replace(r.file("ping"), "/hook", "/other", 1))
	r.one()
}

// When access ends, the receiver is told so, once; what it has is taken back unless the
// agreement wants the feed to be gone.
func TestTheLastMessageSaysThatAccessHasEnded(t *testing.T) {
	disable := func(disabled bool) func(*receiver) {
		return func(r *receiver) {
			r.amend(func(d *exchange.Directory) error { d.Accounts["ncb-kh/block"].Disabled = disabled; return nil })
		}
	}
	for name, c := range map[string]struct {
		terms, content string
		end            func(*receiver)
		want           string
	}{
		"the agreement is suspended": {"", "delta", func(r *receiver) { r.suspend() }, `{"feed":"f-block","full":true,"add":[],"remove":[]}`},
		"with pings":                 {"", "ping", func(r *receiver) { r.suspend() }, `{"feed":"f-block"}`},
		"the agreement wants the feed to be gone then": {"[feeds]\narticle = \"4\"\nat_end = \"gone\"\n", "delta", func(r *receiver) { r.suspend() }, `{"feed":"f-block"}`},
		"the account is disabled":                      {"", "delta", disable(true), `{"feed":"f-block"}`},
	} {
		t.Run(name, func(t *testing.T) {
			r := newReceiver(t, c.terms, c.content)
			r.push("fir", indicator(1, address("203.0.114.1"), ""))
			r.one()
			c.end(r)
			if m := r.one(); m.Type != "feed.ended" || !strings.HasSuffix(m.body, `"data":`+c.want+"}") {
				t.Errorf("%s", m.body)
			}
			r.move(time.Hour)
			r.none("afterwards")
		})
	}
	r := newReceiver(t, "", "delta")
	r.push("fir", indicator(1, address("203.0.114.1"), ""))
	disable(true)(r)
	r.none("a receiver that never had anything")
	disable(false)(r)
	r.one()
	disable(true)(r)
	r.one()
	disable(false)(r)
	if m := r.one(); m.Type != "feed.changed" || !*m.Data.Full || len(m.Data.Add) != 1 {
		t.Errorf("when access begins again: %s", m.body)
	}
}

// Nobody can have the server reach into its own network, neither by a name that leads there
// nor by a redirect.
func TestAReceiverIsOneThatTheOperatorAllows(t *testing.T) {
	r := newReceiver(t, "", "ping")
	test := func() *feed.WebhookTest {
		t.Helper()
		r.feeds.TrustReceivers(r.trust)
		got, err := r.feeds.TestWebhook(t.Context(), "ncb-kh/f-block")
		r.must(err)
		return got
	}
	r.answers(http.StatusTemporaryRedirect)
	if got := test(); got.Problem != "it answers 307, and redirects are not followed" {
		t.Errorf("a redirect: %+v", got)
	}
	r.send()
	r.answers(http.StatusOK)
	for _, c := range []struct {
		host  string
		allow []string
		want  string
	}{
		{"127.0.0.1", nil, "127.0.0.1 is no target"},
		{"127.0.0.1", []string{"soc.example"}, "127.0.0.1 is no target"},
		{"127.0.0.1", []string{"127.0.0.0/8"}, ""},
		{"localhost", []string{"127.0.0.1"}, "localhost is no target"},
		{"localhost", []string{"LocalHost."}, "localhost has an address that is not on the internet"},
		{"localhost", []string{"10.0.0.0/8", "localhost"}, "localhost has an address that is not on the internet"},
		{"[::ffff:127.0.0.1]", []string{"127.0.0.1"}, "is no target"},
		{"example.com", []string{"example.org"}, "example.com is no target"},
	} {
		r.allow(c.allow...)
		r.subscribe("block", "block", empty+strings.Replace(r.file("ping"), "127.0.0.1", c.host, 1))
		if got := test(); !strings.Contains(got.Problem, c.want) || (c.want == "") != (got.Problem == "") {
			t.Errorf("%s, allowed %q: %+v, want %q", c.host, c.allow, got, c.want)
		}
	}
	if got := r.send(); len(got) != 1 {
		t.Errorf("the receiver got %+v", got)
	}
	for _, host := range []string{"*", "https://soc.example", "soc.example:443", ""} {
		if _, err := feed.ParseTargets([]string{host}); err == nil {
			t.Errorf("%q is taken for a target", host)
		}
	}
}

// Two exchanges, of which one also has objects that the account may not see: every byte of the
// messages is equal, whatever becomes of those objects.
func TestHiddenObjectsChangeNoMessage(t *testing.T) {
	red := `,"object_marking_refs":["marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1"]`
	plain, hiding := newReceiver(t, "", "delta"), newReceiver(t, "", "delta")
	both := func(do func(*receiver)) { do(plain); do(hiding) }
	compare := func(step string, messages int) {
		t.Helper()
		a, b := plain.send(), hiding.send()
		if len(a) != messages || len(b) != messages {
			t.Fatalf("%s: %d messages, and %d beside hidden objects, want %d", step, len(a), len(b), messages)
		}
		for i := range a {
			if a[i].body != b[i].body {
				t.Errorf("%s:\n%s\n%s", step, a[i].body, b[i].body)
			}
		}
		both(func(r *receiver) { r.move(10 * time.Minute) })
	}
	hiding.push("fir", indicator(90, address("203.0.114.90"), red), indicator(91, address("203.0.114.91"), red))
	compare("at first", 1)
	both(func(r *receiver) {
		r.push("fir", indicator(1, address("203.0.114.1"), ""), indicator(2, address("203.0.114.2"), ""))
	})
	compare("after a push", 1)
	hiding.push("elm", indicator(92, address("203.0.114.1"), red), indicator(93, address("203.0.114.2"), `,"indicator_types":["benign"]`+red))
	compare("after a hidden push of the same values", 0)
	hiding.remove("fir", 90, "")
	compare("after a hidden removal", 0)
	hiding.erase("fir", audit.Withdrawal, 0)
	hiding.erase("elm", audit.Purge, 0)
	both(func(r *receiver) { r.push("fir", indicator(3, address("203.0.114.3"), "")) })
	compare("after a hidden withdrawal and a push", 1)
	both(func(r *receiver) { r.answers(http.StatusServiceUnavailable); r.remove("fir", 1, "") })
	compare("while the receiver fails", 1)
	hiding.erase("elm", audit.Purge, 0)
	both(func(r *receiver) { r.answers(http.StatusOK) })
	compare("after a hidden purge", 1)
}

// The store has a position, and nothing that a withdrawal would have to remove.
func TestThePositionOfAReceiverHasNoEntry(t *testing.T) {
	r := newReceiver(t, "", "delta")
	r.push("fir", indicator(1, address("203.0.114.1"), ""))
	r.answers(http.StatusServiceUnavailable)
	r.one()
	a, err := r.feeds.Open(t.Context(), exchange.Principal{Account: "ncb-kh/block", Org: "ncb-kh", Purposes: exchange.Purposes, Action: "block"}, "f-block", feed.Webhook)
	r.must(err)
	defer a.Close()
	document, err := r.store.Document(t.Context(), "feed webhook ncb-kh/f-block")
	r.must(err)
	for _, text := range []string{"203.0.114", "indicator--", a.Tag} {
		if len(document) == 0 || strings.Contains(string(document), text) {
			t.Errorf("the document has %s: %s", text, document)
		}
	}
	r.must(r.feeds.Forget(t.Context(), "ncb-kh/f-block"))
	if document, err = r.store.Document(t.Context(), "feed webhook ncb-kh/f-block"); err != nil || document != nil {
		t.Errorf("%s, %v", document, err)
	}
}

// Two processes that serve one store send each message once.
func TestOneProcessSendsAMessage(t *testing.T) {
	r := newReceiver(t, "", "ping")
	r.push("fir", indicator(1, address("203.0.114.1"), ""))
	first := r.feeds
	r.config.Dir += "-other" // each process has its own
	r.serve()
	var both sync.WaitGroup
	for _, s := range []*feed.Service{first, r.feeds} {
		both.Go(func() {
			if err := s.SendWebhooks(t.Context(), r.trust); err != nil {
				t.Error(err)
			}
		})
	}
	both.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.got) != 1 {
		t.Errorf("%d messages", len(r.got))
	}
}

// A change that is too large for a message is told without its entries.
func TestALargeDeltaIsLeftToBeRead(t *testing.T) {
	r := newReceiver(t, "", "delta")
	for n := range 11 {
		var tests []string
		for i := range 1000 {
			tests = append(tests, fmt.Sprintf("ipv4-addr:value = '203.0.%d.%d'", 114+4*n+i/250, i%250+1))
		}
		r.push("fir", indicator(n, "["+strings.Join(tests, " OR ")+"]", ""))
	}
	if m := r.one(); m.Data.Full != nil || m.Data.URL == "" || m.Type != "feed.changed" {
		t.Errorf("%d bytes", len(m.body))
	}
	r.remove("fir", 10, "")
	if m := r.one(); *m.Data.Full || len(m.Data.Remove) != 1000 {
		t.Errorf("%d bytes", len(m.body))
	}
}

func TestAWebhookNeedsTheAgreement(t *testing.T) {
	r := newReceiver(t, "[feeds]\narticle = \"4\"\nformats = [\"list\"]\n", "ping")
	r.push("fir", indicator(1, address("203.0.114.1"), ""))
	r.none("under an agreement without webhooks")
	d, _, err := r.store.Directory(t.Context())
	r.must(err)
	policy, err := exchange.NewPolicy(d)
	r.must(err)
	def, err := feed.ParseDefinition("f.toml", []byte(d.Feeds["ncb-kh/f-block"].Source))
	r.must(err)
	p := exchange.Principal{Account: "ncb-kh/block", Org: "ncb-kh", Purposes: exchange.Purposes, Action: "block"}
	if err := feed.Allowed(policy, p, def, r.now()); taxii.CodeOf(err) != taxii.Forbidden || !strings.Contains(err.Error(), "webhook") {
		t.Errorf("declared: %v", err)
	}
}
