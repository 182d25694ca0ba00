package validate

import (
	"bytes"
	"math"
	"strconv"

	"comity/stix"
	"comity/stix/rawjson"
)

// number checks integers and floats, and their bounds.
func (c *checker) number(t *valueType, i int) int {
	if t.kind == integerOrString && c.b[i] == '"' {
		return rawjson.SkipString(c.b, i)
	}
	if b := c.b[i]; b != '-' && (b < '0' || b > '9') {
		return c.wrongKind(t, map[kind]string{integerValue: "an integer", floatValue: "a number", integerOrString: "an integer or a string"}[t.kind], i)
	}
	end := rawjson.SkipLiteral(c.b, i)
	source := c.b[i:end]
	n, err := strconv.ParseFloat(string(source), 64)
	switch {
	case t.kind == floatValue && err != nil:
		c.fault("R-009", "%s is no finite number", stix.Shorten(source, 40))
		return end
	case t.kind == floatValue:
	case err != nil || n != math.Trunc(n):
		c.fault("R-008", "expected an integer, not %s", stix.Shorten(source, 40))
		return end
	case math.Abs(n) >= 1<<53:
		c.fault("R-008", "expected an integer of at most 2^53-1, not %s", stix.Shorten(source, 40))
		return end
	case bytes.ContainsAny(source, ".eE"):
		c.warn("R-008", "write an integer without a fraction or exponent")
	}
	if r := &t.bounds; r.hasLow && n < r.low || r.hasHigh && n > r.high {
		rule := t.rule
		if rule == "" {
			rule = "R-139"
		}
		c.report(r.should, rule, "expected %s, not %s", r, stix.Shorten(source, 40))
	}
	return end
}

func (r *bounds) String() string {
	low, high := strconv.FormatFloat(r.low, 'f', -1, 64), strconv.FormatFloat(r.high, 'f', -1, 64)
	switch {
	case !r.hasHigh:
		return low + " or more"
	case !r.hasLow:
		return high + " or less"
	}
	return low + " to " + high
}

// word checks a word of a vocabulary. A closed vocabulary has only its words. An
// open one may be extended, by words in lower case with hyphens, with a warning.
func (c *checker) word(t *valueType, s []byte) {
	if _, listed := t.words.words[string(s)]; listed {
		return
	}
	switch {
	case t.words.closed:
		rule := t.rule
		if rule == "" {
			rule = "R-160"
		}
		c.fault(rule, "%s is not in %s", quote(s), t.words.name)
	case !isName(s, '-', 3):
		c.warn("R-161", "%s is not in %s, and not in lower case with hyphens", quote(s), t.words.name)
	default:
		c.warn("R-161", "%s is not in %s", quote(s), t.words.name)
	}
}

// isName tells whether s has least to 250 characters, all of them lower-case letters,
// digits or the separator.
func isName(s []byte, separator byte, least int) bool {
	if len(s) < least || len(s) > 250 {
		return false
	}
	for _, b := range s {
		if (b < 'a' || b > 'z') && (b < '0' || b > '9') && b != separator {
			return false
		}
	}
	return true
}

// hex checks for an even number of digits 0-9 a-f, and at least two.
func (c *checker) hex(t *valueType, s []byte) {
	rule := t.rule
	if rule == "" {
		rule = "R-014"
	}
	switch {
	case len(s) == 0:
		c.fault(rule, "empty, expected hexadecimal digits")
	case !isHex(s, true):
		c.fault(rule, "%s has other characters than 0-9 and a-f", quote(s))
	case len(s)%2 != 0:
		c.fault(rule, "%s has an odd number of digits", quote(s))
	case c.stix20 || c.container != nil || isHex(s, false): // STIX 2.0 has both cases
	default:
		c.report(t == &customHex, rule, "%s has other characters than 0-9 and a-f", quote(s))
	}
}

// hexDigits are 0-9, a-f and A-F.
var hexDigits = [256]bool{
	'0': true, '1': true, '2': true, '3': true, '4': true, '5': true, '6': true, '7': true, '8': true, '9': true,
	'a': true, 'b': true, 'c': true, 'd': true, 'e': true, 'f': true,
	'A': true, 'B': true, 'C': true, 'D': true, 'E': true, 'F': true,
}

func isHex(s []byte, upper bool) bool {
	for _, b := range s {
		if !hexDigits[b] || !upper && b < 'a' && b > '9' {
			return false
		}
	}
	return true
}

// binary checks for base64 in the standard alphabet, with padding, without line breaks,
// and not empty. Unused bits that are set are a warning.
func (c *checker) binary(t *valueType, s []byte) {
	rule := t.rule
	if rule == "" {
		rule = "R-015"
	}
	data := bytes.TrimSuffix(bytes.TrimSuffix(s, []byte("=")), []byte("="))
	padding := len(s) - len(data)
	last := -1
	for _, b := range data {
		if last = base64Digit(b); last < 0 {
			c.fault(rule, "%s is not in the base64 alphabet", quote([]byte{b}))
			return
		}
	}
	switch {
	case len(data) == 0:
		c.fault(rule, "empty, expected base64")
	case len(s)%4 != 0:
		c.fault(rule, "base64 of %d characters, expected padding to a multiple of four", len(s))
	case padding == 1 && last&3 != 0 || padding == 2 && last&15 != 0:
		c.warn(rule, "base64 with unused bits set")
	}
}

func base64Digit(b byte) int {
	switch {
	case 'A' <= b && b <= 'Z':
		return int(b - 'A')
	case 'a' <= b && b <= 'z':
		return int(b-'a') + 26
	case '0' <= b && b <= '9':
		return int(b-'0') + 52
	case b == '+':
		return 62
	case b == '/':
		return 63
	}
	return -1
}
