package validate

import (
	"slices"

	"comity/stix/pattern"
	"comity/stix/rawjson"
)

// checker is the check of one object. Its methods that take an index i into b
// check the value that begins there and return where it ends.
type checker struct {
	policy Policy
	std    *standard // the version of the object
	stix21 *standard // STIX 2.1, by which embedded observables are checked
	stix20 bool      // the object is STIX 2.0

	b        []byte // the object
	shape    *shape // of its type
	typ      string
	path     []step // to the place that is being checked
	slots    []span // the properties of the parts that are being checked, outermost first
	found    Findings
	errors   int
	warnings int

	cachedFacts facts // see facts
	patterns    *pattern.Parser
	pattern     *pattern.Pattern  // of an indicator; nil if it is not of STIX or not valid
	container   map[string]string // inside observed-data.objects: the types of its entries by local id
}

// part checks the object that begins at i against a shape.
func (c *checker) part(t *shape, i int) int {
	f := frame{shape: t, base: len(c.slots)}
	c.slots = slices.Grow(c.slots, len(t.properties))[:f.base+len(t.properties)]
	clear(c.slots[f.base:])
	for i++; c.b[i] != '}'; {
		if c.b[i] == ',' {
			i++
		}
		name, colon := rawjson.ReadString(c.b, i)
		c.path = append(c.path, step{name: name})
		f.members++
		if index, known := find(t, name); known {
			if !t.properties[index].common {
				f.own++
			}
			i = c.known(t, index, colon+1)
			c.slots[f.base+index] = span{int32(colon + 1), int32(i)}
		} else {
			f.own++
			i = c.unknown(t, name, colon+1)
		}
		c.path = c.path[:len(c.path)-1]
	}
	c.complete(f)
	for _, check := range t.checks {
		check(c, f)
	}
	if t == c.shape && len(c.path) == 0 {
		c.wholeObject(f)
	}
	c.slots = c.slots[:f.base]
	return i + 1
}

// known checks a property that the shape has.
func (c *checker) known(t *shape, index, i int) int {
	p := &t.properties[index]
	if p.inapplicable {
		if c.container != nil {
			return rawjson.SkipValue(c.b, i)
		}
		c.notApplicable(p.name)
	}
	if p.deprecated {
		c.warn("R-048", "this property is deprecated")
	}
	return c.value(&p.valueType, i)
}

// complete checks a part for missing properties and for the constraints
// of the tables.
func (c *checker) complete(f frame) {
	for _, index := range f.shape.required {
		p := &f.shape.properties[index]
		if c.has(f, index) || p.common && c.container != nil {
			continue
		}
		rule := f.shape.missing
		if p.common && rule == "R-006" {
			rule = "R-037"
		}
		if p.name == "spec_version" {
			rule = "R-038"
		}
		c.path = append(c.path, step{name: []byte(p.name)})
		c.fault(rule, "required, but missing")
		c.path = c.path[:len(c.path)-1]
	}
	for i := range f.shape.rules {
		r := &f.shape.rules[i]
		// In STIX 2.0 the encryption_algorithm of an artifact is a custom property.
		if !r.violated(c, f) || c.container != nil && r.rule == "R-122" {
			continue
		}
		if r.property != "" {
			c.faultAt(r.property, r.rule, "%s", r.message)
		} else {
			c.fault(r.rule, "%s", r.message)
		}
	}
}

// notApplicable reports common properties outside their class (R-042, R-076,
// An observable can have them as custom properties; platforms
// write their own into the meta objects, where only some are forbidden.
func (c *checker) notApplicable(name string) {
	switch {
	case c.shape.class == "sco":
		c.warn("R-042", "not a property of observables")
	case c.typ == "marking-definition":
		c.report(name != "defanged", "R-080", "not a property of marking definitions")
	case c.typ == "extension-definition" && name != "defanged":
		c.report(name != "extensions", "R-076", "not a property of extension definitions")
	case c.typ == "language-content" && name == "lang":
		c.fault("R-098", "language content has no lang")
	default:
		c.fault("R-042", "only observables have %s", name)
	}
}

// value checks one value against its type.
func (c *checker) value(t *valueType, i int) int {
	switch t.kind {
	case anyValue:
		return c.custom(i)
	case integerValue, floatValue, integerOrString:
		return c.number(t, i)
	case booleanValue:
		if c.b[i] != 't' && c.b[i] != 'f' {
			return c.wrongKind(t, "true or false", i)
		}
		return rawjson.SkipLiteral(c.b, i)
	case listValue:
		return c.list(t, i)
	case hashesValue, dictionaryValue, partValue, extensionsValue, containerValue, markingValue, translationsValue:
		return c.object(t, i)
	}
	if c.b[i] != '"' {
		return c.wrongKind(t, "a string", i)
	}
	if t.kind == stringValue && t.words == nil && t.format == nil {
		return rawjson.SkipString(c.b, i)
	}
	s, end := rawjson.ReadString(c.b, i)
	c.string(t, s)
	return end
}

// string checks a string against its type.
func (c *checker) string(t *valueType, s []byte) {
	switch t.kind {
	case stringValue:
		if t.words != nil {
			c.word(t, s)
		}
		if t.format != nil {
			t.format(c, t, s)
		}
	case timestampValue, millisecondsValue, secondsValue:
		c.timestamp(t, s)
	case identifierValue:
		c.identifier(s)
	case referenceValue:
		c.reference(t, s)
	case hexValue:
		c.hex(t, s)
	case binaryValue:
		c.binary(t, s)
	case specVersionValue:
		switch string(s) {
		case "2.1":
		case "2.0":
			c.fault("R-038", `expected "2.1", not "2.0": comity convert makes STIX 2.1 of it`)
		default:
			c.fault("R-038", `expected "2.1", not %s`, quote(s))
		}
	}
}

// list checks that a list has at least one element, each of its type.
func (c *checker) list(t *valueType, i int) int {
	if c.b[i] != '[' {
		return c.wrongKind(t, "a list", i)
	}
	i++
	if c.b[i] == ']' {
		c.fault("R-010", "an empty list: leave the property out")
	}
	c.path = append(c.path, step{})
	for n := 0; c.b[i] != ']'; n++ {
		if c.b[i] == ',' {
			i++
		}
		c.path[len(c.path)-1].index = n
		i = c.value(t.elem, i)
	}
	c.path = c.path[:len(c.path)-1]
	return i + 1
}

// object checks a value that is a JSON object.
func (c *checker) object(t *valueType, i int) int {
	if c.b[i] != '{' {
		return c.wrongKind(t, "an object", i)
	}
	switch t.kind {
	case partValue:
		return c.part(t.part, i)
	case hashesValue:
		return c.hashes(t, i)
	case dictionaryValue:
		return c.dictionary(t, i)
	case extensionsValue:
		return c.extensions(i)
	case containerValue:
		return c.observables(i)
	case translationsValue:
		return c.translations(i)
	}
	return rawjson.SkipValue(c.b, i) // a marking object is checked when its type is known
}

// wrongKind reports a value that is null or has not the JSON kind of its type
// (R-007; R-010 in lists, R-129 in dictionaries, R-043 by the suffix of its name).
func (c *checker) wrongKind(t *valueType, expected string, i int) int {
	var got string
	switch c.b[i] {
	case 'n':
		c.fault("R-004", "null is no value: leave the property out")
		return i + len("null")
	case '"':
		got = "a string"
	case '{':
		got = "an object"
	case '[':
		got = "a list"
	case 't', 'f':
		got = "true or false"
	default:
		got = "a number"
	}
	rule := t.wrong
	if rule == "" {
		rule = "R-007"
	}
	c.fault(rule, "expected %s, not %s", expected, got)
	return rawjson.SkipValue(c.b, i)
}
