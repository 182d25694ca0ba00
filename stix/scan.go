package stix

import (
	"bytes"
	"fmt"

	"github.com/go-json-experiment/json/jsontext"
)

// The functions of this file walk JSON that is known to be valid, so that the
// view of an object costs a fraction of parsing it again.

// maxDepth bounds the nesting of one object. The deepest structure of STIX 2.1
// needs fewer than ten levels.
const maxDepth = 100

// appendCompact appends src, one valid JSON value, without the whitespace
// between its tokens.
func appendCompact(dst, src []byte) ([]byte, error) {
	depth := 0
	for i := 0; i < len(src); {
		switch c := src[i]; c {
		case ' ', '\t', '\n', '\r':
			i++
			continue
		case '"':
			end := skipString(src, i)
			dst = append(dst, src[i:end]...)
			i = end
			continue
		case '{', '[':
			if depth++; depth > maxDepth {
				return dst, fmt.Errorf("nested deeper than %d levels", maxDepth)
			}
		case '}', ']':
			depth--
		}
		dst = append(dst, src[i])
		i++
	}
	return dst, nil
}

// skipString returns the index after the string that begins at b[i].
func skipString(b []byte, i int) int {
	for i++; ; i++ {
		i += bytes.IndexByte(b[i:], '"')
		// A quote ends the string unless an odd number of backslashes precedes it.
		n := 0
		for b[i-1-n] == '\\' {
			n++
		}
		if n%2 == 0 {
			return i + 1
		}
	}
}

// skipValue returns the index after the compact value that begins at b[i].
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
			for i < len(b) && b[i] != ',' && b[i] != '}' && b[i] != ']' {
				i++
			}
		}
		if depth == 0 {
			return i
		}
	}
}

// members calls yield with each name, unescaped, and value of a compact JSON
// object, until yield returns false.
func members(obj []byte, yield func(name, value []byte) bool) {
	for i := 1; obj[i] != '}'; {
		if obj[i] == ',' {
			i++
		}
		nameEnd := skipString(obj, i)
		valueEnd := skipValue(obj, nameEnd+1)
		if !yield(unquote(obj[i:nameEnd]), obj[nameEnd+1:valueEnd]) {
			return
		}
		i = valueEnd
	}
}

// elements calls yield with each element of a compact JSON array.
func elements(arr []byte, yield func(value []byte)) {
	for i := 1; arr[i] != ']'; {
		if arr[i] == ',' {
			i++
		}
		end := skipValue(arr, i)
		yield(arr[i:end])
		i = end
	}
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
func text(value []byte) (string, bool) {
	if value[0] != '"' {
		return "", false
	}
	return string(unquote(value)), true
}
