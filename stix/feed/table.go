package feed

import (
	"encoding/csv"
	"strconv"
	"strings"
	"time"

	"comity/stix"
)

const csvHead = "kind,value,confidence,valid_from,valid_until,modified,types,indicators,name\n"

// csvLine writes the columns of csvHead (RFC 4180, but with LF). Times are in UTC; the
// elements of a list are separated by spaces. An unknown confidence and an absent time are empty.
func csvLine(b []byte, w *writing, e *Entry) []byte {
	confidence := ""
	if e.Confidence != Unknown {
		confidence = strconv.Itoa(e.Confidence)
	}
	return w.row(b,
		e.Kind.String(), e.Text, confidence, timestamp(e.From), timestamp(e.Until), timestamp(e.Modified),
		stix.EscapeFormula(oneLine(strings.Join(e.Types, " "))), joinIDs(e.IDs), stix.EscapeFormula(oneLine(e.Name)))
}

// row appends the cells of one row.
func (w *writing) row(b []byte, cells ...string) []byte {
	if w.table == nil {
		w.table = csv.NewWriter(&w.cells)
	}
	w.cells.Reset()
	w.table.Write(cells) // a bytes.Buffer has no errors
	w.table.Flush()
	return append(b, w.cells.Bytes()...)
}

// timestamp is t in UTC and seconds (RFC 3339), "" if t is zero.
func timestamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

func joinIDs(ids []stix.ID) string {
	var b strings.Builder
	for i, id := range ids {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(string(id))
	}
	return b.String()
}
