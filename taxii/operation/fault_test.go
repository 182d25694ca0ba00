package operation_test

import (
	"slices"
	"testing"
	"time"

	"comity/stix"
	"comity/taxii/audit"
	"comity/taxii/demo"
)

// A Desk that dies at any call to the store, in the middle of reworking what was
// published, leaves work that the next one completes: figures and objects are those
// of one that never died. A bureau that had fetched what is gone is told.
func TestDyingAnywhere(t *testing.T) {
	before := publishedWorld(t)
	before.fetch("ncb-ph", alias("car", "ncb-ph"))
	_, err := before.steward.Withdraw(t.Context(), "dea-fir", "fir", "notice")
	before.must(err)
	whole := before.fork()
	whole.settle()
	want, published := whole.figures(), whole.published()
	for n := 1; ; n += 1 + n/4 {
		w := before.fork()
		w.store.from(n)
		err := w.desk.Settle(t.Context())
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

// What a disk failed to give is read when it works again, by the same Desk, even
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
		err := failing.desk.Settle(t.Context())
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
		err := w.desk.Settle(t.Context())
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
