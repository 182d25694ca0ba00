package validate

import (
	"strings"

	"comity/stix"
	"comity/stix/rawjson"
)

// relationship is one that the standard names for a pair of types.
type relationship struct{ source, name, target string }

func readRelationships(text string) map[relationship]struct{} {
	all := map[relationship]struct{}{}
	for _, b := range blocks(text) {
		for _, line := range b[1:] {
			words := strings.Fields(line)
			for _, target := range words[1:] {
				all[relationship{b[0], words[0], target}] = struct{}{}
			}
		}
	}
	return all
}

// relationshipType checks for lower-case letters, digits and hyphens.
func relationshipType(c *checker, _ *valueType, s []byte) {
	if !isName(s, '-', 3) {
		c.fault("R-113", "%s is no relationship type: 3 to 250 characters a-z, 0-9 and -", quote(s))
	}
}

// namedRelationship warns of a relationship that the standard does not name for the
// pair of types. Custom types, and names that are for all types, are not
// checked.
func namedRelationship(c *checker, f frame) {
	name, _ := rawjson.Text(c.get(f, "relationship_type"))
	from, _ := rawjson.Text(c.get(f, "source_ref"))
	to, _ := rawjson.Text(c.get(f, "target_ref"))
	source, target := stix.ID(from).Type(), stix.ID(to).Type()
	switch string(name) {
	case "", "derived-from", "duplicate-of", "related-to":
		return
	}
	class := stix.ClassOf(target)
	if class == stix.Custom || stix.ClassOf(source) == stix.Custom {
		return
	}
	_, listed := relationships()[relationship{source, string(name), target}]
	if !listed && class == stix.Observable {
		_, listed = relationships()[relationship{source, string(name), "@sco"}]
	}
	if !listed {
		c.warnAt("relationship_type", "R-114", "the standard names no %s from %s to %s", stix.Shorten(name, 80), source, target)
	}
}
