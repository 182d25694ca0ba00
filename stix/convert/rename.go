package convert

import (
	"maps"
	"slices"
	"strings"

	"comity/stix/validate"
)

// maxRenames is how many properties of one object may get a custom name.
const maxRenames = 10

// rename gives custom names to the properties that STIX 2.1 forbids where STIX
// 2.0 allowed them, such as last_seen before first_seen, or a custom property
// called action. upgraded converts members to STIX 2.1, given the moves so far.
// If custom names do not help, members are returned unchanged.
func rename(members object, upgraded func(object, moves) object, moved moves, note notes) object {
	try, tried := slices.Clone(members), moves{}
	var names, rules []string
	for {
		errors := faultsOf(upgraded(slices.Clone(try), maps.Clone(tried)).appendTo(nil))
		if errors == nil {
			break
		}
		at := try.index(topName(errors[0].Path))
		if at < 0 || len(names) == maxRenames || !canRename(try, try[at].name) {
			return members
		}
		names, rules = append(names, try[at].name), append(rules, errors[0].Rule)
		tried[try[at].name] = []string{customName(try[at].name)}
		try[at].name = customName(try[at].name)
	}
	maps.Copy(moved, tried)
	for i, name := range names {
		note(name, "STIX 2.1 does not allow it here ("+rules[i]+"): it is called "+customName(name), false)
	}
	return try
}

// faultsOf are the errors of an object of STIX 2.1.
func faultsOf(raw []byte) validate.Findings {
	return validate.Object(raw, validate.Policy{}).Errors()
}

// topName is the name of the property that a JSON pointer leads into.
func topName(path string) string {
	name, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	return name
}

func customName(name string) string { return "x_" + name }

// canRename tells whether a property can have a custom name: it does not identify the
// object, and the custom name is free.
func canRename(members object, name string) bool {
	switch name {
	case "type", "id", "spec_version", "created", "modified", "object_marking_refs", "granular_markings":
		return false
	}
	return members.index(customName(name)) < 0
}

// discardNote drops the notes of an attempt.
func discardNote(string, string, bool) {}
