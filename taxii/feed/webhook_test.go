package feed_test

import (
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"comity/taxii/exchange"
	"comity/taxii/feed"
)

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

// Some products let everything pass from the first refusal on.
func TestAReceiverIsWarnedOnceOfCredentialsThatExpire(t *testing.T) {
	r := newReceiver(t, "", "ping")
	r.push("fir", indicator(1, address("203.0.114.1"), ""))
	r.one()
	end := noon.AddDate(0, 0, 15)
	r.amend(func(d *exchange.Directory) error { d.Tokens["block"].Expires = &end; return nil })
	r.none("long before")
	r.move(25 * time.Hour)
	r.answers(http.StatusServiceUnavailable)
	m := r.one()
	if m.Type != "feed.expiring" || !strings.Contains(m.body, `"credentials_expire":"2026-06-16T12:00:00Z"`) {
		t.Errorf("%s", m.body)
	}
	r.answers(http.StatusOK)
	r.move(10 * time.Minute)
	if again := r.one(); again.id != m.id || again.body != m.body {
		t.Errorf("%s, then %s", m.body, again.body)
	}
	r.none("once it was taken")
	if p := r.page(); !p.Last.Equal(r.now()) {
		t.Errorf("%+v", p)
	}
	page, err := r.feeds.Describe(t.Context(), exchange.Principal{Account: "ncb-kh/block", Org: "ncb-kh", Purposes: exchange.Purposes, Action: "block"}, "f-block")
	r.must(err)
	if !page.Expires.Equal(end) {
		t.Errorf("the operator is told %s", page.Expires)
	}
}

// A receiver that was away gets one message, of what has changed in all, and a repetition
// has the id of the first attempt.
func TestAReceiverThatWasAwayGetsOneNetDelta(t *testing.T) {
	r := newReceiver(t, "", "delta")
	r.server.Config.SetKeepAlivesEnabled(false) // what is sent on a broken connection may have come
	r.push("fir", indicator(1, address("203.0.114.1"), ""), indicator(2, address("203.0.114.2"), ""))
	if m := r.one(); !*m.Data.Full || !slices.Equal(m.values(), []string{"+203.0.114.1", "+203.0.114.2"}) {
		t.Errorf("at first: %s", m.body)
	}
	if n := r.deliveries(); n != 1 {
		t.Errorf("%d deliveries", n)
	}
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
