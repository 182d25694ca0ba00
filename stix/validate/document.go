package validate

import (
	"bytes"
	"fmt"
	"io"

	"github.com/go-json-experiment/json/jsontext"

	"comity/stix"
	"comity/stix/rawjson"
)

// Result is what [Document] found in one object, or around the objects.
type Result struct {
	Index    int    // of the object in the document, from 0; -1 for the document itself
	ID       string // of the object, "" if it has none
	Findings Findings
}

// Document checks a STIX document as it arrives from outside: a bundle (STIX
// 2.1 §8), a TAXII envelope, a single object, or a list of objects, which is no
// STIX document but is looked into. It calls each for every
// object in order, and last for the document itself if it has findings of its
// own. It holds one object at a time. What is no JSON ends it, with a finding;
// the error is the reader's.
func Document(r io.Reader, policy Policy, each func(Result)) error {
	d := document{policy: policy, each: each, json: jsontext.NewDecoder(r), seen: map[stix.Key]struct{}{}}
	d.outer = checker{policy: policy, std: stix21(), modern: stix21(), shape: &shape{class: "bundle"}, typ: "bundle"}
	if err := d.read(); err != nil {
		f, ok := fromJSON(err)
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			f, ok = Finding{Rule: "R-002", Message: "the document ends too early"}, true
		}
		if !ok {
			return err
		}
		d.outer.found = append(d.outer.found, f)
	}
	if d.outer.found != nil {
		each(Result{Index: -1, Findings: d.outer.found})
	}
	return nil
}

type document struct {
	policy Policy
	each   func(Result)
	json   *jsontext.Decoder
	outer  checker               // of what surrounds the objects
	n      int                   // objects so far
	list   bool                  // there was a list of objects
	seen   map[stix.Key]struct{} // ids with versions
	buf    []byte

	version string // spec_version of the bundle, as far as it was read
	trusted []int  // objects taken for STIX 2.0 before the bundle said so
}

// read reads the document. Its errors are those of jsontext and the reader.
func (d *document) read() error {
	if kind := d.json.PeekKind(); kind != '{' && kind != 0 {
		d.outer.fault("R-002", "expected one JSON object: a bundle or a STIX object")
		if kind == '[' {
			return d.objects() // what is wrong inside is worth knowing all the same
		}
		return nil
	}
	if _, err := d.json.ReadToken(); err != nil {
		return err
	}
	rest := []byte{'{'}
	for d.json.PeekKind() != '}' {
		value, err := d.json.ReadValue()
		if err != nil {
			return err
		}
		name := string(value)
		isList := name == `"objects"`
		if len(rest) > 1 {
			rest = append(rest, ',')
		}
		mark := len(rest)
		rest = append(append(rest, name...), ':')
		if isList && d.json.PeekKind() == '[' {
			rest = bytes.TrimSuffix(rest[:mark], []byte(","))
			if err := d.objects(); err != nil {
				return err
			}
			continue
		}
		if value, err = d.json.ReadValue(); err != nil {
			return err
		}
		if name == `"spec_version"` {
			version, _ := rawjson.Text(value)
			d.version = string(version)
		}
		rest = append(rest, value...)
	}
	if _, err := d.json.ReadToken(); err != nil {
		return err
	}
	rest = append(rest, '}')
	if _, err := d.json.ReadToken(); err == nil {
		d.outer.fault("R-002", "something follows the object")
	} else if err != io.EOF {
		return err
	}
	return d.surroundings(rest)
}

// objects reads the list of objects.
func (d *document) objects() error {
	if _, err := d.json.ReadToken(); err != nil {
		return err
	}
	for d.list = true; d.json.PeekKind() != ']'; d.n++ {
		value, err := d.json.ReadValue()
		if err != nil {
			return err
		}
		d.object(value)
	}
	_, err := d.json.ReadToken()
	return err
}

// object checks one object, and whether its version came before.
func (d *document) object(value jsontext.Value) {
	d.buf = append(d.buf[:0], value...)
	compact := jsontext.Value(d.buf)
	_ = compact.Compact() // it is valid
	id, _ := rawjson.Text(rawjson.Member(compact, "id"))
	found := Object(compact, d.policyFor(compact))
	if len(id) > 0 {
		version, _ := rawjson.Text(rawjson.Member(compact, "modified"))
		key := stix.ID(string(id) + " " + instant(version)).Key()
		if _, twice := d.seen[key]; twice {
			found = append(found, Finding{Rule: "R-143", Path: "/id", Message: "this version of the object came before", Warning: true})
		}
		d.seen[key] = struct{}{}
	}
	d.each(Result{Index: d.n, ID: clip(id, 300), Findings: found})
}

// policyFor is the policy for one object. A bundle may say after its objects
// that they are STIX 2.0: until then they are taken at their word, and what was
// wrong of that is said at the end.
func (d *document) policyFor(object []byte) Policy {
	policy := d.policy
	if !policy.BundleDecides || !d.list || policy.STIX20 {
		return policy
	}
	typ, _ := rawjson.Text(rawjson.Member(object, "type"))
	if isOld(string(typ), rawjson.Member(object, "spec_version"), rawjson.Member(object, "created") != nil) {
		policy.STIX20 = d.version == "" || d.version == "2.0"
		if d.version == "" && len(d.trusted) < MaxFindings {
			d.trusted = append(d.trusted, d.n)
		}
	}
	return policy
}

// instant is a timestamp without the zeros at the end of its fraction: equal
// for equal times.
func instant(s []byte) string {
	if fraction, ok := timestampForm(s); ok && len(fraction) > 0 {
		s = s[:len(s)-1-len(fraction)+len(bytes.TrimRight(fraction, "0"))]
		s = bytes.TrimSuffix(s, []byte("."))
	} else {
		s = bytes.TrimSuffix(s, []byte("Z"))
	}
	return string(s)
}

// surroundings checks what is around the objects: a bundle, or an envelope,
// which has no type. Without a list it is a single object.
func (d *document) surroundings(rest jsontext.Value) error {
	if err := rest.Compact(); err != nil {
		return fmt.Errorf("compact what surrounds the objects: %w", err)
	}
	if d.version != "2.0" {
		for _, n := range d.trusted {
			d.outer.path = []step{{name: []byte("objects")}, {index: n}}
			d.outer.faultAt("spec_version", "R-038", `expected "2.1": no bundle says that this is STIX 2.0`)
		}
		d.outer.path = nil
	}
	typ, isText := rawjson.Text(rawjson.Member(rest, "type"))
	switch {
	case string(typ) == "bundle":
		d.bundle(rest)
	case !d.list:
		d.object(rest)
	case isText:
		d.outer.faultAt("type", "R-002", "expected a bundle around a list of objects, not %s", quote(typ))
	}
	return nil
}

// bundle checks the bundle itself: its id, that a list of objects is
// not empty, and that it has no other property.
func (d *document) bundle(rest []byte) {
	c := &d.outer
	c.b = rest
	if d.list && d.n == 0 {
		c.faultAt("objects", "R-141", "an empty list: leave the property out")
	}
	if rawjson.Member(rest, "id") == nil {
		c.faultAt("id", "R-140", "required, but missing")
	}
	for m := rawjson.MembersOf(rest); m.Next(); {
		c.path = append(c.path[:0], step{name: m.Name})
		s, isText := rawjson.Text(m.Value)
		switch name := string(m.Name); {
		case name == "type":
		case name == "id" && isText:
			c.identifier(s)
		case name == "id":
			c.fault("R-140", "expected an identifier in a string")
		case name == "objects":
			c.fault("R-141", "expected a list of objects")
		case name == "spec_version" && (d.policy.STIX20 || d.policy.BundleDecides) && string(s) == "2.0":
		default:
			c.warn("R-142", "a bundle has no other properties than type, id and objects")
		}
	}
	c.path = nil
}
