package main

import (
	"fmt"
)

// names are what rows are called where they were not measured.
var names = map[int]string{
	1: "page of 1,000 objects", 2: "page of 100 objects", 3: "gzip page of 1,000, asked again", 4: "gzip page of 1,000, never asked before",
	5: "page at depth", 6: "page of 1,000 anywhere, warm", 7: "page of 1,000 anywhere, not in memory", 8: "page of a type",
	9: "page where each object has superseded versions", 10: "page that is known already: 304", 11: "pushes of 1,000", 12: "pushes of 10,000",
	13: "64 writers of one object each", 14: "one writer, one object", 15: "octets to disk", 16: "size of the store", 17: "memory",
	18: "memory that a push of 100 MB adds", 19: "page of 1,000 objects, TLS 1.3", 20: "check of a token", 21: "restart", 22: "parse of an envelope",
}

// rowsReport is what a run of rows found out.
type rowsReport struct {
	Objects int     `json:"objects"`
	Rounds  int     `json:"rounds"`
	Time    string  `json:"time"`
	Rows    []line  `json:"rows"`
	Walk    verdict `json:"walk"`
}

func (r rowsReport) print(sh *shell, o output) error {
	if o.JSON {
		return sh.printJSON(r)
	}
	header := []string{"row", "workload", "comity", "limit", "comity / limit", "target", "peer", "times better", "target"}
	var table [][]string
	for _, l := range r.Rows {
		cells := l.cells()
		if o.Markdown {
			cells = l.short()
		}
		table = append(table, cells)
	}
	if o.Markdown {
		header = []string{"row", "workload", "comity", "beside", "ratio", "target", "better than the best peer"}
	}
	writeTable(sh.out, o.Markdown, header, table)
	fmt.Fprintln(sh.out)
	said := map[string]bool{}
	remark := func(text string) {
		if said[text] {
			return
		}
		said[text] = true
		if o.Markdown {
			text = "- " + text
		}
		fmt.Fprintln(sh.out, text)
	}
	for _, l := range r.Rows {
		if l.Others != "" {
			remark(fmt.Sprintf("Row %d, %s: %s.", l.Row, l.Name, l.Others))
		}
		if l.Note != "" {
			remark(fmt.Sprintf("Row %d: %s.", l.Row, l.Note))
		}
		if l.Why != "" {
			remark(fmt.Sprintf("Row %d was not measured: %s.", l.Row, l.Why))
		}
	}
	remark(fmt.Sprintf("%s objects, %d alternating rounds of %s a side; ratios are medians of the rounds, with their range. Peers take part in two rounds.",
		thousands(float64(r.Objects)), r.Rounds, r.Time))
	remark(fmt.Sprintf("Walk through what was imported and pushed: %s.", r.Walk))
	return nil
}

// cells are a line of the table.
func (l line) cells() []string {
	cells := []string{fmt.Sprint(l.Row), l.Name, "–", "–", "–", "–", "–", "–", "–"}
	if l.Why != "" {
		cells[2] = "not measured"
		return cells
	}
	cells[2] = l.amount(l.Ours)
	if l.Limit != "" {
		cells[3] = l.Limit + ": " + l.amount(l.LimitFigure)
		cells[4] = l.VsLimit.String()
	}
	if l.Target > 0 {
		sign := "≥"
		if l.AtMost {
			sign = "≤"
		}
		cells[5] = fmt.Sprintf("%s %s %s", sign, figure(l.Target), mark(l.met(0)))
	}
	if l.VsPeer != nil {
		cells[6] = l.Peer + ": " + l.amount(l.PeerFigure)
		cells[7] = l.VsPeer.String()
		if l.PeerTarget > 0 {
			cells[8] = fmt.Sprintf("≥ %s %s", figure(l.PeerTarget), mark(l.VsPeer.Median >= l.PeerTarget))
		}
	}
	return cells
}

// short are the cells of a table that has to fit a page.
func (l line) short() []string {
	c := l.cells()
	peer := c[7]
	if l.VsPeer != nil {
		peer = fmt.Sprintf("%s× (%s)", figure(l.VsPeer.Median), l.Peer)
	}
	beside := c[3]
	if l.Limit != "" {
		beside = l.Limit
	}
	return []string{c[0], c[1], c[2], beside, c[4], c[5], peer}
}

func mark(met bool) string {
	if met {
		return "✓"
	}
	return "✗"
}

// amount is a figure with its unit.
func (l line) amount(f float64) string {
	if l.Unit == "octets" {
		return bytesOf(f)
	}
	return figure(f) + " " + l.Unit
}
