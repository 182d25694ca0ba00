package validate

import (
	"bytes"

	"github.com/go-json-experiment/json/jsontext"
)

// The functions of this file walk compact JSON that is known to be valid, by
// index: i is where a value begins, and what they return is where it ends.

// skipString returns the index after the string that begins at b[i].
func skipString(b []byte, i int) int {
	for i++; ; i++ {
		i += bytes.IndexByte(b[i:], '"')
		if b[i-1] != '\\' {
			return i + 1
		}
		// The quote ends the string unless an odd number of backslashes precedes it.
		n := 1
		for b[i-1-n] == '\\' {
			n++
		}
		if n%2 == 0 {
			return i + 1
		}
	}
}

// skipValue returns the index after the value that begins at b[i].
func skipValue(b []byte, i int) int {
	depth := 0
	for {
		switch b[i] {
		case '"':
			i = skipString(b, i)
		case '{', '[':
			depth++
			i++
			continue
		case '}', ']':
			depth--
			i++
		case ',', ':':
			i++
			continue
		default:
			i = skipLiteral(b, i)
		}
		if depth == 0 {
			return i
		}
	}
}

// skipLiteral returns the index after the number, true, false or null.
func skipLiteral(b []byte, i int) int {
	for i < len(b) && b[i] != ',' && b[i] != '}' && b[i] != ']' {
		i++
	}
	return i
}

// readName returns the name of the member that begins at b[i], and the index of
// the colon after it.
func readName(b []byte, i int) (name []byte, colon int) {
	for j := i + 1; b[j] != '\\'; j++ {
		if b[j] == '"' {
			return b[i+1 : j], j + 1
		}
	}
	colon = skipString(b, i)
	return unquote(b[i:colon]), colon
}

// unquote gives the text of a JSON string; without escapes it shares q.
func unquote(q []byte) []byte {
	if bytes.IndexByte(q, '\\') < 0 {
		return q[1 : len(q)-1]
	}
	s, _ := jsontext.AppendUnquote(nil, q)
	return s
}

// text gives the content of value if it is a JSON string.
func text(value []byte) ([]byte, bool) {
	if len(value) == 0 || value[0] != '"' {
		return nil, false
	}
	return unquote(value), true
}

// members walks the members of the object that b is; where b is none, there
// are none.
type members struct {
	b           []byte
	i           int
	name, value []byte
}

func (m *members) next() bool {
	if m.i == 0 && (len(m.b) == 0 || m.b[0] != '{') || m.i == len(m.b)-1 {
		return false
	}
	if m.i++; m.b[m.i] == '}' {
		return false
	}
	var colon int
	m.name, colon = readName(m.b, m.i)
	end := skipValue(m.b, colon+1)
	m.value = m.b[colon+1 : end]
	m.i = end
	return true
}

// elements walks the elements of the list that b is; where b is none, there
// are none.
type elements struct {
	b     []byte
	i     int
	value []byte
}

func (e *elements) next() bool {
	if e.i == 0 && (len(e.b) == 0 || e.b[0] != '[') || e.i == len(e.b)-1 {
		return false
	}
	if e.i++; e.b[e.i] == ']' {
		return false
	}
	end := skipValue(e.b, e.i)
	e.value = e.b[e.i:end]
	e.i = end
	return true
}

// member is the value of one member of the object that b is, nil without.
func member(b []byte, name string) []byte {
	for m := (members{b: b}); m.next(); {
		if string(m.name) == name {
			return m.value
		}
	}
	return nil
}
