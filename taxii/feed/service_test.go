package feed_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"comity/store"
	"comity/store/bolt"
	"comity/taxii"
	"comity/taxii/audit"
	"comity/taxii/auth"
	"comity/taxii/exchange"
	"comity/taxii/feed"
	"comity/taxii/metrics"
)

// hookedStore calls a hook before each scan, which may change the query or fail.
type hookedStore struct {
	*bolt.Store
	hook   atomic.Pointer[func(*store.Query) error]
	failed atomic.Pointer[error] // of each change of a document; nil if they do not fail
}

func (s *hookedStore) AmendDocument(ctx context.Context, name string, change func([]byte) ([]byte, []audit.Entry, error)) error {
	if failed := s.failed.Load(); failed != nil {
		return *failed
	}
	return s.Store.AmendDocument(ctx, name, change)
}

func (s *hookedStore) Scan(ctx context.Context, g exchange.Grant, q store.Query) (*store.Page, error) {
	if hook := s.hook.Load(); hook != nil {
		if err := (*hook)(&q); err != nil {
			return nil, err
		}
	}
	return s.Store.Scan(ctx, g, q)
}

// hookScans makes the feeds anew over a store that calls hook before each scan; nil is none.
func (w *world) hookScans(hook func(*store.Query) error) *hookedStore {
	s := &hookedStore{Store: w.store}
	s.set(hook)
	w.config.Dir = ""
	w.feeds = feed.New(s, exchange.NewCurrent(w.store), w.recorder, centreKey, w.config, w.now, w.log())
	return s
}

// handle serves the feeds over HTTP anew.
func (w *world) handle() {
	current := exchange.NewCurrent(w.store)
	w.server = httptest.NewServer(w.feeds.Handler(auth.New(current, w.now, "X-API-Key"), metrics.New()))
	w.Cleanup(w.server.Close)
}

func (s *hookedStore) set(hook func(*store.Query) error) {
	s.hook.Store(nil)
	if hook != nil {
		s.hook.Store(&hook)
	}
}

// tryOpen opens the feed of the account that blocks, and closes the answer.
func (w *world) tryOpen(ctx context.Context) error {
	p := exchange.Principal{Account: "ncb-kh/block", Org: "ncb-kh", Purposes: exchange.Purposes, Action: "block"}
	a, err := w.feeds.Open(ctx, p, "f-block", feed.List)
	if err == nil {
		a.Close()
	}
	return err
}

// A removal waits for the answers under way, and later answers wait for the removal. That
// must not hold up the answers under way.
func TestARemovalWhileAFeedIsFilledEnds(t *testing.T) {
	w := newWorld(t, "")
	w.subscribe("block", "block", empty)
	w.push("fir", indicator(1, address("203.0.114.1"), ""))
	scanning, goOn := make(chan bool, 100), make(chan bool)
	w.hookScans(func(*store.Query) error {
		scanning <- true
		<-goOn
		return nil
	})
	done := make(chan error, 3)
	go func() { done <- w.tryOpen(w.Context()) }()
	<-scanning
	id := w.grant("fir", "pool.intel.fir", exchange.Read).ID()
	go func() { done <- w.store.Exclusive(w.Context(), id, func(context.Context) error { return nil }) }()
	time.Sleep(50 * time.Millisecond) // until it waits
	go func() { done <- w.tryOpen(w.Context()) }()
	time.Sleep(50 * time.Millisecond)
	close(goOn)
	for range 3 {
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("they wait for each other")
		}
	}
}

// While a feed of several collections is made, those that are done stay, also if no feed reads
// them yet: otherwise they would be filled over and over.
func TestACollectionIsFilledOnceForAFeed(t *testing.T) {
	w := newWorld(t, "")
	w.push("fir", indicator(1, address("203.0.114.1"), ""))
	w.push("elm", indicator(2, address("203.0.114.2"), ""))
	scans := 0
	w.hookScans(func(*store.Query) error {
		if scans++; scans > 10 {
			return errors.New("there is no end")
		}
		return w.feeds.CatchUp(w.Context())
	})
	def, err := feed.ParseDefinition("f.toml", []byte("format = \"feed/1\"\nid = \"f\"\naccount = \"ncb-kh/block\"\nuse = \"block\"\ncollections = [\"*\"]\n"))
	w.must(err)
	p := exchange.Principal{Account: "ncb-kh/block", Org: "ncb-kh", Purposes: exchange.Purposes, Action: "block"}
	page, err := w.feeds.Preview(w.Context(), p, def)
	w.must(err)
	if page.Entries["ipv4"] != 2 || scans != 2 {
		t.Errorf("%v after %d scans", page.Entries, scans)
	}
}

// A push of millions takes long to be taken in.
func TestAFeedThatIsBroughtUpToDateHoldsUpNoOther(t *testing.T) {
	w := newWorld(t, "")
	w.subscribe("block", "block", empty)
	w.subscribe("search", "search", empty)
	s := w.hookScans(nil)
	w.handle()
	w.open()
	w.lists("search", "ipv4.txt")
	w.push("fir", indicator(1, address("203.0.114.1"), ""))
	first, scanning, goOn := make(chan bool, 1), make(chan bool), make(chan bool)
	first <- true
	s.set(func(*store.Query) error {
		select {
		case <-first:
			close(scanning)
			<-goOn
		default:
		}
		return nil
	})
	done := make(chan error, 1)
	go func() { done <- w.tryOpen(w.Context()) }()
	<-scanning
	w.lists("search", "ipv4.txt", "203.0.114.1")
	close(goOn)
	w.must(<-done)
}

func TestAPanicHoldsUpNobody(t *testing.T) {
	w := newWorld(t, "")
	w.subscribe("block", "block", empty)
	w.push("fir", indicator(1, address("203.0.114.1"), ""))
	s := w.hookScans(func(*store.Query) error { panic("a test") })
	func() {
		defer func() { recover() }()
		w.tryOpen(w.Context())
	}()
	s.set(nil)
	ctx, cancel := context.WithTimeout(w.Context(), 5*time.Second)
	defer cancel()
	if err := w.tryOpen(ctx); err != nil {
		t.Error(err)
	}
	ended := make(chan error, 1)
	go func() {
		id := w.grant("fir", "pool.intel.fir", exchange.Read).ID()
		ended <- w.store.Exclusive(w.Context(), id, func(context.Context) error { return nil })
	}()
	select {
	case err := <-ended:
		w.must(err)
	case <-ctx.Done():
		t.Error("nothing can be removed any more")
	}
}

// Products keep what they have when the answer is 503 and comes with Retry-After.
func TestAFeedThatIsNotFilledInTimeIsUnavailable(t *testing.T) {
	w := newWorld(t, "")
	w.subscribe("block", "block", empty)
	w.push("fir", indicator(1, address("203.0.114.1"), ""))
	ctx, cancel := context.WithCancel(w.Context())
	w.hookScans(func(*store.Query) error {
		cancel()
		return ctx.Err()
	})
	if err := w.tryOpen(ctx); !errors.Is(err, context.Canceled) || taxii.CodeOf(err) != taxii.Unavailable {
		t.Errorf("%v", err)
	}
}

func TestWhatIsRetainedNoLongerLeavesAfterAFailureToo(t *testing.T) {
	w := newWorld(t, "")
	w.subscribe("block", "block", empty+`lifetime = { ipv4 = "P5Y" }`)
	w.push("fir", indicator(1, address("203.0.114.1"), ""))
	s := w.hookScans(nil)
	w.open()
	w.move(181 * 24 * time.Hour)
	s.set(func(*store.Query) error { return errors.New("a test") })
	if err := w.tryOpen(w.Context()); err == nil {
		t.Fatal("no failure")
	}
	s.set(nil)
	if a := w.open(); a.Entries.Len() != 0 {
		t.Errorf("it lists %s", text(a))
	}
}

// Two answers at the same time may be worked out in another order than they were asked for.
func TestAnEntryThatHasEndedDoesNotComeBackWithAnOlderQuestion(t *testing.T) {
	w := newWorld(t, "")
	w.subscribe("block", "block", empty)
	w.push("fir", indicator(1, address("203.0.114.1"), `,"valid_until":"2026-06-01T12:00:10Z"`))
	w.open()
	w.move(10 * time.Second)
	w.open()
	w.push("elm", indicator(2, address("203.0.114.1"), `,"valid_until":"2026-06-01T12:00:05Z"`))
	w.move(-time.Second)
	w.open()
	w.move(2 * time.Second)
	if a := w.open(); a.Entries.Len() != 0 {
		t.Errorf("it lists %s", text(a))
	}
}

// Nobody but the tool that reads a feed may keep values that left.
func TestValuesThatLeftAreForgottenAfterAnHour(t *testing.T) {
	w := newWorld(t, "")
	w.subscribe("block", "block", empty)
	w.push("fir", indicator(1, address("203.0.114.1"), ""))
	cursor := w.open().Cursor()
	w.remove("fir", 1, "")
	if d := w.open().Since(cursor); d.Full || len(d.Remove) != 1 {
		t.Errorf("at once: %+v", d)
	}
	w.move(time.Hour + time.Second)
	if d := w.open().Since(cursor); !d.Full || len(d.Remove) != 0 {
		t.Errorf("an hour later: %+v", d)
	}
}

// What is withdrawn or purged may not remain anywhere, so subscribers get all entries instead
// of the difference that would name it.
func TestWhatIsWithdrawnOrPurgedIsForgottenAtOnce(t *testing.T) {
	for _, act := range []audit.Act{audit.Withdrawal, audit.Purge} {
		w := newWorld(t, "")
		w.subscribe("block", "block", empty)
		w.push("fir", indicator(1, address("203.0.114.1"), ""), indicator(2, address("203.0.114.2"), ""), indicator(3, address("203.0.114.3"), ""))
		first := w.open().Cursor()
		w.remove("fir", 1, "")
		if d := w.open().Since(first); d.Full || len(d.Remove) != 1 {
			t.Errorf("%s: before it: %+v", act, d)
		}
		w.erase("fir", act, 0) // of the second one, since the first is gone
		a := w.open()
		if d := a.Since(first); !d.Full || len(added(d)) != 1 || len(d.Remove) != 0 {
			t.Errorf("%s: %+v", act, d)
		}
		w.push("fir", indicator(4, address("203.0.114.4"), ""))
		if d := w.open().Since(a.Cursor()); d.Full || len(added(d)) != 1 {
			t.Errorf("%s: the next difference: %+v", act, d)
		}
	}
}

// erase removes the n-th record of a vendor, past the service that guards removals.
func (w *world) erase(vendor string, act audit.Act, n int) {
	w.Helper()
	removed, err := w.store.Remove(context.Background(), w.grant(vendor, "pool.intel."+vendor, exchange.Read).ID(), w.dates(vendor)[n:n+1], store.Block{}, audit.Entry{Act: act})
	w.must(err)
	if removed != 1 {
		w.Fatalf("%d records were removed", removed)
	}
}

// While pages are scanned, a new version may be removed before its page is, after the page
// of the version before it was.
func TestARemovalBetweenTwoPagesBringsTheOlderVersionBack(t *testing.T) {
	w := newWorld(t, "")
	w.subscribe("block", "block", empty)
	w.push("fir", indicatorAt(1, address("203.0.114.1"), "2026-05-01T00:00:00.000Z", ""))
	w.push("fir", indicator(2, address("203.0.114.2"), ""), indicator(3, address("203.0.114.3"), ""))
	w.push("fir", indicatorAt(1, address("203.0.114.4"), "2026-05-02T00:00:00.000Z", ""))
	pages := 0
	s := w.hookScans(func(q *store.Query) error {
		q.Limit = 1
		if pages++; pages == 2 {
			w.erase("fir", audit.Deletion, 2)
		}
		return nil
	})
	if got := text(w.open()); !strings.HasPrefix(got, "203.0.114.1 [") {
		t.Errorf("in the first scan: %s", got)
	}
	w.push("fir", indicatorAt(2, address("203.0.114.5"), "2026-05-02T00:00:00.000Z", ""), indicatorAt(3, address("203.0.114.6"), "2026-05-02T00:00:00.000Z", ""),
		indicatorAt(2, address("203.0.114.7"), "2026-05-03T00:00:00.000Z", ""))
	pages = 0
	s.set(func(q *store.Query) error {
		q.Limit = 1
		if pages++; pages == 2 {
			w.erase("fir", audit.Deletion, 2)
		}
		return nil
	})
	if got := text(w.open()); !strings.Contains(got, "203.0.114.5 [") {
		t.Errorf("in a later scan: %s", got)
	}
}

// Two vendors may send the same indicator. What one of them takes back stays listed for what the
// other says.
func TestAnEntryStaysWhileAnyRecordSupportsIt(t *testing.T) {
	w := newWorld(t, "")
	w.subscribe("block", "block", empty)
	w.push("fir", indicator(1, address("203.0.114.1"), `,"confidence":80`))
	w.push("elm", indicator(1, address("203.0.114.1"), `,"confidence":30`))
	both := w.open()
	if got := text(both); !strings.HasPrefix(got, "203.0.114.1 [indicator--00000001-0000-4000-8000-000000000000] 80 ") {
		t.Errorf("of both: %s", got)
	}
	w.remove("fir", 1, "")
	one := w.open()
	if got := text(one); !strings.HasPrefix(got, "203.0.114.1 [indicator--00000001-0000-4000-8000-000000000000] 30 ") {
		t.Errorf("of one: %s", got)
	}
	if d := one.Since(both.Cursor()); d.Full || len(d.Changed) != 1 || len(d.Remove) != 0 {
		t.Errorf("the difference: %+v", d)
	}
	w.remove("elm", 1, "")
	if none := w.open(); none.Entries.Len() != 0 || len(none.Since(one.Cursor()).Remove) != 1 {
		t.Errorf("of none: %s", text(none))
	}
}

// A feed of all collections ends as the agreements want which its organisation reads under,
// and no others.
func TestAFeedOfAllCollectionsIsGoneAtTheEnd(t *testing.T) {
	for terms, want := range map[string]taxii.Code{
		"": "", "[feeds]\narticle = \"4\"\nat_end = \"gone\"\n": taxii.NotFound,
	} {
		w := newWorld(t, terms)
		w.subscribe("block", "block", "")
		w.push("fir", indicator(1, address("203.0.114.1"), ""))
		w.open()
		w.suspend()
		w.move(time.Second)
		got := taxii.Code("")
		if err := w.tryOpen(w.Context()); err != nil {
			got = taxii.CodeOf(err)
		}
		if got != want {
			t.Errorf("%q: %q, want %q", terms, got, want)
		}
	}
}

// A file lacks no entry because the store failed, and is not kept in that state.
func TestAFileThatCannotBeMadeWholeIsUnavailable(t *testing.T) {
	w := newWorld(t, "")
	w.subscribe("block", "block", "")
	w.push("fir", indicator(1, address("203.0.114.1"), ""))
	s := w.hookScans(nil)
	w.handle()
	w.lists("block", "ipv4.txt", "203.0.114.1")
	s.set(func(q *store.Query) error {
		if q.IDs != nil {
			return errors.New("a test")
		}
		return nil
	})
	if got := w.get("block", "all.bundle.json"); got.status != http.StatusServiceUnavailable {
		t.Errorf("%d %q", got.status, got.body)
	}
	s.set(nil)
	if got := w.get("block", "all.bundle.json"); got.status != http.StatusOK || !strings.Contains(got.body, "indicator--00000001") {
		t.Errorf("afterwards: %d %q", got.status, got.body)
	}
}

func TestNothingIsKeptOfAFeedThatIsNoMore(t *testing.T) {
	w := newWorld(t, "")
	w.subscribe("block", "block", "")
	w.subscribe("search", "search", "")
	w.push("fir", indicator(1, address("203.0.114.1"), ""))
	w.get("block", "v1/decisions/stream?startup=true")
	w.lists("block", "ipv4.txt", "203.0.114.1")
	w.catchUp()
	if got := w.feeds.Kept(); got != "definitions 2, indexes 4, listings 3, bodies 1, pulls 1" {
		t.Errorf("with two feeds: %s", got)
	}
	w.amend(func(d *exchange.Directory) error { delete(d.Feeds, "ncb-kh/f-block"); return nil })
	w.catchUp()
	if got := w.feeds.Kept(); got != "definitions 1, indexes 2, listings 1, bodies 0, pulls 0" {
		t.Errorf("with one: %s", got)
	}
	w.amend(func(d *exchange.Directory) error { d.Accounts["ncb-kh/search"].Disabled = true; return nil })
	w.catchUp()
	if got := w.feeds.Kept(); got != "definitions 1, indexes 0, listings 0, bodies 0, pulls 0" {
		t.Errorf("with a disabled account: %s", got)
	}
}

// duringAnAnswer calls f while a file of the feed is being made.
func (w *world) duringAnAnswer(f func()) {
	w.Helper()
	s := w.hookScans(nil)
	w.handle()
	w.open()
	called := false
	s.set(func(q *store.Query) error {
		if q.IDs != nil && !called {
			called = true
			f()
		}
		return nil
	})
	if got := w.get("block", "all.bundle.json"); got.status != http.StatusOK || !called {
		w.Fatalf("%d %s", got.status, got.body)
	}
	s.set(nil)
}

// Otherwise the file would outlive what is withdrawn from it.
func TestAFileThatIsOldWhenItIsMadeIsNotKept(t *testing.T) {
	w := newWorld(t, "")
	w.subscribe("block", "block", empty)
	w.push("fir", indicator(1, address("203.0.114.1"), ""))
	w.duringAnAnswer(func() {
		w.push("fir", indicator(2, address("203.0.114.2"), ""))
		w.open()
	})
	if kept := w.feeds.Kept(); !strings.Contains(kept, "bodies 0") {
		t.Errorf("kept: %s", kept)
	}
}

// A feed that is added again would begin with what was left of the one before.
func TestAnAnswerLeavesNothingOfAFeedThatWasRemovedMeanwhile(t *testing.T) {
	w := newWorld(t, "")
	w.subscribe("block", "block", empty)
	w.push("fir", indicator(1, address("203.0.114.1"), ""))
	w.duringAnAnswer(func() {
		w.amend(func(d *exchange.Directory) error { delete(d.Feeds, "ncb-kh/f-block"); return nil })
		w.must(w.feeds.Forget(w.Context(), "ncb-kh/f-block"))
	})
	if got, err := w.store.Document(w.Context(), "feed agents ncb-kh/f-block"); got != nil || err != nil {
		t.Errorf("the store keeps %s, %v", got, err)
	}
}
