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
	"time"

	"github.com/google/uuid"

	"comity/store"
	"comity/taxii"
	"comity/taxii/exchange"
	"comity/taxii/server"
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
	if answer, err := vendor.http.Do(r); err == nil { // otherwise cut off before anything was sent
		defer answer.Body.Close()
		if got, err := io.ReadAll(answer.Body); err == nil {
			t.Errorf("an answer of %d bytes that ends as if it were whole", len(got))
		}
	}
	w.close()
	if !strings.Contains(w.log.String(), "the disk broke") {
		t.Errorf("the log does not tell why: %s", w.log)
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

// The number of pages of one account at a time is bounded: further requests wait, and
// those of other accounts do not.
func TestPagesOfOneAccountAreBounded(t *testing.T) {
	const width = 16
	slow := &slowStore{account: "bureau/soc", entered: make(chan struct{}), release: make(chan struct{})}
	w := newWorld(t, slow.slows, func(w *world) { w.config.PageMemory = 1 << 30 })
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

// The pages that are made at a time take a bounded memory, for all accounts
// together; an account gets a part of it, so that the others are served.
func TestPageMemoryIsBoundedForAllAccounts(t *testing.T) {
	s := &gatedStore{entered: make(chan string, 100), pass: make(chan struct{}, 100)}
	w := newWorld(t, func(w *world) {
		w.config.PageMemory = 64 << 20 // four of the largest pages
		w.faults = func(inner store.Store) store.Store { s.Store = inner; return s }
	})
	c := w.collection("sharing.reports")
	w.as("vendor/feed").push(c, indicators(1, 30)...)
	const each = 6
	accounts := []string{"vendor/feed", "vendor/other", "bureau/soc", "bureau/opencti", "bureau/elastic"}
	done := make(chan *answer)
	for i, account := range accounts {
		for n := range each {
			go func() { done <- w.as(account).get(fmt.Sprint(c, "objects/?limit=", 1+i*each+n)) }()
		}
	}
	time.Sleep(200 * time.Millisecond) // until all wait that will
	if n := len(s.entered); n != 4 {
		t.Errorf("%d pages at once, want 4", n)
	}
	pages := map[string]int{}
	for range 4 {
		account := <-s.entered
		if pages[account]++; pages[account] > 1 {
			t.Errorf("%s has %d of the 4 pages", account, pages[account])
		}
	}
	for range each * len(accounts) {
		s.pass <- struct{}{}
	}
	for range each * len(accounts) {
		(<-done).want(200)
	}
}

// An account whose slow clients hold all its memory delays nobody else, not even for the
// page that it waits for itself. It gets that page from the cache in the end.
func TestAnAccountWithoutMemoryDelaysNoOther(t *testing.T) {
	slow := &slowStore{account: "bureau/soc", entered: make(chan struct{}, 2), release: make(chan struct{})}
	w := newWorld(t, slow.slows, func(w *world) { w.config.PageMemory = 64 << 20 }) // an account has memory for one page
	c := w.collection("sharing.reports")
	w.as("vendor/feed").push(c, indicators(1, 5)...)
	statuses := make(chan int, 4)
	get := func(account, query string) { statuses <- w.as(account).get(c + "objects/" + query).status }
	go get("bureau/soc", "?limit=1")
	<-slow.entered
	go get("bureau/soc", "?limit=2")
	time.Sleep(50 * time.Millisecond) // until it waits for memory
	for range 2 {                     // a page that is asked for twice is kept
		go get("bureau/misp", "?limit=2")
		select {
		case status := <-statuses:
			if status != 200 {
				t.Errorf("status %d", status)
			}
		case <-time.After(answerTimeout):
			t.Error("it waits for the other account")
		}
	}
	close(slow.release)
	for range 2 {
		if status := <-statuses; status != 200 {
			t.Errorf("status %d", status)
		}
	}
	if got := slow.inside.Load(); got != 1 {
		t.Errorf("the store was read %d times for the account, want once", got)
	}
}

// An account whose access ends while another one reads the page for both gets nothing.
func TestAccessIsDecidedAgainAfterAPageOfAnother(t *testing.T) {
	slow := &slowStore{account: "bureau/misp", entered: make(chan struct{}), release: make(chan struct{})}
	w := newWorld(t, slow.slows)
	c := w.collection("sharing.reports")
	w.as("vendor/feed").push(c, indicator(1, 0))
	first, second := make(chan int), make(chan int)
	go func() { first <- w.as("bureau/misp").get(c + "objects/").status }()
	<-slow.entered
	go func() { second <- w.as("bureau/soc").get(c + "objects/").status }()
	time.Sleep(50 * time.Millisecond) // until it waits for the page
	w.amend(func(d *exchange.Directory) error { d.Accounts["bureau/soc"].Disabled = true; return nil })
	close(slow.release)
	if got := [2]int{<-first, <-second}; got != [2]int{200, 401} {
		t.Errorf("statuses %v, want 200 for the account that reads and 401 for the one that lost its access", got)
	}
}

// An account whose access ends while its requests wait gets nothing.
func TestAccessIsDecidedAgainAfterAWait(t *testing.T) {
	slow := &slowStore{account: "bureau/soc", entered: make(chan struct{}), release: make(chan struct{})}
	w := newWorld(t, slow.slows)
	c := w.collection("sharing.reports")
	w.as("vendor/feed").push(c, indicator(1, 0))
	const running, all = 4, 30
	done := make(chan int, all)
	for n := range all {
		go func() { done <- w.as("bureau/soc").get(fmt.Sprint(c, "objects/?limit=", n+1)).status }()
	}
	for range running { // as many as the account has memory for
		<-slow.entered
	}
	time.Sleep(100 * time.Millisecond) // until the others wait
	w.amend(func(d *exchange.Directory) error { d.Organisations["bureau"].Suspended = true; return nil })
	close(slow.release)
	got := map[int]int{}
	for range all {
		got[<-done]++
	}
	if got[200] != running || got[200]+got[404] != all {
		t.Errorf("statuses %v, want 200 for the %d that ran and 404 for all that waited", got, running)
	}
}

// A push whose token is revoked before its last bytes arrive is not stored.
func TestPushOfARevokedTokenIsNotStored(t *testing.T) {
	w := newWorld(t)
	c := w.collection("sharing.reports")
	body := envelopeOf(indicator(1, 0))
	l := w.dial()
	l.begin(c, "vendor/feed", fmt.Sprint("Content-Length: ", len(body)))
	io.WriteString(l, body[:20])
	time.Sleep(50 * time.Millisecond) // until the push has begun
	w.amend(func(d *exchange.Directory) error { d.Accounts["vendor/feed"].Disabled = true; return nil })
	io.WriteString(l, body[20:])
	l.answer().refused(401)
	if got := w.as("vendor/other").ids(c, ""); len(got) > 0 {
		t.Errorf("stored: %v", got)
	}
}

// amendingStore changes the directory just before each part of a push is appended.
type amendingStore struct {
	store.Store
	before func()
}

func (s *amendingStore) Append(ctx context.Context, g exchange.Grant, part store.Part) (store.Status, store.Outcomes, error) {
	s.before()
	return s.Store.Append(ctx, g, part)
}

// A push that waits for its commit is not stored if its access ends meanwhile.
func TestPushWhoseAccessEndsBeforeItsCommitIsNotStored(t *testing.T) {
	for name, change := range map[string]func(*exchange.Directory){
		"account disabled":       func(d *exchange.Directory) { d.Accounts["vendor/feed"].Disabled = true },
		"organisation suspended": func(d *exchange.Directory) { d.Organisations["vendor"].Suspended = true },
		"token revoked": func(d *exchange.Directory) {
			for _, token := range d.Tokens {
				token.Revoked = token.Revoked || token.Account == "vendor/feed"
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			late := &amendingStore{}
			w := newWorld(t, func(w *world) {
				w.faults = func(inner store.Store) store.Store { late.Store = inner; return late }
			})
			late.before = func() { w.amend(func(d *exchange.Directory) error { change(d); return nil }) }
			c := w.collection("sharing.reports")
			w.as("vendor/feed").do("POST", c+"objects/", envelopeOf(indicator(1, 0))).refused(401)
			if got := w.as("bureau/soc").ids(c, ""); len(got) > 0 {
				t.Errorf("stored: %v", got)
			}
		})
	}
}

// A bounded number of an account's requests wait; a further one is told to come
// back.
func TestQueueOfAnAccountIsBounded(t *testing.T) {
	l := server.NewLimiter(1)
	if err := l.Acquire(t.Context(), "a/b"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	errs := make(chan error, 2000)
	for range 2000 {
		go func() { errs <- l.Acquire(ctx, "a/b") }()
	}
	for range 2000 - 1024 {
		if err := <-errs; taxii.CodeOf(err) != taxii.Unavailable {
			t.Fatalf("%v, want Unavailable", err)
		}
	}
	if err := l.Acquire(t.Context(), "a/c"); err != nil {
		t.Errorf("another account: %v", err)
	}
	cancel()
	for range 1024 {
		if err := <-errs; !errors.Is(err, context.Canceled) {
			t.Fatalf("%v, want that of the context", err)
		}
	}
}
