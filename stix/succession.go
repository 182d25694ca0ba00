package stix

import (
	"time"

	"comity/stix/rawjson"
)

// Lineage has the properties of a version that are compared with those of other
// versions of the same object.
type Lineage struct {
	Created, Modified time.Time // zero if absent
	Creator           string    // created_by_ref; "" if absent
	Revoked           bool
}

// LineageOf reads the lineage of a compact and valid object.
func LineageOf(object []byte) Lineage {
	creator, _ := text(rawjson.Member(object, "created_by_ref"))
	return Lineage{
		Created:  instantOf(object, "created"),
		Modified: instantOf(object, "modified"),
		Creator:  creator,
		Revoked:  string(rawjson.Member(object, "revoked")) == "true",
	}
}

// Succession reports the faults of a version compared with another version of the same
// object: created and created_by_ref must not change, and no version
// may follow a revoked one. It is nil if there are none.
func (before Lineage) Succession(after Lineage) []*Error {
	var faults []*Error
	fault := func(rule, path, text string) { faults = append(faults, &Error{Rule: rule, Path: path, Text: text}) }
	if !before.Created.Equal(after.Created) {
		fault("R-055", "/created", "another version has another, and it never changes")
	}
	if before.Creator != after.Creator {
		fault("R-057", "/created_by_ref", "another version has another: only the creator makes versions")
	}
	if before.Revoked && after.Modified.After(before.Modified) {
		fault("R-058", "/modified", "a version before was revoked, and none follows such a one")
	}
	return faults
}

// Succession compares two versions of an object, compact and valid JSON, as
// [Lineage.Succession] does.
func Succession(before, after []byte) []*Error { return LineageOf(before).Succession(LineageOf(after)) }

// instantOf is a timestamp property; zero if absent.
func instantOf(object []byte, name string) time.Time {
	s, _ := text(rawjson.Member(object, name))
	t, _ := ParseTimestamp(s)
	return t.Time()
}
