package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestMain lets rows start the test binary as the server of limits.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "limit" {
		main()
	}
	os.Exit(m.Run())
}

// TestRowsAreMeasured goes through the whole table with a comity of this tree,
// too short for the figures to mean anything.
func TestRowsAreMeasured(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and starts servers")
	}
	if _, err := exec.LookPath("nginx"); err != nil {
		t.Skip("nginx is not installed")
	}
	dir := t.TempDir()
	svg := filepath.Join(dir, "ratios.svg")
	var out, errs bytes.Buffer
	code := run(context.Background(), []string{"rows", "--objects", "20000", "--rounds", "1", "--time", "10ms", "--json", "--dir", dir, "--svg", svg}, &out, &errs)
	var r rowsReport
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatalf("%v\n%s", err, errs.Bytes())
	}
	measured := map[int]bool{}
	for _, l := range r.Rows {
		switch {
		case strings.HasPrefix(l.Why, "failed"):
			t.Errorf("row %d %s", l.Row, l.Why)
		case l.Why == "" && (l.Ours <= 0 || l.VsLimit == nil && l.VsPeer == nil):
			t.Errorf("row %d has no figure: %+v", l.Row, l)
		}
		measured[l.Row] = true
	}
	if len(measured) != 22 || code != 0 {
		t.Errorf("%d rows, exit %d\n%s", len(measured), code, errs.Bytes())
	}
	if r.Walk.Pushed < 20_000 || !r.Walk.clean() {
		t.Errorf("walk %+v", r.Walk)
	}
	if b, err := os.ReadFile(svg); err != nil || !bytes.Contains(b, []byte("</svg>")) {
		t.Errorf("chart: %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "taxiibench-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestRowsRefuseWhatTheyDoNotKnow(t *testing.T) {
	for _, args := range [][]string{{"--only", "23"}, {"--objects", "10"}, {"--rounds", "0"}} {
		var out, errs bytes.Buffer
		if code := run(context.Background(), append([]string{"rows"}, args...), &out, &errs); code != 1 {
			t.Errorf("%v: exit %d, %s", args, code, errs.Bytes())
		}
	}
}
