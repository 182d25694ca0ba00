// Command taxiibench measures TAXII 2.1 servers: any server with run, with rows
// this tree's comity beside what is physically possible and beside its peers, and
// with soak how comity bears many clients for long.
//
// Every comparison is made of alternating rounds on one machine, and told as the
// median ratio with its range: the figures of one side alone say more of the
// machine and of its other users than of the server.
//
// The load comes from raw HTTP/1.1 over net.Conn with requests built in advance;
// of an answer only status, framing and length are read, the body is thrown
// away. Against nginx that serves one byte from a file one request costs the
// generator about 15 µs of processor time, most of it the kernel's, where the
// client of net/http takes 57; a body of 700 kB costs it 180 µs, for copying it
// out of the kernel, as any client does. BenchmarkGenerator measures both.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
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
	Rows  rowsCmd  `cmd:"" help:"Measure comity row by row beside what is possible and beside its peers, on loopback."`
	Soak  soakCmd  `cmd:"" help:"Let many clients push to this tree's comity and poll it for long, each at its own pace, and check what each of them got."`
	Limit limitCmd `cmd:"" hidden:"" help:"Serve what rows compares with; rows starts it."`
}

// shell is what every command runs in.
type shell struct {
	ctx      context.Context
	out, err io.Writer
}

// say writes a remark that is no result.
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

// errQuiet ends a command with status 1 after it has said everything itself.
var errQuiet = errors.New("")

// run carries out one command line and returns the exit status: 0, 1 if it
// failed or a check did, 2 if it could not be understood.
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
