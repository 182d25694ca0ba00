// Command taxiibench measures TAXII 2.1 servers. run measures any server. rows compares
// the comity of this tree, for each workload, with a minimal handler and with other
// servers. soak lets many clients use comity for a long time.
//
// Every comparison is made of alternating rounds on one machine and reported as the
// median ratio with its range: the figures of one side alone say more about the
// machine and its other users than about the server.
//
// Requests are built in advance and written to the connection; net/http reads the
// answers, and bodies are discarded. For a small answer, this takes about a quarter of
// the processor time of the client of net/http, and leaves the rest to the server:
// BenchmarkRequest measures both. For the same reason the package taxii/client is not used:
// its parsing would be measured too, and its retries would hide what a server loses.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// commands is the command line. The help texts are the reference.
type commands struct {
	Run   runCmd   `cmd:"" help:"Load a collection of any TAXII 2.1 server: push, poll, and check that nothing was lost or repeated."`
	Rows  rowsCmd  `cmd:"" help:"Compare comity on loopback, workload by workload, with the least that each needs and with other servers."`
	Soak  soakCmd  `cmd:"" help:"Let many clients push to this tree's comity and poll it for long, each at its own pace, and check that each received all objects once."`
	Limit limitCmd `cmd:"" hidden:"" help:"Serve what rows compares with. It is started by rows."`
}

// shell is the surroundings of a command.
type shell struct {
	ctx      context.Context
	out, err io.Writer
}

// say writes a message to standard error.
func (sh *shell) say(format string, args ...any) {
	fmt.Fprintf(sh.err, "taxiibench: "+format+"\n", args...)
}

// printJSON writes a result for machines.
func (sh *shell) printJSON(result any) error {
	enc := json.NewEncoder(sh.out)
	enc.SetIndent("", "  ")
	return enc.Encode(result)
}

// exit is a command that ends early with a status, such as help.
type exit int

// errQuiet ends a command with status 1 after it has printed its own messages.
var errQuiet = errors.New("")

// run runs one command line and returns the exit status: 0, 1 if it or a check failed, 2
// for a usage error.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) (code int) {
	var c commands
	defer func() {
		if fault := recover(); fault != nil {
			early, ok := fault.(exit)
			if !ok {
				panic(fault)
			}
			code = int(early)
		}
	}()
	parser := kong.Must(&c,
		kong.Name("taxiibench"),
		kong.Description("Measure TAXII 2.1 servers. Results go to stdout, the rest to stderr."),
		kong.Writers(stdout, stderr),
		kong.Exit(func(status int) { panic(exit(status)) }),
		kong.Vars{"rows": strings.Join(append(namesOf(table), namesOf(databaseTable)...), ", ")},
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
	)
	if len(args) == 0 {
		args = []string{"--help"}
	}
	line, err := parser.Parse(args)
	if err != nil {
		fmt.Fprintf(stderr, "taxiibench: %v; see taxiibench --help\n", err)
		return 2
	}
	if err := line.Run(&shell{ctx, stdout, stderr}); err != nil {
		if !errors.Is(err, errQuiet) {
			fmt.Fprintf(stderr, "taxiibench: %v\n", err)
		}
		return 1
	}
	return 0
}
