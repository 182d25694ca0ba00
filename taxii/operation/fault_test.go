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

// A Runner that dies at any call to the store, in the middle of reworking what was
// published, leaves work that the next one completes: figures and objects are those
// of one that never died. A bureau that had fetched what is gone is told.
func TestDyingAnywhere(t *testing.T) {
	before := publishedWorld(t)
	before.fetch("ncb-ph", alias("car", "ncb-ph"))
	_, err := before.custody.Withdraw(t.Context(), "operator", "dea-fir", "fir", "notice")
	before.must(err)
	whole := before.fork()
	whole.settle()
	want, published := whole.figures(), whole.published()
	for n := 1; ; n += 1 + n/4 {
		w := before.fork()
		w.store.from(n)
		err := w.runner.CatchUp(t.Context())
		w.store.from(0)
		if err == nil {
			if n == 1 {
				t.Error("nothing ever failed: the test shows nothing")
			}
			break
		}
		w.restart()
		w.settle()
		equal(t, "figures", w.figures(), want)
		for bureau, objects := range w.published() {
			equal(t, bureau, objects, published[bureau])
		}
		if t.Failed() {
			t.Fatalf("after dying at call %d", n)
		}
	}
}

// What a disk failed to give is read when it works again, by the same Runner, even
// what waited for its other half.
func TestReadingAgain(t *testing.T) {
	half := newWorld(t)
	sent := half.sent("alder", every)
	slices.Reverse(sent)
	half.push("alder", "in", sent[:len(sent)/2]...)
	begin := func() *world {
		w := half.fork()
		w.settle()
		w.push("alder", "in", sent[len(sent)/2:]...)
		return w
	}
	whole, failing := begin(), begin()
	for n := 1; ; n++ {
		failing.store.from(n)
		err := failing.runner.CatchUp(t.Context())
		failing.store.from(0)
		if err == nil {
			break
		}
	}
	equal(t, "figures", failing.figures(), whole.figures())
}

// Whichever call fails, what follows from an issue is done when the disk works
// again: its match is on record, and the room is asked about what nothing matches.
func TestTellingAgain(t *testing.T) {
	before := newWorld(t)
	match := demo.Record{Kind: demo.Plain, Vendor: "elm", Origin: "elm", Value: "known.kh.example", Key: "known.kh.example", Label: stix.Amber, Time: demo.Start, Claimed: "KH"}
	for n := 1; ; n++ {
		w := before.fork()
		w.settle()
		w.push("ncb-kh", "issues", w.issue("ncb-kh", "known.kh.example", stix.Amber, stix.Amber)...)
		w.push("ncb-th", "issues", w.issue("ncb-th", "unknown.th.example", stix.Amber, stix.Amber)...)
		w.push("elm", "in", match.Objects()...)
		w.move(8 * 24 * time.Hour)
		w.store.from(n)
		err := w.runner.CatchUp(t.Context())
		w.store.from(0)
		w.settle()
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
	w.settle()
	for n := 1; ; n++ {
		w.store.from(n)
		_, err := w.runner.Draft(t.Context(), op, anna, nil)
		w.store.from(0)
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

// faults is a store whose calls fail from the given one on: 0 for none, 1 for the
// next. A failed one has done nothing.
type faults struct {
	store.Store
	next  int
	calls int // counted
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

// from lets the n-th call from now on fail, and all that follow.
func (f *faults) from(n int) { f.next, f.calls = n, 0 }

func (f *faults) Scan(ctx context.Context, g exchange.Grant, q store.Query) (*store.Page, error) {
	if err := f.fail(); err != nil {
		return nil, err
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

func (f *faults) Remove(ctx context.Context, c uuid.UUID, dates []time.Time, bar store.Block, e audit.Entry) (int, error) {
	if err := f.fail(); err != nil {
		return 0, err
	}
	return f.Store.Remove(ctx, c, dates, bar, e)
}

func (f *faults) Entries(ctx context.Context, after uint64, n int) ([]audit.Link, error) {
	if err := f.fail(); err != nil {
		return nil, err
	}
	return f.Store.Entries(ctx, after, n)
}

// What was archived is read by no operation again, and what is taken back later is
// reworked after a restart.
func TestAnOperationGoesOnAfterTheRecordIsArchived(t *testing.T) {
	w := publishedWorld(t)
	w.settle()
	done, err := w.runner.SavePositions(t.Context())
	w.must(err)
	head, err := w.store.ChainHead(t.Context())
	w.must(err)
	equal(t, "entries that no operation needs", done, head.Number)
	seal := audit.Sign(ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)), "igci", head, w.now())
	w.must(w.store.Archive(t.Context(), seal, audit.Entry{Act: audit.Archive}))

	_, err = w.custody.Withdraw(t.Context(), "operator", "dea-fir", "fir", "notice")
	w.must(err)
	w.restart()
	w.settle()
	equal(t, "bureaus", w.stats("bureaus").C2, servers(w.truth(without("fir")), bureaus))
	reworked := 0
	for _, e := range w.entries(audit.Report) {
		if strings.HasPrefix(e.Text, "reworked after data was taken back") {
			reworked++
		}
	}
	equal(t, "reworks", reworked, 1)
}

// The time since an operation was up to date grows while its store fails, from the first
// CatchUp on, and is gone once one has succeeded.
func TestAnOperationTellsSinceWhenItIsBehind(t *testing.T) {
	w := newWorld(t)
	fail := func() {
		w.store.from(1)
		if w.runner.CatchUp(t.Context()) == nil {
			t.Fatal("it did not fail")
		}
		w.store.from(0)
	}
	first := w.now()
	fail()
	w.move(time.Hour)
	fail()
	equal(t, "behind from the start", w.runner.CaughtUp(), map[string]time.Time{op: first})
	caughtUp := w.now()
	w.settle()
	equal(t, "up to date", w.runner.CaughtUp(), map[string]time.Time{op: caughtUp})
	w.move(time.Hour)
	fail()
	equal(t, "behind again", w.runner.CaughtUp(), map[string]time.Time{op: caughtUp})
}
