package server_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"

	"comity/store"
	"comity/taxii"
	"comity/taxii/exchange"
)

// tornStatus is a store that cannot read one part of a status.
type tornStatus struct {
	store.Store
	part int
}

func (s tornStatus) Outcomes(ctx context.Context, id uuid.UUID, n int) (store.Outcomes, error) {
	if n == s.part {
		return store.Outcomes{}, errors.New("the disk broke")
	}
	return s.Store.Outcomes(ctx, id, n)
}

// The status of a large push is written part by part, and is whole.
func TestStatusOfALargePushIsWhole(t *testing.T) {
	w := newWorld(t)
	c := w.collection("sharing.reports")
	const n = 17_000 // five parts
	a := w.as("vendor/feed").do("POST", c+"objects/", envelopeOf(append(indicators(1, n), `{"type":"indicator"}`)...)).want(202)
	status := decode[taxii.Status](a)
	if status.SuccessCount != n || len(status.Successes) != n || status.FailureCount != 1 || len(status.Failures) != 1 {
		t.Errorf("%d and %d of %d successes, %d and %d failures", status.SuccessCount, len(status.Successes), n, status.FailureCount, len(status.Failures))
	}
	for i, d := range status.Successes {
		if d.ID != id("indicator", i+1) {
			t.Fatalf("success %d is %s", i, d.ID)
		}
	}
	small := w.as("vendor/feed").do("POST", c+"objects/", envelopeOf(indicator(1, 0))).want(202)
	for _, name := range []string{"Content-Type", "Cache-Control", "Vary"} {
		if got, want := a.header.Get(name), small.header.Get(name); got != want || got == "" {
			t.Errorf("%s is %q, of a small one %q", name, got, want)
		}
	}
}

// Half a status never looks like a whole one.
func TestStatusThatCannotBeReadToItsEndIsCutOff(t *testing.T) {
	w := newWorld(t, func(w *world) {
		w.faults = func(s store.Store) store.Store { return tornStatus{s, 4} }
	})
	vendor := w.as("vendor/feed")
	r, err := http.NewRequest("POST", w.config.PublicURL+w.collection("sharing.reports")+"objects/", nil)
	if err != nil {
		t.Fatal(err)
	}
	body := envelopeOf(indicators(1, 17_000)...)
	r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
	r.Header.Set("Authorization", "Bearer "+vendor.token)
	r.Header.Set("Content-Type", taxii.MediaType)
	answer, err := vendor.http.Do(r)
	if err != nil {
		return // cut off before anything was sent
	}
	defer answer.Body.Close()
	if got, err := io.ReadAll(answer.Body); err == nil {
		t.Errorf("an answer of %d octets that ends as if it were whole", len(got))
	}
}

// slowStore keeps each page until it is released.
type slowStore struct {
	store.Store
	account string
	inside  atomic.Int32
	entered chan struct{}
	release chan struct{}
}

func (s *slowStore) Scan(ctx context.Context, g exchange.Grant, q store.Query) (*store.Page, error) {
	if g.Principal().Account == s.account {
		s.inside.Add(1)
		s.entered <- struct{}{}
		<-s.release
	}
	return s.Store.Scan(ctx, g, q)
}

func (s *slowStore) slows(w *world) {
	w.faults = func(inner store.Store) store.Store { s.Store = inner; return s }
}

// One account has so many pages at once; a further one waits, and nobody else's
// does.
func TestPagesOfOneAccountAreBounded(t *testing.T) {
	const width = 16
	slow := &slowStore{account: "bureau/soc", entered: make(chan struct{}), release: make(chan struct{})}
	w := newWorld(t, slow.slows)
	c := w.collection("sharing.reports")
	w.as("vendor/feed").push(c, indicator(1, 0))
	done := make(chan int)
	for n := range width + 1 {
		go func() { done <- w.as("bureau/soc").get(fmt.Sprint(c, "objects/?limit=", n+1)).status }()
	}
	for range width {
		<-slow.entered
	}
	for range 20 {
		w.as("vendor/feed").get(c + "objects/").want(200)
	}
	if got := slow.inside.Load(); got != width {
		t.Errorf("%d pages of one account at once, want %d", got, width)
	}
	slow.release <- struct{}{}
	<-slow.entered
	close(slow.release)
	for range width + 1 {
		if status := <-done; status != 200 {
			t.Errorf("status %d", status)
		}
	}
}
