package main

import (
	"encoding/json"
	"strings"
	"testing"

	"comity/stix"
)

func TestMadeObjectsAreValidAndDiffer(t *testing.T) {
	m := generator{seed: 7, size: 700, mixed: true}
	ids, kinds := map[string]bool{}, map[string]int{}
	for i := range 1000 {
		raw := m.append(nil, i, 3)
		if len(raw) != 700 {
			t.Fatalf("%d bytes: %s", len(raw), raw)
		}
		o, err := stix.NewObject(raw)
		if err != nil {
			t.Fatalf("%v: %s", err, raw)
		}
		if string(o.ID) != m.id(i) || ids[m.id(i)] {
			t.Fatalf("id %s of object %d", o.ID, i)
		}
		ids[m.id(i)] = true
		kind, _, _ := strings.Cut(m.id(i), "--")
		kinds[kind]++
	}
	if kinds["malware"] != 10 || kinds["campaign"] != 400 || kinds["indicator"] != 590 {
		t.Error(kinds)
	}
	if other := (generator{seed: 8, size: 700, mixed: true}); ids[other.id(0)] {
		t.Error("another seed gives the same ids")
	}
	var e struct{ Objects []json.RawMessage }
	if err := json.Unmarshal(m.appendEnvelope(nil, 5, 3), &e); err != nil || len(e.Objects) != 3 {
		t.Error(len(e.Objects), err)
	}
	if _, err := stix.NewObject(generator{size: 1}.append(nil, 0, 0)); err != nil {
		t.Errorf("of a size that is too small: %v", err)
	}
}
