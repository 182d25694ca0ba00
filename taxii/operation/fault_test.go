package operation_test

import (
	"testing"
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
