package stix

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

// ones times a byte is that byte eight times; high has the highest bit of
// each of eight bytes.
const (
	ones = 0x0101010101010101
	high = 0x8080808080808080
)

// special marks, with the highest bit of a byte, the first of eight bytes
// that is a quote, a backslash or a control character. Marks behind the first
// mean nothing.
func special(w uint64) uint64 {
	// With the second bit turned over, a quote is the next after the controls.
	return ((w ^ ones*2) - ones*0x21 | ((w ^ ones*'\\') - ones)) &^ w & high
}

// text reads a string. Only a string that is not ASCII is read twice.
func (s *scanner) text(i int) int {
	b, i := s.b, i+1
	from, all := i, uint64(0)
	for {
		for ; i+8 <= len(b); i += 8 {
			w := binary.LittleEndian.Uint64(b[i : i+8])
			all |= w
			if marks := special(w); marks != 0 {
				i += bits.TrailingZeros64(marks) / 8
				break
			}
		}
		if i >= len(b) {
			return incomplete
		}
		switch c := b[i]; {
		case c == '"':
			if all&high != 0 && !utf8.Valid(b[from:i]) {
				return uncertain
			}
			return i + 1
		case c == '\\':
			s.escaped = true
			if i = s.escape(i); i < 0 {
				return i
			}
		case c < ' ':
			return uncertain
		default: // one of the last seven of b
			all |= uint64(c)
			i++
		}
	}
}

// escape reads an escape. It is uncertain about half of a surrogate pair.
func (s *scanner) escape(i int) int {
	if i+1 >= len(s.b) {
		return incomplete
	}
	switch s.b[i+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 2
	case 'u':
		unit, end := s.unit(i)
		if end < 0 || unit < 0xd800 || unit > 0xdfff {
			return end
		}
		low, next := s.unit(end)
		if next >= 0 && (unit > 0xdbff || low < 0xdc00 || low > 0xdfff) {
			return uncertain
		}
		return next
	}
	return uncertain
}

// unit reads \uXXXX.
func (s *scanner) unit(i int) (unit rune, end int) {
	if i+6 > len(s.b) {
		return 0, incomplete
	}
	if s.b[i] != '\\' || s.b[i+1] != 'u' {
		return 0, uncertain
	}
	for _, c := range s.b[i+2 : i+6] {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return 0, uncertain
		}
		unit = unit<<4 | rune(c)
	}
	return unit, i + 6
}
