package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"comity": main})
}

// TestCommands runs the scripts in testdata. Each has commands of an operator and their
// output. $AGREEMENTS is the folder of the agreements that all tests share.
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

// The commands that the README shows are tested in a script.
func TestCommandsOfTheReadmeAreTried(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	script, err := os.ReadFile("testdata/newcomer.txtar")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(readme), "## Start an exchange")
	section, _, _ = strings.Cut(section, "\n## ")
	commands := 0
	for line := range strings.Lines(section) {
		command, _, _ := strings.Cut(strings.ReplaceAll(line, `"`, "'"), "  #")
		if command = strings.TrimSpace(command); strings.HasPrefix(command, "comity ") {
			commands++
			if !strings.Contains(string(script), "\nexec "+command) {
				t.Errorf("newcomer.txtar does not run %s", command)
			}
		}
	}
	if commands == 0 {
		t.Error("the README shows no command")
	}
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

// The exit status is 0, 1 if the command failed, or 2 if the command line was wrong.
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
