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

// A board and a report have the figures of the moment, those that a restarted server works out,
// whatever has changed since they were last shown. A board is not worked out again if nothing has.
func TestABoardIsUpToDate(t *testing.T) {
	w := pushedWorld(t)
	board := func(as string) *operation.Board {
		t.Helper()
		b, err := w.runner.Board(t.Context(), op, as)
		w.must(err)
		return b
	}
	check := func(after string) {
		t.Helper()
		fresh := w.newRunner()
		for _, as := range []string{"igci", "ncb-kh", "elm"} {
			b := board(as)
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
			if board(as) != b {
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
			_, err := w.runner.Board(t.Context(), op, as)
			w.must(err)
		}
	}
	boards()
	w.reportOutcomes("ncb-kh", "taken-down")
	w.store.whole = map[uuid.UUID]int{}
	boards()
	findings, feedback := w.collection(alias("car", "ncb-kh")).ID, w.collection(alias("feedback", "ncb-kh")).ID
	equal(t, "collections read", w.store.whole, map[uuid.UUID]int{findings: 1, feedback: 1})
}
