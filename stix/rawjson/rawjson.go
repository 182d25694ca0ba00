// Package rawjson walks compact JSON that is known to be valid, such as
// stix.Decoder yields, without decoding it: it costs a fraction of parsing the
// text again. It may panic if the text is not compact or
// not valid.
package rawjson

import (
	"bytes"
	"encoding/binary"
	"math/bits"

	"github.com/go-json-experiment/json/jsontext"
)

// In the functions below, i is the index at which a value begins. They return the index
// at which it ends.

// SkipString returns the index after the string that begins at b[i].
func SkipString(b []byte, i int) int {
	// Most strings are short, and looked at eight bytes at a time.
	for i++; ; i += 2 {
		end := min(len(b), i+32)
		for ; i+8 <= end; i += 8 {
			if marks := special(binary.LittleEndian.Uint64(b[i:])); marks != 0 {
				i += bits.TrailingZeros64(marks) / 8
				break
			}
		}
		if b[i] != '"' && b[i] != '\\' {
			break
		}
		if b[i] == '"' {
			return i + 1
		}
	}
	for from := i; ; i++ {
		i += bytes.IndexByte(b[i:], '"')
		// The quote ends the string unless an odd number of backslashes precedes it.
		n := 0
		for i-1-n >= from && b[i-1-n] == '\\' {
			n++
		}
		if n%2 == 0 {
			return i + 1
		}
	}
}

// special marks, with the highest bit of a byte, the first of eight bytes
// that is a quote or a backslash. Later marks mean nothing.
func special(w uint64) uint64 {
	const ones, high = 0x0101010101010101, 0x8080808080808080
	quote, backslash := w^ones*'"', w^ones*'\\'
	return ((quote-ones)&^quote | (backslash-ones)&^backslash) & high
}

// SkipValue returns the index after the value that begins at b[i].
func SkipValue(b []byte, i int) int {
	depth := 0
	for {
		switch b[i] {
		case '"':
			i = SkipString(b, i)
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
			i = SkipLiteral(b, i)
		}
		if depth == 0 {
			return i
		}
	}
}

// SkipLiteral returns the index after the number, true, false or null.
func SkipLiteral(b []byte, i int) int {
	for i < len(b) && b[i] != ',' && b[i] != '}' && b[i] != ']' {
		i++
	}
	return i
}

// ReadString returns the text of the string that begins at b[i], such as the
// name of a member, and the index after it. Without escapes it shares b.
func ReadString(b []byte, i int) (text []byte, end int) {
	for end = i + 1; end+8 <= len(b); end += 8 {
		if marks := special(binary.LittleEndian.Uint64(b[end:])); marks != 0 {
			end += bits.TrailingZeros64(marks) / 8
			break
		}
	}
	for ; b[end] != '\\'; end++ {
		if b[end] == '"' {
			return b[i+1 : end], end + 1
		}
	}
	end = SkipString(b, i)
	return Unquote(b[i:end]), end
}

// Unquote gives the text of a JSON string; without escapes it shares q.
func Unquote(q []byte) []byte {
	if bytes.IndexByte(q, '\\') < 0 {
		return q[1 : len(q)-1]
	}
	s, _ := jsontext.AppendUnquote(nil, q)
	return s
}

// Text gives the content of value if it is a JSON string.
func Text(value []byte) ([]byte, bool) {
	if len(value) == 0 || value[0] != '"' {
		return nil, false
	}
	return Unquote(value), true
}

// Members walks the members of an object. Name is unescaped. Value, and Name if it has no
// escapes, share the memory of the object.
type Members struct {
	Name, Value []byte
	b           []byte
	i           int
}

// MembersOf walks the members of the object b. If b is no object, there are none.
func MembersOf(b []byte) Members {
	if len(b) == 0 || b[0] != '{' {
		b = none
	}
	return Members{b: b, i: 1}
}

// none has neither members nor elements.
var none = []byte("{}")

// Next moves to the first or next member, and is false after the last.
func (m *Members) Next() bool {
	i := m.i
	switch m.b[i] {
	case '}':
		return false
	case ',':
		i++
	}
	name, colon := ReadString(m.b, i)
	m.i = SkipValue(m.b, colon+1)
	m.Name, m.Value = name, m.b[colon+1:m.i]
	return true
}

// Elements walks the elements of a list.
type Elements struct {
	Value []byte
	b     []byte
	i     int
}

// ElementsOf walks the elements of the list b. If b is no list, there are none.
func ElementsOf(b []byte) Elements {
	if len(b) == 0 || b[0] != '[' {
		b = none
	}
	return Elements{b: b, i: 1}
}

// Next moves to the first or next element, and is false after the last.
func (e *Elements) Next() bool {
	i := e.i
	switch e.b[i] {
	case ']', '}':
		return false
	case ',':
		i++
	}
	e.i = SkipValue(e.b, i)
	e.Value = e.b[i:e.i]
	return true
}

// Member is the value of a member of the object b, nil if b has no such member.
func Member(b []byte, name string) []byte {
	for m := MembersOf(b); m.Next(); {
		if string(m.Name) == name {
			return m.Value
		}
	}
	return nil
}
