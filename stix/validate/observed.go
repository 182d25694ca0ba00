package validate

import (
	"comity/stix"
	"comity/stix/rawjson"
)

// observedRefs checks that observed-data refers to at least one observable.
func observedRefs(c *checker, f frame) {
	refs, observables := 0, 0
	for e := rawjson.ElementsOf(c.get(f, "object_refs")); e.Next(); {
		refs++
		s, _ := rawjson.Text(e.Value)
		if isObservable(stix.ID(s).Type()) {
			observables++
		}
	}
	if refs > 0 && observables == 0 {
		c.faultAt("object_refs", "R-111", "expected at least one observable among them")
	}
}

// observables checks observed-data.objects, the container of STIX 2.0:
// each entry is an observable, and refers to other entries by their keys.
// Entries may be in the form of STIX 2.0, so unknown properties are not checked.
func (c *checker) observables(i int) int {
	end := rawjson.SkipValue(c.b, i)
	c.container = map[string]string{}
	for m := rawjson.MembersOf(c.b[i:end]); m.Next(); {
		typ, _ := rawjson.Text(rawjson.Member(m.Value, "type"))
		c.container[string(m.Name)] = string(typ)
	}
	outer, outerType := c.shape, c.typ
	if len(c.container) == 0 {
		c.fault("R-011", "empty objects: leave the property out")
	}
	c.entries(i+1, func(key []byte, i int) int { return c.observable(c.container[string(key)], i) })
	c.shape, c.typ, c.container = outer, outerType, nil
	return end
}

func (c *checker) observable(typ string, i int) int {
	if c.b[i] != '{' {
		return c.wrongKind(&valueType{wrong: "R-115"}, "an observable", i)
	}
	shape := c.stix21.types[typ]
	switch {
	case typ == "":
		c.fault("R-115", "expected an observable with a type")
	case shape == nil:
		return rawjson.SkipValue(c.b, i)
	case shape.class != "sco":
		c.fault("R-115", "%s is no observable", typ)
	default:
		c.shape, c.typ = shape, typ
		return c.part(shape, i)
	}
	return rawjson.SkipValue(c.b, i)
}

// localReference checks a reference inside the container: the key of another entry of
// an allowed type.
func (c *checker) localReference(t *valueType, s []byte) {
	typ, ok := c.container[string(s)]
	switch {
	case !ok:
		c.fault("R-115", "%s is not the key of an entry", quote(s))
	case !t.refs.allow(typ):
		c.fault("R-115", "expected the key of %s, not of %s", t.refs.text, stix.Shorten(typ, 80))
	}
}
