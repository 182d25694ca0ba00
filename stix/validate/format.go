package validate

import (
	"bytes"
	"strings"

	"golang.org/x/text/encoding/ianaindex"
)

// format checks the text of a string that has a form of its own.
type format func(c *checker, t *valueType, s []byte)

// formats are the named forms of strings in the tables.
var formats = map[string]format{
	"language":          language,
	"charset":           charset,
	"url":               urlValue,
	"uri":               uriReference,
	"media-type":        mediaType,
	"country":           country,
	"subdivision":       subdivision,
	"lower-hyphen":      lowerHyphen,
	"lowercase":         lowercase,
	"cpe":               cpe,
	"selector":          selector,
	"property-name":     propertyName,
	"relationship-type": relationshipType,
	"domain":            domain,
	"ipv4":              ipv4,
	"ipv6":              ipv6,
	"mac":               mac,
	"email":             email,
}

// charset checks for a name of the IANA registry of character sets.
func charset(c *checker, _ *valueType, s []byte) {
	if len(s) > 64 {
		c.fault("R-044", "%s is no character set", quote(s))
	} else if _, err := ianaindex.IANA.Encoding(string(s)); err != nil {
		c.fault("R-044", "%s is not in the IANA registry of character sets", quote(s))
	}
}

// mediaType checks for type/subtype, as IANA registers them.
func mediaType(c *checker, _ *valueType, s []byte) {
	kind, subtype, ok := bytes.Cut(s, []byte("/"))
	if !ok || !isToken(kind) || !isToken(subtype) {
		c.warn("R-173", "%s should be a media type, type/subtype", quote(s))
	}
}

func isToken(s []byte) bool {
	for _, b := range s {
		if !isAlphanumeric(b) && !strings.ContainsRune("!#$&^_.+-", rune(b)) {
			return false
		}
	}
	return len(s) > 0
}

func isAlphanumeric(b byte) bool {
	return 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9'
}

// country checks for the form of ISO 3166-1 alpha-2, in either case.
func country(c *checker, _ *valueType, s []byte) {
	if len(s) != 2 || !isLetters(s) {
		c.warn("R-172", "%s should be a country code of two letters", quote(s))
	}
}

// subdivision checks for the form of ISO 3166-2: a country code and one to three letters
// or digits.
func subdivision(c *checker, _ *valueType, s []byte) {
	code, part, _ := bytes.Cut(s, []byte("-"))
	ok := len(code) == 2 && isLetters(code) && len(part) >= 1 && len(part) <= 3
	for _, b := range part {
		ok = ok && isAlphanumeric(b)
	}
	if !ok {
		c.warn("R-172", "%s should be a code of ISO 3166-2 such as NL-ZH", quote(s))
	}
}

func isLetters(s []byte) bool {
	for _, b := range s {
		if b |= 0x20; b < 'a' || b > 'z' {
			return false
		}
	}
	return true
}

// lowerHyphen checks for lower case with hyphens, as in names of kill chains.
func lowerHyphen(c *checker, _ *valueType, s []byte) {
	for _, b := range s {
		if 'A' <= b && b <= 'Z' || b == ' ' || b == '_' {
			c.warn("R-049", "%s should be in lower case, with hyphens between words", quote(s))
			return
		}
	}
}

// lowercase checks for lower case, as in request methods and versions.
func lowercase(c *checker, _ *valueType, s []byte) {
	if !bytes.Equal(bytes.ToLower(s), s) {
		c.warn("R-175", "%s should be in lower case", quote(s))
	}
}

// cpe checks for a CPE 2.3 formatted string of eleven components.
func cpe(c *checker, _ *valueType, s []byte) {
	rest, ok := bytes.CutPrefix(s, []byte("cpe:2.3:"))
	components, length := 1, 0
	for i := 0; i < len(rest) && ok; i++ {
		switch b := rest[i]; {
		case b == '\\':
			i++
			ok = i < len(rest)
			length++
		case b == ':':
			ok = length > 0
			components++
			length = 0
		case b <= ' ' || b >= 0x7f:
			ok = false
		default:
			length++
		}
	}
	if !ok || components != 11 || length == 0 || !strings.ContainsRune("aho*-", rune(rest[0])) {
		c.fault("R-170", "%s is no CPE 2.3 name: cpe:2.3: and eleven components", quote(s))
	}
}
