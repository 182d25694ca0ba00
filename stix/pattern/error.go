package pattern

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Error is a fault of a pattern: its place, the text found there and the text expected.
type Error struct {
	Rule         string   // number of the rule, such as "R-150"
	Offset       int      // bytes before the place
	Line, Column int      // of the place, from 1; columns are counted in characters
	Expected     []string // the tokens allowed there; nil if Text is enough
	Found        string   // the text there, cut to 40 characters; "" if nothing in particular
	Text         string   // the explanation, where a list of tokens is not enough
}

// Error is "line 1, column 9: expected … or …, found …: text".
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "line %d, column %d: ", e.Line, e.Column)
	if n := len(e.Expected); n > 0 {
		b.WriteString("expected ")
		if n > 1 {
			b.WriteString(strings.Join(e.Expected[:n-1], ", ") + " or ")
		}
		b.WriteString(e.Expected[n-1])
		if e.Found != "" {
			b.WriteString(", found " + e.Found)
		}
		if e.Text != "" {
			b.WriteString(": ")
		}
	}
	b.WriteString(e.Text)
	return b.String()
}

// locate fills in the line and column of an error in text.
func (e *Error) locate(text string) *Error {
	before := text[:e.Offset]
	e.Line = 1 + strings.Count(before, "\n")
	e.Column = 1 + utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:])
	return e
}

// quote shows a piece of a pattern in a message: in quotes, and not too long.
func quote(s string) string {
	n := 0
	for i := range s {
		if n++; n > 40 {
			return fmt.Sprintf("%q…", s[:i])
		}
	}
	return fmt.Sprintf("%q", s)
}
