package main

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"
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
	Size    int    `default:"700" help:"Octets of a made object (default ${default})."`
	From    string `type:"existingfile" placeholder:"FILE" help:"Push the objects of this bundle or envelope instead of made ones."`
	Batch   int    `default:"1000" help:"Objects of one push (default ${default})."`
	Writers int    `default:"4" help:"Pushes at a time (default ${default})."`

	Time        time.Duration `default:"3s" help:"How long each round polls, 0s for not at all (default ${default})."`
	Clients     int           `default:"16" help:"Polls at a time (default ${default})."`
	Limit       int           `default:"1000" help:"Objects of a page (default ${default})."`
	At          string        `enum:"depth,random,walk" default:"depth" help:"Where polls begin: depth (always the page behind --depth objects), random (anywhere), walk (each client goes through all by next)."`
	Depth       int           `help:"For --at depth: objects to skip (default 0)."`
	Match       []string      `sep:"none" placeholder:"FIELD=VALUE" help:"Filter of polls, such as type=indicator; may be repeated."`
	Gzip        bool          `help:"Ask for gzip."`
	Conditional bool          `help:"Ask with If-None-Match for what is known already."`

	Follow  bool `help:"Also poll the tail all the while, and check that this sees everything once."`
	NoCheck bool `help:"Do not walk the collection at the end."`
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
	t      *target
	stock  stock
	ledger *ledger
	push   []measured // by round
	poll   []measured
	polled []float64 // objects a second, by round
	pushed []float64
	cond   int64 // answers 304

	Walk     *verdict
	Followed *verdict
}

func (c *runCmd) Run(sh *shell) error {
	contenders, err := c.contenders()
	if err != nil {
		return err
	}
	for _, s := range contenders {
		if err := s.t.reachable(); err != nil {
			return fmt.Errorf("%s: %w", s.t.name, err)
		}
	}
	stop, err := c.follow(sh, contenders)
	if err != nil {
		return err
	}
	var sides []side
	for _, s := range contenders {
		round := 0
		sides = append(sides, side{name: s.t.name, run: func(ctx context.Context) (float64, error) {
			round++
			return 0, c.pushRound(ctx, s, round-1)
		}})
	}
	if _, err := alternate(sh.ctx, c.Rounds, sides); err != nil {
		return err
	}
	if err := stop(); err != nil {
		return err
	}
	if c.Time > 0 {
		sides = nil
		for _, s := range contenders {
			p, err := c.poller(sh.ctx, s)
			if err != nil {
				return fmt.Errorf("%s: %w", s.t.name, err)
			}
			sides = append(sides, side{name: s.t.name, run: func(ctx context.Context) (float64, error) { return 0, p.round(ctx, c, s) }})
		}
		if _, err := alternate(sh.ctx, c.Rounds, sides); err != nil {
			return err
		}
	}
	if !c.NoCheck && (c.Objects > 0 || c.From != "") {
		for _, s := range contenders {
			v, err := s.ledger.once(sh.ctx, s.t, c.Limit)
			if err != nil {
				return err
			}
			s.Walk = &v
		}
	}
	r := newRunReport(c, contenders)
	if err := r.print(sh, c.output); err != nil {
		return err
	}
	if !r.Clean {
		sh.say("objects were lost or repeated")
		return errQuiet
	}
	return nil
}

// contenders are the server of the command line, and the one beside it.
func (c *runCmd) contenders() ([]*contender, error) {
	if c.Objects < 0 || c.Batch < 1 || c.Writers < 1 || c.Clients < 1 || c.Limit < 1 || c.Rounds < 1 || c.Depth < 0 || c.Size < 1 {
		return nil, errors.New("--batch, --writers, --clients, --limit, --size and --rounds are at least 1, --objects and --depth at least 0")
	}
	stock, err := c.stock()
	if err != nil {
		return nil, err
	}
	first, err := newTarget(c.URL, c.Collection, c.authorization()...)
	if err != nil {
		return nil, err
	}
	targets := []*target{first}
	if c.VS != "" {
		collection := c.vsFlags.Collection
		if collection == "" {
			collection = c.Collection
		}
		auth := credentials{c.vsFlags.User, c.vsFlags.Password, c.vsFlags.Token, c.vsFlags.Key}.authorization()
		if auth == nil {
			auth = first.auth
		}
		second, err := newTarget(c.VS, collection, auth...)
		if err != nil {
			return nil, err
		}
		targets = append(targets, second)
	}
	var list []*contender
	for _, t := range targets {
		if err := c.trust(t); err != nil {
			return nil, err
		}
		list = append(list, &contender{t: t, stock: stock, ledger: newLedger()})
	}
	return list, nil
}

// stock is what a run pushes, piece by piece.
type stock struct {
	objects int
	made    maker
	given   []json.RawMessage // nil: made
	ids     []string          // of those given
}

func (c *runCmd) stock() (s stock, err error) {
	if c.From == "" {
		var seed [8]byte
		rand.Read(seed[:])
		return stock{objects: c.Objects, made: maker{seed: binary.BigEndian.Uint64(seed[:]), size: c.Size}}, nil
	}
	text, err := os.ReadFile(c.From)
	if err != nil {
		return s, err
	}
	var bundle struct {
		Objects []json.RawMessage `json:"objects"`
	}
	if err := json.Unmarshal(text, &bundle); err != nil {
		return s, fmt.Errorf("%s: %w", c.From, err)
	}
	if len(bundle.Objects) == 0 {
		return s, fmt.Errorf("%s holds no objects", c.From)
	}
	s = stock{objects: len(bundle.Objects), given: bundle.Objects}
	for i, o := range s.given {
		var named struct {
			ID string `json:"id"`
		}
		if err := json.Unmarshal(o, &named); err != nil || named.ID == "" {
			return s, fmt.Errorf("%s: object %d has no id", c.From, i)
		}
		s.ids = append(s.ids, named.ID)
	}
	return s, nil
}

// envelope appends objects from..to, and gives their ids.
func (s stock) envelope(b []byte, from, to int) ([]byte, []string) {
	if s.given == nil {
		ids := make([]string, 0, to-from)
		for i := from; i < to; i++ {
			ids = append(ids, s.made.id(i))
		}
		return s.made.appendEnvelope(b, from, to-from), ids
	}
	b = append(b, `{"objects":[`...)
	for i := from; i < to; i++ {
		if i > from {
			b = append(b, ',')
		}
		b = append(b, s.given[i]...)
	}
	return append(b, "]}"...), s.ids[from:to]
}

// pushRound pushes one round's share of the stock. Making and reading what is
// pushed is no part of a latency; it is part of the rate, and little of it.
func (c *runCmd) pushRound(ctx context.Context, s *contender, round int) error {
	from, to := s.stock.objects*round/c.Rounds, s.stock.objects*(round+1)/c.Rounds
	if from == to {
		return nil
	}
	pushes := (to - from + c.Batch - 1) / c.Batch
	writers := min(c.Writers, pushes)
	bodies, ids := make([][]byte, writers), make([][]string, writers)
	taken := make([]int, writers)
	m, err := load{
		clients: writers, dial: s.t.dial, keep: true,
		next: func(client, n int) ([]byte, []byte) {
			push := n*writers + client
			if push >= pushes {
				return nil, nil
			}
			begin := from + push*c.Batch
			bodies[client], ids[client] = s.stock.envelope(bodies[client][:0], begin, min(begin+c.Batch, to))
			return s.t.post(client, len(bodies[client])), bodies[client]
		},
		check: func(client, _ int, a answer) error {
			n, err := s.t.settled(a)
			if err != nil {
				return err
			}
			if n != len(ids[client]) {
				return fmt.Errorf("of a push of %d objects, %d were taken", len(ids[client]), n)
			}
			taken[client] += n
			s.ledger.add(ids[client]...)
			return nil
		},
	}.run(ctx)
	if err != nil {
		return err
	}
	objects := 0
	for _, n := range taken {
		objects += n
	}
	s.push = append(s.push, m)
	s.pushed = append(s.pushed, float64(objects)/m.took.Seconds())
	return nil
}

// follow starts a poller of the tail for each server, if asked for; stop ends
// them and judges.
func (c *runCmd) follow(sh *shell, contenders []*contender) (stop func() error, err error) {
	if !c.Follow {
		return func() error { return nil }, nil
	}
	done, failed := make(chan struct{}), make(chan error, len(contenders))
	for _, s := range contenders {
		go func() {
			seen, err := follow(sh.ctx, s.t, c.Limit, done)
			if err == nil {
				v := s.ledger.judge(seen)
				s.Followed = &v
			}
			failed <- err
		}()
	}
	return func() error {
		close(done)
		var all error
		for range contenders {
			all = errors.Join(all, <-failed)
		}
		return all
	}, nil
}

// filter is what every poll asks with.
func (c *runCmd) filter() (url.Values, error) {
	q := url.Values{"limit": {strconv.Itoa(c.Limit)}}
	for _, m := range c.Match {
		field, value, ok := strings.Cut(m, "=")
		if !ok {
			return nil, fmt.Errorf("--match %s: write FIELD=VALUE", m)
		}
		q.Set("match["+field+"]", value)
	}
	return q, nil
}
