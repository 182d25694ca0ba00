package stix

// scanner finds the end of a value that is certainly I-JSON, several times faster than
// jsontext does. If it is uncertain about a value, jsontext decides.
//
// Its methods take the index in b where something begins and return the index
// after it, or incomplete or uncertain.
type scanner struct {
	b       []byte
	spaced  bool   // there was whitespace between tokens
	escaped bool   // there was an escape in a string
	names   []name // of the members of the objects that are not yet closed
}

const (
	incomplete = -1 // b ends before the value does
	uncertain  = -2 // a fault, or a rare case that the scanner leaves to jsontext
)

// space skips whitespace. The index may be the end of b.
func (s *scanner) space(i int) int {
	for ; i < len(s.b) && s.b[i] <= ' '; i++ {
		switch s.b[i] {
		case ' ', '\t', '\n', '\r':
			s.spaced = true
		default:
			return i
		}
	}
	return i
}

// value reads a value that is depth levels deep.
func (s *scanner) value(i, depth int) int {
	if i >= len(s.b) {
		return incomplete
	}
	switch c := s.b[i]; c {
	case '"':
		return s.text(i)
	case '{', '[':
		if depth == maxDepth {
			return uncertain
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

// follows reads the comma behind an element or member, or the end of the list or object.
// more tells whether it was a comma.
func (s *scanner) follows(i int, end byte) (next int, more bool) {
	switch i = s.space(i); {
	case i >= len(s.b):
		return incomplete, false
	case s.b[i] == ',':
		return s.space(i + 1), true
	case s.b[i] == end:
		return i + 1, false
	}
	return uncertain, false
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
			return incomplete
		}
		if s.b[i] != '"' {
			return uncertain
		}
		from := i + 1
		s.escaped = false
		if i = s.text(i); i < 0 {
			return i
		}
		if s.escaped || !seen.add(from, i-1) {
			return uncertain
		}
		// There is mostly no whitespace around a member, and its value is mostly a
		// string. These cases have a faster path.
		if i+1 < len(s.b) && s.b[i] == ':' && s.b[i+1] > ' ' {
			i++
		} else {
			if i = s.space(i); i >= len(s.b) {
				return incomplete
			}
			if s.b[i] != ':' {
				return uncertain
			}
			i = s.space(i + 1)
		}
		if i < len(s.b) && s.b[i] == '"' {
			i = s.text(i)
		} else {
			i = s.value(i, depth)
		}
		if i < 0 {
			return i
		}
		if i+1 < len(s.b) && s.b[i] == ',' && s.b[i+1] == '"' {
			i++
			continue
		}
		if i, more = s.follows(i, '}'); i < 0 {
			return i
		}
	}
	s.names = s.names[:seen.base]
	return i
}

func (s *scanner) word(i int, want string) int {
	end := i + len(want)
	if end > len(s.b) {
		return incomplete
	}
	if string(s.b[i:end]) != want {
		return uncertain
	}
	return end
}

// number reads a number, which ends before another character of b.
func (s *scanner) number(i int) int {
	if s.b[i] == '-' {
		i++
	}
	first := i
	if i = s.digits(i); i < 0 {
		return i
	}
	if s.b[first] == '0' && i > first+1 {
		return uncertain
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

// digits reads at least one digit.
func (s *scanner) digits(i int) int {
	for first := i; i < len(s.b); i++ {
		if c := s.b[i]; c < '0' || c > '9' {
			if i == first {
				return uncertain
			}
			return i
		}
	}
	return incomplete
}
