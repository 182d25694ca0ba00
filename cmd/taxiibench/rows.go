package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

type rowsCmd struct {
	Only    []int         `placeholder:"N,…" help:"Only these rows."`
	Objects int           `default:"200000" help:"Objects of the collection that is read (default ${default}); the targets are meant for 5000000."`
	Spread  int           `default:"1" placeholder:"N" help:"Collections that they are spread over (default ${default}); one of them is read."`
	Rounds  int           `default:"5" help:"Alternating rounds (default ${default})."`
	Time    time.Duration `default:"2s" help:"How long each side is measured in a round (default ${default})."`
	Quick   bool          `help:"Three short rounds on 30000 objects: for CI, with --guard."`
	Guard   float64       `placeholder:"SHARE" help:"Exit with 1 if a row misses its target by more than this, such as 0.25; it does not ask about peers."`
	Record  string        `type:"existingfile" placeholder:"FILE" help:"For --guard: what --json printed before. What a row missed then is its target now."`

	Venv        string `type:"existingdir" placeholder:"DIR" help:"Python environment to compare with the servers in it, made by python3 -m venv DIR and DIR/bin/pip install medallion opentaxii gunicorn."`
	PeerObjects int    `default:"5000" help:"Objects that OpenTAXII gets (default ${default}); medallion gets 1000."`
	Comity      string `type:"existingfile" placeholder:"FILE" help:"The comity to measure (default: built from this tree)."`
	On          string `placeholder:"CPUS" help:"Pin all servers to these CPUs with taskset, such as 0; pin this program itself the same way, to others."`
	Dir         string `type:"existingdir" placeholder:"DIR" help:"Where the temporary folder is made: on the disk to measure."`
	Keep        bool   `help:"Leave the temporary folder."`

	SVG string `name:"svg" placeholder:"FILE" help:"Draw the ratios as a chart."`
	output
}

// row is one row of the table: the number is that of the targets, the order
// that in which they are measured.
type row struct {
	n       int
	peers   bool // it is also measured against other servers of TAXII
	measure func(*bed, context.Context) ([]line, error)
}

// table begins with what needs the store as it was imported, and ends with what
// makes it larger.
var table = []row{
	{16, true, (*bed).rowFileSize},
	{21, false, (*bed).rowRestart},
	{17, true, (*bed).rowMemory},
	{1, true, (*bed).rowLargePage},
	{2, true, (*bed).rowSmallPage},
	{3, false, (*bed).rowGzipAgain},
	{4, false, (*bed).rowGzipNew},
	{5, false, (*bed).rowDepth},
	{6, false, (*bed).rowRandomWarm},
	{8, true, (*bed).rowByType},
	{9, false, (*bed).rowSuperseded},
	{10, false, (*bed).rowNotModified},
	{20, false, (*bed).rowCredentials},
	{22, false, (*bed).rowParse},
	{19, false, (*bed).rowTLS},
	{7, false, (*bed).rowRandomCold},
	{18, false, (*bed).rowStreamed}, // before the index of what is pushed to is large
	{11, true, (*bed).rowPush1000},
	{12, false, (*bed).rowPush10000},
	{13, true, (*bed).rowWriters},
	{14, false, (*bed).rowOneWriter},
	{15, false, (*bed).rowWritten},
}

// line is one comparison: a row has one or several.
type line struct {
	Row  int     `json:"row"`
	Name string  `json:"name"`
	Unit string  `json:"unit,omitempty"`
	Ours float64 `json:"ours,omitempty"` // median

	Limit       string  `json:"limit,omitempty"` // what is compared with
	LimitFigure float64 `json:"limit_figure,omitempty"`
	VsLimit     *ratio  `json:"vs_limit,omitempty"` // ours to the limit
	Target      float64 `json:"target,omitempty"`   // of that ratio
	AtMost      bool    `json:"at_most,omitempty"`  // less is better; otherwise more

	Peer       string  `json:"peer,omitempty"` // the best of them
	PeerFigure float64 `json:"peer_figure,omitempty"`
	VsPeer     *ratio  `json:"vs_peer,omitempty"` // how many times better ours is
	PeerTarget float64 `json:"peer_target,omitempty"`
	Others     string  `json:"others,omitempty"` // all peers, if there are several

	Note string `json:"note,omitempty"`
	Why  string `json:"why,omitempty"` // it was not measured
}

// as is the line with the target that the record of an earlier run sets, if its row
// missed its own then.
func (l line) as(record []line) line {
	i := slices.IndexFunc(record, func(r line) bool { return r.Row == l.Row && r.Name == l.Name && r.Limit == l.Limit })
	if i >= 0 && !record[i].met(0) {
		l.Target = record[i].VsLimit.Median
	}
	return l
}

// met tells whether the target is reached, with a slack that is a share of it.
// What was not measured, or has no target, counts as met.
func (l line) met(slack float64) bool {
	if l.VsLimit == nil || l.Target == 0 {
		return true
	}
	if l.AtMost {
		return l.VsLimit.Median <= l.Target*(1+slack)
	}
	return l.VsLimit.Median >= l.Target*(1-slack)
}

// cannot is why a run does not do a row.
type cannot string

func (c cannot) Error() string { return string(c) }

func (c *rowsCmd) Run(sh *shell) error {
	if c.Quick {
		c.Objects, c.Rounds, c.Time, c.PeerObjects = 30_000, 3, 400*time.Millisecond, 2000
	}
	if c.Spread < 1 || c.Objects/c.Spread < 20_000 || c.Rounds < 1 || c.PeerObjects < 2000 {
		return errors.New("--objects is at least 20000 for each collection of --spread, --peer-objects 2000, --rounds 1")
	}
	for _, n := range c.Only {
		if !slices.ContainsFunc(table, func(r row) bool { return r.n == n }) {
			return fmt.Errorf("--only: there is no row %d", n)
		}
	}
	b, err := newBed(sh, c)
	if err != nil {
		return err
	}
	defer b.close()
	if slices.ContainsFunc(table, func(r row) bool { return r.peers && c.wants(r) }) {
		b.startPeers(sh.ctx)
	}
	lines, failed, err := c.measure(sh, b)
	if err != nil {
		return err
	}
	v, err := b.check(sh.ctx)
	if err != nil {
		return err
	}
	if c.SVG != "" {
		if err := os.WriteFile(c.SVG, chart(lines), 0o644); err != nil {
			return err
		}
	}
	report := rowsReport{Objects: c.Objects, Rounds: c.Rounds, Time: c.Time.String(), Rows: lines, Walk: v}
	if err := report.print(sh, c.output); err != nil {
		return err
	}
	if failed || !v.clean() {
		return errors.New("a row failed, or objects were lost or repeated; see above")
	}
	if c.Guard > 0 {
		record, err := c.record()
		if err != nil {
			return err
		}
		return guard(sh, lines, record, c.Guard)
	}
	return nil
}

// wants tells whether a row is to be measured.
func (c *rowsCmd) wants(r row) bool { return len(c.Only) == 0 || slices.Contains(c.Only, r.n) }

// measure goes through the table. A row that cannot be done says why; one that
// fails does not keep the others from being measured.
func (c *rowsCmd) measure(sh *shell, b *bed) (lines []line, failed bool, err error) {
	for _, r := range table {
		if !c.wants(r) {
			continue
		}
		sh.say("row %d", r.n)
		got, err := r.measure(b, sh.ctx)
		if sh.ctx.Err() != nil {
			return nil, false, sh.ctx.Err()
		}
		if err != nil {
			var why cannot
			if !errors.As(err, &why) {
				failed = true
				err = fmt.Errorf("failed: %w", err)
			}
			got = []line{{Row: r.n, Name: names[r.n], Why: err.Error()}}
		}
		for i := range got {
			got[i].Row = r.n
		}
		lines = append(lines, got...)
	}
	slices.SortStableFunc(lines, func(a, b line) int { return a.Row - b.Row })
	return lines, failed, nil
}

// record is what an earlier run found.
func (c *rowsCmd) record() ([]line, error) {
	var r rowsReport
	if c.Record == "" {
		return nil, nil
	}
	text, err := os.ReadFile(c.Record)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, &r); err != nil {
		return nil, fmt.Errorf("--record %s: %w", c.Record, err)
	}
	return r.Rows, nil
}

// guard says which rows miss their targets.
func guard(sh *shell, lines, record []line, slack float64) error {
	missed := 0
	for _, l := range lines {
		if l = l.as(record); !l.met(slack) {
			missed++
			sh.say("row %d, %s: %s × %s, and the target is %s", l.Row, l.Name, figure(l.VsLimit.Median), l.Limit, figure(l.Target))
		}
	}
	if missed > 0 {
		return fmt.Errorf("%d rows miss their targets by more than %.0f %%", missed, slack*100)
	}
	return nil
}

// against is a side that ours is held against, and the ratio that is wanted.
type against struct {
	side
	target float64
}

// compare measures all sides in alternation. Each of the limits makes a line;
// the best of the peers is named in the first. l says what is measured, and
// whether less is better.
func (b *bed) compare(ctx context.Context, l line, ours side, limits, peers []against) ([]line, error) {
	all := []side{ours}
	for _, a := range slices.Concat(limits, peers) {
		all = append(all, a.side)
	}
	figures, err := alternate(ctx, b.opt.Rounds, all)
	if err != nil {
		return nil, err
	}
	var others []string
	mine := figures[0]
	l.Ours = median(mine)
	for i, p := range peers {
		theirs := figures[1+len(limits)+i]
		times := ratioOf(mine, theirs)
		if l.AtMost {
			times = ratioOf(theirs, mine)
		}
		if times == nil {
			continue
		}
		if l.VsPeer == nil || times.Median < l.VsPeer.Median {
			l.VsPeer, l.Peer, l.PeerFigure, l.PeerTarget = times, p.name, median(theirs), p.target
		}
		others = append(others, fmt.Sprintf("%s× %s", figure(times.Median), p.name))
	}
	if len(others) > 1 {
		l.Others = strings.Join(others, ", ")
	}
	var lines []line
	for i, limit := range limits {
		l.Limit, l.LimitFigure, l.VsLimit, l.Target = limit.name, median(figures[1+i]), ratioOf(mine, figures[1+i]), limit.target
		lines = append(lines, l)
		l.Peer, l.PeerFigure, l.VsPeer, l.PeerTarget, l.Others = "", 0, nil, 0, ""
	}
	if len(limits) == 0 {
		lines = []line{l}
	}
	return lines, nil
}

// peerRounds is how many rounds peers take part in: their ratios are so large
// that more would add nothing but hours.
const peerRounds = 2

// asking is a load that sends these requests in turn.
func (b *bed) asking(t *target, clients int, heads ...[]byte) load {
	var n atomic.Int64
	return load{
		clients: clients, dial: t.dial, time: b.opt.Time,
		next: func(int, int) ([]byte, []byte) { return heads[int(n.Add(1)-1)%len(heads)], nil },
	}
}

// rate is answers a second to these requests.
func (b *bed) rate(name string, t *target, clients int, heads ...[]byte) side {
	l := b.asking(t, clients, heads...)
	return side{name: name, run: func(ctx context.Context) (float64, error) {
		m, err := l.run(ctx)
		return m.rate(), err
	}}
}

// p50 is the median time of one answer, for one client alone, in milliseconds.
func (b *bed) p50(name string, t *target, heads ...[]byte) side {
	l := b.asking(t, 1, heads...)
	return side{name: name, run: func(ctx context.Context) (float64, error) {
		m, err := l.run(ctx)
		if err != nil {
			return 0, err
		}
		return m.quantile(50).Seconds() * 1000, nil
	}}
}

// heads are the same request from each account.
func heads(t *target, query string, fields ...string) (list [][]byte) {
	for i := range max(1, len(t.auth)) {
		list = append(list, t.get(i, query, fields...))
	}
	return list
}

// nginxAt and limitAt are where limits are asked.
func (b *bed) nginxAt() *target { return b.at("http", b.nginx.address) }
func (b *bed) limitAt() *target { return b.at("http", b.url) }

func (b *bed) at(scheme, address string) *target {
	t, err := newTarget(scheme+"://"+address+"/", "")
	if err != nil {
		panic(err) // it is ours
	}
	t.tls.InsecureSkipVerify = true
	return t
}

// polling is what peers do with the same query.
func (b *bed) polling(query string, target float64) (list []against) {
	for _, p := range b.peers {
		list = append(list, slow(b.rate(p.name, p.base, peerClients, heads(p.base, query)...), target))
	}
	return list
}

// slow is a peer, which takes part in a few rounds.
func slow(s side, target float64) against {
	s.rounds = peerRounds
	return against{s, target}
}

// pollers is how many clients poll at a time.
const pollers = 16
