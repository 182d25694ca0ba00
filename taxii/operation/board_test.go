package operation_test

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"comity/stix"
	"comity/taxii"
	"comity/taxii/demo"
	"comity/taxii/operation"
)

// board returns the board of an audience as soon as that is up to date.
func (w *world) board(as string) *operation.Board {
	w.Helper()
	for {
		b, err := w.runner.Board(w.Context(), op, as)
		w.must(err)
		if !b.Outdated {
			return b
		}
	}
}

// A board and a report have the figures of the moment, those that a restarted server works out,
// whatever has changed since they were last shown. A board is not worked out again if nothing has.
func TestABoardIsUpToDate(t *testing.T) {
	w := pushedWorld(t)
	check := func(after string) {
		t.Helper()
		fresh := w.newRunner()
		for _, as := range []string{"igci", "ncb-kh", "elm"} {
			b := w.board(as)
			stats, err := fresh.Stats(t.Context(), op, as)
			w.must(err)
			equal(t, "figures of "+as+" after "+after, b.Stats, stats)
			reports, err := fresh.Reports(t.Context(), op, as)
			w.must(err)
			equal(t, "reports of "+as+" after "+after, b.Reports, reports)
			for _, r := range reports {
				if as != "igci" || r.Country != "KH" {
					continue
				}
				documents, err := w.runner.Document(t.Context(), r.Number, as)
				w.must(err)
				want, err := fresh.Document(t.Context(), r.Number, as)
				w.must(err)
				equal(t, "report "+r.Number+" after "+after, documents, want)
			}
			contributions, err := fresh.Contributions(t.Context(), op, as)
			if as == "ncb-kh" {
				checkCode(t, "contributions for a bureau", err, taxii.NotFound)
			} else {
				w.must(err)
			}
			equal(t, "contributions for "+as+" after "+after, b.Contributions, contributions)
			findings, err := fresh.Findings(t.Context(), op, as)
			w.must(err)
			weeks := 0
			for _, week := range b.Weeks {
				weeks += week.Findings
			}
			equal(t, "findings in the weeks of "+as+" after "+after, weeks, len(findings))
			if w.board(as) != b {
				t.Errorf("the board of %s is worked out twice after %s", as, after)
			}
		}
	}
	withdraw := func(vendor string) {
		_, err := w.custody.Withdraw(t.Context(), "operator", "dea-"+vendor, vendor, "notice")
		w.must(err)
	}
	check("the start")
	r := demo.Record{Kind: demo.Plain, Vendor: "elm", Origin: "elm", Value: "198.18.32.77", Key: "198.18.32.77", Label: stix.Amber, Time: demo.Start, Claimed: "KH"}
	w.push("elm", "in", r.Objects()...)
	check("a push")
	_, err := w.newRunner().Draft(t.Context(), op, anna, nil)
	w.must(err)
	check("a draft by another process")
	withdraw("ginkgo")
	check("a withdrawal")
	w.catchUp()
	check("the end of the draft")
	_, err = w.runner.Draft(t.Context(), op, anna, nil)
	w.must(err)
	check("a draft")
	_, err = w.runner.Publish(t.Context(), op, ben)
	w.must(err)
	check("a publication")
	w.reportOutcomes("ncb-kh", "taken-down")
	check("an outcome")
	w.advance(24 * time.Hour)
	check("a day")
	withdraw("fir")
	check("another withdrawal")
}

// After a bureau has reported an outcome, its findings are all that the next boards read again:
// not what the other countries got, nor what the contributors sent.
func TestABoardReadsAgainOnlyWhatHasChanged(t *testing.T) {
	w := publishedWorld(t)
	boards := func() {
		t.Helper()
		for _, as := range []string{"igci", "ncb-kh", "ncb-vn", "elm"} {
			w.board(as)
		}
	}
	boards()
	w.reportOutcomes("ncb-kh", "taken-down")
	w.store.whole = map[uuid.UUID]int{}
	boards()
	findings, feedback := w.collection(alias("car", "ncb-kh")).ID, w.collection(alias("feedback", "ncb-kh")).ID
	equal(t, "collections read", w.store.whole, map[uuid.UUID]int{findings: 1, feedback: 1})
}

// Nobody who has a board waits for long while a new one is made, or while a person publishes:
// the last board is shown meanwhile, and says so.
func TestTheLastBoardIsShownUntilTheNextIsMade(t *testing.T) {
	w := publishedWorld(t)
	last := w.board("igci")
	w.reportOutcomes("ncb-kh", "taken-down")
	w.store.hold = make(chan struct{})
	for range 3 {
		b, err := w.runner.Board(t.Context(), op, "igci")
		w.must(err)
		equal(t, "outdated", b.Outdated, true)
		equal(t, "time", b.At, last.At)
		equal(t, "figures", b.Stats, last.Stats)
	}
	close(w.store.hold)
	if b := w.board("igci"); b.Stats.Outcomes.Reported <= last.Stats.Outcomes.Reported {
		t.Errorf("%d outcomes, and %d before", b.Stats.Outcomes.Reported, last.Stats.Outcomes.Reported)
	}
}

// The person who drafts sees the draft on the board that comes next, however long another one
// takes.
func TestTheBoardAfterADraftShowsIt(t *testing.T) {
	w := pushedWorld(t)
	w.board("igci")
	_, err := w.runner.Draft(t.Context(), op, anna, nil)
	w.must(err)
	w.store.hold = make(chan struct{})
	defer close(w.store.hold)
	b, err := w.runner.Board(t.Context(), op, "igci")
	w.must(err)
	for _, r := range b.Reports {
		equal(t, "state of "+r.Number, r.State, operation.Drafted)
	}
}
