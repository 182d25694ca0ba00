package validate

import "comity/stix/rawjson"

// tlp is the level and the name of a marking definition of the Traffic Light Protocol.
type tlp struct{ level, name string }

// The four objects of TLP 1.0, and the five of TLP 2.0.
var (
	tlp1 = map[string]tlp{
		"marking-definition--613f2e26-407d-48c7-9eca-b8e91df99dc9": {"white", "TLP:WHITE"},
		"marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da": {"green", "TLP:GREEN"},
		"marking-definition--f88d31f6-486f-44da-b317-01333bde0b82": {"amber", "TLP:AMBER"},
		"marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed": {"red", "TLP:RED"},
	}
	tlp2 = map[string]tlp{
		"marking-definition--94868c89-83c2-464b-929b-a1a8aa3c8487": {"clear", "TLP:CLEAR"},
		"marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb": {"green", "TLP:GREEN"},
		"marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421": {"amber", "TLP:AMBER"},
		"marking-definition--939a9414-2ddd-4d32-a0cd-375ea402b003": {"amber+strict", "TLP:AMBER+STRICT"},
		"marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1": {"red", "TLP:RED"},
	}
)

const (
	tlp1Created = "2017-01-20T00:00:00.000Z"
	tlp2Created = "2022-10-01T00:00:00.000Z"
)

// markingDefinition checks definition by definition_type, the
// TLP 2.0 extension, and that the object does not mark itself.
func markingDefinition(c *checker, f frame) {
	id, _ := rawjson.Text(c.get(f, "id"))
	kind, _ := rawjson.Text(c.get(f, "definition_type"))
	definition := c.get(f, "definition")
	level2 := rawjson.Member(rawjson.Member(c.get(f, "extensions"), tlp2Key), "tlp_2_0")
	part := c.std.parts[string(kind)+"-marking"]
	if len(definition) > 0 && definition[0] == '{' && part != nil {
		index := f.shape.property("definition")
		c.path = append(c.path, step{name: []byte("definition")})
		c.part(part, int(c.slots[f.base+index].from))
		c.path = c.path[:len(c.path)-1]
	} else if part == nil && len(kind) > 0 {
		c.warnAt("definition_type", "R-048", "%s: new kinds of marking are extensions", quote(kind))
	}
	switch {
	case string(kind) == "tlp":
		c.standardMarking(f, "R-083", tlp1, definitionLevel(definition), tlp1Created)
	case level2 != nil || tlp2[string(id)] != (tlp{}):
		level, _ := rawjson.Text(level2)
		c.standardMarking(f, "R-085", tlp2, string(level), tlp2Created)
		if c.get(f, "definition") != nil || c.get(f, "definition_type") != nil {
			c.warn("R-085", "a TLP 2.0 marking has no definition_type and no definition")
		}
	case tlp1[string(id)] != (tlp{}):
		c.warnAt("id", "R-083", "the id of %s with other content", tlp1[string(id)].name)
	}
	c.marksItself(f, id)
}

func definitionLevel(definition []byte) string {
	level, _ := rawjson.Text(rawjson.Member(definition, "tlp"))
	return string(level)
}

// standardMarking checks an object against the one that the standard fixes for
// its level. STIX 2.0 fixes no name. In STIX 2.1 a missing name is only a warning, since
// much content was upgraded without it.
func (c *checker) standardMarking(f frame, rule string, all map[string]tlp, level, created string) {
	id, _ := rawjson.Text(c.get(f, "id"))
	want, known := all[string(id)]
	if !known {
		c.faultAt("id", rule, "not the id that the standard fixes for TLP %s", quote([]byte(level)))
		return
	}
	if want.level != level {
		c.fault(rule, "this id means %s, not %s", want.name, quote([]byte(level)))
	}
	// The times are compared by value: STIX 2.0 and 2.1 spell it with different precision.
	if order, ok := compareTimes(c.get(f, "created"), []byte(`"`+created+`"`)); ok && order != 0 {
		c.faultAt("created", rule, "%s was created %s", want.name, created)
	}
	if c.stix20 {
		return
	}
	if name, ok := rawjson.Text(c.get(f, "name")); ok && string(name) != want.name {
		c.faultAt("name", rule, "expected the name %s, not %s", want.name, quote(name))
	} else if c.get(f, "name") == nil {
		c.warn(rule, "expected the name %s", want.name)
	}
}

// marksItself reports a marking definition that marks itself.
func (c *checker) marksItself(f frame, id []byte) {
	for e := rawjson.ElementsOf(c.get(f, "object_marking_refs")); e.Next(); {
		if s, ok := rawjson.Text(e.Value); ok && string(s) == string(id) {
			c.faultAt("object_marking_refs", "R-084", "a marking definition does not mark itself")
			return
		}
	}
	for e := rawjson.ElementsOf(c.get(f, "granular_markings")); e.Next(); {
		if s, ok := rawjson.Text(rawjson.Member(e.Value, "marking_ref")); ok && string(s) == string(id) {
			c.faultAt("granular_markings", "R-084", "a marking definition does not mark itself")
			return
		}
	}
}
