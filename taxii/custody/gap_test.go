package custody_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"comity/stix"
	"comity/store"
	"comity/taxii"
	"comity/taxii/audit"
	"comity/taxii/exchange"
)

// killed starts a server, and starts the process anew as if the server had been killed
// after it did that.
func (w *world) killed(after func()) {
	w.Helper()
	w.must(w.custody.Begin(w.Context(), store.Process{}))
	after()
	w.must(w.store.Close())
	w.open()
	w.must(w.custody.Recover(w.Context())) // as each command does, and the next server
}

// holders are the organisations that hold an object out of a collection.
func (w *world) holders(alias string, id stix.ID) (orgs []string) {
	w.Helper()
	held, err := w.custody.Preview(w.Context(), id)
	w.must(err)
	for _, in := range held {
		for _, h := range in.Holders {
			if in.Collection == alias {
				orgs = append(orgs, h.Org)
			}
		}
	}
	return slices.Compact(orgs)
}

func TestAfterAnUncleanStopWhoeverCouldReadCountsAsHolder(t *testing.T) {
	w := newWorld(t)
	w.runOnce()
	if len(w.entries(audit.Stop)) != 1 {
		t.Fatal("no stop on record")
	}
	w.killed(func() {
		w.push("fir", "pool.intel.fir", indicator("fir", 1, ""))
		w.fetch("ncb-ph", "pool.intel.fir", taxii.Match{}) // nobody recorded it
		w.move(time.Minute)
	})
	equal(w, "holders", w.holders("pool.intel.fir", idOf(1)), []string{"igci", "ncb-ph"})
	gaps := len(w.entries(audit.Gap))
	w.runOnce()
	if n := len(w.entries(audit.Gap)); n != gaps {
		t.Errorf("%d gaps on record after the next start, %d before", n, gaps)
	}
}

// Deliveries wait in memory for up to an hour. An organisation that could read in that
// time counts as having read, although it could not any more when the server last
// recorded anything.
func TestAGapNamesOrganisationsWhoseAccessHasEnded(t *testing.T) {
	w := newWorld(t)
	w.killed(func() {
		w.push("fir", "pool.intel.fir", indicator("fir", 1, ""))
		w.move(time.Minute)
		w.fetch("ncb-ph", "pool.intel.fir", taxii.Match{})
		w.move(10 * time.Minute)
		w.amend(func(d *exchange.Directory) {
			d.Agreements["pool"].Acts = []exchange.Act{{Kind: exchange.Suspend, At: w.now(), Reason: "a test"}}
		})
		w.move(10 * time.Minute)
		w.must(w.store.Record(t.Context(), audit.Entry{Act: audit.Agreement, Agreement: "pool", Text: "suspended"}))
	})
	equal(w, "holders", w.holders("pool.intel.fir", idOf(1)), []string{"igci", "ncb-ph"})
}

// An amendment may let an organisation see more: the gap covers what it saw before and
// after.
func TestAGapCoversWhatAnAmendmentOpened(t *testing.T) {
	w := newWorld(t)
	before := strings.NewReplacer(`id = "pool"`, `id = "club"`, `intel = "amber+strict"`, `intel = "red"`, `intel = "default:green"`, `intel = "default:red"`).Replace(pool)
	after := strings.NewReplacer(`version = 1`, `version = 2`, `article = "4"`+"\n", `article = "4"`+"\n"+`red_recipients = ["ncb-ph:head"]`+"\n").Replace(before)
	w.deposit(noon, before)
	w.killed(func() {
		w.push("fir", "club.intel.fir", indicator("fir", 1, ""))
		w.move(10 * time.Minute)
		w.deposit(w.now(), after)
		w.move(10 * time.Minute)
	})
	equal(w, "holders", w.holders("club.intel.fir", idOf(1)), []string{"ncb-ph"})
}
