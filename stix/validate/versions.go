package validate

import (
	"crypto/sha256"
	"time"

	"comity/stix"
	"comity/stix/rawjson"
)

// versions checks the versions of the objects of one file by the rules of a push: R-055
// to.
type versions struct {
	content map[stix.Key][32]byte // of each version, in canonical form
	known   map[stix.Key]*history // by the id of the object
}

// history has the versions of one object with which later ones are compared, each
// reduced to the properties that [stix.Succession] compares.
type history struct {
	first   []byte // in the file
	newest  []byte
	last    stix.Timestamp // version of newest
	revoked []byte         // the first revoked one in the file
}

// add compares a version with those that came before it.
func (v *versions) add(o *stix.Object) (found Findings) {
	note := func(warning bool, rule, path, message string) {
		found = append(found, Finding{Rule: rule, Path: path, Message: message, Warning: warning})
	}
	version := o.Version()
	key := stix.ID(string(o.ID) + " " + version.Time().Format(time.RFC3339Nano)).Key()
	content := sha256.Sum256(stix.Canonical(o.Raw))
	switch before, twice := v.content[key]; {
	case !twice:
		v.content[key] = content
	case before == content:
		note(true, "R-143", "/id", "this version of the object came before")
		return found
	case o.Class() == stix.Observable:
		note(true, "R-184", "/id", "another object with this id came before: of the two a server keeps the first")
		return found
	default:
		_, standard := stix.MarkingTLP(o.ID)
		note(standard, "R-056", "/modified", "another object with this id and version came before: of the two a server keeps the first")
		return found
	}
	if version.IsZero() {
		return found
	}
	this := succession(o.Raw)
	h := v.known[o.Key()]
	if h == nil {
		h = &history{first: this}
		v.known[o.Key()] = h
	}
	faults := stix.Succession(h.first, this)
	if h.revoked != nil {
		faults = append(faults, stix.Succession(h.revoked, this)...)
	}
	if o.Revoked && h.newest != nil {
		faults = append(faults, stix.Succession(this, h.newest)...)
	}
	noted := map[string]bool{}
	for _, f := range faults {
		if !noted[f.Rule] {
			noted[f.Rule] = true
			note(true, f.Rule, f.Path, f.Text)
		}
	}
	if version.Time().After(h.last.Time()) || h.newest == nil {
		h.newest, h.last = this, version
	}
	if o.Revoked && h.revoked == nil {
		h.revoked = this
	}
	return found
}

// succession is raw reduced to the properties that [stix.Succession] compares.
func succession(raw []byte) []byte {
	short := []byte{'{'}
	for m := rawjson.MembersOf(raw); m.Next(); {
		switch string(m.Name) {
		case "created", "modified", "created_by_ref", "revoked":
			if len(short) > 1 {
				short = append(short, ',')
			}
			short = append(append(append(short, '"'), m.Name...), '"', ':')
			short = append(short, m.Value...)
		}
	}
	return append(short, '}')
}
