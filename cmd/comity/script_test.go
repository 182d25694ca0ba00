package main

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"comity": main})
}

// TestCommands runs the scripts in testdata: each is what an operator types,
// and what they see. $AGREEMENTS is the folder of the agreements that all tests
// share.
func TestCommands(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"await": await,
		},
		Setup: func(env *testscript.Env) error {
			env.Setenv("COMITY_DATA", "data")
			agreements, err := filepath.Abs("../../testdata/agreements")
			env.Setenv("AGREEMENTS", agreements)
			return err
		},
	})
}

// await waits for a file, such as the socket of a server that is starting.
func await(ts *testscript.TestScript, _ bool, args []string) {
	file := ts.MkAbs(args[0])
	for range 1000 {
		if _, err := os.Stat(file); err == nil {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	ts.Fatalf("%s did not appear", args[0])
}

// TestExitStatusTellsUsageFromFailure holds the three statuses: 0, 1 for what
// failed, 2 for what could not be understood.
func TestExitStatusTellsUsageFromFailure(t *testing.T) {
	t.Setenv("COMITY_DATA", t.TempDir())
	for _, test := range []struct {
		args []string
		want int
	}{
		{[]string{"version"}, 0},
		{[]string{"help"}, 0},
		{[]string{"help", "agreement", "new"}, 0},
		{[]string{}, 0},
		{[]string{"org", "show", "nobody"}, 1},
		{[]string{"validate", "no-such-file.json"}, 1},
		{[]string{"no-such-command"}, 2},
		{[]string{"org", "add"}, 2},
		{[]string{"org", "add", "x", "--no-such-flag"}, 2},
		{[]string{"agreement"}, 2},
	} {
		if got := run(context.Background(), test.args, nil, testWriter{t}, testWriter{t}); got != test.want {
			t.Errorf("comity %v: exit status %d, want %d", test.args, got, test.want)
		}
	}
}

type testWriter struct{ t *testing.T }

func (w testWriter) Write(b []byte) (int, error) {
	w.t.Logf("%s", b)
	return len(b), nil
}
