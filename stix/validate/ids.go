package validate

import (
	"strings"

	"comity/stix"
)

// ids has the ids of the objects of one file, and the references among them.
type ids struct {
	types      map[string]string // of the first object with each UUID
	there      map[stix.ID]struct{}
	references []reference
}

// reference is a reference whose target is looked up at the end of the file.
type reference struct {
	from        stix.ID
	index, line int
	property    string
	to          stix.ID
}

// add notes the id of an object. One UUID should not stand for two types.
func (s *ids) add(o *stix.Object) Findings {
	s.there[o.ID] = struct{}{}
	uuid := strings.TrimPrefix(string(o.ID), o.Type+"--")
	if typ, known := s.types[uuid]; known && typ != o.Type {
		return Findings{{Rule: "R-027", Path: "/id", Message: "the UUID of another object, of type " + stix.Shorten(typ, 80), Warning: true}}
	}
	s.types[uuid] = o.Type
	return nil
}

// addReferences notes the references of an object. The markings of TLP need not be in
// the file, since every product knows them.
func (s *ids) addReferences(o *stix.Object, index, line int) {
	note := func(property string, to stix.ID) {
		if _, standard := stix.MarkingTLP(to); !standard {
			s.references = append(s.references, reference{o.ID, index, line, property, to})
		}
	}
	o.References(note)
	for _, to := range o.Markings {
		note("object_marking_refs", to)
	}
	for _, to := range o.Granular {
		note("granular_markings", to)
	}
}

// missing reports the references to objects that are not in the file.
func (s *ids) missing(each func(Result)) {
	for _, r := range s.references {
		if _, there := s.there[r.to]; !there {
			f := Finding{Rule: "R-029", Message: r.property + " refers to " + stix.Shorten(r.to, 300) + ", which is not there"}
			each(Result{Index: r.index, Line: r.line, ID: string(r.from), Findings: Findings{f}})
		}
	}
}
