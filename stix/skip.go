package stix

// skipper finds where an element of the list ends although it is no I-JSON:
// strings and brackets must match, and nothing but JSON's own characters stands
// outside of strings. It may be given the element in pieces.
type skipper struct {
	open    []byte // the brackets that are still to be closed, innermost last
	quoted  bool   // within a string
	escaped bool   // after a backslash in one
	behind  bool   // after a string
	literal bool   // within a number or word that is the whole element
}

// mostOpen is how deep jsontext follows brackets. It bounds the skipper too.
const mostOpen = 10_000

// skip returns the index after the element, short if all of b is part of it, or
// odd where its end cannot be trusted.
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
				s.behind = true
			}
			continue
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			if s.literal {
				return i
			}
			continue
		case s.literal && (c == ',' || c == ']'):
			return i
		case s.behind && c != ',' && c != ':' && c != '}' && c != ']':
			return odd
		}
		s.behind = false
		switch inner := len(s.open) > 0; {
		case c == '"' && !s.literal:
			s.quoted = true
		case (c == '{' || c == '[') && !s.literal && len(s.open) < mostOpen:
			s.open = append(s.open, c+2) // in ASCII, } is two behind {, and ] behind [
		case inner && c == s.open[len(s.open)-1]:
			if s.open = s.open[:len(s.open)-1]; len(s.open) == 0 {
				return i + 1
			}
		case inner && (c == ',' || c == ':'):
		case c == '+' || c == '-' || c == '.' || '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z':
			s.literal = !inner
		default:
			return odd
		}
	}
	return short
}
