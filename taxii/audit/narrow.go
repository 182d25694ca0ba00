package audit

import (
	"comity/stix"
	"comity/taxii"
)

// maxMatch bounds the text of the match of one delivery.
const maxMatch = 4 << 10

// Narrow reduces a match to the part that the record keeps: the ids and types that the
// page shows, as ids lists them. So no caller fills the record with ids that do not
// exist. Several versions named by their time become all versions, and a list of ids
// that is still too long becomes all ids. The record then covers more than the page
// showed, never less.
func Narrow(m taxii.Match, ids func() []stix.ID) taxii.Match {
	if len(m.IDs) > 1 || len(m.Types) > 1 {
		shown, types := map[string]bool{}, map[string]bool{}
		for _, id := range ids() {
			shown[string(id)], types[id.Type()] = true, true
		}
		m.IDs, m.Types = among(m.IDs, shown), among(m.Types, types)
	}
	m.Specs = among(m.Specs, map[string]bool{"2.0": true, "2.1": true})
	if len(m.Versions.At) > 1 {
		m.Versions = taxii.Versioning{All: true}
	}
	if len(matchText(&m)) > maxMatch {
		m.IDs = nil
	}
	return m
}

// among are the elements of a list that are in a set, each once; nil, which is all,
// stays nil. The elements leave the set.
func among(list []string, set map[string]bool) []string {
	if list == nil {
		return nil
	}
	kept := []string{}
	for _, s := range list {
		if set[s] {
			kept = append(kept, s)
			delete(set, s)
		}
	}
	return kept
}
