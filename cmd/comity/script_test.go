package main

import (
	"cmp"
	"context"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"comity": main})
}

// TestCommands runs the scripts in testdata. Each has commands of an operator and their
// output. $AGREEMENTS is the folder of the agreements that all tests share, $FREE an
// address that nobody listens on.
func TestCommands(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"await":    await,
			"receiver": receiver,
		},
		Condition: func(name string) (bool, error) {
			if name != "database" {
				return false, fmt.Errorf("unknown condition %s", name)
			}
			return os.Getenv("COMITY_TEST_POSTGRES") != "", nil
		},
		Setup: func(env *testscript.Env) error {
			env.Setenv("COMITY_TEST_POSTGRES", os.Getenv("COMITY_TEST_POSTGRES"))
			env.Setenv("COMITY_DATA", "data")
			free, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				return err
			}
			env.Setenv("FREE", free.Addr().String())
			if err := free.Close(); err != nil {
				return err
			}
			agreements, err := filepath.Abs("../../testdata/agreements")
			env.Setenv("AGREEMENTS", agreements)
			return err
		},
	})
}

// The commands that the README and the pages of comity help show are tested in a script.
// Those of comity help quickstart are its script, and those that serve need names and ports
// that a test does not have: their flags have to be in order.
func TestCommandsOfTheReadmeAndOfTheHelpPagesAreTried(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	var scripts strings.Builder
	for _, file := range files {
		scripts.WriteString(readFile(t, file))
	}
	shown := map[string]string{"README.md": strings.ReplaceAll(readFile(t, "../../README.md"), "\ncomity", "\n  comity")}
	for _, topic := range topics() {
		if topic != "quickstart" {
			shown["comity help "+topic] = readFile(t, "help/"+topic+".txt")
		}
	}
	for name, text := range shown {
		for line := range strings.Lines(text) {
			command, indented := strings.CutPrefix(line, "  comity ")
			command, _, _ = strings.Cut(command, "  #")
			command = strings.TrimSpace(command)
			if !indented {
				continue
			}
			if flags, serves := strings.CutPrefix(command, "serve "); serves {
				var c commands
				_, err := kong.Must(&c, kong.Vars{"clients": "", "products": ""}).Parse(append([]string{"serve"}, strings.Fields(flags)...))
				if err := cmp.Or(err, c.Serve.check()); err != nil {
					t.Errorf("%s: comity %s: %v", name, command, err)
				}
			} else if quoted := strings.ReplaceAll(command, `"`, "'"); !strings.Contains(scripts.String(), "\nexec comity "+quoted) && !strings.Contains(scripts.String(), "'comity "+command+"'") {
				t.Errorf("no script runs what %s shows: comity %s", name, command)
			}
		}
	}
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
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

// receiver starts a web server for webhooks, whose certificate later commands accept. It adds
// the webhook to feed.toml and writes that to the named file. The first message of the type
// feed.changed makes the file "changed".
func receiver(ts *testscript.TestScript, _ bool, args []string) {
	changed := ts.MkAbs("changed")
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if body, err := io.ReadAll(r.Body); err == nil && strings.Contains(string(body), `"feed.changed"`) {
			os.WriteFile(changed, body, 0o600)
		}
		io.WriteString(w, "thanks\n")
	}))
	ts.Defer(server.Close)
	ca := ts.MkAbs("receiver.pem")
	ts.Check(os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600))
	ts.Setenv("SSL_CERT_FILE", ca)
	file := fmt.Sprintf("%s[webhook]\nurl = %q\n", ts.ReadFile("feed.toml"), server.URL)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(file), 0o600))
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
