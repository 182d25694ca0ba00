package pattern

import (
	"cmp"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"comity/stix"
)

// predicate is a Test ready to be evaluated on values.
type predicate struct {
	*Test
	key      string // the last key of the path
	operands []operand
	like     []rune
	re       *regexp.Regexp
	cost     int // in steps, of matching one byte of text with like or re
	set      netip.Prefix
}

// operand is a constant in the forms in which it is compared.
type operand struct {
	Constant
	number  float64
	instant stix.Timestamp
	latin   string // a string of code points below U+0100, as bytes
	isLatin bool
}

func newOperand(c Constant) operand {
	x := operand{Constant: c}
	switch c.Kind {
	case Integer, Float:
		x.number, _ = strconv.ParseFloat(c.Text, 64)
	case Timestamp:
		x.instant, _ = stix.ParseTimestamp(c.Text)
	case String:
		x.latin, x.isLatin = latin(c.Text)
	}
	return x
}

// latin turns the code points of s into bytes, if they fit.
func latin(s string) (string, bool) {
	b := make([]byte, 0, len(s))
	for _, r := range s {
		if r > 0xFF {
			return "", false
		}
		b = append(b, byte(r))
	}
	return string(b), true
}

// holds tells whether one value satisfies the test (§9.6.1).
func (t *predicate) holds(value any, m *meter) bool {
	size := 0
	switch value := value.(type) {
	case string:
		size = len(value)
	case json.Number:
		size = len(value)
	}
	if !m.spend(len(t.operands)*(1+size/16) + size*t.cost) {
		return false
	}
	var result bool
	switch t.Op {
	case Like, Matches:
		s, ok := t.text(value)
		if !ok {
			break
		}
		if t.Op == Like {
			result = like(t.like, s, m)
		} else {
			result = t.re.MatchString(s)
		}
	case IsSubset, IsSuperset:
		s, _ := value.(string)
		r, ok := parseRange(s)
		if t.Op == IsSubset {
			result = ok && isSubset(r, t.set)
		} else {
			result = ok && isSubset(t.set, r)
		}
	case In:
		for i := range t.operands {
			order, ok := t.compare(value, &t.operands[i])
			if result = ok && order == 0; result {
				break
			}
		}
	default:
		order, ok := t.compare(value, &t.operands[0])
		switch t.Op {
		case Equal:
			result = ok && order == 0
		case NotEqual:
			result = !ok || order != 0
		case Less:
			result = ok && order < 0
		case LessEqual:
			result = ok && order <= 0
		case Greater:
			result = ok && order > 0
		case GreaterEqual:
			result = ok && order >= 0
		}
	}
	return result != t.Not
}

// compare orders value before, at or after the constant; it fails if they are
// of kinds that do not compare. Strings are compared by code point, without
// normalisation.
func (t *predicate) compare(value any, c *operand) (order int, ok bool) {
	switch value := value.(type) {
	case bool:
		return cmp.Compare(strconv.FormatBool(value), c.Text), c.Kind == Boolean
	case json.Number:
		n, err := strconv.ParseFloat(string(value), 64)
		return cmp.Compare(n, c.number), err == nil && c.Kind.class() == Integer
	case string:
		switch c.Kind {
		case Timestamp:
			instant, err := stix.ParseTimestamp(value)
			return compareInstants(instant, c.instant), err == nil
		case Hex, Binary:
			o, ok := binaryValue(t.key, value)
			return cmp.Compare(o, c.Text), ok
		case String:
			if o, ok := binaryValue(t.key, value); ok && c.isLatin {
				return cmp.Compare(o, c.latin), true
			}
			return cmp.Compare(value, c.Text), true
		}
	}
	return 0, false
}

// compareInstants orders timestamps by value, including digits beyond the nanosecond
//
func compareInstants(a, b stix.Timestamp) int {
	rest := func(t stix.Timestamp) string {
		s := strings.TrimRight(strings.TrimSuffix(t.String(), "Z"), "0")
		return s[min(len("2006-01-02T15:04:05.999999999"), len(s)):]
	}
	return cmp.Or(a.Time().Compare(b.Time()), cmp.Compare(rest(a), rest(b)))
}

// binaryValue decodes the value of a binary or hex property, known by its name
//
func binaryValue(key, value string) (string, bool) {
	var (
		b   []byte
		err error
	)
	switch {
	case strings.HasSuffix(key, "_hex"):
		b, err = hex.DecodeString(value)
	case strings.HasSuffix(key, "_bin"):
		b, err = base64.StdEncoding.DecodeString(value)
	default:
		return "", false
	}
	return string(b), err == nil
}

// text is the text that LIKE and MATCHES compare: a string in normal form C, or the
// bytes of a binary or hex property, each as one character.
func (t *predicate) text(value any) (string, bool) {
	s, ok := value.(string)
	if o, isBinary := binaryValue(t.key, s); isBinary {
		var b strings.Builder
		for i := range len(o) {
			b.WriteRune(rune(o[i]))
		}
		return b.String(), ok
	}
	return norm.NFC.String(s), ok
}

// like matches the whole of s with a pattern in which % stands for any run of
// characters and _ for one. After a mismatch only the last % has to be tried
// again: it can match everything that an earlier % could.
func like(pattern []rune, s string, m *meter) bool {
	star, retry, i := -1, 0, 0
	for at := 0; at < len(s) && m.spend(1); {
		r, n := utf8.DecodeRuneInString(s[at:])
		switch {
		case i < len(pattern) && pattern[i] == '%':
			star, retry = i, at
			i++
		case i < len(pattern) && (pattern[i] == '_' || pattern[i] == r):
			i++
			at += n
		case star >= 0:
			_, n = utf8.DecodeRuneInString(s[retry:])
			retry += n
			at, i = retry, star+1
		default:
			return false
		}
	}
	for i < len(pattern) && pattern[i] == '%' {
		i++
	}
	return i == len(pattern)
}

// isSubset tells whether all addresses of a are in b.
func isSubset(a, b netip.Prefix) bool {
	return b.Bits() <= a.Bits() && b.Contains(a.Addr())
}
