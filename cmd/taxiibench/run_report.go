package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

// output says how results are written.
type output struct {
	JSON     bool `help:"Print the result as JSON."`
	Markdown bool `help:"Print the result as Markdown."`
}

// AfterApply refuses --json together with --markdown.
func (o output) AfterApply() error {
	if o.JSON && o.Markdown {
		return errors.New("choose one of --json and --markdown")
	}
	return nil
}

// runReport is the result of a run.
type runReport struct {
	Servers []serverReport `json:"servers"`
	// Of the first server to the second, by round: more is better.
	PushRatio *ratio `json:"push_ratio,omitempty"`
	PollRatio *ratio `json:"poll_ratio,omitempty"`
	Clean     bool   `json:"clean"` // no check found a lost or repeated object
}

type serverReport struct {
	URL      string       `json:"url"`
	Push     *phaseReport `json:"push,omitempty"`
	Poll     *phaseReport `json:"poll,omitempty"`
	Read     *delivery    `json:"read,omitempty"` // at the end
	Followed *delivery    `json:"followed,omitempty"`
}

// phaseReport is one kind of work over all rounds; the rates are medians of the
// rounds.
type phaseReport struct {
	Requests    int64   `json:"requests"`
	Unchanged   int64   `json:"unchanged,omitempty"` // answers 304
	PerSecond   float64 `json:"requests_per_second"`
	ObjectsRate float64 `json:"objects_per_second"`
	BytesRate   float64 `json:"bytes_per_second"`
	Bytes       int64   `json:"bytes"` // of bodies, as they travelled
	Latency     struct {
		P50  float64 `json:"p50_ms"`
		P90  float64 `json:"p90_ms"`
		P99  float64 `json:"p99_ms"`
		P999 float64 `json:"p999_ms"`
		Max  float64 `json:"max_ms"`
	} `json:"latency"`
}

func newRunReport(contenders []*contender) runReport {
	r := runReport{Clean: true}
	for _, s := range contenders {
		for _, d := range []*delivery{s.Read, s.Followed} {
			r.Clean = r.Clean && (d == nil || d.exact())
		}
		poll := newPhase(s.poll, s.polled)
		if poll != nil {
			poll.Unchanged = s.unchanged
		}
		r.Servers = append(r.Servers, serverReport{s.c.root.String(), newPhase(s.push, s.pushed), poll, s.Read, s.Followed})
	}
	if len(contenders) == 2 {
		a, b := contenders[0], contenders[1]
		r.PushRatio, r.PollRatio = ratioOf(a.pushed, b.pushed), ratioOf(a.polled, b.polled)
	}
	return r
}

func newPhase(rounds []measured, objects []float64) *phaseReport {
	if len(rounds) == 0 {
		return nil
	}
	var all measured
	var requests, bytes []float64
	for _, m := range rounds {
		all.add(m)
		requests = append(requests, m.rate())
		bytes = append(bytes, float64(m.sent+m.received)/m.took.Seconds())
	}
	p := &phaseReport{
		Requests: all.requests, PerSecond: median(requests), ObjectsRate: median(objects), BytesRate: median(bytes),
		Bytes: all.sent + all.received,
	}
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	p.Latency.P50, p.Latency.P90, p.Latency.P99 = ms(all.quantile(50)), ms(all.quantile(90)), ms(all.quantile(99))
	p.Latency.P999, p.Latency.Max = ms(all.quantile(99.9)), ms(all.quantile(100))
	return p
}

// phaseHeader is the header of cells.
var phaseHeader = []string{"requests", "requests/s", "objects/s", "bytes/s", "p50", "p90", "p99", "p99.9", "max"}

func (p *phaseReport) cells() []string {
	l := p.Latency
	return []string{thousands(float64(p.Requests)), figure(p.PerSecond), figure(p.ObjectsRate), bytesOf(p.BytesRate),
		figure(l.P50) + " ms", figure(l.P90) + " ms", figure(l.P99) + " ms", figure(l.P999) + " ms", figure(l.Max) + " ms"}
}

func (r runReport) print(sh *shell, o output) error {
	if o.JSON {
		return sh.printJSON(r)
	}
	header := append([]string{"server", "work"}, phaseHeader...)
	var lines [][]string
	var remarks []string
	for _, s := range r.Servers {
		for _, work := range []struct {
			name string
			p    *phaseReport
		}{{"push", s.Push}, {"poll", s.Poll}} {
			if p := work.p; p != nil {
				lines = append(lines, append([]string{s.URL, work.name}, p.cells()...))
			}
		}
		if s.Poll != nil && s.Poll.Unchanged > 0 {
			remarks = append(remarks, fmt.Sprintf("%s: %d of %d polls got 304", s.URL, s.Poll.Unchanged, s.Poll.Requests))
		}
		if s.Read != nil {
			remarks = append(remarks, fmt.Sprintf("%s: read at the end: %s", s.URL, s.Read))
		}
		if s.Followed != nil {
			remarks = append(remarks, fmt.Sprintf("%s: polled meanwhile: %s", s.URL, s.Followed))
		}
	}
	for _, ratio := range []struct {
		name string
		r    *ratio
	}{{"push", r.PushRatio}, {"poll", r.PollRatio}} {
		if ratio.r != nil {
			remarks = append(remarks, fmt.Sprintf("%s: the first is %s the second, objects a second", ratio.name, ratio.r))
		}
	}
	writeTable(sh.out, o.Markdown, header, lines)
	for _, remark := range remarks {
		if o.Markdown {
			fmt.Fprintf(sh.out, "\n%s\n", remark)
		} else {
			fmt.Fprintln(sh.out, remark)
		}
	}
	return nil
}

// writeTable writes columns, as Markdown or for a terminal.
func writeTable(out io.Writer, markdown bool, header []string, lines [][]string) {
	if markdown {
		fmt.Fprintf(out, "| %s |\n|%s\n", strings.Join(header, " | "), strings.Repeat(" --- |", len(header)))
		for _, line := range lines {
			fmt.Fprintf(out, "| %s |\n", strings.Join(line, " | "))
		}
		return
	}
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	for _, line := range append([][]string{header}, lines...) {
		fmt.Fprintln(w, strings.Join(line, "\t"))
	}
	w.Flush()
}
