package stix_test

import (
	"strings"
	"testing"

	"comity/stix"
)

func TestParseID(t *testing.T) {
	long := strings.Repeat("x", 250)
	tests := []struct {
		in, typ string
		ok      bool
	}{
		{indicatorA, "indicator", true},
		{"x509-certificate--" + uuidA, "x509-certificate", true},
		{"x-9--" + uuidA, "x-9", true},
		{"indicator--" + strings.ToUpper(uuidA), "indicator", true},
		{"indicator--00000000-0000-0000-0000-000000000000", "indicator", true},
		{long + "--" + uuidA, long, true},
		{long + "x--" + uuidA, "", false},
		{"", "", false},
		{"indicator", "", false},
		{uuidA, "", false},
		{"--" + uuidA, "", false},
		{"indicator-" + uuidA, "", false},
		{"indicator---" + uuidA, "", false},
		{"a--b--" + uuidA, "", false},
		{"indicator--{" + uuidA + "}", "", false},
		{"indicator--urn:uuid:" + uuidA, "", false},
		{"indicator--" + strings.ReplaceAll(uuidA, "-", ""), "", false},
		{"indicator--" + uuidA[:35] + "g", "", false},
		{"indicator--" + uuidA + "0", "", false},
		{"indicator--" + strings.Replace(uuidA, "-", "0", 1), "", false},
		{"Indicator--" + uuidA, "", false},
		{"indi_cator--" + uuidA, "", false},
		{"índicator--" + uuidA, "", false},
		{" " + indicatorA, "", false},
		{indicatorA + "\n", "", false},
	}
	for _, tt := range tests {
		id, ok := stix.ParseID(tt.in)
		if ok != tt.ok {
			t.Errorf("ParseID(%q) %t, want %t", tt.in, ok, tt.ok)
		} else if ok && (string(id) != tt.in || id.Type() != tt.typ) {
			t.Errorf("ParseID(%q) is %q of type %q", tt.in, id, id.Type())
		} else if !ok && id != "" {
			t.Errorf("ParseID(%q) is %q, want nothing", tt.in, id)
		}
	}
}

// Identifiers with the same UUID, or that differ only in the case of its letters, are
// different identifiers (STIX 2.1 §3.3).
func TestKeysStandForExactStrings(t *testing.T) {
	ids := []stix.ID{indicatorA, stix.ID("malware--" + uuidA), stix.ID("indicator--" + strings.ToUpper(uuidA)), ""}
	seen := map[stix.Key]stix.ID{}
	for _, id := range ids {
		if other, ok := seen[id.Key()]; ok {
			t.Errorf("%q and %q have one key", id, other)
		}
		seen[id.Key()] = id
		if id.Key() != stix.ID(strings.Clone(string(id))).Key() {
			t.Errorf("%q has two keys", id)
		}
	}
}
