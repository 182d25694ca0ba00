package stix

import (
	"crypto/sha256"
	"strings"
)

// ID is a STIX identifier, "<type>--<UUID>" (STIX 2.1 §2.9). Identifiers are
// compared as exact strings (§3.3); the UUID may have upper-case digits.
type ID string

// ParseID checks the form of s: a type name of lower-case letters, digits and
// hyphens, two hyphens, and a UUID in its 36-character form.
func ParseID(s string) (ID, bool) {
	i := len(s) - len("--") - 36
	if i <= 0 || s[i] != '-' || s[i+1] != '-' || !isTypeName(s[:i]) || !isUUID(s[i+2:]) {
		return "", false
	}
	// The first two hyphens end the type.
	for k := range i {
		if s[k] == '-' && s[k+1] == '-' {
			return "", false
		}
	}
	return ID(s), true
}

// isUUID tells whether 36 characters are hexadecimal digits in groups of 8, 4,
// 4, 4 and 12.
func isUUID(s string) bool {
	digits := 0
	for i := range len(s) {
		digits += int(hexDigit[s[i]])
	}
	return digits == 32 && s[8] == '-' && s[13] == '-' && s[18] == '-' && s[23] == '-'
}

// hexDigit is 1 for 0-9, a-f and A-F.
var hexDigit = [256]uint8{
	'0': 1, '1': 1, '2': 1, '3': 1, '4': 1, '5': 1, '6': 1, '7': 1, '8': 1, '9': 1,
	'a': 1, 'b': 1, 'c': 1, 'd': 1, 'e': 1, 'f': 1, 'A': 1, 'B': 1, 'C': 1, 'D': 1, 'E': 1, 'F': 1,
}

// Type is the part before the first "--".
func (id ID) Type() string {
	t, _, _ := strings.Cut(string(id), "--")
	return t
}

// isTypeName tells whether s may name an object type (STIX 2.1 §3.1): at most
// 250 lower-case letters, digits and hyphens.
func isTypeName(s string) bool {
	if s == "" || len(s) > 250 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}

// Key is an identifier in 16 bytes: the beginning of its SHA-256. It depends
// on the whole string, since objects of two types may have the same UUID.
type Key [16]byte

// Key is the key of id.
func (id ID) Key() Key {
	var buffer [128]byte // most ids fit, and then nothing is allocated
	sum := sha256.Sum256(append(buffer[:0], id...))
	return Key(sum[:16])
}
