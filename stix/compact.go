package stix

import (
	"fmt"

	"comity/stix/rawjson"
)

// maxDepth bounds the nesting of one object. The deepest structure of STIX 2.1
// needs fewer than ten levels.
const maxDepth = 100

// appendCompact appends src, one valid JSON value, without the whitespace
// between its tokens.
func appendCompact(dst, src []byte) ([]byte, error) {
	depth, kept := 0, 0
	for i := 0; i < len(src); {
		switch c := src[i]; c {
		case ' ', '\t', '\n', '\r':
			dst = append(dst, src[kept:i]...)
			i++
			kept = i
			continue
		case '"':
			i = rawjson.SkipString(src, i)
			continue
		case '{', '[':
			if depth++; depth > maxDepth {
				return dst, fmt.Errorf("nested deeper than %d levels", maxDepth)
			}
		case '}', ']':
			depth--
		}
		i++
	}
	return append(dst, src[kept:]...), nil
}

// text gives the content of value if it is a JSON string.
func text(value []byte) (string, bool) {
	s, ok := rawjson.Text(value)
	return string(s), ok
}
