package convert

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"comity/stix"
)

// renamed has the names in STIX 2.1 of properties of STIX 2.0 cyber-observables (part 4)
// and of their predefined extensions; "" for a property that 2.1 removed.
var renamed = map[string]map[string]string{
	"directory": {"created": "ctime", "modified": "mtime", "accessed": "atime"},
	"file": {
		"created": "ctime", "modified": "mtime", "accessed": "atime",
		"is_encrypted": "", "encryption_algorithm": "", "decryption_key": "",
	},
	"network-traffic":      {"encapsulates_by_ref": "encapsulated_by_ref"}, // misspelled in the 2.0 table
	"process":              {"created": "created_time", "binary_ref": "image_ref", "name": "", "arguments": ""},
	"user-account":         {"password_last_changed": "credential_last_changed"},
	"windows-registry-key": {"modified": "modified_time"},

	"archive-ext":      {"version": ""},
	"raster-image-ext": {"image_weight": "image_width", "image_compression_algorithm": ""}, // misspelled too
	"socket-ext":       {"protocol_family": ""},
}

// dictionary is the treatment of a property whose keys the standard does not define.
type dictionary uint8

const (
	noDictionary dictionary = iota
	opaque                  // kept unchanged, whatever its keys
	headers                 // a value that is a string becomes a list of one (STIX 2.1 §6.6, §6.12.2)
)

var dictionaries = map[string]dictionary{
	"email-message.additional_header_fields": headers,
	"http-request-ext.request_header":        headers,
	"network-traffic.ipfix":                  opaque,
	"pdf-ext.document_info_dict":             opaque,
	"process.environment_variables":          opaque,
	"raster-image-ext.exif_tags":             opaque,
	"socket-ext.options":                     opaque,
	"windows-process-ext.startup_info":       opaque,
}

// shaper gives one cyber-observable of STIX 2.0 the shape it has in 2.1. Its
// selectors are those of the STIX 2.0 object.
type shaper struct {
	// ref is the id of the entry of that key, if there is one.
	ref func(key string) (stix.ID, bool)
	// skip leaves out a property at the top level.
	skip  func(name string) bool
	moved moves
	note  notes
}

// object converts the properties of an observable, of an extension, or, with
// no kind, of an object inside one.
func (s *shaper) object(kind, at string, raw jsontext.Value) (out object) {
	in := parse(raw)
	for _, m := range in {
		if at == "" && s.skip(m.name) {
			continue
		}
		selector, name := step(at, m.name), m.name
		if to, known := renamed[kind][name]; known {
			switch {
			case to == "":
				s.drop(selector, "STIX 2.1 has no such property of "+kind)
				continue
			case in.index(to) >= 0:
				s.drop(selector, "it would be called "+to+", which is there already")
				continue
			}
			name = to
			s.moved[selector] = []string{step(at, to)}
		}
		if value := s.value(kind, m.name, selector, m.value); value != nil {
			out = append(out, member{name, value})
		}
	}
	return out
}

// value converts the value of one property; nil is none.
func (s *shaper) value(kind, name, at string, v jsontext.Value) jsontext.Value {
	switch treat := dictionaries[kind+"."+name]; {
	case treat == opaque:
		return v
	case treat == headers && v.Kind() == '{':
		return headerLists(v)
	case strings.HasSuffix(name, "_ref") && v.Kind() == '"':
		return s.reference(at, v)
	case strings.HasSuffix(name, "_refs") && v.Kind() == '[':
		return s.list(at, v, s.reference)
	case (name == "hashes" || name == "file_header_hashes") && v.Kind() == '{':
		return s.hashes(at, v)
	case kind != "" && name == "extensions" && v.Kind() == '{':
		return s.extensions(at, v)
	case strings.HasSuffix(name, "_hex") && v.Kind() == '"':
		return jsontext.Value(bytes.ToLower(v)) // STIX 2.0 had both cases
	}
	return s.inner(at, v)
}

// inner converts a value that the tables do not name, since it may have references.
func (s *shaper) inner(at string, v jsontext.Value) jsontext.Value {
	switch v.Kind() {
	case '{':
		return s.object("", at, v).appendTo(nil)
	case '[':
		return s.list(at, v, s.inner)
	}
	return v
}

// list converts the elements of a list. If none is left, the list is dropped.
func (s *shaper) list(at string, v jsontext.Value, convert func(string, jsontext.Value) jsontext.Value) jsontext.Value {
	in := elements(v)
	var out []jsontext.Value
	for i, element := range in {
		from := fmt.Sprintf("%s.[%d]", at, i)
		if value := convert(from, element); value != nil {
			if len(out) < i {
				s.moved[from] = []string{fmt.Sprintf("%s.[%d]", at, len(out))}
			}
			out = append(out, value)
		}
	}
	if out == nil && in != nil {
		s.moved[at] = nil
		return nil
	}
	return array(out)
}

// reference turns the key of another entry into its id. An identifier, which
// a custom property may hold, stays.
func (s *shaper) reference(at string, v jsontext.Value) jsontext.Value {
	key, ok := text(v)
	if !ok {
		return s.inner(at, v)
	}
	if id, ok := s.ref(key); ok {
		return quote(id)
	}
	if _, ok := stix.ParseID(key); ok {
		return v
	}
	s.drop(at, fmt.Sprintf("there is no entry %q that it could refer to", key))
	return nil
}

// extensions converts each extension by its name. An extension that has no property left
// is dropped.
func (s *shaper) extensions(at string, v jsontext.Value) jsontext.Value {
	var out object
	for _, m := range parse(v) {
		selector := step(at, m.name)
		if m.value.Kind() != '{' {
			out = append(out, m)
			continue
		}
		if inside := s.object(m.name, selector, m.value); inside != nil || len(parse(m.value)) == 0 {
			out = append(out, member{m.name, inside.appendTo(nil)})
			continue
		}
		s.drop(selector, "nothing is left of the extension")
	}
	if out == nil {
		s.moved[at] = nil
		return nil
	}
	return out.appendTo(nil)
}

// hashes writes the one name of hash-algorithm-ov that changed its case (STIX
// 2.1 §10.7). Names that are no longer listed stay: the vocabulary is open.
func (s *shaper) hashes(at string, v jsontext.Value) jsontext.Value {
	out := parse(v)
	if i := out.index("ssdeep"); i >= 0 && out.index("SSDEEP") < 0 {
		out[i].name = "SSDEEP"
		s.moved[step(at, "ssdeep")] = []string{step(at, "SSDEEP")}
	}
	return out.appendTo(nil)
}

func headerLists(v jsontext.Value) jsontext.Value {
	out := parse(v)
	for i, m := range out {
		if m.value.Kind() == '"' {
			out[i].value = array([]jsontext.Value{m.value})
		}
	}
	return out.appendTo(nil)
}

// drop notes that a property is not carried over.
func (s *shaper) drop(selector, text string) {
	s.moved[selector] = nil
	s.note(selector, text, true)
}

// step is the selector of a property of the value that at selects.
func step(at, name string) string {
	if at == "" {
		return name
	}
	return at + "." + name
}
