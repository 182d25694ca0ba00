package main

import "fmt"

// rowsReport is the result of rows.
type rowsReport struct {
	Objects int      `json:"objects"`
	Rounds  int      `json:"rounds"`
	Time    string   `json:"time"`
	Rows    []line   `json:"rows"`
	Read    delivery `json:"read"` // at the end
}

func (r rowsReport) print(sh *shell, o output) error {
	if o.JSON {
		return sh.printJSON(r)
	}
	var cells [][]string
	for _, l := range r.Rows {
		cells = append(cells, l.cells())
	}
	writeTable(sh.out, o.Markdown, []string{"workload", "comity", "beside the best peer", "beside the limit", "target", "beside nginx"}, cells)
	fmt.Fprintf(sh.out, "\n%s objects, %d alternating rounds of %s a side; ratios are medians of the rounds, with their range.\nRead at the end: %s.\n",
		thousands(float64(r.Objects)), r.Rounds, r.Time, r.Read)
	for _, l := range r.Rows {
		if l.Failed != "" {
			fmt.Fprintf(sh.out, "Row %s failed: %s\n", l.Row, l.Failed)
		}
	}
	return nil
}

// cells are the line in the table.
func (l line) cells() []string {
	if l.Failed != "" {
		return []string{l.Name, "failed", "", "", "", ""}
	}
	amount := figure(l.Ours) + " " + l.Unit
	if l.Unit == "bytes" {
		amount = bytesOf(l.Ours)
	}
	cells := []string{l.Name, amount, "", fmt.Sprintf("%s %s", l.VsLimit, l.Limit), l.target(), ""}
	if l.VsPeer != nil {
		cells[2] = fmt.Sprintf("%s × %s", figure(l.VsPeer.Median), l.Peer)
		if l.PeerTarget > 0 {
			cells[2] += fmt.Sprintf(", ≥ %s %s", figure(l.PeerTarget), mark(l.VsPeer.Median >= l.PeerTarget))
		}
	}
	if l.VsNginx != nil {
		cells[5] = figure(l.VsNginx.Median) + " ×"
	}
	return cells
}

// target is the target of the ratio, marked as reached or missed.
func (l line) target() string {
	if l.Target == 0 {
		return ""
	}
	sign := "≥"
	if l.AtMost {
		sign = "≤"
	}
	return fmt.Sprintf("%s %s %s", sign, figure(l.Target), mark(l.met(0)))
}

func mark(met bool) string {
	if met {
		return "✓"
	}
	return "✗"
}
