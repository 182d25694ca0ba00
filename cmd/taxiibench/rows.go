package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

type rowsCmd struct {
	Only    []string      `placeholder:"ROW,…" help:"Only these rows: ${rows}."`
	Objects int           `default:"200000" help:"Objects of the collection that is read (default ${default}); the targets are meant for 5000000."`
	Rounds  int           `default:"5" help:"Alternating rounds (default ${default})."`
	Time    time.Duration `default:"2s" help:"How long each side is measured in a round (default ${default})."`
	Quick   bool          `help:"Three short rounds on 30000 objects and the small demonstration: for CI, with --guard."`
	Guard   float64       `placeholder:"SHARE" help:"Exit with 1 if a row misses its target beside the limit by more than this share, such as 0.25."`

	Scenario string `enum:"asean,small" default:"asean" help:"The demonstration whose console is measured: asean, or small, the same by a hundredth (default ${default})."`

	Store  string `placeholder:"DSN" help:"Measure the rows postgres-… too, in this empty database of PostgreSQL."`
	Venv   string `type:"existingdir" placeholder:"DIR" help:"Python environment with other servers to compare with, made by python3 -m venv DIR and DIR/bin/pip install medallion opentaxii gunicorn psycopg psycopg-binary."`
	Comity string `type:"existingfile" placeholder:"FILE" help:"The comity to measure (default: built from this tree)."`
	Dir    string `type:"existingdir" placeholder:"DIR" help:"Where the temporary folder is made: on the disk to measure."`

	SVG string `name:"svg" placeholder:"FILE" help:"Draw the ratios as a chart."`
	output
}

// row is one workload.
type row struct {
	name    string // for --only
	measure func(*bench, context.Context) ([]line, error)
}

// table begins with the rows that matter most to users. The rows that push come last,
// since they make the store larger.
var table = []row{
	{"page", (*bench).rowPage},
	{"small-page", (*bench).rowSmallPage},
	{"gzip-again", (*bench).rowGzipAgain},
	{"gzip-new", (*bench).rowGzipNew},
	{"304", (*bench).rowNotModified},
	{"tls", (*bench).rowTLS},
	{"depth", (*bench).rowDepth},
	{"random", (*bench).rowRandom},
	{"type", (*bench).rowType},
	{"memory", (*bench).rowMemory},
	{"restart", (*bench).rowRestart},
	{"feed-304", (*bench).rowFeedNotModified},
	{"feed-restart", (*bench).rowFeedRestart},
	{"console", (*bench).rowConsole},
	{"console-large", (*bench).rowConsoleLarge},
	{"console-clicks", (*bench).rowConsoleClicks},
	{"versions", (*bench).rowVersions},
	{"large-push", (*bench).rowLargePush},
	{"push", (*bench).rowPush},
	{"writers", (*bench).rowWriters},
	{"writer", (*bench).rowWriter},
	{"feed-change", (*bench).rowFeedChange},
}

// namesOf are the names of rows.
func namesOf(rows []row) (names []string) {
	for _, r := range rows {
		names = append(names, r.name)
	}
	return names
}

// rows are the rows that can be measured.
func (c *rowsCmd) rows() []row {
	if c.Store == "" {
		return table
	}
	return slices.Concat(table, databaseTable)
}

// line is one comparison: a row has one or several.
type line struct {
	Row  string  `json:"row"`
	Name string  `json:"name"`
	Unit string  `json:"unit,omitempty"`
	Ours float64 `json:"ours,omitempty"` // median

	Limit       string  `json:"limit,omitempty"` // its name
	LimitFigure float64 `json:"limit_figure,omitempty"`
	VsLimit     *ratio  `json:"vs_limit,omitempty"` // ours to the limit
	Target      float64 `json:"target,omitempty"`   // of that ratio
	AtMost      bool    `json:"at_most,omitempty"`  // less is better; otherwise more
	VsNginx     *ratio  `json:"vs_nginx,omitempty"` // ours to nginx, for information

	Peer       string  `json:"peer,omitempty"` // the best of them
	PeerFigure float64 `json:"peer_figure,omitempty"`
	VsPeer     *ratio  `json:"vs_peer,omitempty"` // how many times better ours is
	PeerTarget float64 `json:"peer_target,omitempty"`

	Failed string `json:"failed,omitempty"` // why it was not measured
}

// met reports whether the ratio to the limit reaches its target, with a slack that is a
// share of it. A line without a ratio or a target counts as met.
func (l line) met(slack float64) bool {
	if l.VsLimit == nil || l.Target == 0 {
		return true
	}
	if l.AtMost {
		return l.VsLimit.Median <= l.Target*(1+slack)
	}
	return l.VsLimit.Median >= l.Target*(1-slack)
}

func (c *rowsCmd) Run(sh *shell) error {
	if c.Quick {
		c.Objects, c.Rounds, c.Time, c.Scenario = 30_000, 3, 400*time.Millisecond, "small"
	}
	if c.Objects < 20_000 || c.Rounds < 1 {
		return errors.New("--objects is at least 20000, --rounds 1")
	}
	names := namesOf(c.rows())
	for _, name := range c.Only {
		if !slices.Contains(names, name) {
			return fmt.Errorf("--only: there is no row %s; there are %s, and with --store %s", name, strings.Join(namesOf(table), ", "), strings.Join(namesOf(databaseTable), ", "))
		}
	}
	b, err := newBench(sh, c)
	if err != nil {
		return err
	}
	defer b.close()
	if err := b.prepare(sh.ctx); err != nil {
		return err
	}
	b.startPeers(sh.ctx)
	lines, err := c.measure(sh, b)
	if err != nil {
		return err
	}
	read, err := b.readBack(sh.ctx)
	if err != nil {
		return err
	}
	if c.SVG != "" {
		if err := os.WriteFile(c.SVG, chart(lines), 0o644); err != nil {
			return err
		}
	}
	report := rowsReport{Objects: c.Objects, Rounds: c.Rounds, Time: c.Time.String(), Rows: lines, Read: read}
	if err := report.print(sh, c.output); err != nil {
		return err
	}
	if !read.exact() || slices.ContainsFunc(lines, func(l line) bool { return l.Failed != "" }) {
		return errors.New("a row failed, or objects were lost or repeated; see above")
	}
	if c.Guard > 0 {
		return guard(sh, lines, c.Guard)
	}
	return nil
}

// measure measures all rows of the table, even if some fail.
func (c *rowsCmd) measure(sh *shell, b *bench) (lines []line, err error) {
	for _, r := range c.rows() {
		if len(c.Only) > 0 && !slices.Contains(c.Only, r.name) {
			continue
		}
		sh.say("row %s", r.name)
		got, err := r.measure(b, sh.ctx)
		if sh.ctx.Err() != nil {
			return nil, sh.ctx.Err()
		}
		if err != nil {
			got = []line{{Name: r.name, Failed: err.Error()}}
		}
		for _, l := range got {
			l.Row = r.name
			lines = append(lines, l)
		}
	}
	return lines, nil
}

// guard returns an error if lines miss their targets, and prints them.
func guard(sh *shell, lines []line, slack float64) error {
	missed := 0
	for _, l := range lines {
		if !l.met(slack) {
			missed++
			sh.say("row %s, %s: %s × %s, and the target is %s", l.Row, l.Name, figure(l.VsLimit.Median), l.Limit, figure(l.Target))
		}
	}
	if missed > 0 {
		return fmt.Errorf("%d lines miss their targets by more than %.0f %%", missed, slack*100)
	}
	return nil
}

// limit is the side that ours is compared with, and the target of the ratio.
type limit struct {
	side
	target float64
}

// comparison is ours and all sides that it is compared with.
type comparison struct {
	line // its name and unit, and whether less is better
	ours side

	limits     []limit // each makes a line
	nginx      *side
	peers      []side // the best is named in the first line
	peerTarget float64
}

// compare measures all sides of each comparison in alternation.
func (b *bench) compare(ctx context.Context, all ...comparison) (lines []line, err error) {
	for _, c := range all {
		sides := []side{c.ours}
		for _, l := range c.limits {
			sides = append(sides, l.side)
		}
		for _, p := range c.peers {
			p.rounds = peerRounds
			sides = append(sides, p)
		}
		if c.nginx != nil {
			sides = append(sides, *c.nginx)
		}
		figures, err := alternate(ctx, b.opt.Rounds, sides)
		if err != nil {
			return nil, err
		}
		lines = append(lines, c.lines(figures)...)
	}
	return lines, nil
}

// lines are the result, from the figures of all sides.
func (c comparison) lines(figures [][]float64) (lines []line) {
	ours, l := figures[0], c.line
	l.Ours = median(ours)
	if c.nginx != nil {
		l.VsNginx = ratioOf(ours, figures[len(figures)-1])
	}
	for i, p := range c.peers {
		theirs := figures[1+len(c.limits)+i]
		times := ratioOf(ours, theirs)
		if l.AtMost {
			times = ratioOf(theirs, ours)
		}
		if times != nil && (l.VsPeer == nil || times.Median < l.VsPeer.Median) {
			l.VsPeer, l.Peer, l.PeerFigure, l.PeerTarget = times, p.name, median(theirs), c.peerTarget
		}
	}
	for i, limit := range c.limits {
		l.Limit, l.LimitFigure, l.VsLimit, l.Target = limit.name, median(figures[1+i]), ratioOf(ours, figures[1+i]), limit.target
		lines = append(lines, l)
		l.Peer, l.PeerFigure, l.VsPeer, l.PeerTarget, l.VsNginx = "", 0, nil, 0, nil
	}
	return lines
}

// peerRounds is how many rounds peers take part in. Their answers take up to seconds,
// and their ratios are so large that more rounds would add nothing.
const peerRounds = 2

// sidesOf returns a side for each peer.
func sidesOf(peers []*peer, of func(p *peer) side) (sides []side) {
	for _, p := range peers {
		sides = append(sides, of(p))
	}
	return sides
}
