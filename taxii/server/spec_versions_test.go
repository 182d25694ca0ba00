package server_test

import (
	"slices"
	"strings"
	"testing"
)

// mixedSpecs is an exchange whose sharing.reports holds indicator 1 in both
// specification versions, 2 in STIX 2.0 alone, and 3 in 2.1 alone.
func mixedSpecs(t *testing.T) (vendor *client, c string) {
	w := newWorld(t)
	vendor, c = w.as("vendor/feed"), w.collection("sharing.reports")
	vendor.push(c, old(1, 1), old(1, 2), indicator(1, 3), old(2, 1), old(2, 2), indicator(3, 1), address(1))
	return vendor, c
}

func TestMatchSpecVersion(t *testing.T) {
	vendor, c := mixedSpecs(t)
	i1, i2, i3, a1 := id("indicator", 1)+" ", id("indicator", 2)+" ", id("indicator", 3)+" ", id("ipv4-addr", 1)
	tests := []struct {
		query string
		want  []string
	}{
		{"", []string{i1 + stamp(3), i2 + stamp(2), i3 + stamp(1), a1}},
		{"match[spec_version]=2.1", []string{i1 + stamp(3), i3 + stamp(1), a1}},
		{"match[spec_version]=2.0", []string{i1 + stamp(2), i2 + stamp(2)}},
		{"match[spec_version]=2.0,2.1", []string{i1 + stamp(3), i2 + stamp(2), i3 + stamp(1), a1}},
		{"match[spec_version]=2.0&match[version]=first", []string{i1 + stamp(1), i2 + stamp(1)}},
		{"match[spec_version]=2.0&match[version]=all", []string{i1 + stamp(1), i1 + stamp(2), i2 + stamp(1), i2 + stamp(2)}},
		{"match[spec_version]=2.0,2.1&match[version]=first", []string{i1 + stamp(1), i2 + stamp(1), i3 + stamp(1), a1}},
		{"match[version]=all", []string{i1 + stamp(3), i2 + stamp(1), i2 + stamp(2), i3 + stamp(1), a1}},
		{"match[spec_version]=2.0&match[type]=ipv4-addr", nil},
		{"match[spec_version]=2.0&match[id]=" + id("indicator", 1), []string{i1 + stamp(2)}},
		{"match[spec_version]=2.0&match[version]=" + stamp(3), nil},
		{"match[spec_version]=9.9", nil},
		{"match[spec_version]=words", nil},
		{"match[spec_version]=9.9,2.0", []string{i1 + stamp(2), i2 + stamp(2)}},
	}
	for _, tt := range tests {
		if got := vendor.get(c + "objects/?" + tt.query).want(200).ids(); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q, want %q", tt.query, got, tt.want)
		}
		var records []string
		for _, record := range vendor.manifest(c, tt.query) {
			name := record.ID + " " + record.Version
			if strings.HasPrefix(record.ID, "ipv4-addr") {
				name = record.ID
			}
			records = append(records, name)
		}
		if !slices.Equal(records, tt.want) {
			t.Errorf("manifest %s: %q, want %q", tt.query, records, tt.want)
		}
	}
}

func TestBothSpecificationVersionsOfOneVersionAreKept(t *testing.T) {
	w := newWorld(t)
	c := w.collection("sharing.reports")
	vendor := w.as("vendor/feed")
	if status := vendor.push(c, old(1, 1), indicator(1, 1)); status.SuccessCount != 2 {
		t.Fatalf("%+v", status)
	}
	for query, want := range map[string][]string{
		"": {indicator(1, 1)}, "match[spec_version]=2.0": {old(1, 1)}, "match[spec_version]=2.1": {indicator(1, 1)},
		"match[spec_version]=2.0,2.1&match[version]=all": {old(1, 1), indicator(1, 1)},
	} {
		if got := vendor.objects(c, query); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
	}
}

// Without spec_version an object that was created is STIX 2.0, an observable
// 2.1; nothing is added to it.
func TestAbsentSpecVersion(t *testing.T) {
	w := newWorld(t)
	c := w.collection("sharing.reports")
	vendor := w.as("vendor/feed")
	marking := object("marking-definition", id("marking-definition", 1), `"created":"`+stamp(0)+`"`, `"definition_type":"statement"`, `"definition":{"statement":"x"}`)
	relation := object("relationship", id("relationship", 1), `"created":"`+stamp(0)+`"`, `"modified":"`+stamp(0)+`"`, `"relationship_type":"uses"`, `"source_ref":"`+id("malware", 1)+`"`, `"target_ref":"`+id("tool", 1)+`"`)
	observable := object("ipv4-addr", id("ipv4-addr", 1), `"value":"198.51.100.1"`)
	vendor.push(c, old(1, 0), marking, relation, observable)
	for query, want := range map[string][]string{
		"match[spec_version]=2.0": {old(1, 0), marking, relation}, "match[spec_version]=2.1": {observable}, "": {old(1, 0), marking, relation, observable},
	} {
		if got := vendor.objects(c, query); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
	}
	for _, record := range vendor.manifest(c, "") {
		want := "application/stix+json;version=2.0"
		if record.ID == id("ipv4-addr", 1) {
			want = "application/stix+json;version=2.1"
		}
		if record.MediaType != want {
			t.Errorf("%s: %s, want %s", record.ID, record.MediaType, want)
		}
	}
}

func TestOldSpecificationIsRefusedWhereTheFlowDoesNotTakeIt(t *testing.T) {
	w := newWorld(t)
	status := w.as("vendor/feed").push(w.collection("sharing.ledger"), old(1, 0), indicator(2, 0))
	if status.FailureCount != 1 || status.Failures[0].ID != id("indicator", 1) || !strings.Contains(status.Failures[0].Message, "2.0") {
		t.Errorf("%+v", status)
	}
}
