package validate

import (
	"bytes"
	"math"
	"sync"

	"comity/stix"
	"comity/stix/pattern"
	"comity/stix/rawjson"
)

// checkers keeps what checks have done with, for the room it has made.
var checkers = sync.Pool{New: func() any { return &checker{patterns: new(pattern.Parser)} }}

// Object checks one STIX object: compact and valid JSON, as
// [stix.Decoder.Next] returns it. It takes time linear in the length of raw.
//
// An object without spec_version that is STIX 2.0 by [stix.Object.Spec] is
// checked by the rules of 2.0 where the policy takes it. What a bundle may hold
// is checked; a bundle is none of it: see [Document].
func Object(raw []byte, policy Policy) Findings {
	modern := stix21()
	c := checkers.Get().(*checker)
	defer checkers.Put(c)
	*c = checker{policy: policy, std: modern, modern: modern, b: raw, path: c.path[:0], slots: c.slots[:0], patterns: c.patterns}
	if len(raw) > math.MaxInt32 {
		c.fault("R-180", "an object of more than 2 GiB")
		return c.found
	}
	if len(raw) == 0 || raw[0] != '{' {
		c.fault("R-002", "expected a JSON object")
		return c.found
	}
	c.choose()
	if c.shape != nil {
		c.part(c.shape, 0)
	}
	if c.old && c.errors > 0 && !policy.declared && rawjson.Member(raw, "spec_version") == nil {
		return c.unsure()
	}
	return c.found
}

// unsure puts first why a broken object was taken for STIX 2.0. That is all
// there is to say if nothing but spec_version is missing for STIX 2.1.
func (c *checker) unsure() Findings {
	old := c.found
	policy := c.policy
	policy.STIX20 = false
	modern := Object(c.b, policy)
	if errors := modern.Errors(); len(errors) == 1 && errors[0].Rule == "R-038" {
		errors[0].Message = `no spec_version, so it was taken for STIX 2.0, which it is not: add "spec_version":"2.1"`
		return append(errors, modern.Warnings()...)
	}
	return append(Findings{{Rule: "R-038", Path: "/spec_version", Message: "no spec_version: taken for STIX 2.0"}}, old...)
}

// choose finds the shape of the object by its type and version.
func (c *checker) choose() {
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
	case c.policy.STIX20 && isOld(c.typ, rawjson.Member(c.b, "spec_version"), rawjson.Member(c.b, "created") != nil):
		c.chooseOld()
	case c.shape == nil:
		versioned := rawjson.Member(c.b, "created") != nil || rawjson.Member(c.b, "modified") != nil
		c.chooseCustom(rawjson.Member(c.b, "extensions"), versioned)
	}
}

// facts are what an object says of itself that bears on the check of its
// properties.
type facts struct {
	known     bool
	explained bool // an extension accounts for unknown properties at the top level
	newType   bool // an extension brings the type of the object
	defanged  bool // values of observables are not to be taken literally
}

// facts reads them when they are first needed, which few objects do.
func (c *checker) facts() *facts {
	if f := &c.itself; !f.known {
		f.known = true
		f.defanged = string(rawjson.Member(c.b, "defanged")) == "true"
		class, properties := extensionClass(rawjson.Member(c.b, "extensions"))
		f.explained = properties && !c.old
		f.newType = class != "" && !c.old
	}
	return &c.itself
}

// isOld tells whether an object is STIX 2.0 by what it says itself. Types that
// came with 2.1 never are: they lack a spec_version.
func isOld(typ string, spec []byte, created bool) bool {
	version, _ := rawjson.Text(spec)
	if string(version) != "2.0" && (spec != nil || !created) {
		return false
	}
	return stix20().types[typ] != nil || stix.ClassOf(typ) == stix.Custom
}

// chooseOld finds the shape of a STIX 2.0 object.
func (c *checker) chooseOld() {
	c.std, c.old = stix20(), true
	if c.shape = c.std.types[c.typ]; c.shape == nil {
		c.chooseCustom(nil, true)
	}
}

// chooseCustom finds the shape of a type that the standard does not name
// that of its class, with the common properties alone.
func (c *checker) chooseCustom(extensions []byte, versioned bool) {
	name := []byte(c.typ)
	class, explained := customClass(extensions, versioned)
	c.shape = c.std.custom[class]
	c.path = append(c.path, step{name: []byte("type")})
	switch {
	case !isName(name, '-', 3) || name[0] < 'a' || bytes.Contains(name, []byte("--")):
		c.fault("R-062", "%s is no type name: 3 to 250 characters a-z, 0-9 and single hyphens, the first a letter", quote(name))
	case explained:
	case c.policy.RefuseCustom:
		c.fault("R-062", "%s is no type of the standard, and no extension brings it%s", quote(name), c.meant(c.typ, stix.Types()))
	case !bytes.HasPrefix(name, []byte("x-")):
		c.warn("R-062", "a custom type without x- before its name%s", c.meant(c.typ, stix.Types()))
	default:
		c.warn("R-048", "a custom type: use an extension definition")
	}
	c.path = c.path[:len(c.path)-1]
}

// whole checks what concerns the object as such, once its properties are known.
func (c *checker) whole(f frame) {
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
