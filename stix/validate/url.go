package validate

import (
	"bytes"
	"net/netip"
	"strings"
)

// urlValue checks an absolute URL of RFC 3986, unless it is said to be defanged.
func urlValue(c *checker, _ *valueType, s []byte) {
	if !c.facts().defanged {
		c.url("R-149", s)
	}
}

// uriReference checks the url of an external reference, which is a URI.
func uriReference(c *checker, _ *valueType, s []byte) { c.url("R-051", s) }

// inURL are the characters other than percent that RFC 3986 allows in a URL outside an
// IP literal.
var inURL = func() (is [256]bool) {
	for b := range len(is) {
		is[b] = isAlphanumeric(byte(b)) || strings.IndexByte("-._~:/?#@!$&'()*+,;=", byte(b)) >= 0
	}
	return is
}()

// url checks a URL. Spaces, characters outside ASCII, brackets behind the host
// and a second # are frequent, so the policy may make them warnings.
func (c *checker) url(rule string, s []byte) {
	scheme, rest, ok := bytes.Cut(s, []byte(":"))
	if !ok || len(rest) == 0 || !isScheme(scheme) {
		c.invalidValue(rule, s, "is no URL: it begins with a scheme such as https:")
		return
	}
	if authority, found := bytes.CutPrefix(rest, []byte("//")); found {
		if end := bytes.IndexAny(authority, "/?#"); end >= 0 {
			authority = authority[:end]
		}
		host, ok := hostOf(authority)
		if !ok || hasDefangMark(authority) {
			c.invalidValue(rule, s, "is no URL: expected a host, or an IP literal in brackets, and a port of digits")
			return
		}
		rest = rest[len("//")+len(authority)-len(host):]
	}
	loose, fragment := hasDefangedScheme(s), false
	for i := 0; i < len(rest); i++ {
		switch b := rest[i]; {
		case b == '#':
			loose = loose || fragment
			fragment = true
		case inURL[b]:
		case b == '%' && i+2 < len(rest) && isHex(rest[i+1:i+3], true):
			i += 2
		case b == ' ' || b == '[' || b == ']' || b >= 0x80:
			loose = true
		default:
			c.fault(rule, "%s is no URL: percent-encode the character %q", quote(s), b)
			return
		}
	}
	switch {
	case loose && isDefanged(s):
		c.invalidValue(rule, s, "")
	case loose:
		c.report(c.policy.LooseURLs, rule, "%s is no URL: percent-encode spaces, brackets, a second # and characters outside ASCII", quote(s))
	}
}

// isScheme tells whether s is a scheme by RFC 3986 §3.1.
func isScheme(s []byte) bool {
	for _, b := range s {
		if !isAlphanumeric(b) && b != '+' && b != '-' && b != '.' {
			return false
		}
	}
	return len(s) > 0 && isLetters(s[:1])
}

// hostOf checks the host and port of an authority (RFC 3986 §3.2). It returns
// the part whose characters url has yet to check: all but an IP literal.
func hostOf(authority []byte) (host []byte, ok bool) {
	host = authority[bytes.LastIndexByte(authority, '@')+1:]
	port := []byte(nil)
	if literal, bracket := bytes.CutPrefix(host, []byte("[")); bracket {
		literal, after, closed := bytes.Cut(literal, []byte("]"))
		address, err := netip.ParseAddr(string(literal))
		future := len(literal) > 2 && literal[0]|0x20 == 'v'
		if !closed || !future && (err != nil || !address.Is6()) {
			return nil, false
		}
		if port, ok = bytes.CutPrefix(after, []byte(":")); len(after) > 0 && !ok {
			return nil, false
		}
		return nil, isDigits(port)
	}
	if bytes.ContainsAny(authority, "[]") {
		return nil, false
	}
	_, port, _ = bytes.Cut(host, []byte(":"))
	return authority, isDigits(port)
}

// defangMarks are the usual substitutes that make an address harmless to click on.
var defangMarks = []string{"[.]", "(.)", "{.}", "[dot]", "(dot)", "{dot}", "[:]", "[://]", "[/]", "[@]", "(@)", "[at]", "(at)"}

// isDefanged tells whether a URL, domain name, address or e-mail address is defanged,
// so that nobody opens it by mistake.
func isDefanged(s []byte) bool { return hasDefangMark(s) || hasDefangedScheme(s) }

func hasDefangMark(s []byte) bool {
	if bytes.ContainsAny(s, "[({") {
		lower := bytes.ToLower(s)
		for _, mark := range defangMarks {
			if bytes.Contains(lower, []byte(mark)) {
				return true
			}
		}
	}
	return false
}

func hasDefangedScheme(s []byte) bool {
	scheme, _, ok := bytes.Cut(s[:min(len(s), 8)], []byte(":"))
	if !ok {
		return false
	}
	switch strings.TrimRight(strings.ToLower(string(scheme)), "s") {
	case "hxxp", "hxtp", "htxp", "fxp", "meow":
		return true
	}
	return false
}

// invalidValue reports that s has not the form of its type. It names the most frequent
// cause: a defanged value in an object that is not defanged.
func (c *checker) invalidValue(rule string, s []byte, why string) {
	if isDefanged(s) {
		c.fault(rule, "%s is defanged: write the value itself, or set defanged to true on an observable", quote(s))
		return
	}
	c.fault(rule, "%s %s", quote(s), why)
}
