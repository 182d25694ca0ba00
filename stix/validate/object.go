package validate

import (
	"bytes"
	"math"
	"sync"

	"comity/stix"
	"comity/stix/pattern"
	"comity/stix/rawjson"
)

// checkers keeps used checkers for the memory of their slices.
var checkers = sync.Pool{New: func() any { return &checker{patterns: new(pattern.Parser)} }}

// Object checks one STIX object: compact and valid JSON, as
// [stix.Decoder.Next] returns it. It takes time linear in the length of raw.
//
// An object without spec_version that is STIX 2.0 by [stix.Object.Spec] is
// checked by the rules of 2.0 where the policy takes it. Object refuses a bundle: see
// [Document].
func Object(raw []byte, policy Policy) Findings {
	std := stix21()
	c := checkers.Get().(*checker)
	defer checkers.Put(c)
	*c = checker{policy: policy, std: std, stix21: std, b: raw, path: c.path[:0], slots: c.slots[:0], patterns: c.patterns}
	if len(raw) > math.MaxInt32 {
		c.fault("R-180", "an object of more than 2 GiB")
		return c.found
	}
	if len(raw) == 0 || raw[0] != '{' {
		c.fault("R-002", "expected a JSON object")
		return c.found
	}
	c.chooseShape()
	if c.shape != nil {
		c.part(c.shape, 0)
	}
	if c.stix20 && c.errors > 0 && !policy.declared && rawjson.Member(raw, "spec_version") == nil {
		return c.explainVersion()
	}
	return c.found
}

// explainVersion adds to the findings of an object without spec_version that it was
// taken for STIX 2.0. If the object would be valid STIX 2.1 with a spec_version, the
// other findings are left out.
func (c *checker) explainVersion() Findings {
	as20 := c.found
	policy := c.policy
	policy.STIX20 = false
	as21 := Object(c.b, policy)
	if errors := as21.Errors(); len(errors) == 1 && errors[0].Rule == "R-038" {
		errors[0].Message = `no spec_version, so it was taken for STIX 2.0, which it is not: add "spec_version":"2.1"`
		return append(errors, as21.Warnings()...)
	}
	return append(Findings{{Rule: "R-038", Path: "/spec_version", Message: "no spec_version: taken for STIX 2.0"}}, as20...)
}

// chooseShape finds the shape of the object by its type and version.
func (c *checker) chooseShape() {
	typ := rawjson.Member(c.b, "type")
	name, ok := rawjson.Text(typ)
	if !ok {
		if typ == nil {
			c.faultAt("type", "R-037", "required, but missing")
		} else {
			c.faultAt("type", "R-007", "expected the name of a type in a string")
		}
		return
	}
	if c.shape = c.std.types[string(name)]; c.shape != nil {
		c.typ = c.shape.name
	} else {
		c.typ = string(name)
	}
	if c.typ == "bundle" {
		c.faultAt("type", "R-141", "a bundle is no object: expected what it holds")
		return
	}
	switch {
	case c.policy.STIX20 && isSTIX20(c.typ, rawjson.Member(c.b, "spec_version"), rawjson.Member(c.b, "created") != nil):
		c.chooseSTIX20()
	case c.shape == nil:
		versioned := rawjson.Member(c.b, "created") != nil || rawjson.Member(c.b, "modified") != nil
		c.chooseCustomShape(rawjson.Member(c.b, "extensions"), versioned)
	}
}

// facts are properties of the whole object that affect the check of its other
// properties.
type facts struct {
	read      bool // from the object
	explained bool // an extension defines properties at the top level
	newType   bool // an extension defines the type of the object
	defanged  bool // values of observables are not to be taken literally
}

// facts reads the facts when they are first needed. Few objects need them.
func (c *checker) facts() *facts {
	if f := &c.cachedFacts; !f.read {
		f.read = true
		f.defanged = string(rawjson.Member(c.b, "defanged")) == "true"
		class, properties := extensionClass(rawjson.Member(c.b, "extensions"))
		f.explained = properties && !c.stix20
		f.newType = class != "" && !c.stix20
	}
	return &c.cachedFacts
}

// isSTIX20 tells whether an object is STIX 2.0 by its own properties. A type that came
// with STIX 2.1 never is: its spec_version is missing.
func isSTIX20(typ string, spec []byte, created bool) bool {
	version, _ := rawjson.Text(spec)
	if string(version) != "2.0" && (spec != nil || !created) {
		return false
	}
	return stix20().types[typ] != nil || stix.ClassOf(typ) == stix.Custom
}

// chooseSTIX20 finds the shape of a STIX 2.0 object.
func (c *checker) chooseSTIX20() {
	c.std, c.stix20 = stix20(), true
	if c.shape = c.std.types[c.typ]; c.shape == nil {
		c.chooseCustomShape(nil, true)
	}
}

// chooseCustomShape finds the shape of a type that the standard does not name
// that of its class, with the common properties alone.
func (c *checker) chooseCustomShape(extensions []byte, versioned bool) {
	name := []byte(c.typ)
	class, explained := customClass(extensions, versioned)
	c.shape = c.std.custom[class]
	c.path = append(c.path, step{name: []byte("type")})
	switch {
	case !isName(name, '-', 3) || name[0] < 'a' || bytes.Contains(name, []byte("--")):
		c.fault("R-062", "%s is no type name: 3 to 250 characters a-z, 0-9 and single hyphens, the first a letter", quote(name))
	case explained:
	case c.policy.RefuseCustom:
		c.fault("R-062", "%s is no type of the standard, and no extension brings it%s", quote(name), c.suggest(c.typ, stix.Types()))
	case !bytes.HasPrefix(name, []byte("x-")):
		c.warn("R-062", "a custom type without x- before its name%s", c.suggest(c.typ, stix.Types()))
	default:
		c.warn("R-048", "a custom type: use an extension definition")
	}
	c.path = c.path[:len(c.path)-1]
}

// wholeObject checks the rules for the object as a whole, once its properties are known.
func (c *checker) wholeObject(f frame) {
	if c.shape.name == "" && f.own == 0 {
		c.fault("R-063", "a custom object has at least one property of its own")
	}
	if c.typ != "marking-definition" && before(c.get(f, "modified"), c.get(f, "created")) {
		c.faultAt("modified", "R-053", "earlier than created")
	}
	if c.shape.class == "sco" && c.shape.name != "" {
		c.observableID(f)
	}
	if markings := c.get(f, "granular_markings"); markings != nil {
		c.selectors(markings)
	}
	if c.policy.Quality || c.policy.Listed != nil {
		c.quality(f)
	}
}
