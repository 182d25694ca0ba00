package operation_test

import (
	"context"
	"testing"
	"time"

	"comity/stix"
	"comity/taxii/audit"
	"comity/taxii/demo"
	"comity/taxii/operation"
)

// Two processes on one store show the same figures. The one that does not act writes
// nothing when it is asked.
func TestAProcessThatIsAskedWritesNothing(t *testing.T) {
	w := publishedWorld(t)
	other := w.newRunner()
	w.push("ncb-kh", "feedback", w.outcome("ncb-kh", 1, w.serversOf("ncb-kh")[0].id, "taken-down", demo.Snapshot.Add(time.Hour)))
	_, err := w.custody.Withdraw(t.Context(), "operator", "dea-fir", "fir", "notice")
	w.must(err)
	before, err := w.store.ChainHead(t.Context())
	w.must(err)
	got, err := other.Stats(t.Context(), op, operation.Bureaus)
	w.must(err)
	after, err := w.store.ChainHead(t.Context())
	w.must(err)
	equal(t, "the last entry", after.Number, before.Number)
	w.catchUp()
	equal(t, "figures", got, w.stats(operation.Bureaus))
}

// What one process drafts, another one publishes. After a withdrawal one of them reworks
// it, and the other one does not do so again.
func TestADraftIsPublishedByAnotherProcess(t *testing.T) {
	w := pushedWorld(t)
	w.catchUp()
	other := w.newRunner()
	_, err := w.runner.Draft(t.Context(), op, anna, nil)
	w.must(err)
	_, err = other.Publish(t.Context(), op, ben)
	w.must(err)
	_, err = w.custody.Withdraw(t.Context(), "operator", "dea-fir", "fir", "notice")
	w.must(err)
	w.must(other.CatchUp(t.Context()))
	reworked, published := len(w.entries(audit.Report)), w.published()
	w.catchUp()
	equal(t, "entries about reports", len(w.entries(audit.Report)), reworked)
	equal(t, "what is published", w.published(), published)
}

// A process shows the same figures as the others although entries were archived that it has
// not read.
func TestAProcessMissesNothingThatIsArchivedMeanwhile(t *testing.T) {
	w := publishedWorld(t)
	other := w.newRunner()
	_, err := other.Stats(t.Context(), op, operation.Bureaus)
	w.must(err)
	_, err = w.custody.Withdraw(t.Context(), "operator", "dea-fir", "fir", "notice")
	w.must(err)
	w.catchUp()
	w.archive()
	got, err := other.Stats(t.Context(), op, operation.Bureaus)
	w.must(err)
	equal(t, "figures", got, w.stats(operation.Bureaus))
}

// Data that was taken back while one process drafts is in no publication of another one,
// although nobody acts on the removal meanwhile.
func TestNoProcessPublishesWhatWasTakenBack(t *testing.T) {
	w := publishedWorld(t)
	w.catchUp()
	other := w.newRunner()
	_, err := other.Stats(t.Context(), op, "")
	w.must(err)
	_, err = w.custody.Withdraw(t.Context(), "operator", "dea-fir", "fir", "notice")
	w.must(err)
	whole := w.fork()
	whole.catchUp()
	_, err = other.Draft(t.Context(), op, anna, nil)
	w.must(err)
	equal(t, "what is published", w.published(), whole.published())
}

// A process that acts again, after another one has, does not record again the matches that
// the other one has recorded. It records those that come later.
func TestAProcessThatTakesOverRecordsNoMatchAgain(t *testing.T) {
	w := newWorld(t)
	match := func(name string) {
		w.push("ncb-kh", "issues", w.issue("ncb-kh", name, stix.Amber, stix.Amber)...)
		w.push("elm", "in", (&demo.Record{Kind: demo.Plain, Vendor: "elm", Origin: "elm", Value: name, Key: name, Label: stix.Amber, Time: demo.Start, Claimed: "KH"}).Objects()...)
	}
	other := w.newRunner()
	act := func(meanwhile func()) {
		ctx, end := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			other.Run(ctx)
		}()
		for began := time.Now(); len(other.CaughtUp()) == 0; time.Sleep(10 * time.Millisecond) {
			if time.Since(began) > time.Minute {
				t.Fatal("it does not take over")
			}
		}
		meanwhile()
		end()
		<-ended
	}
	act(func() {})
	w.catchUp()
	match("one.kh.example")
	w.catchUp()
	equal(t, "matches on record", len(w.entries(audit.Match)), 1)
	act(func() {
		match("two.kh.example")
		w.must(other.CatchUp(t.Context()))
	})
	equal(t, "matches on record", len(w.entries(audit.Match)), 2)
}
