// Command comity is a TAXII 2.1 server whose collections come out of signed
// information-exchange agreements, and everything an operator needs beside it.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"text/tabwriter"

	"github.com/alecthomas/kong"
	"github.com/schollz/progressbar/v3"
	"github.com/willabides/kongplete"

	"comity/taxii/exchange"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// commands is the command line. The help texts are the reference.
type commands struct {
	Data string `default:"./comity-data" env:"COMITY_DATA" placeholder:"DIR" help:"Data folder of the centre (default ${default})."`
	JSON bool   `help:"Print results as JSON."`

	storeFlags `embed:""`

	Demo demoCmd `cmd:"" help:"Start a working exchange in a temporary folder."`

	Init  initCmd  `cmd:"" help:"Make a data folder for a centre."`
	Serve serveCmd `cmd:"" help:"Serve TAXII 2.1 until interrupted."`

	Org         orgCmd         `cmd:"" help:"Organisations that take part or could."`
	Account     accountCmd     `cmd:"" help:"Persons and services that act for an organisation."`
	Token       tokenCmd       `cmd:"" help:"API tokens of accounts."`
	Connect     connectCmd     `cmd:"" help:"Say what to fill in so that a product polls or pushes as an account."`
	Feed        feedCmd        `cmd:"" help:"Lists for firewalls, resolvers and other tools, which read them over HTTP."`
	Link        linkCmd        `cmd:"" help:"Collections of other TAXII servers that this server pulls from or pushes to by itself."`
	Agreement   agreementCmd   `cmd:"" help:"Agreements: the only source of access."`
	Collections collectionsCmd `cmd:"" help:"List collections, as an account sees them or as they are."`
	Grants      grantsCmd      `cmd:"" help:"List who may do what with which collection, by which article."`
	Why         whyCmd         `cmd:"" help:"Explain why an account sees an object, or does not."`

	Discover discoverCmd `cmd:"" help:"Say what any TAXII 2.1 server offers, and what you may do there."`
	Pull     pullCmd     `cmd:"" help:"Fetch the objects of a collection of any TAXII 2.1 server."`
	Push     pushCmd     `cmd:"" help:"Send objects to a collection of any TAXII 2.1 server."`

	Import     importCmd     `cmd:"" help:"Push bundles or envelopes on behalf of an account."`
	Export     exportCmd     `cmd:"" help:"Write a collection as one STIX bundle."`
	Submission submissionCmd `cmd:"" help:"What became of a push."`
	Validate   validateCmd   `cmd:"" help:"Check bundles or envelopes without storing anything."`
	Convert    convertCmd    `cmd:"" help:"Upgrade a STIX 2.0 bundle to STIX 2.1."`
	Match      matchCmd      `cmd:"" help:"Match STIX patterns against observed data."`

	Op      opCmd      `cmd:"" help:"Operations: figures, findings, reports, outcomes."`
	Report  reportCmd  `cmd:"" help:"Cyber Activity Reports: draft, publish, read."`
	Outcome outcomeCmd `cmd:"" help:"What countries did about findings."`

	Audit      auditCmd      `cmd:"" help:"The record of every decision, which nobody can rewrite unseen."`
	Recall     recallCmd     `cmd:"" help:"Who holds what."`
	Purge      purgeCmd      `cmd:"" help:"List or remove what is past its retention."`
	Quarantine quarantineCmd `cmd:"" help:"Objects kept apart because they hold personal data."`

	Monitoring monitoringCmd `cmd:"" help:"Print alert rules for Prometheus, or a dashboard for Grafana."`
	Backup     backupCmd     `cmd:"" help:"Write a consistent copy of the store, also while serving, when a copy by cp or rsync would be broken."`
	Restore    restoreCmd    `cmd:"" help:"Make a backup the store of the data folder; the server must be stopped."`
	Check      checkCmd      `cmd:"" help:"Read the whole store and report every fault."`
	Compact    compactCmd    `cmd:"" help:"Rewrite the store without what was removed; the server must be stopped."`
	StoreCmd   storeCmd      `cmd:"" name:"store" help:"Move a store between a data folder and a PostgreSQL database."`
	Version    versionCmd    `cmd:"" help:"Print the version."`
}

// shell holds the streams and the global flags of a command.
type shell struct {
	ctx      context.Context
	data     string
	creates  bool   // the command creates a store if there is none
	replica  string // what --store-replica says
	migrates bool   // the command brings the schema of the database up to date
	json     bool
	storeFlags
	in       io.Reader // ends with the context
	out, err io.Writer // printable
	document io.Writer // standard output, byte for byte; printable on a terminal
	log      *slog.Logger
	terminal io.Writer // where progress is shown; nil if standard error is no terminal
	goos     string    // the operating system, as runtime.GOOS
	asks     bool      // standard input and standard error are a terminal, so a question can be asked
	bar      *progressbar.ProgressBar
}

// exit is a command that ends early with a status, such as help.
type exit int

// usage is a failure because what the user declares is refused: the status is that of a wrong
// command line.
type usage struct{ error }

// errQuiet ends a command with status 1 after it has printed its own messages.
var errQuiet = errors.New("")

// interrupted is the exit status of a command that a signal has ended.
const interrupted = 130

// run runs one command line and returns the exit status: 0, 1 if it failed, 2 for a usage
// error or a feed file that is refused, 130 if it was interrupted.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) (code int) {
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
		kong.Name("comity"),
		kong.Description("TAXII 2.1 under signed exchange agreements. Results go to stdout, the rest to stderr.\n\n"+
			"comity help COMMAND shows the flags of a command. comity help TOPIC explains a topic: "+
			strings.Join(topics(), ", ")+"."),
		kong.Vars{"clients": strings.Join(exchange.Clients, ", "), "products": productNames()},
		kong.Configuration(tomlConfig),
		kong.Writers(stdout, stderr),
		kong.Exit(func(status int) { panic(exit(status)) }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
	)
	kongplete.Complete(parser) // ends the program if a shell asks for completions
	if found, err := helpTopic(args, stdout); found {
		if err != nil {
			return 1
		}
		return 0
	}
	if len(args) > 0 && args[0] == "help" {
		args = append(args[1:], "--help")
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	line, err := parser.Parse(args)
	if err != nil {
		fmt.Fprintf(&printable{to: stderr}, "comity: %v; see comity help\n", err)
		return 2
	}
	sh := newShell(ctx, stdin, stdout, stderr)
	sh.data, sh.json, sh.storeFlags = c.Data, c.JSON, c.storeFlags
	if err := line.Run(sh); err != nil {
		sh.clearProgress()
		if ctx.Err() != nil {
			if sh.terminal != nil {
				fmt.Fprintln(sh.err) // after ^C
			}
			return interrupted
		}
		if !errors.Is(err, errQuiet) {
			fmt.Fprintf(sh.err, "comity: %v\n", err)
		}
		if errors.As(err, new(usage)) {
			return 2
		}
		return 1
	}
	return 0
}

// newShell is a shell on three streams.
func newShell(ctx context.Context, stdin io.Reader, stdout, stderr io.Writer) *shell {
	sh := &shell{goos: runtime.GOOS, ctx: ctx, in: interruptible{ctx, stdin}, document: stdout}
	sh.out = &printable{to: stdout, before: sh.clearProgress}
	sh.err = &printable{to: stderr, before: sh.clearProgress}
	sh.log = slog.New(slog.NewTextHandler(sh.err, nil))
	if isTerminal(stdout) {
		sh.document = sh.out
	}
	if isTerminal(stderr) {
		sh.terminal, sh.asks = stderr, isTerminal(stdin)
	}
	return sh
}

// print writes a result: as indented JSON, or as text makes it.
func (sh *shell) print(result any, text func(w io.Writer)) error {
	if sh.json {
		return indented(sh.out, result)
	}
	w := tabwriter.NewWriter(sh.out, 0, 8, 2, ' ', 0)
	text(w)
	return w.Flush()
}

// indented writes JSON for people to read.
func indented(w io.Writer, value any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(value)
}

// say writes a message to standard error.
func (sh *shell) say(format string, args ...any) {
	fmt.Fprintf(sh.err, "comity: "+format+"\n", args...)
}
