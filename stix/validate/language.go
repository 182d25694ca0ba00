package validate

import (
	"bytes"

	"comity/stix"
	"comity/stix/rawjson"
)

// language checks an RFC 5646 tag for its form: subtags
// of one to eight letters and digits, the first of two or more letters. Three
// letters in software.languages are content of STIX 2.0.
func language(c *checker, t *valueType, s []byte) {
	rule := t.rule
	if rule == "" {
		rule = "R-041"
	}
	if !isLanguage(s) {
		c.fault(rule, "%s is no language tag such as en or pt-BR", quote(s))
	} else if rule == "R-171" && len(s) == 3 {
		c.warn(rule, "%s: use the code of two letters if there is one", quote(s))
	}
}

func isLanguage(s []byte) bool {
	first, _, more := bytes.Cut(s, []byte("-"))
	private := more && len(first) == 1 && bytes.ContainsAny(first, "xXiI")
	if !isLetters(first) || len(first) < 2 && !private {
		return false
	}
	for tag := range bytes.SplitSeq(s, []byte("-")) {
		if len(tag) < 1 || len(tag) > 8 || bytes.ContainsFunc(tag, func(r rune) bool { return r > 0x7f || !isAlphanumeric(byte(r)) }) {
			return false
		}
	}
	return true
}

// translations checks the contents of language content: a dictionary of language tags to
// non-empty dictionaries of properties.
func (c *checker) translations(i int) int {
	if i++; c.b[i] == '}' {
		c.fault("R-096", "empty contents: expected a language at least")
	}
	return c.entries(i, func(tag []byte, i int) int {
		if !isLanguage(tag) {
			c.fault("R-096", "%s is no language tag such as en or pt-BR", quote(tag))
		}
		switch {
		case c.b[i] != '{':
			return c.wrongKind(&valueType{wrong: "R-096"}, "an object of translated properties", i)
		case c.b[i+1] == '}':
			c.fault("R-096", "no translated property")
			return i + len("{}")
		}
		return c.custom(i)
	})
}

// translatedVersion checks that language content names a version only of an object that
// has versions.
func translatedVersion(c *checker, f frame) {
	ref, _ := rawjson.Text(c.get(f, "object_ref"))
	class := stix.ClassOf(stix.ID(ref).Type())
	if c.get(f, "object_modified") != nil && (class == stix.Observable || bytes.HasPrefix(ref, []byte("marking-definition--"))) {
		c.faultAt("object_modified", "R-095", "%s has no versions", stix.ID(ref).Type())
	}
}
