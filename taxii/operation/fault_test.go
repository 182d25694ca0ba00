package operation_test

import (
	"context"
	"crypto/ed25519"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"comity/stix"
	"comity/store"
	"comity/taxii/audit"
	"comity/taxii/demo"
	"comity/taxii/exchange"
)

// If the store fails at any call during a rework, and the process ends, the next Runner
// completes the rework. Figures and objects are then those of an undisturbed rework, also
// the notice to a bureau that holds a removed object.
func TestAReworkIsCompletedAfterADeathAtAnyCall(t *testing.T) {
	before := publishedWorld(t)
	before.fetch("ncb-ph", alias("car", "ncb-ph"))
	_, err := before.custody.Withdraw(t.Context(), "operator", "dea-fir", "fir", "notice")
	before.must(err)
	whole := before.fork()
	whole.catchUp()
	want, published := whole.figures(), whole.published()
	for n := 1; ; n += 1 + n/4 {
		w := before.fork()
		w.store.failFrom(n)
		err := w.runner.CatchUp(t.Context())
		w.store.failFrom(0)
		if err == nil {
			if n == 1 {
				t.Error("nothing ever failed: the test shows nothing")
			}
			break
		}
		w.restart()
		w.catchUp()
		equal(t, "figures", w.figures(), want)
		for bureau, objects := range w.published() {
			equal(t, bureau, objects, published[bureau])
		}
		if t.Failed() {
			t.Fatalf("after death at call %d", n)
		}
	}
}

// Data that a Runner could not read because the disk failed is read once the disk works
// again. In the test it completes contributions whose other objects came before.
func TestDataIsReadOnceTheDiskWorksAgain(t *testing.T) {
	half := newWorld(t)
	sent := half.objectsOf("alder", allRecords)
	slices.Reverse(sent)
	half.push("alder", "in", sent[:len(sent)/2]...)
	begin := func() *world {
		w := half.fork()
		w.catchUp()
		w.push("alder", "in", sent[len(sent)/2:]...)
		return w
	}
	whole, failing := begin(), begin()
	for n := 1; ; n++ {
		failing.store.failFrom(n)
		err := failing.runner.CatchUp(t.Context())
		failing.store.failFrom(0)
		if err == nil {
			break
		}
	}
	equal(t, "figures", failing.figures(), whole.figures())
}

// If any call fails, the work on issues is done once the disk works again: a match is
// recorded once, and one request for information is made about the issue without a match.
func TestIssuesAreHandledOnceTheDiskWorksAgain(t *testing.T) {
	before := newWorld(t)
	match := demo.Record{Kind: demo.Plain, Vendor: "elm", Origin: "elm", Value: "known.kh.example", Key: "known.kh.example", Label: stix.Amber, Time: demo.Start, Claimed: "KH"}
	for n := 1; ; n++ {
		w := before.fork()
		w.catchUp()
		w.push("ncb-kh", "issues", w.issue("ncb-kh", "known.kh.example", stix.Amber, stix.Amber)...)
		w.push("ncb-th", "issues", w.issue("ncb-th", "unknown.th.example", stix.Amber, stix.Amber)...)
		w.push("elm", "in", match.Objects()...)
		w.advance(8 * 24 * time.Hour)
		w.store.failFrom(n)
		err := w.runner.CatchUp(t.Context())
		w.store.failFrom(0)
		w.catchUp()
		equal(t, "requests", len(w.requests()), 1)
		equal(t, "matches on record", len(w.entries(audit.Match)), 1)
		if t.Failed() {
			t.Fatalf("after failing at call %d", n)
		}
		if err == nil {
			break
		}
	}
}

// A draft that was saved can be published, although its author got an error.
func TestASavedDraftCanBePublished(t *testing.T) {
	w := pushedWorld(t)
	w.catchUp()
	for n := 1; ; n++ {
		w.store.failFrom(n)
		_, err := w.runner.Draft(t.Context(), op, anna, nil)
		w.store.failFrom(0)
		if err == nil {
			t.Fatal("no call failed after the draft was saved: the test shows nothing")
		}
		if len(w.entries(audit.Report)) > 0 {
			break
		}
	}
	_, err := w.runner.Publish(t.Context(), op, ben)
	w.must(err)
}

// Who publishes is not told that there is no draft when another process leads as soon as the
// publication is saved.
func TestAPublicationThatWasSavedIsNotMadeAgain(t *testing.T) {
	w := pushedWorld(t)
	w.catchUp()
	_, err := w.runner.Draft(t.Context(), op, anna, nil)
	w.must(err)
	w.store.loses = true
	out, err := w.runner.Publish(t.Context(), op, ben)
	w.must(err)
	if len(out.Reports) == 0 {
		t.Error("no reports")
	}
}

// faults is a store that fails all calls from a given one on. A failed call changes
// nothing. It counts how often collections are read from the beginning.
type faults struct {
	store.Store
	next  int // number of the first call that fails; 0: none fails
	calls int // since failFrom
	whole map[uuid.UUID]int
	hold  chan struct{} // nil, or scans wait until it is closed
	loses bool          // Lead loses the first epoch when its function has returned
}

func (f *faults) Lead(ctx context.Context, duty string, lead func(context.Context)) {
	f.Store.Lead(ctx, duty, lead)
	if f.loses {
		f.Store.Lead(ctx, duty, lead)
	}
}

type broken struct{}

func (broken) Error() string { return "the disk is gone" }

func (f *faults) fail() error {
	f.calls++
	if f.next > 0 && f.calls >= f.next {
		return broken{}
	}
	return nil
}

// failFrom makes the n-th call from now on fail, and all calls after it. 0 ends the faults.
func (f *faults) failFrom(n int) { f.next, f.calls = n, 0 }

func (f *faults) Scan(ctx context.Context, g exchange.Grant, q store.Query) (*store.Page, error) {
	if err := f.fail(); err != nil {
		return nil, err
	}
	if f.hold != nil {
		<-f.hold
	}
	if f.whole != nil && q.After.IsZero() && q.IDs == nil && q.Types == nil {
		f.whole[g.ID()]++
	}
	return f.Store.Scan(ctx, g, q)
}

func (f *faults) Append(ctx context.Context, g exchange.Grant, part store.Part) (store.Status, store.Outcomes, error) {
	if err := f.fail(); err != nil {
		return store.Status{}, store.Outcomes{}, err
	}
	return f.Store.Append(ctx, g, part)
}

func (f *faults) Amend(ctx context.Context, change func(*exchange.Directory) ([]audit.Entry, error)) error {
	if err := f.fail(); err != nil {
		return err
	}
	return f.Store.Amend(ctx, change)
}

func (f *faults) Document(ctx context.Context, name string) ([]byte, error) {
	if err := f.fail(); err != nil {
		return nil, err
	}
	return f.Store.Document(ctx, name)
}

func (f *faults) AmendDocument(ctx context.Context, name string, change func([]byte) ([]byte, []audit.Entry, error)) error {
	if err := f.fail(); err != nil {
		return err
	}
	return f.Store.AmendDocument(ctx, name, change)
}

func (f *faults) Record(ctx context.Context, entries ...audit.Entry) error {
	if err := f.fail(); err != nil {
		return err
	}
	return f.Store.Record(ctx, entries...)
}

func (f *faults) Remove(ctx context.Context, c uuid.UUID, dates []time.Time, block store.Block, e audit.Entry) (int, error) {
	if err := f.fail(); err != nil {
		return 0, err
	}
	return f.Store.Remove(ctx, c, dates, block, e)
}

func (f *faults) Entries(ctx context.Context, after uint64, n int) ([]audit.Link, error) {
	if err := f.fail(); err != nil {
		return nil, err
	}
	return f.Store.Entries(ctx, after, n)
}

// archive archives all entries, which no operation needs any more.
func (w *world) archive() {
	w.Helper()
	done, err := w.runner.SavePositions(w.Context())
	w.must(err)
	head, err := w.store.ChainHead(w.Context())
	w.must(err)
	equal(w.TB, "entries that no operation needs", done, head.Number)
	seal := audit.Sign(ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)), "igci", head, w.now())
	w.must(w.store.Archive(w.Context(), seal, audit.Entry{Act: audit.Archive}))
}

// No operation reads archived entries again. Data that is taken back after the archiving is
// reworked once, also after a restart.
func TestAnOperationGoesOnAfterTheRecordIsArchived(t *testing.T) {
	w := publishedWorld(t)
	w.catchUp()
	w.archive()
	_, err := w.custody.Withdraw(t.Context(), "operator", "dea-fir", "fir", "notice")
	w.must(err)
	w.restart()
	w.catchUp()
	equal(t, "bureaus", w.stats("bureaus").C2, servers(w.expectedState(without("fir")), bureaus))
	reworked := 0
	for _, e := range w.entries(audit.Report) {
		if strings.HasPrefix(e.Text, "reworked after data was taken back") {
			reworked++
		}
	}
	equal(t, "reworks", reworked, 1)
}

// CaughtUp stays at the last successful CatchUp while the store fails; before the first
// success it is the time of the first CatchUp.
func TestCaughtUpTellsSinceWhenAnOperationIsBehind(t *testing.T) {
	w := newWorld(t)
	fail := func() {
		w.store.failFrom(1)
		if w.runner.CatchUp(t.Context()) == nil {
			t.Fatal("it did not fail")
		}
		w.store.failFrom(0)
	}
	first := w.now()
	fail()
	w.advance(time.Hour)
	fail()
	equal(t, "behind from the start", w.runner.CaughtUp(), map[string]time.Time{op: first})
	caughtUp := w.now()
	w.catchUp()
	equal(t, "up to date", w.runner.CaughtUp(), map[string]time.Time{op: caughtUp})
	w.advance(time.Hour)
	fail()
	equal(t, "behind again", w.runner.CaughtUp(), map[string]time.Time{op: caughtUp})
}
