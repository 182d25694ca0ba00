package stix

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

// scanner finds where a value ends that is I-JSON beyond doubt, several times
// faster than jsontext does. It says nothing of a value that is not: wherever it
// is in doubt, jsontext decides.
//
// Its methods take the index in b where something begins and return the index
// after it, or short or odd.
type scanner struct {
	b       []byte
	loose   bool   // there was whitespace between tokens
	escaped bool   // there was an escape in a string
	names   []name // of the members of the objects that the scan is in
}

const (
	short = -1 // b ends before the value does
	odd   = -2 // a fault, or something so rare that it is not worth its code here
)

// space skips whitespace. Like what follows it, its end may be the end of b.
func (s *scanner) space(i int) int {
	for ; i < len(s.b) && s.b[i] <= ' '; i++ {
		switch s.b[i] {
		case ' ', '\t', '\n', '\r':
			s.loose = true
		default:
			return i
		}
	}
	return i
}

// value reads a value that is depth levels deep.
func (s *scanner) value(i, depth int) int {
	if i >= len(s.b) {
		return short
	}
	switch c := s.b[i]; c {
	case '"':
		return s.text(i)
	case '{', '[':
		if depth == maxDepth {
			return odd
		}
		if c == '{' {
			return s.object(i, depth+1)
		}
		return s.list(i, depth+1)
	case 't':
		return s.word(i, "true")
	case 'f':
		return s.word(i, "false")
	case 'n':
		return s.word(i, "null")
	}
	return s.number(i)
}

// follows tells what stands behind an element or member: a comma, or the end of
// the list or object.
func (s *scanner) follows(i int, end byte) (next int, more bool) {
	switch i = s.space(i); {
	case i >= len(s.b):
		return short, false
	case s.b[i] == ',':
		return s.space(i + 1), true
	case s.b[i] == end:
		return i + 1, false
	}
	return odd, false
}

func (s *scanner) list(i, depth int) int {
	i = s.space(i + 1)
	if i < len(s.b) && s.b[i] == ']' {
		return i + 1
	}
	for more := true; more; {
		if i = s.value(i, depth); i < 0 {
			return i
		}
		if i, more = s.follows(i, ']'); i < 0 {
			return i
		}
	}
	return i
}

func (s *scanner) object(i, depth int) int {
	i = s.space(i + 1)
	if i < len(s.b) && s.b[i] == '}' {
		return i + 1
	}
	seen := nameSet{scanner: s, base: len(s.names)}
	for more := true; more; {
		if i >= len(s.b) {
			return short
		}
		if s.b[i] != '"' {
			return odd
		}
		from := i + 1
		s.escaped = false
		if i = s.text(i); i < 0 {
			return i
		}
		if s.escaped || !seen.add(from, i-1) {
			return odd
		}
		if i = s.space(i); i >= len(s.b) {
			return short
		}
		if s.b[i] != ':' {
			return odd
		}
		if i = s.value(s.space(i+1), depth); i < 0 {
			return i
		}
		if i, more = s.follows(i, '}'); i < 0 {
			return i
		}
	}
	s.names = s.names[:seen.base]
	return i
}

// name is where the name of a member is, with its first octets.
type name struct {
	first    uint64
	from, to int
}

// nameSet is the names of one object, of which none may come twice: those of
// its scanner from base on.
type nameSet struct {
	*scanner
	base int
	some uint64              // a bit for each name so far, which others may share
	many map[string]struct{} // all of them, once they are many
}

// manyNames is from how many names on a map finds one faster than comparing.
const manyNames = 48

// add is false if the name is there already.
func (n *nameSet) add(from, to int) bool {
	if n.many != nil {
		before := len(n.many)
		n.many[string(n.b[from:to])] = struct{}{}
		return len(n.many) > before
	}
	one := name{n.first(from, to), from, to}
	bit := uint64(1) << ((one.first + uint64(to-from)) * 0x9e3779b97f4a7c15 >> 58)
	if n.some&bit != 0 {
		for _, other := range n.names[n.base:] {
			if other.first == one.first && string(n.b[other.from:other.to]) == string(n.b[from:to]) {
				return false
			}
		}
	}
	n.some |= bit
	n.names = append(n.names, one)
	if len(n.names)-n.base == manyNames {
		n.many = make(map[string]struct{}, 2*manyNames)
		for _, other := range n.names[n.base:] {
			n.many[string(n.b[other.from:other.to])] = struct{}{}
		}
	}
	return true
}

// first is the first eight octets between from and to, or zeros behind fewer.
func (s *scanner) first(from, to int) uint64 {
	if from+8 > len(s.b) {
		var room [8]byte
		copy(room[:], s.b[from:to])
		return binary.LittleEndian.Uint64(room[:])
	}
	w := binary.LittleEndian.Uint64(s.b[from:])
	if n := to - from; n < 8 {
		w &= 1<<(8*n) - 1
	}
	return w
}

// ones times an octet is that octet eight times; high has the highest bit of
// each of eight octets.
const (
	ones = 0x0101010101010101
	high = 0x8080808080808080
)

// special marks, with the highest bit of an octet, the first of eight octets
// that is a quote, a backslash or a control character. Marks behind the first
// mean nothing.
func special(w uint64) uint64 {
	quote, backslash := w^ones*'"', w^ones*'\\'
	return ((quote-ones)&^quote | (backslash-ones)&^backslash | (w-ones*' ')&^w) & high
}

// text reads a string. Only one that is not all ASCII is looked at twice.
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
			return short
		}
		switch c := b[i]; {
		case c == '"':
			if all&high != 0 && !utf8.Valid(b[from:i]) {
				return odd
			}
			return i + 1
		case c == '\\':
			s.escaped = true
			if i = s.escape(i); i < 0 {
				return i
			}
		case c < ' ':
			return odd
		default: // one of the last seven of b
			all |= uint64(c)
			i++
		}
	}
}

// escape reads what a backslash begins. A half of a surrogate pair does not
// stand alone.
func (s *scanner) escape(i int) int {
	if i+1 >= len(s.b) {
		return short
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
			return odd
		}
		return next
	}
	return odd
}

// unit reads \uXXXX.
func (s *scanner) unit(i int) (unit rune, end int) {
	if i+6 > len(s.b) {
		return 0, short
	}
	if s.b[i] != '\\' || s.b[i+1] != 'u' {
		return 0, odd
	}
	for _, c := range s.b[i+2 : i+6] {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return 0, odd
		}
		unit = unit<<4 | rune(c)
	}
	return unit, i + 6
}

func (s *scanner) word(i int, want string) int {
	end := i + len(want)
	if end > len(s.b) {
		return short
	}
	if string(s.b[i:end]) != want {
		return odd
	}
	return end
}

// number reads a number, which ends before something that is there.
func (s *scanner) number(i int) int {
	if s.b[i] == '-' {
		i++
	}
	first := i
	if i = s.digits(i); i < 0 {
		return i
	}
	if s.b[first] == '0' && i > first+1 {
		return odd
	}
	if s.b[i] == '.' {
		if i = s.digits(i + 1); i < 0 {
			return i
		}
	}
	if s.b[i]|0x20 == 'e' {
		if i++; i < len(s.b) && (s.b[i] == '+' || s.b[i] == '-') {
			i++
		}
		i = s.digits(i)
	}
	return i
}

// digits reads at least one.
func (s *scanner) digits(i int) int {
	for first := i; i < len(s.b); i++ {
		if c := s.b[i]; c < '0' || c > '9' {
			if i == first {
				return odd
			}
			return i
		}
	}
	return short
}
