package validate

import (
	"bytes"
	"fmt"
	"slices"

	"comity/stix"
	"comity/stix/rawjson"
)

// crossChecks keeps the objects of one file, and checks them against each other once all
// of them are read.
type crossChecks struct {
	objects []fileObject
	newest  map[stix.ID]int // index into objects
}

// fileObject is one object of the file.
type fileObject struct {
	index, line int
	id          stix.ID
	raw         []byte
	visited     visit // of a marking definition
}

type visit uint8

const (
	unvisited visit = iota
	open            // its own markings are being visited
	done
)

// add keeps a copy of an object.
func (s *crossChecks) add(o *stix.Object, index, line int) {
	k := fileObject{index: index, line: line, id: o.ID, raw: slices.Clone(o.Raw)}
	if i, known := s.newest[o.ID]; !known || !before(rawjson.Member(k.raw, "modified"), rawjson.Member(s.objects[i].raw, "modified")) {
		s.newest[o.ID] = len(s.objects)
	}
	s.objects = append(s.objects, k)
}

// check reports the faults of the objects in relation to each other.
func (s *crossChecks) check(each func(Result)) {
	for i := range s.objects {
		k := &s.objects[i]
		var found Findings
		switch k.id.Type() {
		case "language-content":
			found = s.translation(k.raw)
		case "marking-definition":
			found = s.markingCycle(i)
		}
		if found = append(found, s.extensionUse(k)...); found != nil {
			each(Result{Index: k.index, Line: k.line, ID: string(k.id), Findings: found})
		}
	}
}

// target is the newest version of an object; nil if the file has none.
func (s *crossChecks) target(id []byte) []byte {
	if i, known := s.newest[stix.ID(id)]; known {
		return s.objects[i].raw
	}
	return nil
}

// translation compares language content with the version of the object that it
// translates.
func (s *crossChecks) translation(raw []byte) (found Findings) {
	id, _ := rawjson.Text(rawjson.Member(raw, "object_ref"))
	target := s.target(id)
	version := rawjson.Member(raw, "object_modified")
	if order, ok := compareTimes(version, rawjson.Member(target, "modified")); target == nil || version != nil && (!ok || order != 0) {
		return nil
	}
	for language := rawjson.MembersOf(rawjson.Member(raw, "contents")); language.Next(); {
		for m := rawjson.MembersOf(language.Value); m.Next(); {
			path := []step{{name: []byte("contents")}, {name: language.Name}, {name: m.Name}}
			found = append(found, translated(rawjson.Member(target, string(m.Name)), m.Value, path)...)
		}
	}
	return found
}

// translated compares the structure of a translation with that of the original: both are
// texts, lists with as many elements, or objects, and so are their parts. Parts that the
// original lacks are ignored.
func translated(original, value []byte, path []step) (found Findings) {
	switch {
	case len(original) == 0:
	case len(value) == 0 || value[0] != original[0]:
		return Findings{{Rule: "R-097", Path: pointer(path), Message: "a translation is of the same kind as the original: a text, a list or an object"}}
	case value[0] == '[':
		elements, originals := rawjson.ElementsOf(value), rawjson.ElementsOf(original)
		n := 0
		for ; originals.Next(); n++ {
			if !elements.Next() {
				return append(found, Finding{Rule: "R-097", Path: pointer(path), Message: `fewer elements than the original: write "" for one without translation`})
			}
			if string(elements.Value) != `""` {
				found = append(found, translated(originals.Value, elements.Value, append(path[:len(path):len(path)], step{index: n}))...)
			}
		}
		if elements.Next() {
			found = append(found, Finding{Rule: "R-097", Path: pointer(path), Message: fmt.Sprintf("more elements than the %d of the original", n)})
		}
	case value[0] == '{':
		for m := rawjson.MembersOf(value); m.Next(); {
			found = append(found, translated(rawjson.Member(original, string(m.Name)), m.Value, append(path[:len(path):len(path)], step{name: m.Name}))...)
		}
	}
	return found
}

// markingCycle follows the markings of a marking definition. A definition must
// not mark itself through others. Each cycle is reported once.
func (s *crossChecks) markingCycle(i int) (found Findings) {
	k := &s.objects[i]
	if k.visited != unvisited {
		return nil
	}
	k.visited = open
	o, _ := stix.NewObject(k.raw) // it was one when it was added
	for _, id := range slices.Concat(o.Markings, o.Granular) {
		next, known := s.newest[id]
		switch {
		case !known || id == k.id: // the check of the single object reports that it marks itself
		case s.objects[next].visited == open:
			found = append(found, Finding{Rule: "R-084", Message: fmt.Sprintf("%s and %s mark each other, at once or by way of others", stix.Shorten(k.id, 300), id)})
		default:
			found = append(found, s.markingCycle(next)...)
		}
	}
	k.visited = done
	return found
}

// extensionUse compares the extensions of an object with their definitions, as far as
// they are in the file: the type of the extension, and the properties that it defines
// at the top level.
func (s *crossChecks) extensionUse(k *fileObject) (found Findings) {
	var defined []string
	complete := false // an extension that defines top-level properties lists them
	unknown := false  // another one does not, or defines a type
	for m := rawjson.MembersOf(rawjson.Member(k.raw, "extensions")); m.Next(); {
		kind, _ := rawjson.Text(rawjson.Member(m.Value, "extension_type"))
		top := string(kind) == "toplevel-property-extension"
		definition := s.target(m.Name)
		if !top && definition == nil {
			continue
		}
		if definition != nil && !slices.Contains(texts(rawjson.Member(definition, "extension_types")), string(kind)) {
			path := pointer([]step{{name: []byte("extensions")}, {name: m.Name}, {name: []byte("extension_type")}})
			found = append(found, Finding{Rule: "R-196", Path: path, Message: quote(kind) + " is not among the extension_types of the definition", Warning: true})
		}
		properties := rawjson.Member(definition, "extension_properties")
		if top && properties == nil || bytes.HasPrefix(kind, []byte("new-")) {
			unknown = true
			continue
		}
		complete = complete || top
		defined = append(defined, texts(properties)...)
	}
	shape := stix21().types[k.id.Type()]
	if !complete || unknown || shape == nil {
		return found
	}
	for m := rawjson.MembersOf(k.raw); m.Next(); {
		if _, standard := find(shape, m.Name); !standard && !slices.Contains(defined, string(m.Name)) {
			found = append(found, Finding{Rule: "R-196", Path: pointer([]step{{name: m.Name}}), Message: "neither the standard nor a definition of the object's extensions has this property", Warning: true})
		}
	}
	return found
}

// texts are the elements of a list of strings.
func texts(list []byte) (all []string) {
	for e := rawjson.ElementsOf(list); e.Next(); {
		s, _ := rawjson.Text(e.Value)
		all = append(all, string(s))
	}
	return all
}
