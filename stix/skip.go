package stix

// skipper finds the end of an element of the list even if it is no I-JSON. Strings and
// brackets must match, and only characters of JSON may stand outside of strings. The
// element may come in pieces.
type skipper struct {
	open        []byte // the closing brackets that are still expected, innermost last
	quoted      bool   // within a string
	escaped     bool   // after a backslash in one
	afterString bool
	literal     bool // within a number or word that is the whole element
}

// maxOpen is the depth of brackets at which jsontext and the skipper give up.
const maxOpen = 10_000

// skip returns the index after the element, incomplete if all of b is part of it, or
// uncertain if its end cannot be found.
func (s *skipper) skip(b []byte) int {
	for i, c := range b {
		switch {
		case s.escaped:
			s.escaped = false
			continue
		case s.quoted:
			s.escaped = c == '\\'
			if c == '"' {
				if s.quoted = false; len(s.open) == 0 {
					return i + 1
				}
				s.afterString = true
			}
			continue
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			if s.literal {
				return i
			}
			continue
		case s.literal && (c == ',' || c == ']'):
			return i
		case s.afterString && c != ',' && c != ':' && c != '}' && c != ']':
			return uncertain
		}
		s.afterString = false
		switch inner := len(s.open) > 0; {
		case c == '"' && !s.literal:
			s.quoted = true
		case (c == '{' || c == '[') && !s.literal && len(s.open) < maxOpen:
			s.open = append(s.open, c+2) // in ASCII, } is two behind {, and ] behind [
		case inner && c == s.open[len(s.open)-1]:
			if s.open = s.open[:len(s.open)-1]; len(s.open) == 0 {
				return i + 1
			}
		case inner && (c == ',' || c == ':'):
		case c == '+' || c == '-' || c == '.' || '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z':
			s.literal = !inner
		default:
			return uncertain
		}
	}
	return incomplete
}
