package pattern

import (
	"encoding/base64"
	"encoding/hex"
	"strconv"
	"strings"

	"comity/stix"
)

// maxInteger is the largest integer of STIX.
const maxInteger = 1<<53 - 1

// constant reads a constant (§9.2).
func (p *parser) constant() Constant {
	if p.token.kind == tokenString { // as nearly all are
		c := Constant{String, p.token.body}
		p.next()
		return c
	}
	var (
		t   = p.token
		c   Constant
		bad = func(rule, text string) {
			p.fail(&Error{Rule: rule, Offset: t.from, Found: t.found(), Text: text})
		}
	)
	switch t.kind {
	case tokenTrue, tokenFalse:
		c = Constant{Boolean, t.text}
	case tokenInteger:
		n, err := strconv.ParseInt(t.text, 10, 64)
		if err != nil || n > maxInteger || n < -maxInteger {
			bad("R-008", "an integer lies between ±(2^53-1)")
		}
		c = Constant{Integer, strconv.FormatInt(n, 10)}
	case tokenFloat:
		f, err := strconv.ParseFloat(t.text, 64)
		if err != nil {
			bad("R-009", "the number is too large for a float of 64 bits")
		}
		c = Constant{Float, formatFloat(f)}
	case tokenHex:
		decoded, err := hex.DecodeString(t.body)
		if err != nil {
			bad("R-014", "a hex constant has an even number of the digits 0-9 a-f")
			break
		}
		if strings.ToLower(t.body) != t.body {
			p.lenient(t.from, "hex constants are written in lowercase")
		}
		c = Constant{Hex, string(decoded)}
	case tokenBinary:
		// The decoder ignores line feeds, which §9.2 allows, and carriage returns,
		// which it does not.
		decoded, err := base64.StdEncoding.DecodeString(t.body)
		if err != nil || strings.Contains(t.body, "\r") {
			bad("R-015", "a binary constant is base64 of the standard alphabet, with padding")
		}
		c = Constant{Binary, string(decoded)}
	case tokenTime:
		if _, err := stix.ParseTimestamp(t.body); err != nil {
			bad("R-031", err.Error())
		}
		c = Constant{Timestamp, t.body}
	default:
		p.expected("a constant")
	}
	p.next()
	return c
}

// formatFloat writes f with a point, without exponent or needless digits.
func formatFloat(f float64) string {
	s := strconv.FormatFloat(f+0, 'f', -1, 64)
	if f == 0 {
		s = "0"
	}
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}
