package validate

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"comity/stix"
	"comity/stix/rawjson"
)

// Result is what [Document] found in one object, or around the objects.
type Result struct {
	Index    int    // of the object in the document, from 0; -1 for the document itself
	Line     int    // of the file, from 1, where the document has a line of its own; otherwise 0
	ID       string // of the object, "" if it has none
	Findings Findings
}

// Document checks a STIX document as it arrives from outside: a bundle (STIX
// 2.1 §8), a TAXII envelope, a single object, or a list of objects, which is no
// STIX document but is checked all the same. It calls each for every object in order, then
// for the document itself if it has findings of its own, and last once more for the objects
// with findings of EnforceRefs and Together. It holds one object at a time, unless the
// policy has Together. An object that is no I-JSON does not hinder the others; if its end
// cannot be found, the document ends with a finding. Input with a JSON object on each
// line is read by [Lines]. The error is the reader's.
func Document(r io.Reader, policy Policy, each func(Result)) error {
	in := bufio.NewReaderSize(r, 64<<10)
	if areLines(in) {
		return Lines(in, policy, each)
	}
	d := newDocument(policy, each)
	err := d.read(in)
	d.finish()
	return err
}

// areLines tells whether the first line is a whole JSON object, and another
// follows.
func areLines(in *bufio.Reader) bool {
	head, _ := in.Peek(in.Size())
	line, rest, _ := bytes.Cut(bytes.TrimPrefix(head, []byte("\ufeff")), []byte("\n"))
	return bytes.HasPrefix(bytes.TrimSpace(rest), []byte("{")) && jsontext.Value(line).IsValid()
}

// Lines checks a file that has a STIX document on each line (NDJSON), such as
// one object. Objects are counted through all of the lines.
func Lines(r io.Reader, policy Policy, each func(Result)) error {
	d := newDocument(policy, each)
	in := bufio.NewReader(r)
	for d.line = 1; ; d.line++ {
		line, err := in.ReadBytes('\n')
		if len(bytes.TrimSpace(line)) > 0 {
			if err := d.read(bytes.NewReader(line)); err != nil {
				return err
			}
		}
		if err == io.EOF {
			d.finish()
			return nil
		} else if err != nil {
			return err
		}
	}
}

// document is the check of one document, or of a document on each line.
type document struct {
	policy Policy
	each   func(Result)
	line   int
	n      int // objects so far
	seen   versions
	ids    ids
	cross  crossChecks

	outer     checker // checks the bundle or envelope around the objects
	version   string  // spec_version of the bundle, if it comes before the objects
	list      bool    // there is a list of objects
	assumed20 []int   // objects taken for STIX 2.0 before the bundle said so
}

func newDocument(policy Policy, each func(Result)) *document {
	policy.declared = policy.STIX20
	return &document{
		policy: policy,
		each:   each,
		seen:   versions{content: map[stix.Key][32]byte{}, known: map[stix.Key]*history{}},
		ids:    ids{types: map[string]string{}, there: map[stix.ID]struct{}{}},
		cross:  crossChecks{newest: map[stix.ID]int{}},
	}
}

// finish reports the findings that take all objects to be known.
func (d *document) finish() {
	d.ids.missing(d.each)
	d.cross.check(d.each)
}

// read checks one document.
func (d *document) read(r io.Reader) error {
	d.outer = checker{policy: d.policy, std: stix21(), stix21: stix21(), shape: &shape{class: "bundle"}, typ: "bundle"}
	d.version, d.list, d.assumed20 = "", true, nil
	in := bufio.NewReader(r)
	if stix.SkipByteOrderMark(in) {
		d.outer.warn("R-001", "a byte order mark stands before the JSON text: leave it out")
	}
	first := d.n
	decoder := stix.NewDecoder(in)
	array := firstByte(in) == '['
	if array { // the faults of its objects are worth reporting all the same
		d.outer.fault("R-002", "expected one JSON object: a bundle or a STIX object")
		decoder = within(`{"objects":`, in, `}`)
	}
	err := d.objects(decoder)
	single := decoder.Around()
	if form := (*stix.FormError)(nil); errors.As(err, &form) && single != nil {
		if typ, _ := rawjson.Text(rawjson.Member(single, "type")); string(typ) == "bundle" {
			d.bundle(single, false)
			err = io.EOF
		} else {
			d.list = false
			err = d.objects(within(`{"objects":[`, bytes.NewReader(single), `]}`))
		}
	} else if err == io.EOF && !array {
		d.surroundings(single, d.n == first)
	}
	if fault, ok := documentFault(err); ok {
		if array {
			fault.Path = strings.TrimPrefix(fault.Path, "/objects")
		}
		d.outer.found = append(d.outer.found, fault)
	} else if err != io.EOF {
		return err
	}
	if d.outer.found != nil {
		d.each(Result{Index: -1, Line: d.line, Findings: d.outer.found})
	}
	return nil
}

// within reads the input between two texts.
func within(before string, in io.Reader, after string) *stix.Decoder {
	return stix.NewDecoder(io.MultiReader(strings.NewReader(before), in, strings.NewReader(after)))
}

// documentFault is the finding of an error that ends a document.
func documentFault(err error) (f Finding, ok bool) {
	var syntax *stix.SyntaxError
	var form *stix.FormError
	switch {
	case errors.As(err, &syntax):
		return Finding{Rule: syntax.Rule, Path: syntax.Path, Message: syntax.Text}, true
	case errors.As(err, &form):
		return Finding{Rule: "R-002", Message: form.Text}, true
	}
	return Finding{}, false
}

// firstByte is the first byte behind whitespace, which is skipped; 0 if there is none.
func firstByte(in *bufio.Reader) byte {
	for {
		b, err := in.ReadByte()
		if err != nil {
			return 0
		}
		if b > ' ' {
			_ = in.UnreadByte()
			return b
		}
	}
}

// objects checks the objects that a decoder reads. The error is its final one.
func (d *document) objects(in *stix.Decoder) error {
	for first := d.n; ; d.n++ {
		raw, err := in.Next()
		if d.n == first && d.list { // the properties before the list have been read
			version, _ := rawjson.Text(rawjson.Member(in.Around(), "spec_version"))
			d.version = string(version)
		}
		var fault *stix.Error
		if errors.As(err, &fault) {
			d.each(Result{Index: d.n, Line: d.line, ID: fault.ID, Findings: Findings{{Rule: fault.Rule, Path: fault.Path, Message: fault.Text}}})
			continue
		}
		if err != nil {
			return err
		}
		d.object(raw)
	}
}

// object checks one object, also against the versions that came before.
func (d *document) object(raw []byte) {
	found := Object(raw, d.policyFor(raw))
	if d.policy.Further != nil {
		found = append(found, d.policy.Further(raw)...)
	}
	if o, err := stix.NewObject(raw); err == nil {
		found = append(found, d.seen.add(&o)...)
		found = append(found, d.ids.add(&o)...)
		if d.policy.EnforceRefs {
			d.ids.addReferences(&o, d.n, d.line)
		}
		if d.policy.Together {
			d.cross.add(&o, d.n, d.line)
		}
	}
	id, _ := rawjson.Text(rawjson.Member(raw, "id"))
	d.each(Result{Index: d.n, Line: d.line, ID: stix.Shorten(id, 300), Findings: found})
}

// policyFor is the policy for one object. A bundle may say after its objects
// that they are STIX 2.0. Until then each object is checked by its own version, and
// surroundings reports at the end those that were taken for 2.0 wrongly.
func (d *document) policyFor(object []byte) Policy {
	policy := d.policy
	if !policy.BundleDecides || !d.list || policy.STIX20 {
		return policy
	}
	typ, _ := rawjson.Text(rawjson.Member(object, "type"))
	if isSTIX20(string(typ), rawjson.Member(object, "spec_version"), rawjson.Member(object, "created") != nil) {
		policy.STIX20 = d.version == "" || d.version == "2.0"
		policy.declared = true // otherwise surroundings reports it
		if d.version == "" && len(d.assumed20) < MaxFindings {
			d.assumed20 = append(d.assumed20, d.n)
		}
	}
	return policy
}

// surroundings checks the bundle around the list of objects, or the envelope, which has
// no type.
func (d *document) surroundings(around []byte, empty bool) {
	version, _ := rawjson.Text(rawjson.Member(around, "spec_version"))
	if string(version) != "2.0" {
		for _, n := range d.assumed20 {
			d.outer.path = []step{{name: []byte("objects")}, {index: n}}
			d.outer.faultAt("spec_version", "R-038", `expected "2.1": no bundle says that this is STIX 2.0`)
		}
		d.outer.path = nil
	}
	typ, isText := rawjson.Text(rawjson.Member(around, "type"))
	switch {
	case string(typ) == "bundle":
		d.bundle(around, empty)
	case isText:
		d.outer.faultAt("type", "R-002", "expected a bundle around a list of objects, not %s", quote(typ))
	}
}

// bundle checks the properties of a bundle: its id, that its list of objects is
// not empty, and that it has no others.
func (d *document) bundle(rest []byte, empty bool) {
	c := &d.outer
	c.b = rest
	if empty {
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
		case name == "objects" && m.Value[0] == '[':
		case name == "objects":
			c.fault("R-141", "expected a list of objects")
		case name == "spec_version" && (d.policy.STIX20 || d.policy.BundleDecides) && string(s) == "2.0":
		default:
			c.warn("R-142", "a bundle has no other properties than type, id and objects")
		}
	}
	c.path = nil
}
