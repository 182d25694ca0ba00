package stix

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Unprintable tells whether a character could steer a terminal, or change the
// order in which the text around it is shown: a control character other than
// newline and tab, a line separator, an embedding, override or isolate of
// bidirectional text.
func Unprintable(r rune) bool {
	switch {
	case r == '\n' || r == '\t':
		return false
	case r >= 0x202A && r <= 0x202E, r >= 0x2066 && r <= 0x2069, r == 0x2028, r == 0x2029:
		return true
	}
	return unicode.IsControl(r)
}

// EscapeFormula is a cell of CSV that no spreadsheet takes for a formula: it begins with an
// apostrophe if the text begins like one, also in full-width characters or behind spaces.
func EscapeFormula(cell string) string {
	first, _ := utf8.DecodeRuneInString(strings.TrimLeftFunc(cell, unicode.IsSpace))
	if cell != "" && strings.ContainsRune("=+-@\uFF1D\uFF0B\uFF0D\uFF20", first) || strings.HasPrefix(cell, "\t") || strings.HasPrefix(cell, "\r") || strings.HasPrefix(cell, "\n") {
		return "'" + cell
	}
	return cell
}

// Shorten is at most n bytes of a text of others, with an ellipsis for the rest.
func Shorten[T ~string | ~[]byte](text T, n int) string {
	if len(text) <= n {
		return string(text)
	}
	return strings.ToValidUTF8(string(text[:n]), "") + "…"
}

// Printable writes each unprintable character of a text as a JSON escape, such
// as \u001b, and each byte that is not UTF-8 as \x9b. All other characters stay,
// so JSON stays the same JSON. Text of others passes through it on its way to a
// terminal or a page.
func Printable(text string) string {
	if strings.IndexFunc(text, Unprintable) < 0 && utf8.ValidString(text) {
		return text
	}
	var b strings.Builder
	for i, r := range text {
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(text[i:], "\uFFFD"):
			fmt.Fprintf(&b, `\x%02x`, text[i])
		case Unprintable(r):
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
