package custody_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"comity/taxii"
	"comity/taxii/audit"
)

// The record of who got an object outlives the archiving of the entries around it.
func TestARecallAfterArchivingNamesEveryHolder(t *testing.T) {
	w := newWorld(t)
	w.push("fir", "pool.intel.fir", indicator("fir", 1, ""), indicator("fir", 2, ""))
	w.move(time.Minute)
	w.fetch("ncb-ph", "pool.intel.fir", taxii.Match{IDs: []string{string(idOf(1))}})
	w.fetch("igci", "pool.intel.fir", taxii.Match{})
	w.must(w.recorder.Flush(w.Context()))
	head, err := w.store.ChainHead(w.Context())
	w.must(err)
	want, err := w.custody.Preview(w.Context(), idOf(1))
	w.must(err)

	seal, err := w.custody.Archive(w.Context(), "operator", head)
	w.must(err)
	if err := seal.Check(); err != nil || seal.Head().Number != head.Number {
		t.Errorf("the seal %s is not of entry %d: %v", seal, head.Number, err)
	}
	if n := len(w.entries(audit.Delivery)); n != 0 {
		t.Errorf("%d deliveries are listed that were archived", n)
	}
	got, err := w.custody.Preview(w.Context(), idOf(1))
	w.must(err)
	if diff := cmp.Diff(want, got); diff != "" || len(got) != 1 || len(got[0].Holders) != 2 {
		t.Errorf("the holders before and after (-before +after):\n%s%+v", diff, got)
	}
	_, err = w.delete(w.Context(), 1)
	w.must(err)
	equal(w, "what ncb-ph is told", w.post("ncb-ph"), []string{"Recall " + string(idOf(1))})
}
