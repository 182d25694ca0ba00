package validate

import (
	"bytes"

	"comity/stix/rawjson"
)

// dictionary checks that a dictionary has at least one entry, that its keys have the
// allowed characters, and that its values have the declared type. All
// dictionaries of the standard preserve the case of keys.
func (c *checker) dictionary(t *valueType, i int) int {
	if i++; c.b[i] == '}' {
		c.fault("R-011", "an empty dictionary: leave the property out")
	}
	return c.entries(i, func(key []byte, i int) int {
		if !isKey(key, 1) {
			c.fault("R-011", "a key has 1 to 250 letters, digits, - and _")
		}
		if c.container != nil && t.elem.kind == listValue && c.b[i] == '"' {
			return rawjson.SkipString(c.b, i) // STIX 2.0 has one string for a header
		}
		return c.value(t.elem, i)
	})
}

// entries calls check for each member of an object, from the one at i on, with its name
// and the index of its value; check returns where the value ends. During the call the
// path leads to that member.
func (c *checker) entries(i int, check func(name []byte, i int) int) int {
	for c.b[i] != '}' {
		if c.b[i] == ',' {
			i++
		}
		name, colon := rawjson.ReadString(c.b, i)
		c.path = append(c.path, step{name: name})
		i = check(name, colon+1)
		c.path = c.path[:len(c.path)-1]
	}
	return i + 1
}

// isKey tells whether s has least to 250 characters A-Z, a-z, 0-9, - and _.
func isKey(s []byte, least int) bool {
	if len(s) < least || len(s) > 250 {
		return false
	}
	for _, b := range s {
		if (b < 'a' || b > 'z') && (b < 'A' || b > 'Z') && (b < '0' || b > '9') && b != '-' && b != '_' {
			return false
		}
	}
	return true
}

// hashDigits has the number of hexadecimal digits of each hash.
var hashDigits = map[string]int{
	"MD5": 32, "SHA-1": 40, "SHA-256": 64, "SHA-512": 128, "SHA3-256": 64, "SHA3-512": 128, "TLSH": 70,
}

// hashes checks that keys name algorithms and values have the form of the
// algorithm. The vocabulary of algorithms is open. SHA-256 should be
// among them.
func (c *checker) hashes(t *valueType, i int) int {
	if i++; c.b[i] == '}' {
		c.fault("R-011", "empty hashes: leave the property out")
		return i + 1
	}
	sha256 := false
	end := c.entries(i, func(key []byte, i int) int {
		sha256 = sha256 || string(key) == "SHA-256"
		return c.hash(string(key), i)
	})
	if !sha256 && !c.stix20 {
		c.warn("R-012", "a SHA-256 hash should be among them")
	}
	return end
}

func (c *checker) hash(algorithm string, i int) int {
	if c.b[i] != '"' {
		return c.wrongKind(&valueType{}, "a hash in a string", i)
	}
	end := rawjson.SkipString(c.b, i)
	s := rawjson.Unquote(c.b[i:end])
	if !isKey([]byte(algorithm), 3) {
		c.fault("R-012", "the name of an algorithm has 3 to 250 letters, digits, - and _")
		return end
	}
	digits, known := hashDigits[algorithm]
	if algorithm == "TLSH" && len(s) == 72 {
		s = bytes.TrimPrefix(s, []byte("T1"))
	}
	switch {
	case algorithm == "SSDEEP":
		if !isSSDEEP(s) {
			c.fault("R-013", "%s is no SSDEEP hash, expected size:chunk:chunk", quote(s))
		}
	case !known:
		c.warn("R-161", "%s is not in hash-algorithm-ov", quote([]byte(algorithm)))
	case len(s) != digits || !isHex(s, true):
		c.fault("R-013", "%s is no %s hash, expected %d hexadecimal digits", quote(s), algorithm, digits)
	}
	return end
}

func isSSDEEP(s []byte) bool {
	size, chunks, _ := bytes.Cut(s, []byte(":"))
	first, second, ok := bytes.Cut(chunks, []byte(":"))
	if !ok || len(size) == 0 {
		return false
	}
	for _, b := range size {
		if b < '0' || b > '9' {
			return false
		}
	}
	for _, chunk := range [][]byte{first, second} {
		for _, b := range chunk {
			if base64Digit(b) < 0 {
				return false
			}
		}
	}
	return true
}
