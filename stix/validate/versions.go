package validate

import (
	"crypto/sha256"
	"time"

	"comity/stix"
)

// versions checks the versions of the objects of one file by the rules of a push: R-055
// to.
type versions struct {
	content map[stix.Key][32]byte // of each version, in canonical form
	known   map[stix.Key]*history // by the id of the object
}

// history has the versions of one object with which later ones are compared.
type history struct {
	first   stix.Lineage // in the file
	newest  stix.Lineage
	last    stix.Timestamp // version of newest
	revoked *stix.Lineage  // the first revoked one in the file; nil if there is none
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
	this := stix.LineageOf(o.Raw)
	h := v.known[o.Key()]
	if h == nil {
		h = &history{first: this, newest: this, last: version}
		v.known[o.Key()] = h
	}
	faults := h.first.Succession(this)
	if h.revoked != nil {
		faults = append(faults, h.revoked.Succession(this)...)
	}
	if o.Revoked {
		faults = append(faults, this.Succession(h.newest)...)
	}
	noted := map[string]bool{}
	for _, f := range faults {
		if !noted[f.Rule] {
			noted[f.Rule] = true
			note(true, f.Rule, f.Path, f.Text)
		}
	}
	if version.Time().After(h.last.Time()) {
		h.newest, h.last = this, version
	}
	if o.Revoked && h.revoked == nil {
		h.revoked = &this
	}
	return found
}
