package stix

import (
	"bytes"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"comity/stix/rawjson"
)

// Object is a view over one STIX object as it arrived. Its bytes are never
// changed, but for whitespace between tokens.
type Object struct {
	Raw      []byte    // compact JSON; shared, not to be changed
	ID       ID        // never empty
	Type     string    // equals ID.Type()
	Spec     string    // "2.0" or "2.1": spec_version, or the version that its absence means
	Created  Timestamp // zero if absent
	Modified Timestamp // zero if absent
	Markings []ID      // object_marking_refs, in order
	Granular []ID      // marking_ref of each of granular_markings, in order
	Creator  ID        // created_by_ref, "" if absent
	Revoked  bool

	key         Key  // of ID; zero if it was not computed
	onlyCreator bool // it is known to have no reference but Creator
}

// Key is the key of its id.
func (o *Object) Key() Key {
	if o.key == (Key{}) {
		return o.ID.Key()
	}
	return o.key
}

// NewObject makes the view of raw, which must be compact and valid JSON such as
// [Decoder.Next] returns. It is an [*Error] if the object could not be identified or
// versioned later: it is no JSON object, has no usable type or id, a created or
// modified that is no timestamp, or an unknown spec_version.
//
// An object without spec_version is STIX 2.0 if it has created and is no
// cyber-observable. Otherwise it is STIX 2.1.
func NewObject(raw []byte) (Object, error) {
	o := Object{Raw: raw}
	if raw[0] != '{' {
		return o, &Error{Rule: "R-002", Text: "a STIX object is a JSON object"}
	}
	var (
		id, typ []byte
		created []byte
		hasID   bool
		texts   strings.Builder // one allocation for the texts of nearly all objects
		keep    = func(s []byte) string {
			from := texts.Len()
			texts.Write(s)
			return texts.String()[from:]
		}
		fault    *Error
		refuse   = func(rule, path, text string) { fault = firstFault(fault, &Error{Rule: rule, Path: path, Text: text}) }
		readTime = func(path string, value []byte) (t Timestamp) {
			s, ok := rawjson.Text(value)
			if !ok {
				refuse("R-007", path, "expected a timestamp in a string")
				return t
			}
			t, err := ParseTimestamp(keep(s))
			if err != nil {
				refuse("R-031", path, err.Error())
			}
			return t
		}
	)
	o.onlyCreator = true
	texts.Grow(textsSize)
	for i := 1; raw[i] != '}'; {
		if raw[i] == ',' {
			i++
		}
		name, colon := rawjson.ReadString(raw, i)
		i = rawjson.SkipValue(raw, colon+1)
		value := raw[colon+1 : i]
		switch string(name) {
		case "id":
			if id, hasID = rawjson.Text(value); !hasID {
				refuse("R-007", "/id", "expected a string")
			}
		case "type":
			var ok bool
			if typ, ok = rawjson.Text(value); !ok {
				refuse("R-007", "/type", "expected a string")
			}
		case "spec_version":
			switch s, _ := rawjson.Text(value); string(s) {
			case "2.0":
				o.Spec = "2.0"
			case "2.1":
				o.Spec = "2.1"
			default:
				refuse("R-038", "/spec_version", `expected "2.0" or "2.1"`)
			}
		case "created":
			created = value
			o.Created = readTime("/created", value)
		case "modified":
			if o.Modified = o.Created; o.Created.IsZero() || !bytes.Equal(value, created) {
				o.Modified = readTime("/modified", value)
			}
		case "created_by_ref":
			s, _ := rawjson.Text(value)
			o.Creator, _ = ParseID(keep(s))
			o.onlyCreator = o.onlyCreator && o.Creator != ""
		case "revoked":
			o.Revoked = string(value) == "true"
			o.onlyCreator = o.onlyCreator && !mayRefer(name, value)
		case "object_marking_refs":
			if value[0] != '[' {
				refuse("R-007", "/object_marking_refs", "expected a list of identifiers")
				break
			}
			for e := rawjson.ElementsOf(value); e.Next(); {
				s, ok := rawjson.Text(e.Value)
				mark, isID := ParseID(keep(s))
				if !ok || !isID || mark.Type() != "marking-definition" {
					refuse("R-047", "/object_marking_refs", "expected identifiers of marking definitions")
				}
				o.Markings = append(o.Markings, mark)
			}
		case "granular_markings":
			for e := rawjson.ElementsOf(value); e.Next(); {
				s, _ := text(rawjson.Member(e.Value, "marking_ref"))
				if mark, ok := ParseID(s); ok {
					o.Granular = append(o.Granular, mark)
				}
			}
		default:
			o.onlyCreator = o.onlyCreator && !mayRefer(name, value)
		}
	}
	parsed, ok := ParseID(keep(id))
	prefix := parsed.Type()
	if o.Type = prefix; prefix != string(typ) {
		o.Type = string(typ)
	}
	switch {
	case o.Type == "" && fault == nil:
		refuse("R-006", "/type", "required, but missing")
	case len(id) == 0 && fault == nil:
		refuse("R-006", "/id", "required, but missing")
	case !ok:
		refuse("R-016", "/id", "expected <type>--<UUID>")
	case o.Type == "bundle":
		refuse("R-002", "/type", "a bundle is no object of a collection; send what it holds")
	case prefix != o.Type:
		refuse("R-016", "/id", "its prefix is not the type of the object")
	}
	if o.ID = parsed; fault != nil {
		fault.ID = string(parsed)
		return o, fault
	}
	if o.Spec == "" {
		o.Spec = "2.1"
		if !o.Created.IsZero() && ClassOf(o.Type) != Observable {
			o.Spec = "2.0"
		}
	}
	o.key = o.ID.Key()
	return o, nil
}

// textsSize is enough for an id, a time, a creator and a marking.
const textsSize = 208

// firstFault is the first of two faults that is not nil.
func firstFault(first, next *Error) *Error {
	if first != nil {
		return first
	}
	return next
}

// Version is modified, or created where there is no modified (TAXII 2.1
// §3.4.1). It is zero for an object that has neither, such as a
// cyber-observable.
func (o *Object) Version() Timestamp {
	if !o.Modified.IsZero() {
		return o.Modified
	}
	return o.Created
}

// Has tells whether o has a property of that name at its top level.
func (o *Object) Has(property string) bool { return rawjson.Member(o.Raw, property) != nil }

// References calls yield with every identifier that a property named *_ref or
// *_refs holds, at any depth, with the name of that property.
// object_marking_refs and granular markings are left out.
func (o *Object) References(yield func(property string, id ID)) {
	if o.onlyCreator {
		if o.Creator != "" {
			yield("created_by_ref", o.Creator)
		}
		return
	}
	for m := rawjson.MembersOf(o.Raw); m.Next(); {
		if o.Creator != "" && string(m.Name) == "created_by_ref" {
			yield("created_by_ref", o.Creator)
		} else {
			refersTo(m.Name, m.Value, yield)
		}
	}
}

// mayRefer tells whether a member may have references. It searches for the letters _ref
// of their names, and for escapes that may stand for them.
func mayRefer(name, value []byte) bool {
	if bytes.HasSuffix(name, []byte("_ref")) || bytes.HasSuffix(name, []byte("_refs")) {
		return true
	}
	return (value[0] == '{' || value[0] == '[') && bytes.IndexByte(value, '{') >= 0 &&
		(bytes.Contains(value, []byte("_ref")) || bytes.IndexByte(value, '\\') >= 0)
}

// refersTo finds the references in a member.
func refersTo(name, value []byte, yield func(string, ID)) {
	switch {
	case string(name) == "object_marking_refs" || string(name) == "granular_markings":
	case bytes.HasSuffix(name, []byte("_ref")) || bytes.HasSuffix(name, []byte("_refs")):
		refer(string(name), value, yield)
	default:
		descend(value, yield)
	}
}

// refer yields the value of a reference property: an identifier, or a list of them.
// Other values may have references inside.
func refer(key string, value []byte, yield func(string, ID)) {
	switch value[0] {
	case '"':
		s, _ := text(value)
		if id, ok := ParseID(s); ok {
			yield(key, id)
		}
	case '[':
		for e := rawjson.ElementsOf(value); e.Next(); {
			refer(key, e.Value, yield)
		}
	default:
		descend(value, yield)
	}
}

// descend yields the references inside a value that is no reference.
func descend(value []byte, yield func(string, ID)) {
	switch value[0] {
	case '{':
		for m := rawjson.MembersOf(value); m.Next(); {
			refersTo(m.Name, m.Value, yield)
		}
	case '[':
		for e := rawjson.ElementsOf(value); e.Next(); {
			descend(e.Value, yield)
		}
	}
}

// Canonical is an object in its RFC 8785 form, which does not depend on the order of
// members or the spelling of numbers and strings. Digests are made of it.
func Canonical(raw []byte) []byte {
	v := jsontext.Value(bytes.Clone(raw))
	if v.Canonicalize() != nil {
		return raw // such as a duplicate name; only equal bytes are then equal content
	}
	return v
}

// SameContent tells whether two objects are equal as JSON values, that is in
// their canonical form.
func SameContent(a, b []byte) bool {
	return bytes.Equal(a, b) || bytes.Equal(Canonical(a), Canonical(b))
}
