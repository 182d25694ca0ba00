package validate

import (
	"strings"

	"comity/stix"
)

// ids are those of the objects of one file.
type ids struct {
	types  map[string]string // of each object, by its UUID
	wanted []reference
}

// reference is one that the target of is still to be seen.
type reference struct {
	from        stix.ID
	index, line int
	property    string
	to          stix.ID
}

// add notes the id of an object. One UUID should not stand for two types.
func (s *ids) add(o *stix.Object) Findings {
	uuid := strings.TrimPrefix(string(o.ID), o.Type+"--")
	if typ, known := s.types[uuid]; known && typ != o.Type {
		return Findings{{Rule: "R-027", Path: "/id", Message: "the UUID of another object, of type " + clip([]byte(typ), 80), Warning: true}}
	}
	s.types[uuid] = o.Type
	return nil
}

// want notes what an object refers to. The markings of TLP are everywhere.
func (s *ids) want(o *stix.Object, index, line int) {
	note := func(property string, to stix.ID) {
		if _, standard := stix.MarkingTLP(to); !standard {
			s.wanted = append(s.wanted, reference{o.ID, index, line, property, to})
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

// missing reports the references to what is not in the file.
func (s *ids) missing(each func(Result)) {
	for _, r := range s.wanted {
		if uuid := strings.TrimPrefix(string(r.to), r.to.Type()+"--"); s.types[uuid] != r.to.Type() {
			f := Finding{Rule: "R-029", Message: r.property + " refers to " + clip([]byte(r.to), 300) + ", which is not there"}
			each(Result{Index: r.index, Line: r.line, ID: string(r.from), Findings: Findings{f}})
		}
	}
}
