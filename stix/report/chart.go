package report

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"comity/stix"
)

// Chart is a bar chart and its layout.
type Chart struct {
	Title   string
	Note    string // the unit that is counted
	Columns bool   // vertical bars, as for time; otherwise horizontal ones
	Bars    []Bar

	Width, Height float64 // of the drawing
	Base          float64 // the y coordinate of the foot of vertical bars
}

// Bar is one bar of a chart and its place. Text is its label, which may be empty where
// there is no room.
type Bar struct {
	Name  string // in full
	Text  string
	Count int

	X, Y, W, H       float64
	TextX, TextY     float64 // of its label
	NumberX, NumberY float64
	Anchor           string // of its label: start, middle or end
}

// charts are the charts of a document that have a bar. A document with few findings has
// none, since its table shows them better.
func (d *Document) charts() []Chart {
	const few = 5
	if len(d.Rows) < few {
		return nil
	}
	all := []Chart{
		ChartOfWeeks(Weeks(d.Rows)),
		{Title: "Sources per finding", Note: "independent sources that reported one finding", Bars: sources(d.Rows)},
		{Title: "Top networks", Note: "by findings; /24 of IPv4, /48 of IPv6", Bars: networks(d.Rows)},
		{Title: "Outcomes so far", Note: "what the country reported of each finding", Bars: outcomes(d.Rows)},
	}
	all = slices.DeleteFunc(all, func(c Chart) bool { return len(c.Bars) == 0 })
	for i := range all {
		if !all[i].Columns {
			all[i].layoutRows()
		}
	}
	return all
}

const (
	week     = 7 * 24 * time.Hour
	weekBars = 15 // older findings share one bar
	netBars  = 8
	drawing  = 340 // its width, in the units of its text
)

// Week is a week in which findings were first seen.
type Week struct {
	Monday   time.Time // its midnight (UTC)
	Findings int
}

// Weeks are the weeks in which the findings of rows were first seen, in order of time. A week
// without any is left out.
func Weeks(rows []Row) (weeks []Week) {
	counts := map[time.Time]int{}
	for _, row := range rows {
		if !row.First.IsZero() {
			counts[row.First.UTC().Truncate(week)]++ // the zero time is a Monday
		}
	}
	for _, monday := range slices.SortedFunc(maps.Keys(counts), time.Time.Compare) {
		weeks = append(weeks, Week{monday, counts[monday]})
	}
	return weeks
}

// ChartOfWeeks is the chart of findings by the week in which they were first seen. It has no
// bar if there is no week.
func ChartOfWeeks(weeks []Week) Chart {
	c := Chart{Title: "Findings per week", Note: "first seen in the week from that Monday", Columns: true}
	if len(weeks) == 0 {
		return c
	}
	first, last := weeks[0].Monday, weeks[len(weeks)-1].Monday
	counts, earlier := map[time.Time]int{}, 0
	from := last.Add(-(weekBars - 1) * week)
	for _, w := range weeks {
		if counts[w.Monday] = w.Findings; w.Monday.Before(from) {
			earlier += w.Findings
		}
	}
	if first.Before(from) {
		c.Bars, first = append(c.Bars, Bar{Name: "before " + day(from), Text: "earlier", Count: earlier}), from
	}
	for monday := first; !monday.After(last); monday = monday.Add(week) {
		c.Bars = append(c.Bars, Bar{Name: "week of " + day(monday), Text: monday.Format("2 Jan"), Count: counts[monday]})
	}
	c.layoutColumns()
	return c
}

// sources counts findings by their number of sources.
func sources(rows []Row) []Bar {
	const most = 5
	bars := make([]Bar, most+1)
	for i := range bars {
		bars[i].Name = plural(i, "source")
	}
	bars[most].Name += " or more"
	for _, row := range rows {
		bars[max(0, min(row.Sources, most))].Count++
	}
	for len(bars) > 0 && bars[len(bars)-1].Count == 0 {
		bars = bars[:len(bars)-1]
	}
	if len(bars) > 0 && bars[0].Count == 0 {
		bars = bars[1:]
	}
	return bars
}

// networks counts findings by the network of their address, and keeps the largest
// counts.
func networks(rows []Row) []Bar {
	counts := map[netip.Prefix]int{}
	for _, row := range rows {
		if network, ok := networkOf(row.Key); ok {
			counts[network]++
		}
	}
	var bars []Bar
	for network, n := range counts {
		address := stix.Value{Type: "ipv6-addr", Text: network.Addr().String()}
		if network.Addr().Is4() {
			address.Type = "ipv4-addr"
		}
		name := fmt.Sprintf("%s/%d", defang(address), network.Bits())
		bars = append(bars, Bar{Name: name, Count: n})
	}
	slices.SortFunc(bars, func(a, b Bar) int { return cmp.Or(b.Count-a.Count, strings.Compare(a.Name, b.Name)) })
	return bars[:min(len(bars), netBars)]
}

// networkOf is the /24 of an IPv4 address, or the /48 of an IPv6 address.
func networkOf(key string) (netip.Prefix, bool) {
	addr, err := netip.ParseAddr(key)
	if err != nil {
		return netip.Prefix{}, false
	}
	bits := 48
	if addr.Is4() {
		bits = 24
	}
	network, err := addr.Prefix(bits)
	return network, err == nil
}

// outcomes counts findings by their last outcome. The most frequent comes first, and
// findings without an outcome come last.
func outcomes(rows []Row) []Bar {
	counts := map[string]int{}
	for _, row := range rows {
		counts[row.Status]++
	}
	var bars []Bar
	for status, n := range counts {
		if status != "" {
			bars = append(bars, Bar{Name: statusWord(status), Count: n})
		}
	}
	slices.SortFunc(bars, func(a, b Bar) int { return cmp.Or(b.Count-a.Count, strings.Compare(a.Name, b.Name)) })
	if n := counts[""]; n > 0 {
		bars = append(bars, Bar{Name: "none reported yet", Count: n})
	}
	return bars
}

func statusWord(status string) string { return strings.ReplaceAll(status, "-", " ") }

func plural(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + one + "s"
}

// layoutColumns lays out vertical bars. If there are many, every third has a label.
func (c *Chart) layoutColumns() {
	const (
		height, top, bottom = 104.0, 14.0, 16.0
		widest              = 40.0
	)
	c.Width, c.Height, c.Base = drawing, height+top+bottom, top+height
	step := min(c.Width/float64(len(c.Bars)), widest)
	every := 1
	if len(c.Bars) > 8 {
		every = 3
	}
	most := c.maxCount()
	for i := range c.Bars {
		b := &c.Bars[i]
		b.W, b.H = step*0.72, height*float64(b.Count)/most
		b.X, b.Y = step*float64(i)+step*0.14, top+height-b.H
		b.TextX, b.NumberX = b.X+b.W/2, b.X+b.W/2
		b.TextY, b.NumberY = top+height+12, b.Y-3
		b.Anchor = "middle"
		switch fromEnd := len(c.Bars) - 1 - i; {
		case i == 0 && b.Text == "earlier":
			b.Anchor, b.TextX = "start", 0
		case fromEnd%every != 0, i == 1 && c.Bars[0].Text == "earlier":
			b.Text = ""
		}
	}
}

// layoutRows lays out horizontal bars, their labels to the left.
func (c *Chart) layoutRows() {
	const row, label, number = 17.0, 118.0, 28.0
	c.Width, c.Height = drawing, row*float64(len(c.Bars))
	most := c.maxCount()
	for i := range c.Bars {
		b := &c.Bars[i]
		b.Text, b.Anchor = b.Name, "end"
		b.X, b.Y, b.H = label, row*float64(i)+3, row-6
		b.W = (c.Width - label - number) * float64(b.Count) / most
		b.TextX, b.NumberX = label-8, b.X+b.W+5
		b.TextY, b.NumberY = b.Y+b.H-2, b.Y+b.H-2
	}
}

func (c *Chart) maxCount() float64 {
	most := 1
	for _, b := range c.Bars {
		most = max(most, b.Count)
	}
	return float64(most)
}

// Description is the chart in words, for screen readers.
func (c Chart) Description() string {
	parts := make([]string, 0, len(c.Bars))
	for _, b := range c.Bars {
		if b.Count > 0 {
			parts = append(parts, fmt.Sprintf("%s: %d", b.Name, b.Count))
		}
	}
	return c.Title + ". " + strings.Join(parts, "; ") + "."
}
