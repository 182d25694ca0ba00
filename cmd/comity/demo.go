package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"comity/store/bolt"
	"comity/taxii"
	"comity/taxii/console"
	"comity/taxii/demo"
)

type demoCmd struct {
	Scenario    string `enum:"asean,small,synergia" default:"asean" help:"asean; small, the same by a hundredth; or synergia, a load: 95 countries (default ${default})."`
	Listen      string `placeholder:"ADDR" help:"Where to serve (default 127.0.0.1:8080, or another port if that is taken)."`
	AdminListen string `placeholder:"ADDR" help:"Where to serve /metrics, /healthz and /readyz, in the clear."`
	Once        bool   `help:"End when all is printed: 0 if every figure is as it must be."`
	Withdraw    string `placeholder:"ORG" help:"Let this vendor take its data back when the outcomes are in."`
}

// Validate refuses to withdraw an organisation that is not a vendor.
func (c *demoCmd) Validate() error {
	if c.Withdraw != "" && !slices.Contains(demo.Vendors(), c.Withdraw) {
		return fmt.Errorf("%s has nothing to withdraw: the vendors are %s", c.Withdraw, strings.Join(demo.Vendors(), ", "))
	}
	return nil
}

// Run plays a whole operation in a temporary folder, on a clock that starts at its
// snapshot, and then serves the resulting exchange.
func (c *demoCmd) Run(sh *shell) error {
	if err := sh.checkPlatform(); err != nil {
		return err
	}
	scenario, err := demo.New(c.Scenario)
	if err != nil {
		return err
	}
	data, err := os.MkdirTemp("", "comity-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(data)
	began := time.Now()
	now := func() time.Time { return demo.Snapshot.Add(time.Since(began)) }
	log := slog.New(slog.NewTextHandler(sh.err, &slog.HandlerOptions{Level: slog.LevelWarn}))
	s, err := bolt.Open(data, now, log, 0)
	if err != nil {
		return err
	}
	defer s.Close()
	public, err := newKey(filepath.Join(data, keyFile))
	if err != nil {
		return err
	}
	key, err := centreKey(data)
	if err != nil {
		return err
	}
	ctx, end := context.WithCancel(sh.ctx)
	defer end()
	own := *sh
	own.ctx, own.data = ctx, data
	p := &play{
		shell: &own, scenario: scenario, now: now,
		keys: map[string]signer{demoCentre: {key, public}}, tokens: map[string]string{}, progressOut: sh.out,
	}
	if sh.json {
		p.progressOut = sh.err
	}
	ex := &exchangeServer{store: s, data: data, socket: p.socket(), key: key, now: now, log: log}
	if err := ex.start(&serveCmd{Listen: cmp.Or(c.Listen, freeAddress()), AdminListen: c.AdminListen}); err != nil {
		return err
	}
	p.url, p.metricsURL, p.console = ex.url, ex.metricsURL, ex.console
	served := make(chan error, 1)
	go func() { served <- ex.wait(ctx) }()

	err = p.run(c.Withdraw)
	if c.Once || err != nil && !errors.Is(err, errQuiet) {
		end()
	} else {
		p.printNextSteps()
	}
	return cmp.Or(err, <-served)
}

// freeAddress is the usual address, or one on another port if that is taken.
func freeAddress() string {
	l, err := net.Listen("tcp", defaultListen)
	if err != nil {
		return "127.0.0.1:0"
	}
	l.Close()
	return defaultListen
}

// program is the command that starts this program from a shell: its name if the PATH has
// it, go run if that started it, or else its path.
func program(arg0, executable string, lookPath func(string) (string, error)) string {
	name := filepath.Base(executable)
	if path, err := lookPath(name); err == nil && path == executable {
		return name
	}
	if strings.Contains(executable, string(filepath.Separator)+"go-build") {
		return "go run ./cmd/comity"
	}
	return arg0
}

// The names of the demonstration. Two persons of the centre run its operation, and a third one
// operates the exchange.
const (
	demoCentre     = "igci"
	demoOperation  = "op-asean-demo"
	demoNamespace  = "https://exchange.igci.example/"
	drafter        = demoCentre + "/anna"
	publisher      = demoCentre + "/ben"
	operatorPerson = demoCentre + "/olga"
	bureauPerson   = "ncb-kh/dara"
)

// vendorPerson is the person of the first vendor.
func vendorPerson() string { return demo.Vendors()[0] + "/vic" }

// play is one run of the demonstration.
type play struct {
	*shell
	scenario    *demo.Scenario
	now         func() time.Time
	url         string // of the server
	metricsURL  string // "" without --admin-listen
	console     *console.Console
	keys        map[string]signer
	tokens      map[string]string // by organisation: of its service
	firewall    string            // the token of demoFirewall
	progressOut io.Writer         // where it says what happens
}

// run plays the operation and compares the resulting figures with the expected ones.
func (p *play) run(withdraw string) error {
	steps := []struct {
		what string
		do   func() error
	}{
		{"found the exchange", p.setUp},
		{"vendors push", p.pushContributions},
		{"bureaus flag issues", p.pushIssues},
		{"fuse", p.waitForFindings},
		{"draft and publish", p.publish},
		{"bureaus poll and answer", p.reportOutcomes},
	}
	for _, step := range steps {
		if err := p.step(step.what, step.do); err != nil {
			return fmt.Errorf("%s: %w", step.what, err)
		}
	}
	if withdraw != "" {
		if err := p.step(withdraw+" withdraws", func() error { return p.withdraw(withdraw) }); err != nil {
			return fmt.Errorf("%s withdraws: %w", withdraw, err)
		}
	}
	var got, want *figures
	err := p.step("count", func() (err error) { got, err = p.figures(); return err })
	if err == nil {
		err = p.step("work out the truth", func() (err error) { want, err = p.truth(withdraw); return err })
	}
	if err != nil {
		return err
	}
	return p.show(got, want)
}

// step runs one step and prints how long it took.
func (p *play) step(what string, do func() error) error {
	began := time.Now()
	err := do()
	p.say("%-24s %6.2f s", what, time.Since(began).Seconds())
	return err
}

// printNextSteps prints how to go on from here.
func (p *play) printNextSteps() {
	fmt.Fprintf(p.progressOut, "\nThe operation's clock started at its snapshot, %s, and runs on.\n\n", demo.Snapshot.Format("2 January 2006"))
	for _, account := range []string{drafter, operatorPerson, bureauPerson, vendorPerson()} {
		fmt.Fprintf(p.progressOut, "  %-20s%s\n", account, p.console.Ticket(account))
	}
	fmt.Fprintf(p.progressOut, "\nEach of these links signs a browser in to the console once.\n\n  %-20s%s/taxii2/\n", "discovery", p.url)
	if p.metricsURL != "" {
		fmt.Fprintf(p.progressOut, "  %-20s%s\n", "metrics", p.metricsURL)
	}
	for _, org := range append([]string{demoCentre}, append(demo.Vendors(), p.bureaus()...)...) {
		fmt.Fprintf(p.progressOut, "  %-20s%s\n", org+"/feed", p.tokens[org])
	}
	executable, _ := os.Executable()
	fmt.Fprintf(p.progressOut, demoText, p.url, p.tokens["ncb-kh"], taxii.MediaType, p.data, program(os.Args[0], executable, exec.LookPath),
		p.firewall, demoFeed)
}

const demoText = `
Cambodia's reports, with curl:

  curl -gs -H 'Authorization: Bearer %[2]s' \
    -H 'Accept: %[3]s' \
    '%[1]s/igci/collections/op-asean-demo.car.kh/objects/?match[type]=report'

The servers that its firewall blocks, one address a line; the page of the feed, without
ipv4.txt, lists the files for other products:

  curl -s -u 'x:%[6]s' %[1]s%[7]s

All it gets, with the OASIS client (pip install taxii2-client):

  from taxii2client.v21 import Server, as_pages
  server = Server("%[1]s/taxii2/", user="ncb-kh/feed", password="%[2]s")
  for collection in server.default.collections:
      print(collection.title, "reads" if collection.can_read else "", "writes" if collection.can_write else "")
      if collection.can_read:
          for page in as_pages(collection.get_objects, per_request=100):
              for o in page.get("objects", []):
                  print("   ", o["type"], o.get("name", o["id"]))

And the centre's own commands:

  %[5]s --data %[4]s report render CAR-2017-KH-C2
  %[5]s --data %[4]s op stats op-asean-demo --as ncb-kh

Ctrl-C ends it and removes everything.
`
