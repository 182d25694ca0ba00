package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"comity/taxii"
)

// table writes a line of column heads, which are separated by commas, and a line
// for each item of a list; "none" if the list is empty. A newline or tab in a cell
// would forge another one, so both are escaped.
func table[T any](w io.Writer, heads string, list []T, row func(T) []any) {
	if len(list) == 0 {
		fmt.Fprintln(w, "none")
		return
	}
	fmt.Fprintln(w, strings.ReplaceAll(strings.ToUpper(heads), ",", "\t"))
	for _, item := range list {
		for i, cell := range row(item) {
			if i > 0 {
				fmt.Fprint(w, "\t")
			}
			fmt.Fprint(w, oneLine(fmt.Sprint(cell)))
		}
		fmt.Fprintln(w)
	}
}

// printTable writes a result: as JSON, or as a table of the list.
func printTable[T any](sh *shell, result any, heads string, list []T, row func(T) []any) error {
	return sh.print(result, func(w io.Writer) { table(w, heads, list, row) })
}

// oneLine escapes newlines and tabs.
func oneLine(text string) string {
	return strings.NewReplacer("\n", `\n`, "\t", `\t`).Replace(text)
}

// timeOrNever is a time in a table; "never" for the zero time.
func timeOrNever(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return taxii.FormatTime(t)
}

// size is a number of bytes for people.
func size(n int64) string {
	if n < 1000 {
		return fmt.Sprintf("%d bytes", n)
	}
	value, unit := float64(n), 0
	for value >= 999.5 && unit < 4 {
		value, unit = value/1000, unit+1
	}
	return fmt.Sprintf("%.3g %cB", value, " kMGT"[unit])
}
