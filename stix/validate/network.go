package validate

import (
	"bytes"
	"net/mail"
	"net/netip"
	"strings"
	"unicode"

	"golang.org/x/net/idna"
)

// These functions check the values of network observables. The values of an object with
// defanged: true are not literal, and are not checked.

// ipv4 checks an IPv4 address: a dotted quad without leading zeros, with a prefix length or not; the
// bits of the host may be set.
func ipv4(c *checker, _ *valueType, s []byte) {
	address, length, hasLength := bytes.Cut(s, []byte("/"))
	parsed, err := netip.ParseAddr(string(address))
	if c.facts().defanged || err == nil && parsed.Is4() && (!hasLength || isPrefixLength(length, 32)) {
		return
	}
	c.invalidValue("R-145", s, "is no IPv4 address, nor one with a prefix length")
}

// ipv6 checks an address of RFC 4291, with a prefix length or not. A zone belongs to one host and
// should not be there.
func ipv6(c *checker, _ *valueType, s []byte) {
	address, length, hasLength := bytes.Cut(s, []byte("/"))
	parsed, err := netip.ParseAddr(string(address))
	switch {
	case c.facts().defanged:
	case err != nil || !parsed.Is6() || hasLength && !isPrefixLength(length, 128):
		c.invalidValue("R-146", s, "is no IPv6 address, nor one with a prefix length")
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

// mac checks a MAC address: six pairs of lower-case hexadecimal digits with colons.
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

// domain checks a domain name: labels of RFC 1034, at most 63 bytes each and 253 in
// all, or of RFC 5890. An underscore is a warning, since names such as _dmarc exist
//
func domain(c *checker, _ *valueType, s []byte) {
	if c.facts().defanged {
		return
	}
	name := bytes.TrimSuffix(s, []byte("."))
	badRune := ""
	if !isASCII(name) {
		name, badRune = asciiDots(name)
	}
	ok, underscore := len(name) > 0 && len(name) <= 253*4, bytes.IndexByte(name, '_') >= 0
	length := 0
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
		length += len(ascii) + 1
		ok = ok && len(ascii) >= 1 && len(ascii) <= 63 && ascii[0] != '-' && ascii[len(ascii)-1] != '-'
		for i := range len(ascii) {
			ok = ok && (isAlphanumeric(ascii[i]) || ascii[i] == '-' || ascii[i] == '_')
		}
	}
	switch {
	case !ok || length > 254:
		c.invalidValue("R-148", s, "is no domain name")
	case underscore:
		c.warn("R-148", "%s has an underscore, which no host name has", quote(s))
	case badRune != "":
		c.warn("R-148", "%s has %q, which no domain name has (RFC 5892)", quote(s), badRune)
	}
}

// asciiDots replaces the dots of other scripts in a domain name by ASCII dots. badRune
// is a character of the name that IDNA 2008 does not allow, such as one of those dots
// or a symbol; "" if there is none.
func asciiDots(name []byte) (dotted []byte, badRune string) {
	dotted = bytes.Map(func(r rune) rune {
		switch {
		case r == '。' || r == '．' || r == '｡':
			badRune = string(r)
			return '.'
		case r > unicode.MaxASCII && !unicode.In(r, unicode.L, unicode.M, unicode.Nd) && !unicode.Is(unicode.Join_Control, r) && !strings.ContainsRune("·͵׳״・", r):
			badRune = string(r)
		}
		return r
	}, name)
	return dotted, badRune
}

func isASCII(s []byte) bool {
	for _, b := range s {
		if b >= 0x80 {
			return false
		}
	}
	return true
}

// email checks an addr-spec of RFC 5322, without a display name.
func email(c *checker, _ *valueType, s []byte) {
	if c.facts().defanged {
		return
	}
	unquoted := s
	if at := bytes.LastIndexByte(s, '@'); at > 1 && s[0] == '"' && s[at-1] == '"' {
		unquoted = s[at:] // a quoted local part may have any character
	}
	if len(s) <= 998 && !bytes.ContainsAny(unquoted, "<>(), \t\r\n") {
		if address, err := mail.ParseAddress(string(s)); err == nil && address.Name == "" {
			return
		}
	}
	c.invalidValue("R-138", s, "is no e-mail address such as pilot@example.org, without a display name")
}
