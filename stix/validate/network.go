package validate

import (
	"bytes"
	"net/mail"
	"net/netip"
	"strings"

	"golang.org/x/net/idna"
)

// The values of network observables. A defanged object says itself that its
// values are not to be taken literally; they are not checked then.

// ipv4: a dotted quad without leading zeros, with a prefix length or not; the
// bits of the host may be set.
func ipv4(c *checker, _ *valueType, s []byte) {
	address, length, hasLength := bytes.Cut(s, []byte("/"))
	parsed, err := netip.ParseAddr(string(address))
	if c.facts().defanged || err == nil && parsed.Is4() && (!hasLength || isPrefixLength(length, 32)) {
		return
	}
	c.fault("R-145", "%s is no IPv4 address, nor one with a prefix length", quote(s))
}

// ipv6: RFC 4291, with a prefix length or not. A zone belongs to one host and
// should not be there.
func ipv6(c *checker, _ *valueType, s []byte) {
	address, length, hasLength := bytes.Cut(s, []byte("/"))
	parsed, err := netip.ParseAddr(string(address))
	switch {
	case c.facts().defanged:
	case err != nil || !parsed.Is6() || hasLength && !isPrefixLength(length, 128):
		c.fault("R-146", "%s is no IPv6 address, nor one with a prefix length", quote(s))
	case parsed.Zone() != "":
		c.warn("R-146", "%s has a zone, which means something on one host only", quote(s))
	}
}

func isPrefixLength(s []byte, most int) bool {
	n := 0
	for _, b := range s {
		if n = n*10 + int(b-'0'); b < '0' || b > '9' || n > most {
			return false
		}
	}
	return len(s) == 1 || len(s) > 1 && s[0] != '0'
}

// mac: six pairs of lower-case hexadecimal digits with colons.
func mac(c *checker, _ *valueType, s []byte) {
	ok := len(s) == 17
	for i := 0; i < len(s) && ok; i++ {
		if i%3 == 2 {
			ok = s[i] == ':'
		} else {
			ok = isHex(s[i:i+1], false)
		}
	}
	if !ok && !c.facts().defanged {
		c.fault("R-147", "%s is no MAC address such as d2:fb:49:24:37:18", quote(s))
	}
}

// uLabel checks a label that is not ASCII by RFC 5890.
var uLabel = idna.New(idna.ValidateLabels(true), idna.BidiRule(), idna.StrictDomainName(false))

// domain: labels of RFC 1034, at most 63 octets each and 253 in all, or of RFC
// 5890. Underscores are a warning: _dmarc and the like are seen.
func domain(c *checker, _ *valueType, s []byte) {
	if c.facts().defanged {
		return
	}
	name := bytes.TrimSuffix(s, []byte("."))
	ok, underscore := len(name) > 0 && len(name) <= 253*4, bytes.IndexByte(name, '_') >= 0
	octets := 0
	for label := range bytes.SplitSeq(name, []byte(".")) {
		if !ok {
			break
		}
		ascii := string(label)
		if !isASCII(label) {
			var err error
			ascii, err = uLabel.ToASCII(ascii)
			ok = err == nil
		}
		octets += len(ascii) + 1
		ok = ok && len(ascii) >= 1 && len(ascii) <= 63 && ascii[0] != '-' && ascii[len(ascii)-1] != '-'
		for i := range len(ascii) {
			ok = ok && (isAlphanumeric(ascii[i]) || ascii[i] == '-' || ascii[i] == '_')
		}
	}
	switch {
	case !ok || octets > 254:
		c.fault("R-148", "%s is no domain name", quote(s))
	case underscore:
		c.warn("R-148", "%s has an underscore, which no host name has", quote(s))
	}
}

func isASCII(s []byte) bool {
	for _, b := range s {
		if b >= 0x80 {
			return false
		}
	}
	return true
}

// email: an addr-spec of RFC 5322, without a display name.
func email(c *checker, _ *valueType, s []byte) {
	if c.facts().defanged {
		return
	}
	if len(s) <= 998 && !bytes.ContainsAny(s, "<>(), \t\r\n") {
		if address, err := mail.ParseAddress(string(s)); err == nil && address.Name == "" {
			return
		}
	}
	c.fault("R-138", "%s is no e-mail address such as pilot@example.org, without a display name", quote(s))
}

// urlValue: an absolute URL of RFC 3986.
func urlValue(c *checker, _ *valueType, s []byte) {
	if !c.facts().defanged {
		c.url("R-149", s)
	}
}

// uriReference: the url of an external reference is a URI.
func uriReference(c *checker, _ *valueType, s []byte) { c.url("R-051", s) }

// inURL are the characters that RFC 3986 has for a URL, beside percent.
var inURL = func() (is [256]bool) {
	for b := range len(is) {
		is[b] = isAlphanumeric(byte(b)) || strings.IndexByte("-._~:/?#[]@!$&'()*+,;=", byte(b)) >= 0
	}
	return is
}()

func (c *checker) url(rule string, s []byte) {
	scheme, rest, ok := bytes.Cut(s, []byte(":"))
	if !ok || len(rest) == 0 || len(scheme) == 0 || !isLetters(scheme[:1]) || !isToken(scheme) {
		c.fault(rule, "%s is no URL: it begins with a scheme such as https:", quote(s))
		return
	}
	loose := false
	for i := 0; i < len(rest); i++ {
		switch b := rest[i]; {
		case inURL[b]:
		case b == '%' && i+2 < len(rest) && isHex(rest[i+1:i+3], true):
			i += 2
		case b == ' ' || b >= 0x80:
			loose = true
		default:
			c.fault(rule, "%s is no URL: percent-encode the character %q", quote(s), b)
			return
		}
	}
	if loose {
		c.report(c.policy.LooseURLs, rule, "%s is no URL: percent-encode spaces and characters outside ASCII", quote(s))
	}
}
