package validate

import (
	"bytes"

	"comity/stix"
	"comity/stix/rawjson"
)

// optionalIDs are the observables whose id-contributing properties are all
// optional.
var optionalIDs = map[string]bool{
	"artifact": true, "email-message": true, "file": true, "process": true,
	"user-account": true, "windows-registry-key": true, "x509-certificate": true,
}

// identifier checks the object's own id.
func (c *checker) identifier(s []byte) {
	prefix, uuid, ok := bytes.Cut(s, []byte("--"))
	if !ok {
		c.fault("R-016", "%s is no identifier, expected %s--UUID", quote(s), stix.Shorten(c.typ, 80))
		return
	}
	if string(prefix) != c.typ {
		c.fault("R-016", "%s has not the type of the object, %s, before the UUID", quote(s), stix.Shorten(c.typ, 80))
	}
	version := c.uuid(uuid)
	if version > 0 && version != 4 && c.shape.class != "sco" {
		c.warn("R-019", "a UUID of version %d, expected version 4", version)
	}
}

// uuid checks a UUID by RFC 4122, and returns its version, 0 if it is invalid.
func (c *checker) uuid(s []byte) (version int) {
	if !isUUIDForm(s) {
		c.fault("R-017", "%s is no UUID of 8-4-4-4-12 hexadecimal digits", quote(s))
		return 0
	}
	switch s[19] {
	case '8', '9', 'a', 'b', 'A', 'B':
	default:
		c.fault("R-017", "%s is no UUID of RFC 4122: its fourth group begins with %c, expected 8, 9, a or b", quote(s), s[19])
		return 0
	}
	version = int(s[14] - '0')
	if newer := version >= 6 && version <= 8; version < 1 || version > 5 && (!newer || !c.policy.NewUUIDs) {
		c.fault("R-017", "%s is a UUID of version %c, expected 1 to 5", quote(s), s[14])
		return 0
	}
	return version
}

func isUUIDForm(s []byte) bool {
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return false
	}
	digits := 0
	for _, b := range s {
		if hexDigits[b] {
			digits++
		}
	}
	return digits == 32
}

// reference checks an identifier that refers to another object: its form and
// the types that may stand there (R-028, R-030, and,
// for single properties).
func (c *checker) reference(t *valueType, s []byte) {
	rule := t.rule
	if rule == "" {
		rule = "R-028"
	}
	if c.container != nil {
		c.localReference(t, s)
		return
	}
	typ, uuid, ok := bytes.Cut(s, []byte("--"))
	if !ok || !isName(typ, '-', 1) {
		c.fault(rule, "%s is no identifier, expected type--UUID", quote(s))
		return
	}
	c.uuid(uuid)
	if string(typ) == "bundle" {
		if t.rule == "" {
			rule = "R-030"
		}
		c.fault(rule, "nothing refers to a bundle")
		return
	}
	if !t.refs.allow(string(typ)) {
		c.fault(rule, "expected the identifier of %s, not of %s", t.refs.text, typ)
	}
}

// allow tells whether a reference to an object of that type may stand here. A
// type that the standard does not name may be of any class.
func (t *targets) allow(typ string) bool {
	for _, one := range t.types {
		if one == typ {
			return true
		}
	}
	switch stix.ClassOf(typ) {
	case stix.Domain:
		return t.sdo
	case stix.Relation:
		return t.sro
	case stix.Observable:
		return t.sco
	case stix.Meta:
		return t.other
	}
	return t.sdo || t.sro || t.sco
}

// observableID: an observable without contributing properties has a UUID of
// version 4; otherwise its id is the one computed from them (R-021,
// and R-026 for timestamps). After an earlier error R-018 is not reported: the
// property may be missing because of that error.
func (c *checker) observableID(f frame) {
	s, ok := rawjson.Text(c.get(f, "id"))
	if !ok || len(s) != len(c.typ)+2+36 {
		return
	}
	version := s[len(c.typ)+2+14]
	c.path = append(c.path, step{name: []byte("id")})
	defer func() { c.path = c.path[:len(c.path)-1] }()
	want, computed := stix.DeterministicID(c.b)
	switch {
	case !computed && optionalIDs[c.typ] && version != '4' && c.errors == 0:
		c.fault("R-018", "without the properties that it is computed from, the UUID has version 4, not %c", version)
	case !computed:
	case version != '5':
		c.warn("R-021", "a UUID of version %c, expected the computed %s", version, want)
	case string(want) != string(s) && !c.computedFromShortTimes(f, s):
		c.warn("R-021", "not the id computed from the object, %s", want)
	}
}

// computedFromShortTimes tells whether id was computed from timestamps without trailing
// zeros, as the OASIS Python library does.
func (c *checker) computedFromShortTimes(f frame, id []byte) bool {
	if c.typ != "network-traffic" {
		return false
	}
	short := []byte(`{"type":"network-traffic"`)
	for m := rawjson.MembersOf(c.b); m.Next(); {
		name := string(m.Name)
		if name == "type" {
			continue
		}
		value := m.Value
		// What has escapes is no timestamp, and would have to be escaped again.
		if s, ok := rawjson.Text(value); ok && len(s) == len(value)-2 && (name == "start" || name == "end") {
			s = bytes.TrimSuffix(s, []byte("Z"))
			if bytes.IndexByte(s, '.') > 0 {
				s = bytes.TrimRight(bytes.TrimRight(s, "0"), ".")
			}
			value = []byte(`"` + string(s) + `Z"`)
		}
		if _, known := find(f.shape, name); known {
			short = append(short, `,"`+name+`":`...)
			short = append(short, value...)
		}
	}
	computed, ok := stix.DeterministicID(append(short, '}'))
	return ok && string(computed) == string(id)
}
