package fusion_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"comity/stix"
	"comity/stix/fusion"
)

// seeds returns small envelopes of the demonstration, and envelopes with objects that the
// demonstration lacks.
func seeds(f *testing.F) (all [][]byte) {
	s := scenario(f, "small")
	for _, vendor := range []string{"alder", "fir"} {
		for push := range s.Pushes(vendor, 12) {
			all = append(all, envelope(push.Objects))
			if len(all)%4 == 0 {
				break
			}
		}
	}
	infra, site := name("infrastructure", 1), name("infrastructure", 2)
	return append(all, envelope([]stix.Object{
		object(f, "infrastructure", 1, `,"name":"x","infrastructure_types":["command-and-control"],"first_seen":"0000-01-01T00:00:00Z","last_seen":"9999-12-31T23:59:60.999999999Z"`),
		object(f, "infrastructure", 2, `,"name":"y","labels":["compromised-website"]`),
		object(f, "domain-name", 3, `,"value":"Bücher[.]example."`), object(f, "url", 4, `,"value":"hxxp://xn--bcher-kva.example:80/%2F#x"`),
		object(f, "ipv6-addr", 5, `,"value":"::ffff:8.8.0.1"`), object(f, "identity", 6, `,"name":"z","sectors":["government-national"]`),
		object(f, "location", 7, `,"country":"KH"`), object(f, "indicator", 8, c2Indicator+`"[ipv4-addr:value = '8.8.0.1' OR url:value IN ('http://a.example/','b')]"`),
		object(f, "malware", 9, `,"name":"Quietmoth","is_family":true`),
		relation(f, 10, infra, "consists-of", name("ipv6-addr", 5), ""), relation(f, 11, site, "consists-of", name("domain-name", 3), ""),
		relation(f, 12, site, "consists-of", name("url", 4), ""), relation(f, 13, name("domain-name", 3), "resolves-to", name("ipv6-addr", 5), ""),
		relation(f, 14, site, "related-to", name("identity", 6), ""), relation(f, 15, name("identity", 6), "located-at", name("location", 7), ""),
		relation(f, 16, infra, "located-at", name("location", 7), ""), relation(f, 17, infra, "controls", name("malware", 9), ""),
		relation(f, 18, name("indicator", 8), "indicates", infra, ""), relation(f, 19, infra, "consists-of", infra, ""),
	}), []byte(`{"objects":[{}]}`))
}

func envelope(objects []stix.Object) []byte {
	raw := make([][]byte, len(objects))
	for i := range objects {
		raw[i] = objects[i].Raw
	}
	return slices.Concat([]byte(`{"objects":[`), bytes.Join(raw, []byte(",")), []byte(`]}`))
}

// FuzzRead tests that the contributions of any objects have values in normal form, a
// submitter, an object and a subject, and that a State returns them unchanged.
func FuzzRead(f *testing.F) {
	for _, seed := range seeds(f) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		var objects []stix.Object
		d := stix.NewDecoder(bytes.NewReader(in))
		for {
			raw, err := d.Next()
			if err != nil {
				break
			}
			if o, err := stix.NewObject(bytes.Clone(raw)); err == nil {
				objects = append(objects, o)
			}
		}
		all, _ := fusion.Read(objects, source("alder"))
		fusion.ReadIssues(objects, source("alder"))
		for i := range all {
			checkRead(t, &all[i])
		}
		state := fusion.NewState(defaultRules(), 1)
		state.PutAll(0, all)
		findings, left := state.Findings(0)
		equal(t, "fused", outcome{findings, left}, fuse(smallOperation{rules: defaultRules()}, all))
	})
}

func checkRead(t *testing.T, c *fusion.Contribution) {
	if v, err := stix.NormalValue(c.Value.Type, c.Value.Text); c.Value.Type == "indicator" {
		equal(t, "conditional", c.Value.Text, string(c.Object))
	} else if err != nil || v != c.Value {
		t.Errorf("%v is not in normal form: %v, %v", c.Value, v, err)
	}
	if c.Submitter != "alder" || c.Origin == "" || c.Object == "" || c.Label > stix.Red {
		t.Errorf("incomplete: %+v", *c)
	}
	if typ := c.Subject.Type(); typ != "infrastructure" && (typ != "indicator" || c.Subject != c.Object) {
		t.Errorf("the subject of %s is %s", c.Object, c.Subject)
	}
	if c.Kind != fusion.C2 && c.Kind != fusion.Website && c.Kind != fusion.Other {
		t.Errorf("a %q", c.Kind)
	}
	for _, address := range c.Resolves {
		typ := "ipv4-addr"
		if strings.Contains(address, ":") {
			typ = "ipv6-addr"
		}
		if v, err := stix.NormalValue(typ, address); err != nil || v.Text != address {
			t.Errorf("resolves to %q", address)
		}
	}
	if !slices.IsSorted(c.Resolves) || len(slices.Compact(slices.Clone(c.Resolves))) != len(c.Resolves) {
		t.Errorf("resolves to %v", c.Resolves)
	}
}
