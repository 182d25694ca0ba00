package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"time"
)

type runCmd struct {
	URL        string `arg:"" name:"url" help:"URL of an API root."`
	Collection string `required:"" placeholder:"ID" help:"The collection."`
	credentials
	CACert   string `name:"cacert" type:"existingfile" placeholder:"FILE" help:"Trust this CA (PEM) beside those of the system."`
	Insecure bool   `help:"Do not verify certificates."`
	vsFlags  `embed:"" prefix:"vs-"`
	VS       string `name:"vs" placeholder:"URL" help:"API root of a second server, measured in alternation with the first."`
	Rounds   int    `default:"5" help:"How many rounds (default ${default})."`

	Objects int    `default:"10000" help:"Objects to make and push to each server in all, 0 for none (default ${default})."`
	Size    int    `default:"700" help:"Bytes of a made object (default ${default})."`
	From    string `type:"existingfile" placeholder:"FILE" help:"Push the objects of this bundle or envelope instead of made ones."`
	Batch   int    `default:"1000" help:"Objects of one push (default ${default})."`
	Writers int    `default:"4" help:"Pushes at a time (default ${default})."`

	Time        time.Duration `default:"3s" help:"How long each round polls, 0s for not at all (default ${default})."`
	Clients     int           `default:"16" help:"Polls at a time (default ${default})."`
	Limit       int           `default:"1000" help:"Objects of a page (default ${default})."`
	At          string        `enum:"depth,random,walk" default:"depth" help:"Where polls begin: depth (always the page behind --depth objects), random (anywhere), walk (each client reads all pages by next)."`
	Depth       int           `help:"For --at depth: objects to skip (default 0)."`
	Match       []string      `sep:"none" placeholder:"FIELD=VALUE" help:"Filter of polls, such as type=indicator; may be repeated."`
	Gzip        bool          `help:"Ask for gzip."`
	Conditional bool          `help:"Send If-None-Match with the ETag of the page."`

	Follow  bool `help:"Poll for new objects while the others push, and check that each object is received once."`
	NoCheck bool `help:"Do not read the collection at the end."`
	output
}

type credentials struct {
	User     string `placeholder:"NAME" help:"For Basic authentication."`
	Password string `placeholder:"TEXT" env:"TAXIIBENCH_PASSWORD" help:"Its password."`
	Token    string `placeholder:"TEXT" env:"TAXIIBENCH_TOKEN" help:"For Bearer authentication."`
	Key      string `name:"authorization" placeholder:"VALUE" help:"The whole value of Authorization, where it is another."`
}

// authorization is the value of that header, none for an open server.
func (c credentials) authorization() []string {
	switch {
	case c.Key != "":
		return []string{c.Key}
	case c.Token != "":
		return []string{"Bearer " + c.Token}
	case c.User != "" || c.Password != "":
		return []string{basic(c.User, c.Password)}
	}
	return nil
}

type vsFlags struct {
	Collection string `placeholder:"ID" help:"Collection of the second server (default: the same)."`
	User       string `placeholder:"NAME" help:"For the second server; the default for all four is what the first gets."`
	Password   string `placeholder:"TEXT" env:"TAXIIBENCH_VS_PASSWORD" help:"For the second server."`
	Token      string `placeholder:"TEXT" env:"TAXIIBENCH_VS_TOKEN" help:"For the second server."`
	Key        string `name:"authorization" placeholder:"VALUE" help:"For the second server."`
}

// contender is one server of a run.
type contender struct {
	c         *collection
	supply    supply
	ids       *pushedIDs
	push      []measured // by round
	poll      []measured
	polled    []float64 // objects a second, by round
	pushed    []float64
	unchanged int64 // answers 304

	Read     *delivery
	Followed *delivery
}

func (c *runCmd) Run(sh *shell) error {
	contenders, err := c.contenders()
	if err != nil {
		return err
	}
	for _, s := range contenders {
		if err := s.c.reachable(); err != nil {
			return fmt.Errorf("%s: %w", s.c.server, err)
		}
	}
	stop := c.follow(sh.ctx, contenders)
	err = c.eachRound(sh.ctx, contenders, func(s *contender) (round, error) {
		n := 0
		return func(ctx context.Context) error { n++; return c.pushRound(ctx, s, n-1) }, nil
	})
	if err = errors.Join(err, stop()); err != nil {
		return err
	}
	if c.Time > 0 {
		err := c.eachRound(sh.ctx, contenders, func(s *contender) (round, error) {
			p, err := c.poller(sh.ctx, s)
			return func(ctx context.Context) error { return p.round(ctx, c, s) }, err
		})
		if err != nil {
			return err
		}
	}
	if !c.NoCheck && (c.Objects > 0 || c.From != "") {
		for _, s := range contenders {
			d, err := s.ids.readAll(sh.ctx, s.c, c.Limit)
			if err != nil {
				return err
			}
			s.Read = &d
		}
	}
	r := newRunReport(contenders)
	if err := r.print(sh, c.output); err != nil {
		return err
	}
	if !r.Clean {
		sh.say("objects were lost or repeated")
		return errQuiet
	}
	return nil
}

type round func(context.Context) error

// eachRound carries out the rounds of all contenders in alternation.
func (c *runCmd) eachRound(ctx context.Context, contenders []*contender, of func(*contender) (round, error)) error {
	var sides []side
	for _, s := range contenders {
		do, err := of(s)
		if err != nil {
			return fmt.Errorf("%s: %w", s.c.server, err)
		}
		sides = append(sides, side{name: s.c.server, run: func(ctx context.Context) (float64, error) { return 0, do(ctx) }})
	}
	_, err := alternate(ctx, c.Rounds, sides)
	return err
}

// contenders are the server of the command line, and the one of --vs.
func (c *runCmd) contenders() ([]*contender, error) {
	if c.Objects < 0 || c.Batch < 1 || c.Writers < 1 || c.Clients < 1 || c.Limit < 1 || c.Rounds < 1 || c.Depth < 0 || c.Size < 1 {
		return nil, errors.New("--batch, --writers, --clients, --limit, --size and --rounds are at least 1, --objects and --depth at least 0")
	}
	supply, err := c.supply()
	if err != nil {
		return nil, err
	}
	first, err := newCollection(c.URL, c.Collection, c.authorization()...)
	if err != nil {
		return nil, err
	}
	collections := []*collection{first}
	if c.VS != "" {
		auth := credentials{c.vsFlags.User, c.vsFlags.Password, c.vsFlags.Token, c.vsFlags.Key}.authorization()
		if auth == nil {
			auth = first.auth
		}
		second, err := newCollection(c.VS, cmp.Or(c.vsFlags.Collection, c.Collection), auth...)
		if err != nil {
			return nil, err
		}
		collections = append(collections, second)
	}
	var list []*contender
	for _, one := range collections {
		if err := c.trust(one.tls); err != nil {
			return nil, err
		}
		list = append(list, &contender{c: one, supply: supply, ids: newPushedIDs()})
	}
	return list, nil
}

// trust accepts the certificates that the flags name.
func (c *runCmd) trust(config *tls.Config) error {
	config.InsecureSkipVerify = c.Insecure
	if c.CACert == "" {
		return nil
	}
	text, err := os.ReadFile(c.CACert)
	if err != nil {
		return err
	}
	if config.RootCAs, err = x509.SystemCertPool(); err != nil {
		config.RootCAs = x509.NewCertPool()
	}
	if !config.RootCAs.AppendCertsFromPEM(text) {
		return fmt.Errorf("%s holds no certificate", c.CACert)
	}
	return nil
}
