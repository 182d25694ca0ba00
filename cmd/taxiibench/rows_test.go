package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestMain lets rows start the test binary as the limit server.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "limit" {
		main()
	}
	os.Exit(m.Run())
}

// The whole table is measured with a comity of this tree, for too short a time for the
// figures to mean anything.
func TestRowsAreMeasured(t *testing.T) {
	needServers(t)
	dir := t.TempDir()
	svg := filepath.Join(dir, "ratios.svg")
	var out, errs bytes.Buffer
	code := run(context.Background(), []string{"rows", "--objects", "20000", "--rounds", "1", "--time", "10ms", "--scenario", "small", "--json", "--dir", dir, "--svg", svg}, &out, &errs)
	var r rowsReport
	if err := json.Unmarshal(out.Bytes(), &r); err != nil || code != 0 {
		t.Fatalf("exit %d, %v\n%s%s", code, err, errs.Bytes(), out.Bytes())
	}
	var measured []string
	for _, l := range r.Rows {
		if l.Ours <= 0 || l.VsLimit == nil || l.VsLimit.Median <= 0 {
			t.Errorf("row %s has no figure: %+v", l.Row, l)
		}
		measured = append(measured, l.Row)
	}
	if got := slices.Compact(measured); !slices.Equal(got, namesOf(table)) {
		t.Errorf("measured %v", got)
	}
	if r.Read.Pushed < 20_000 || !r.Read.exact() {
		t.Errorf("read %+v", r.Read)
	}
	if b, err := os.ReadFile(svg); err != nil || !bytes.Contains(b, []byte("</svg>")) {
		t.Errorf("chart: %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "taxiibench-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// needServers skips a test where the servers of the rows cannot be started or measured.
func needServers(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("nginx"); err != nil {
		t.Skip("nginx is not installed")
	}
	if _, err := os.Stat("/proc/self/status"); err != nil {
		t.Skip("the memory of a process is read from /proc")
	}
}

// preparedBench is a bench with its servers and a small collection.
func preparedBench(t *testing.T) *bench {
	t.Helper()
	needServers(t)
	b, err := newBench(&shell{t.Context(), io.Discard, io.Discard}, &rowsCmd{Objects: 2000, Rounds: 1, Time: 10 * time.Millisecond, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.close)
	if err := b.prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	return b
}

// ask gets the first page of a collection.
func ask(t *testing.T, c *collection) answer {
	t.Helper()
	conn := newConn(c.dial)
	defer conn.close()
	a, err := conn.do(c.get(0, "limit=1000"), nil, true)
	if err != nil || a.status != 200 {
		t.Fatalf("status %d, %v", a.status, err)
	}
	return a
}

// A limit has to write as many headers as comity, and the same.
func TestTheLimitAnswersAsComityDoes(t *testing.T) {
	b := preparedBench(t)
	ours, limit := ask(t, b.comity.collection(readCollection)), ask(t, b.limitOf("same-bytes", pageFile))
	ours.header.Del("Date")
	limit.header.Del("Date")
	if !reflect.DeepEqual(limit.header, ours.header) || !bytes.Equal(limit.body, ours.body) {
		t.Errorf("the limit has the headers %v, comity %v; same bytes: %v", limit.header, ours.header, bytes.Equal(limit.body, ours.body))
	}
}

// A row that fails leaves a server for the next.
func TestRowsGoOnAfterAServerThatDidNotStart(t *testing.T) {
	b := preparedBench(t)
	if err := os.Remove(filepath.Join(b.dir, "cert.pem")); err != nil {
		t.Fatal(err)
	}
	if _, err := b.rowTLS(t.Context()); err == nil || !strings.Contains(err.Error(), "cert.pem") {
		t.Errorf("without a certificate: %v", err)
	}
	ask(t, b.comity.collection(readCollection))
}

func TestRowsRefuseFlagsThatMakeNoSense(t *testing.T) {
	for _, args := range [][]string{{"--only", "pages"}, {"--objects", "10"}, {"--rounds", "0"}} {
		var out, errs bytes.Buffer
		if code := run(context.Background(), append([]string{"rows"}, args...), &out, &errs); code != 1 {
			t.Errorf("%v: exit %d, %s", args, code, errs.Bytes())
		}
	}
}

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
		{line{Failed: "no"}, true, true, "not measured"},
	} {
		if c.l.met(0) != c.exact || c.l.met(0.25) != c.slack {
			t.Errorf("%s: %v, %v", c.reason, c.l.met(0), c.l.met(0.25))
		}
	}
}

func TestCompareNamesTheBestPeerOnce(t *testing.T) {
	fixed := func(name string, figures ...float64) side {
		n := -1
		return side{name: name, run: func(context.Context) (float64, error) { n++; return figures[n], nil }}
	}
	b := &bench{opt: &rowsCmd{Rounds: 2}}
	nginx := fixed("nginx", 400, 800)
	lines, err := b.compare(t.Context(), comparison{
		line: line{Unit: "pages/s"}, ours: fixed("ours", 100, 200), limits: []limit{{fixed("one", 200, 400), 0.4}, {fixed("two", 50, 100), 0.9}},
		nginx: &nginx, peers: []side{fixed("slow", 1, 2), fixed("better", 2, 4)}, peerTarget: 60,
	})
	if err != nil || len(lines) != 2 {
		t.Fatal(lines, err)
	}
	if l := lines[0]; l.Ours != 150 || l.Limit != "one" || l.VsLimit.Median != 0.5 || l.VsNginx.Median != 0.25 || l.Peer != "better" || l.VsPeer.Median != 50 || l.PeerTarget != 60 {
		t.Errorf("%+v", l)
	}
	if l := lines[1]; l.Limit != "two" || l.VsLimit.Median != 2 || l.Peer != "" || l.VsNginx != nil {
		t.Errorf("%+v", l)
	}
	// Of times, less is better.
	lines, err = b.compare(t.Context(), comparison{
		line: line{AtMost: true}, ours: fixed("ours", 1, 1), limits: []limit{{fixed("limit", 2, 2), 1}}, peers: []side{fixed("peer", 30, 30)},
	})
	if err != nil || lines[0].VsLimit.Median != 0.5 || lines[0].VsPeer.Median != 30 {
		t.Errorf("%+v, %v", lines, err)
	}
}

func TestChartAndTableHoldEveryLine(t *testing.T) {
	lines := []line{
		{Row: "page", Name: "page <of> 1,000", Unit: "pages/s", Ours: 950, Limit: "mux", LimitFigure: 1000, VsLimit: &ratio{0.95, 0.9, 1.9}, Target: 0.95,
			VsNginx: &ratio{0.5, 0.4, 0.6}, Peer: "OpenTAXII", PeerFigure: 12.5, VsPeer: &ratio{76, 70, 80}, PeerTarget: 70},
		{Row: "writer", Name: "one writer", Unit: "ms", Ours: 2, Limit: "bbolt", LimitFigure: 1, VsLimit: &ratio{2, 1.9, 2.1}, Target: 1.6, AtMost: true},
		{Row: "304", Name: "304", Failed: "comity sends no ETag"},
	}
	svg := string(chart(lines))
	for _, want := range []string{"page &lt;of&gt; 1,000", "one writer", "76.0 × OpenTAXII"} {
		if !strings.Contains(svg, want) {
			t.Errorf("the chart has no %q", want)
		}
	}
	if strings.Contains(svg, "%!") || strings.Contains(svg, "304") {
		t.Error(svg)
	}
	for i, want := range []string{
		"page <of> 1,000|950 pages/s|76.0 × OpenTAXII, ≥ 70.0 ✓|0.950 × (0.900 to 1.90) mux|≥ 0.950 ✓|0.500 ×",
		"one writer|2.00 ms||2.00 × (1.90 to 2.10) bbolt|≤ 1.60 ✗|",
		"304|failed||||",
	} {
		if got := strings.Join(lines[i].cells(), "|"); got != want {
			t.Errorf("%s\nwant %s", got, want)
		}
	}
}
