package validate_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"comity/stix/validate"
)

// standardObjects returns the valid objects of the standard's types.
func standardObjects(t testing.TB) (all []valid) {
	for _, v := range lines[valid](t, "valid.jsonl") {
		if kind, _, _ := strings.Cut(v.Name, "-"); slices.Contains([]string{"sdo", "sro", "sco", "meta", "v20", "edge"}, kind) && v.Name != "v20-custom" {
			all = append(all, v)
		}
	}
	return all
}

// mutation changes one value so that it breaks a rule. It returns "" if it does not apply to
// the value.
type mutation struct {
	name string
	of   func(t *rapid.T, property string, value json.RawMessage) (changed, rule string)
}

var mutations = []mutation{
	{"null", func(_ *rapid.T, _ string, _ json.RawMessage) (string, string) { return "null", "R-004" }},
	{"another kind", func(t *rapid.T, property string, value json.RawMessage) (string, string) {
		kinds := map[byte]string{'"': `"x"`, '{': `{"a":1}`, '[': `["x"]`, 't': "true", '1': "1"}
		own := value[0]
		switch {
		case own == 'f':
			own = 't'
		case own == '-' || own >= '0' && own <= '9':
			own = '1'
		}
		delete(kinds, own)
		return kinds[rapid.SampledFrom(slices.Sorted(maps.Keys(kinds))).Draw(t, "kind")], "R-007"
	}},
	{"empty list", func(_ *rapid.T, _ string, value json.RawMessage) (string, string) {
		if value[0] != '[' {
			return "", ""
		}
		return "[]", "R-010"
	}},
	{"null in a list", func(_ *rapid.T, _ string, value json.RawMessage) (string, string) {
		if value[0] != '[' {
			return "", ""
		}
		return strings.TrimSuffix(string(value), "]") + ",null]", "R-004"
	}},
	{"bad time", func(t *rapid.T, _ string, value json.RawMessage) (string, string) {
		if len(value) < 22 || value[11] != 'T' || value[len(value)-2] != 'Z' {
			return "", ""
		}
		// One character of the fixed part becomes a letter.
		at := rapid.IntRange(1, 18).Draw(t, "at")
		return string(value[:at]) + "x" + string(value[at+1:]), "R-031"
	}},
	{"bad date", func(t *rapid.T, _ string, value json.RawMessage) (string, string) {
		if len(value) < 22 || value[11] != 'T' || value[len(value)-2] != 'Z' {
			return "", ""
		}
		date := rapid.SampledFrom([]string{"2023-02-29", "2024-02-30", "2024-13-01", "2024-00-10", "2024-04-31", "1900-02-29"}).Draw(t, "date")
		return `"` + date + string(value[11:]), "R-032"
	}},
}

// A valid object with one property changed breaks the rule of the change, at
// that property.
func TestChangedPropertyBreaksItsRule(t *testing.T) {
	objects := standardObjects(t)
	rapid.Check(t, func(t *rapid.T) {
		v := rapid.SampledFrom(objects).Draw(t, "object")
		members := map[string]json.RawMessage{}
		if err := json.Unmarshal(v.Object, &members); err != nil {
			t.Fatal(err)
		}
		names := slices.DeleteFunc(slices.Sorted(maps.Keys(members)), func(name string) bool {
			return strings.HasPrefix(name, "x_") || strings.HasPrefix(name, "harbour") || name == "pattern_type" && v.STIX20
		})
		name := rapid.SampledFrom(names).Draw(t, "property")
		m := rapid.SampledFrom(mutations).Draw(t, "mutation")
		value, rule := m.of(t, name, members[name])
		if value == "" {
			t.Skip("does not apply")
		}
		members[name] = json.RawMessage(value)
		if name == "type" {
			rule = "R-007"
		}
		if rule == "R-004" && m.name == "null" && name == "spec_version" && v.STIX20 {
			t.Skip("STIX 2.0 has no spec_version")
		}
		raw, err := json.Marshal(members)
		if err != nil {
			t.Fatal(err)
		}
		all := validate.Object(raw, validate.Policy{STIX20: v.STIX20})
		for _, f := range all.Errors() {
			if f.Rule == rule && strings.HasPrefix(f.Path+"/", "/"+name+"/") {
				return
			}
		}
		t.Fatalf("%s with %s of %s: %v, want %s", v.Name, m.name, name, all, rule)
	})
}

// Without one required property an object is not valid, and the finding names
// the property.
func TestRemovedPropertyIsMissed(t *testing.T) {
	bases := bases(t)
	for base, required := range map[string]string{
		"sdo-campaign": "name", "sdo-grouping-no-name": "context object_refs", "sdo-indicator": "pattern pattern_type valid_from",
		"sdo-malware-family": "is_family", "sdo-malware-analysis": "product", "sdo-note": "content object_refs",
		"sdo-observed-data": "first_observed last_observed number_observed", "sdo-opinion": "opinion object_refs",
		"sdo-report": "name published object_refs", "sro-relationship": "relationship_type source_ref target_ref",
		"sro-sighting": "sighting_of_ref", "sco-autonomous-system": "number", "sco-directory": "path", "sco-email-message": "is_multipart",
		"sco-network-traffic-icmp": "protocols", "sco-software": "name", "sco-url": "value", "sco-mutex": "name",
		"meta-extension-definition": "name schema version extension_types created_by_ref", "meta-language-content": "object_ref contents",
		"sdo-tool": "type spec_version id created modified", "meta-marking-statement": "created", "v20-indicator": "labels pattern valid_from id",
		"v20-report": "labels name published object_refs", "v20-identity": "name identity_class", "v20-observed-data": "objects number_observed",
	} {
		v, ok := bases[base]
		if !ok {
			t.Fatalf("no %s", base)
		}
		for name := range strings.FieldsSeq(required) {
			change := map[string]json.RawMessage{name: json.RawMessage("null")}
			if v.STIX20 { // without it the object could be meant for 2.1
				change["spec_version"] = json.RawMessage(`"2.0"`)
			}
			all := check(t, changed(t, v.Object, change), validate.Policy{STIX20: v.STIX20})
			if !slices.ContainsFunc(all.Errors(), func(f validate.Finding) bool { return f.Path == "/"+name }) {
				t.Errorf("%s without %s: %s", base, name, fmt.Sprint(all))
			}
		}
	}
}
