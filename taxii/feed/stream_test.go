package feed_test

import (
	"bufio"
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tmaxmax/go-sse"

	"comity/taxii/audit"
	"comity/taxii/exchange"
)

// subscription is a client of the stream of an account's feed.
type subscription struct {
	w      *world
	answer *http.Response
	events chan sse.Event // closed when the stream has ended
	end    context.CancelFunc
	got    []sse.Event // those that next has returned
}

// stream connects with an id to resume from; "" for none.
func (w *world) stream(account, id string) *subscription {
	w.Helper()
	ctx, cancel := context.WithCancel(w.Context())
	w.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, "GET", w.server.URL+"/igci/x-feeds/f-"+account+"/stream", nil)
	w.must(err)
	r.SetBasicAuth("x", account)
	if id != "" {
		r.Header.Set("Last-Event-ID", id)
	}
	s := &subscription{w: w, events: make(chan sse.Event, 100), end: cancel}
	s.answer, err = http.DefaultClient.Do(r)
	w.must(err)
	go func() {
		defer close(s.events)
		defer s.answer.Body.Close()
		for e, err := range sse.Read(s.answer.Body, nil) {
			if err != nil {
				return
			}
			s.events <- e
		}
	}()
	return s
}

// next is the next event, as "name value"; "" at the end of the stream.
func (s *subscription) next() (text, id string) {
	s.w.Helper()
	select {
	case e, ok := <-s.events:
		if !ok {
			return "", ""
		}
		s.got = append(s.got, e)
		text = e.Type
		if _, rest, ok := strings.Cut(e.Data, `"value":"`); ok {
			value, _, _ := strings.Cut(rest, `"`)
			text += " " + value
		}
		return text, e.LastEventID
	case <-time.After(20 * time.Second):
		s.w.Fatal("no event")
		return "", ""
	}
}

// wants checks the next events, and returns the id of the last.
func (s *subscription) wants(events ...string) (id string) {
	s.w.Helper()
	for _, want := range events {
		var got string
		if got, id = s.next(); got != want {
			s.w.Fatalf("event %q, want %q", got, want)
		}
	}
	return id
}

func (w *world) catchUp() {
	w.Helper()
	w.must(w.feeds.CatchUp(w.Context()))
}

func TestAStreamTellsChangesAsTheyHappen(t *testing.T) {
	w := newWorld(t, "")
	w.subscribe("block", "block", "")
	w.push("fir", indicator(1, address("203.0.114.1"), `,"name":"Köder"`))
	s := w.stream("block", "")
	for name, want := range map[string]string{"Content-Type": "text/event-stream; charset=utf-8", "X-Accel-Buffering": "no", "Content-Encoding": ""} {
		if got := s.answer.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	s.wants("reset")
	e := <-s.events
	if !strings.Contains(e.Data, "Köder") || e.LastEventID == "" {
		t.Errorf("%+v", e)
	}
	w.push("fir", indicator(2, address("203.0.114.2"), ""))
	w.remove("fir", 1, "")
	w.catchUp()
	s.wants("remove 203.0.114.1", "add 203.0.114.2")
	w.must(w.recorder.Flush(t.Context()))
	deliveries := 0
	links, err := w.store.Entries(t.Context(), 0, 1000)
	w.must(err)
	for _, l := range links {
		if e, err := l.Entry(); err == nil && e.Act == audit.Delivery && e.Feed == "f-block stream" {
			deliveries++
		}
	}
	if deliveries == 0 {
		t.Error("the stream is not recorded as a delivery")
	}
}

// A client that comes back gets what it missed, once. After a restart of the server it goes on
// where it was, and starts over only if something has changed meanwhile.
func TestAStreamResumes(t *testing.T) {
	w := newWorld(t, "")
	w.subscribe("block", "block", "")
	w.push("fir", indicator(1, address("203.0.114.1"), ""))
	s := w.stream("block", "")
	id := s.wants("reset", "add 203.0.114.1")
	s.end()
	w.push("fir", indicator(2, address("203.0.114.2"), ""))
	w.remove("fir", 1, "")
	s = w.stream("block", id)
	if again := s.wants("remove 203.0.114.1", "add 203.0.114.2"); again == id {
		t.Error("the id stands still")
	} else {
		id = again
	}
	s.end()
	if s = w.stream("block", id); s.wants("heartbeat") != id {
		t.Error("nothing has changed, but the id")
	}
	s.end()
	w.stream("block", "no id of this feed").wants("reset", "add 203.0.114.2")
	w.serve()
	s = w.stream("block", id)
	if s.wants("heartbeat") != id {
		t.Error("the restart has changed the id")
	}
	s.end()
	w.push("fir", indicator(3, address("203.0.114.3"), ""))
	w.serve()
	w.stream("block", id).wants("reset", "add 203.0.114.2", "add 203.0.114.3")
}

func TestAStreamEndsWithTheAccess(t *testing.T) {
	for name, c := range map[string]struct {
		end  func(*world)
		want []string
	}{
		"the agreement is suspended": {(*world).suspend, []string{"remove 203.0.114.1", "heartbeat", ""}},
		"the token is revoked": {func(w *world) {
			w.amend(func(d *exchange.Directory) error { d.Tokens["block"].Revoked = true; return nil })
		}, []string{""}},
		"the account is disabled": {func(w *world) {
			w.amend(func(d *exchange.Directory) error { d.Accounts["ncb-kh/block"].Disabled = true; return nil })
		}, []string{""}},
		"the feed is removed": {func(w *world) {
			w.amend(func(d *exchange.Directory) error { delete(d.Feeds, "ncb-kh/f-block"); return nil })
		}, []string{""}},
		"the server shuts down": {func(w *world) { w.feeds.EndStreams() }, []string{""}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "")
			w.subscribe("block", "block", "")
			w.push("fir", indicator(1, address("203.0.114.1"), ""))
			s := w.stream("block", "")
			s.wants("reset", "add 203.0.114.1")
			c.end(w)
			w.catchUp()
			s.wants(c.want...)
		})
	}
}

// A fault of a vendor that withdraws everything does not open a firewall by its stream
// either, unless the feed may be empty.
func TestAStreamEmptiesOnlyAFeedThatMayBeEmpty(t *testing.T) {
	w := newWorld(t, "")
	w.subscribe("block", "block", "")
	w.push("fir", indicator(1, address("203.0.114.1"), ""))
	s := w.stream("block", "")
	s.wants("reset", "add 203.0.114.1")
	w.remove("fir", 1, "")
	w.catchUp()
	w.move(time.Minute)
	w.catchUp()
	s.wants("heartbeat")
	w.push("fir", indicator(2, address("203.0.114.2"), ""))
	w.catchUp()
	s.wants("remove 203.0.114.1", "add 203.0.114.2")
}

// Proxies close what is silent: a comment comes within 15 seconds, an event each minute.
func TestAStreamIsNeverSilent(t *testing.T) {
	w := newWorld(t, "")
	w.subscribe("block", "block", "")
	w.push("fir", indicator(1, address("203.0.114.1"), ""))
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	r, _ := http.NewRequestWithContext(ctx, "GET", w.server.URL+"/igci/x-feeds/f-block/stream", nil)
	r.SetBasicAuth("x", "block")
	answer, err := http.DefaultClient.Do(r)
	w.must(err)
	defer answer.Body.Close()
	lines := bufio.NewScanner(answer.Body)
	until := func(want string) {
		t.Helper()
		for lines.Scan() {
			if lines.Text() == want {
				return
			}
		}
		t.Fatalf("no %q: %v", want, lines.Err())
	}
	until("retry: 5000")
	until("event: add")
	until("")
	for range 5 {
		w.move(12 * time.Second)
		w.catchUp()
		if lines.Scan(); lines.Text() != ":" && lines.Text() != "event: heartbeat" {
			t.Fatalf("%q", lines.Text())
		}
	}
	until("")
}

// An account holds a few streams open; when one ends, another can begin.
func TestStreamsOfAnAccountAreBounded(t *testing.T) {
	w := newWorld(t, "")
	w.subscribe("block", "block", "")
	w.push("fir", indicator(1, address("203.0.114.1"), ""))
	var open []*subscription
	for range 4 {
		s := w.stream("block", "")
		s.wants("reset", "add 203.0.114.1")
		open = append(open, s)
	}
	if got := w.get("block", "stream"); got.status != http.StatusTooManyRequests || got.header.Get("Retry-After") == "" {
		t.Errorf("a fifth stream: %d", got.status)
	}
	open[0].end()
	for range 100 {
		s := w.stream("block", "")
		if s.answer.StatusCode == http.StatusOK {
			s.wants("reset", "add 203.0.114.1")
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Error("the place of a stream that ended is not free again")
}

func TestAStreamOfAnotherAccountDoesNotExist(t *testing.T) {
	w := newWorld(t, "[feeds]\narticle = \"4\"\nformats = [\"list\"]\n")
	w.subscribe("block", "block", "")
	w.push("fir", indicator(1, address("203.0.114.1"), ""))
	absent := w.do("GET", "other", "/igci/x-feeds/absent/stream")
	if got := w.do("GET", "other", "/igci/x-feeds/f-block/stream"); got.status != http.StatusNotFound || got.body != absent.body {
		t.Errorf("%d %q", got.status, got.body)
	}
	if got := w.get("block", "stream"); got.status != http.StatusForbidden {
		t.Errorf("an agreement without streams: %d", got.status)
	}
}
