package audit_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"comity/taxii"
	"comity/taxii/audit"
	"comity/taxii/exchange"
)

func TestPagesInARowAreOneDelivery(t *testing.T) {
	var l ledger
	r := recorder(&l)
	g := grant(t, "igci/soc", 5)
	page(t, r, g, 0, 3, 10, 100)
	page(t, r, grant(t, "igci/soc", 6), 10, 12, 20, 50)
	page(t, r, g, 20, 0, 0, 0) // empty
	page(t, r, g, 20, 21, 22, 2)
	flushed(t, r, &l, "delivery igci/soc 152 3-22")
	e := l.entries[0]
	want := audit.Entry{
		Time: noon, Act: audit.Delivery, Account: "igci/soc", Org: "igci", Token: "token-1",
		Agreement: "dea-2017-panw", Article: e.Article, Collection: g.ID().String(),
		From: new(after(3)), To: new(after(22)), Count: 152, View: new(g.View()),
		HighWater: new(after(10)), Ended: new(after(6)), Parties: []string{"igci", "palo-alto-networks"},
	}
	if diff := cmp.Diff(want, e); diff != "" || e.Article == "" || want.View.At == 0 {
		t.Errorf("(-want +got)\n%s", diff)
	}
	flushed(t, r, &l, "delivery igci/soc 152 3-22") // nothing twice
	page(t, r, g, 22, 23, 24, 1)
	flushed(t, r, &l, "delivery igci/soc 152 3-22", "delivery igci/soc 1 23-24")
}

func TestPagesThatMeetInAnyWayAreOne(t *testing.T) {
	for name, c := range map[string]struct {
		pages [][4]int
		want  []string
	}{
		"again":       {[][4]int{{0, 1, 9, 5}, {0, 1, 9, 5}}, []string{"delivery a 10 1-9"}},
		"overlapping": {[][4]int{{0, 1, 9, 5}, {4, 5, 12, 5}}, []string{"delivery a 10 1-12"}},
		"inside":      {[][4]int{{0, 1, 9, 5}, {4, 5, 6, 1}}, []string{"delivery a 6 1-9"}},
		"backwards":   {[][4]int{{9, 10, 12, 5}, {0, 1, 9, 5}}, []string{"delivery a 10 1-12"}},
		"a gap":       {[][4]int{{0, 1, 9, 5}, {10, 11, 12, 5}}, []string{"delivery a 5 1-9", "delivery a 5 11-12"}},
		"two loops":   {[][4]int{{0, 1, 9, 5}, {100, 101, 109, 5}, {9, 10, 12, 5}, {109, 110, 112, 5}}, []string{"delivery a 10 1-12", "delivery a 10 101-112"}},
	} {
		t.Run(name, func(t *testing.T) {
			var l ledger
			r := recorder(&l)
			g := grant(t, "a", 0)
			for _, p := range c.pages {
				page(t, r, g, p[0], p[1], p[2], p[3])
			}
			flushed(t, r, &l, c.want...)
		})
	}
}

// Whose view or question differs got something else.
func TestDifferentReadersMatchesAndViewsStayApart(t *testing.T) {
	var l ledger
	r := recorder(&l)
	a, b := grant(t, "igci/a", 0), grant(t, "igci/b", 0)
	page(t, r, b, 0, 1, 2, 1)
	page(t, r, a, 0, 1, 2, 1)
	page(t, r, exchange.Operator(a.ID()), 0, 1, 2, 1)
	for _, m := range []taxii.Match{
		{IDs: []string{"x"}}, {Types: []string{"x"}}, {Specs: []string{"x"}}, {IDs: []string{"x", "y"}}, {IDs: []string{`x""y`}},
		{Versions: taxii.Versioning{All: true}}, {Versions: taxii.Versioning{At: []time.Time{noon}}}, {IDs: []string{"x"}},
	} {
		if err := r.Deliver(a, m, audit.Page{After: after(0), First: after(1), Last: after(2), Count: 1}); err != nil {
			t.Fatal(err)
		}
	}
	flushed(t, r, &l, slices.Concat(
		[]string{"delivery igci/b 1 1-2", "delivery igci/a 1 1-2", "delivery operator 1 1-2", "delivery igci/a 2 1-2"},
		slices.Repeat([]string{"delivery igci/a 1 1-2"}, 6))...)
	if e := l.entries[2]; len(e.Parties) != 0 || e.Agreement != "" || e.Match != nil {
		t.Errorf("an operator's delivery is the centre's alone: %+v", e)
	}
	if e := l.entries[3]; e.Match == nil || !slices.Equal(e.Match.IDs, []string{"x"}) {
		t.Errorf("the match is not on record: %+v", e)
	}
}

func TestMergedDeliveryKeepsTheEarliestView(t *testing.T) {
	var l ledger
	r := recorder(&l)
	page(t, r, grant(t, "a", 7), 0, 1, 2, 1)
	page(t, r, grant(t, "a", 8), 2, 3, 4, 1)
	flushed(t, r, &l, "delivery a 2 1-4")
	if got, want := int64(l.entries[0].View.At), after(7).Unix(); got != want {
		t.Errorf("At is %d, want %d: what ended in between was delivered", got, want)
	}
}

// Who asks for ever other objects does not fill the record: what is beyond the first
// queries of a second is one entry, which tells of all that they can have shown.
func TestQueriesWithoutEndAreOneEntry(t *testing.T) {
	var l ledger
	r := recorder(&l)
	g := grant(t, "a", 0)
	for n := range 1000 {
		m := taxii.Match{IDs: []string{fmt.Sprint("indicator--", n)}}
		if err := r.Deliver(g, m, audit.Page{After: after(10*n - 1), First: after(10 * n), Last: after(10 * n), Count: 1}); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Flush(t.Context()); err != nil || len(l.entries) != 201 {
		t.Fatalf("%d entries, %v", len(l.entries), err)
	}
	last := l.entries[200]
	if m := last.Match; m.IDs != nil || m.Types != nil || !m.Versions.All || len(m.Specs) != 2 || !last.From.Equal(after(2000)) || !last.To.Equal(after(9990)) || last.Count != 800 {
		t.Errorf("%+v, %+v", last, last.Match)
	}
}

func BenchmarkDeliver(b *testing.B) {
	r := recorder(new(ledger))
	g := grant(b, "a", 0)
	at := noon
	b.ReportAllocs()
	for b.Loop() {
		done := r.Reading(g.ID())
		if err := r.Deliver(g, taxii.Match{}, audit.Page{After: at, First: at.Add(1), Last: at.Add(2), Count: 100}); err != nil {
			b.Fatal(err)
		}
		at = at.Add(2)
		done()
	}
}
