package main

import (
	"context"
	"slices"
	"strings"
	"testing"
)

func TestTargetsAreMetWithSlack(t *testing.T) {
	at := func(m float64) *ratio { return &ratio{Median: m} }
	for _, c := range []struct {
		l      line
		exact  bool
		slack  bool // with a quarter
		reason string
	}{
		{line{VsLimit: at(0.95), Target: 0.95}, true, true, "reached"},
		{line{VsLimit: at(0.72), Target: 0.95}, false, true, "within the slack"},
		{line{VsLimit: at(0.70), Target: 0.95}, false, false, "missed"},
		{line{VsLimit: at(1.05), Target: 1.10, AtMost: true}, true, true, "below"},
		{line{VsLimit: at(1.30), Target: 1.10, AtMost: true}, false, true, "above, within the slack"},
		{line{VsLimit: at(1.40), Target: 1.10, AtMost: true}, false, false, "above"},
		{line{Why: "no"}, true, true, "not measured"},
		{line{VsLimit: at(0.1)}, true, true, "no target"},
	} {
		if c.l.met(0) != c.exact || c.l.met(0.25) != c.slack {
			t.Errorf("%s: %v, %v", c.reason, c.l.met(0), c.l.met(0.25))
		}
	}
}

// With a record, a row is held to its target only if it reached that before.
func TestGuardKnowsWhatWasMissedBefore(t *testing.T) {
	record := []line{
		{Row: 1, Name: "page", Limit: "nginx", VsLimit: &ratio{Median: 0.6}, Target: 0.95},
		{Row: 2, Name: "page", Limit: "nginx", VsLimit: &ratio{Median: 0.9}, Target: 0.45},
	}
	for _, c := range []struct {
		row    int
		median float64
		met    bool
	}{{1, 0.5, true}, {1, 0.4, false}, {2, 0.4, true}, {2, 0.3, false}, {3, 0.6, false}} {
		l := line{Row: c.row, Name: "page", Limit: "nginx", VsLimit: &ratio{Median: c.median}, Target: map[int]float64{1: 0.95, 2: 0.45, 3: 0.95}[c.row]}
		if got := l.as(record).met(0.25); got != c.met {
			t.Errorf("row %d at %v: met %v", c.row, c.median, got)
		}
	}
}

func TestCompareTellsTheBestPeer(t *testing.T) {
	fixed := func(name string, figures ...float64) side {
		n := -1
		return side{name: name, run: func(context.Context) (float64, error) { n++; return figures[n], nil }}
	}
	b := &bed{opt: &rowsCmd{Rounds: 2}}
	lines, err := b.compare(t.Context(), line{Unit: "pages/s"}, fixed("ours", 100, 200),
		[]against{{fixed("one", 200, 400), 0.4}, {fixed("two", 50, 100), 0.9}},
		[]against{{fixed("slow", 1, 2), 70}, {fixed("better", 2, 4), 60}})
	if err != nil || len(lines) != 2 {
		t.Fatal(lines, err)
	}
	if l := lines[0]; l.Ours != 150 || l.Limit != "one" || l.VsLimit.Median != 0.5 || l.Peer != "better" || l.VsPeer.Median != 50 || l.PeerTarget != 60 ||
		l.Others != "100× slow, 50.0× better" {
		t.Errorf("%+v", l)
	}
	if l := lines[1]; l.Limit != "two" || l.VsLimit.Median != 2 || l.Peer != "" {
		t.Errorf("%+v", l)
	}
	// Of times, less is better.
	lines, err = b.compare(t.Context(), line{AtMost: true}, fixed("ours", 1, 1), []against{{fixed("limit", 2, 2), 1}}, []against{{fixed("peer", 30, 30), 9}})
	if err != nil || lines[0].VsLimit.Median != 0.5 || lines[0].VsPeer.Median != 30 {
		t.Errorf("%+v, %v", lines, err)
	}
}

func TestChartAndTableHoldEveryLine(t *testing.T) {
	lines := []line{
		{Row: 1, Name: "page <of> 1,000", Unit: "pages/s", Ours: 950, Limit: "nginx", LimitFigure: 1000, VsLimit: &ratio{0.95, 0.9, 1.9}, Target: 0.95,
			Peer: "OpenTAXII", PeerFigure: 12.5, VsPeer: &ratio{76, 70, 80}, PeerTarget: 70},
		{Row: 14, Name: "one writer", Unit: "ms", Ours: 2, Limit: "append", LimitFigure: 1, VsLimit: &ratio{2, 1.9, 2.1}, Target: 1.6, AtMost: true},
		{Row: 10, Name: "304", Why: "comity sends no ETag"},
	}
	svg := string(chart(lines))
	for _, want := range []string{"page &lt;of&gt; 1,000", "one writer", "76.0 × better than OpenTAXII"} {
		if !strings.Contains(svg, want) {
			t.Errorf("the chart has no %q", want)
		}
	}
	if strings.Contains(svg, "%!") || strings.Contains(svg, "304") {
		t.Error(svg)
	}
	for i, want := range []string{
		"1|page <of> 1,000|950 pages/s|nginx: 1,000 pages/s|0.950× (0.900 to 1.90)|≥ 0.950 ✓|OpenTAXII: 12.5 pages/s|76.0× (70.0 to 80.0)|≥ 70.0 ✓",
		"14|one writer|2.00 ms|append: 1.00 ms|2.00× (1.90 to 2.10)|≤ 1.60 ✗|–|–|–",
		"10|304|not measured|–|–|–|–|–|–",
	} {
		if got := strings.Join(lines[i].cells(), "|"); got != want {
			t.Errorf("%s\nwant %s", got, want)
		}
	}
	if got, want := strings.Join(lines[0].short(), "|"), "1|page <of> 1,000|950 pages/s|nginx|0.950× (0.900 to 1.90)|≥ 0.950 ✓|76.0× (OpenTAXII)"; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}

func TestCountReadsOneFigureOfAResource(t *testing.T) {
	for body, want := range map[string]int{
		`{"success_count":12,"x":1}`: 12, `{"success_count" : 0}`: 0, "{\"success_count\":\n 7}": 7, `{"failure_count":3}`: -1, `{"success_count":"3"}`: -1, ``: -1,
	} {
		got, ok := count([]byte(body), "success_count")
		if !ok {
			got = -1
		}
		if got != want {
			t.Errorf("%s: %d, want %d", body, got, want)
		}
	}
}

func TestCellsBeginAnewWithEachPage(t *testing.T) {
	b := &bed{base: maker{size: 700}}
	var want []int
	for page := range 2 {
		for n := 0; n < 1000; n += 46 { // 47 and their commas are more than 32 KiB
			want = append(want, 1000*page+n)
		}
	}
	if got := b.cells(2000); !slices.Equal(got, want) {
		t.Errorf("cells begin at %v, want %v", got, want)
	}
}
