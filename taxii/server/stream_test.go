package server_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tmaxmax/go-sse"

	"comity/store"
	"comity/taxii/exchange"
)

// subscription is a client of the stream of a collection.
type subscription struct {
	t      testing.TB
	answer *http.Response
	events chan sse.Event // closed when the stream has ended
	end    context.CancelFunc
}

// stream connects with an id to resume from; "" for none.
func (c *client) stream(collection, query, id string) *subscription {
	c.w.t.Helper()
	ctx, cancel := context.WithCancel(c.w.t.Context())
	c.w.t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, "GET", c.w.config.PublicURL+collection+"x-stream/?"+query, nil)
	if err != nil {
		c.w.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+c.token)
	r.Header.Set("Accept", "text/event-stream")
	if id != "" {
		r.Header.Set("Last-Event-ID", id)
	}
	s := &subscription{t: c.w.t, events: make(chan sse.Event, 100), end: cancel}
	if s.answer, err = http.DefaultClient.Do(r); err != nil {
		c.w.t.Fatal(err)
	}
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

// wants checks the next events, each "type id", and returns the id of the last event. An
// empty text is the end of the stream.
func (s *subscription) wants(want ...string) (last string) {
	s.t.Helper()
	for _, want := range want {
		select {
		case e, ok := <-s.events:
			got := e.Type
			var data struct {
				Version, Type, Message string
				Data                   struct{ ID string }
			}
			if ok && e.Type != "heartbeat" {
				if err := json.Unmarshal([]byte(e.Data), &data); err != nil || data.Type != e.Type || data.Version == "" || data.Message == "" {
					s.t.Errorf("event %+v: %v", e, err)
				}
				got += " " + data.Data.ID
			}
			if last = e.LastEventID; got != want {
				s.t.Fatalf("event %q, want %q", got, want)
			}
		case <-time.After(20 * time.Second):
			s.t.Fatalf("no event, want %q", want)
		}
	}
	return last
}

func TestAStreamTellsWhatHappensInACollection(t *testing.T) {
	w := newWorld(t)
	c, vendor, n := w.collection("sharing.reports"), w.as("vendor/feed"), func(n int) string { return id("indicator", n) }
	vendor.push(c, indicator(1, 0, `"name":"Köder"`))
	s := vendor.stream(c, "", "")
	if got := s.answer.Header.Get("Content-Type"); got != "text/event-stream; charset=utf-8" {
		t.Errorf("media type %q", got)
	}
	s.wants("create " + n(1))
	vendor.push(c, indicator(2, 0), indicator(1, 1))
	s.wants("create "+n(2), "update "+n(1))
	vendor.delete(c + "objects/" + n(1) + "/").want(200)
	s.wants("delete " + n(1))
	late := vendor.stream(c, "", "")
	late.wants("create " + n(2))
	vendor.push(c, indicator(3, 0))
	late.wants("create " + n(3)) // and nothing of the one that it never had
	s.wants("create " + n(3))
	w.clock.move(time.Minute)
	s.wants("heartbeat")
}

// The id of an event and the next of a page are interchangeable.
func TestAStreamAndAPollGoOnFromEachOther(t *testing.T) {
	w := newWorld(t)
	c, vendor, n := w.collection("sharing.reports"), w.as("vendor/feed"), func(n int) string { return id("indicator", n) }
	vendor.push(c, indicator(1, 0), indicator(2, 0), indicator(3, 0))
	s := vendor.stream(c, "match[type]=indicator", "")
	position := s.wants("create "+n(1), "create "+n(2))
	s.end()
	page := vendor.get(c + "objects/?next=" + position).want(200)
	if got := page.objects(); len(got) != 1 || !strings.Contains(got[0], n(3)) {
		t.Errorf("a poll after the stream: %q", got)
	}
	next := vendor.get(c + "objects/?limit=1").want(200).envelope().Next
	s = vendor.stream(c, "", next)
	s.wants("create "+n(2), "create "+n(3))
	s.end()
	w.restart()
	vendor = w.as("vendor/feed")
	vendor.stream(c, "", position).wants("create " + n(3))
	vendor.get(c+"x-stream/", header{"Last-Event-ID", "no cursor"}).refused(400)
}

func TestAStreamOfACollectionEndsWithTheAccess(t *testing.T) {
	w := newWorld(t)
	c, vendor := w.collection("sharing.reports"), w.as("vendor/feed")
	vendor.push(c, indicator(1, 0))
	s := vendor.stream(c, "", "")
	s.wants("create " + id("indicator", 1))
	w.amend(func(d *exchange.Directory) error { d.Accounts["vendor/feed"].Disabled = true; return nil })
	s.wants("")
}

func TestStreamsOfCollectionsAreBounded(t *testing.T) {
	w := newWorld(t)
	c, vendor := w.collection("sharing.reports"), w.as("vendor/feed")
	vendor.push(c, indicator(1, 0))
	for range 4 {
		vendor.stream(c, "", "").wants("create " + id("indicator", 1))
	}
	vendor.get(c + "x-stream/").refused(429)
}

// The pages of streams have the memory of all pages, which a stream that waits for changes gives
// back: otherwise the streams of many accounts would take more than the operator allows, or keep
// it from those who poll.
func TestAStreamHoldsTheMemoryOfAPageOnlyWhileItSendsOne(t *testing.T) {
	slow := &slowStore{account: "vendor/feed", entered: make(chan struct{}, 2), release: make(chan struct{}, 2)}
	w := newWorld(t, slow.slows, func(w *world) { w.config.PageMemory = 64 << 20 }) // an account has memory for one page
	c, vendor := w.collection("sharing.reports"), w.as("vendor/feed")
	vendor.push(c, indicator(1, 0))
	streams := make(chan *subscription, 2)
	for range 2 {
		go func() { streams <- vendor.stream(c, "", "") }() // which waits for the first page
	}
	<-slow.entered
	time.Sleep(200 * time.Millisecond) // until the other one waits
	if got := slow.inside.Load(); got != 1 {
		t.Errorf("%d pages are read at once, want 1", got)
	}
	slow.release <- struct{}{}
	<-slow.entered
	close(slow.release)
	for range 2 {
		(<-streams).wants("create " + id("indicator", 1))
	}
	vendor.get(c + "objects/").want(200) // while both wait
}

// unreadable is a store whose collections cannot be read.
type unreadable struct{ store.Store }

func (unreadable) Scan(context.Context, exchange.Grant, store.Query) (*store.Page, error) {
	return nil, errors.New("the disk broke")
}

// A client cannot be told why its stream ends, so the operator is.
func TestTheLogTellsWhyAStreamBreaks(t *testing.T) {
	w := newWorld(t, func(w *world) {
		w.faults = func(s store.Store) store.Store { return unreadable{s} }
	})
	c, vendor := w.collection("sharing.reports"), w.as("vendor/feed")
	vendor.push(c, indicator(1, 0))
	vendor.stream(c, "", "").wants("")
	w.close()
	if !strings.Contains(w.log.String(), "the disk broke") {
		t.Errorf("the log does not tell why: %s", w.log)
	}
}
