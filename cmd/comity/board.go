package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"comity/taxii/operation"
)

// board writes the figures of an operation for people.
func board(w io.Writer, s operation.Stats) {
	fmt.Fprintf(w, "%-50s  %-24s  snapshot %s\n", "OPERATION "+s.Operation, "as seen by: "+s.As, s.Snapshot.UTC().Format(time.DateOnly))
	line := func(label string, n int, format string, args ...any) {
		number := thousands(n)
		dots := strings.Repeat(".", max(2, 34-len(label)-len(number)))
		fmt.Fprintf(w, "%s %s %s   "+format+"\n", append([]any{label, dots, number}, args...)...)
	}
	line("C2 servers identified", s.C2.Identified, "in %s   corroborated by two or more sources %s", plural(s.Countries, "country", "countries"),
		share(s.C2.Corroborated, s.C2.Identified))
	if s.C2.Digest != "" && s.As != operation.Bureaus { // the centre: others may not know how many findings stay there
		fmt.Fprintf(w, "  of which may leave the centre %s\n", thousands(s.MayLeave))
	}
	line("Compromised websites", s.Sites.Identified, "government portals %s", thousands(s.Sites.Portals))
	line("Issues flagged by countries", s.Issues.Flagged, "absorbed %s   own report %s   still open %s", thousands(s.Issues.Absorbed),
		thousands(s.Issues.OwnReport), thousands(s.Issues.Open))
	line("Cyber Activity Reports", s.Reports.Count, "to %s", plural(s.Reports.Countries, "country", "countries"))
	line("Outcomes reported", s.Outcomes.Reported, "neutralised %s", share(s.Outcomes.Neutralised, s.Outcomes.Reported))
}

// contributionTable writes the figures of each contributor, and their sums below.
func contributionTable(w io.Writer, list []operation.Contribution) {
	head := []string{"given", "sole", "corroborated", "first", "led", "confirmed others", "relayed", "acted on", "neutralised"}
	figures := func(c operation.Contribution) []int {
		return []int{c.Given, c.Sole, c.Corroborated, c.UniqueFirst, c.Led, c.ConfirmedOthers, c.Relayed, c.ActedOn, c.Neutralised}
	}
	first := len("origin")
	for _, c := range list {
		first = max(first, len(c.Origin))
	}
	row := func(origin string, cells []string, more string) {
		fmt.Fprintf(w, "%-*s", first, origin)
		for i, cell := range cells {
			fmt.Fprintf(w, "  %*s", max(6, len(head[i])), cell)
		}
		fmt.Fprintln(w, more)
	}
	row("origin", head, "  not counted")
	total := make([]int, len(head))
	for _, c := range list {
		for i, n := range figures(c) {
			total[i] += n
		}
		var reasons []string
		for _, reason := range slices.Sorted(maps.Keys(c.NotCounted)) {
			reasons = append(reasons, string(reason)+" "+thousands(c.NotCounted[reason]))
		}
		more := ""
		if len(reasons) > 0 {
			more = "  " + strings.Join(reasons, ", ")
		}
		row(c.Origin, numbers(figures(c)), more)
	}
	if len(list) > 1 {
		row("total", numbers(total), "")
	}
}

func numbers(list []int) (cells []string) {
	for _, n := range list {
		cells = append(cells, thousands(n))
	}
	return cells
}

// thousands is n with its digits in groups of three.
func thousands(n int) string {
	digits := strconv.Itoa(n)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// share is n and its percentage of all.
func share(n, all int) string {
	if all == 0 {
		return thousands(n)
	}
	return fmt.Sprintf("%s (%.1f%%)", thousands(n), 100*float64(n)/float64(all))
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return thousands(n) + " " + many
}
