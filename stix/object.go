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
	Spec     string    // "2.0" or "2.1": spec_version, or what its absence means
	Created  Timestamp // zero if absent
	Modified Timestamp // zero if absent
	Markings []ID      // object_marking_refs, in order
	Granular []ID      // marking_ref of each of granular_markings, in order
	Creator  ID        // created_by_ref, "" if absent
	Revoked  bool
}

// NewObject makes the view of raw, which must be compact and valid JSON such
// as [Decoder.Next] returns. It refuses, with an [*Error], what could not be
// identified or versioned later: no JSON object, no usable type or id, a
// created or modified that is no timestamp, an unknown spec_version.
//
// Without spec_version an object that has created is STIX 2.0; one that has not,
// or is of a type of cyber-observable, is STIX 2.1.
func NewObject(raw []byte) (Object, error) {
	o := Object{Raw: raw}
	if raw[0] != '{' {
		return o, &Error{Rule: "R-002", Text: "a STIX object is a JSON object"}
	}
	var (
		id       string
		hasID    bool
		fault    *Error
		refuse   = func(rule, path, text string) { fault = cmpOr(fault, &Error{Rule: rule, Path: path, Text: text}) }
		readTime = func(path string, value []byte) (t Timestamp) {
			s, ok := text(value)
			if !ok {
				refuse("R-007", path, "expected a timestamp in a string")
				return t
			}
			t, err := ParseTimestamp(s)
			if err != nil {
				refuse("R-031", path, err.Error())
			}
			return t
		}
	)
	for m := rawjson.MembersOf(raw); m.Next(); {
		value := m.Value
		switch string(m.Name) {
		case "id":
			if id, hasID = text(value); !hasID {
				refuse("R-007", "/id", "expected a string")
			}
		case "type":
			var ok bool
			if o.Type, ok = text(value); !ok {
				refuse("R-007", "/type", "expected a string")
			}
		case "spec_version":
			s, ok := text(value)
			if o.Spec = s; !ok || s != "2.0" && s != "2.1" {
				refuse("R-038", "/spec_version", `expected "2.0" or "2.1"`)
			}
		case "created":
			o.Created = readTime("/created", value)
		case "modified":
			o.Modified = readTime("/modified", value)
		case "created_by_ref":
			s, _ := text(value)
			o.Creator, _ = ParseID(s)
		case "revoked":
			o.Revoked = string(value) == "true"
		case "object_marking_refs":
			if value[0] != '[' {
				refuse("R-007", "/object_marking_refs", "expected a list of identifiers")
				break
			}
			for e := rawjson.ElementsOf(value); e.Next(); {
				s, ok := text(e.Value)
				mark, isID := ParseID(s)
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
		}
	}
	parsed, ok := ParseID(id)
	switch {
	case o.Type == "" && fault == nil:
		refuse("R-006", "/type", "required, but missing")
	case id == "" && fault == nil:
		refuse("R-006", "/id", "required, but missing")
	case !ok:
		refuse("R-016", "/id", "expected <type>--<UUID>")
	case o.Type == "bundle":
		refuse("R-002", "/type", "a bundle is no object of a collection; send what it holds")
	case parsed.Type() != o.Type:
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
	return o, nil
}

// cmpOr keeps the first fault found.
func cmpOr(first, next *Error) *Error {
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
	references(o.Raw, yield)
}

func references(obj []byte, yield func(string, ID)) {
	for m := rawjson.MembersOf(obj); m.Next(); {
		key := string(m.Name)
		switch {
		case key == "object_marking_refs" || key == "granular_markings":
		case strings.HasSuffix(key, "_ref") || strings.HasSuffix(key, "_refs"):
			refer(key, m.Value, yield)
		default:
			descend(m.Value, yield)
		}
	}
}

// refer takes the value of a reference: an identifier, or a list of them.
// Whatever else stands there may hold references in turn.
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
	case '{':
		references(value, yield)
	}
}

// descend looks for references inside a value that is none itself.
func descend(value []byte, yield func(string, ID)) {
	switch value[0] {
	case '{':
		references(value, yield)
	case '[':
		for e := rawjson.ElementsOf(value); e.Next(); {
			descend(e.Value, yield)
		}
	}
}

// Canonical is an object in its RFC 8785 form: the order of members and the
// spelling of numbers and strings do not count in it. Digests are made of it.
func Canonical(raw []byte) []byte {
	v := jsontext.Value(bytes.Clone(raw))
	if v.Canonicalize() != nil {
		return raw // a name twice, say: the same bytes are all that is the same
	}
	return v
}

// SameContent tells whether two objects are equal as JSON values, that is in
// their canonical form.
func SameContent(a, b []byte) bool {
	return bytes.Equal(a, b) || bytes.Equal(Canonical(a), Canonical(b))
}
