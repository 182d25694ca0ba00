package stix

import (
	"time"

	"comity/stix/rawjson"
)

// Succession tells what a version changes although no version may, compared
// with another version of the same object: created and created_by_ref
// stay, and nothing follows what was revoked. Both are compact
// and valid. None means nil.
func Succession(before, after []byte) []*Error {
	var faults []*Error
	fault := func(rule, path, text string) { faults = append(faults, &Error{Rule: rule, Path: path, Text: text}) }
	if b, a := instantOf(before, "created"), instantOf(after, "created"); !b.Equal(a) {
		fault("R-055", "/created", "another version has another, and it never changes")
	}
	b, _ := text(rawjson.Member(before, "created_by_ref"))
	if a, _ := text(rawjson.Member(after, "created_by_ref")); a != b {
		fault("R-057", "/created_by_ref", "another version has another: only the creator makes versions")
	}
	if string(rawjson.Member(before, "revoked")) == "true" && instantOf(after, "modified").After(instantOf(before, "modified")) {
		fault("R-058", "/modified", "a version before was revoked, and none follows such a one")
	}
	return faults
}

// instantOf is a timestamp property; zero without.
func instantOf(object []byte, name string) time.Time {
	s, _ := text(rawjson.Member(object, name))
	t, _ := ParseTimestamp(s)
	return t.Time()
}
