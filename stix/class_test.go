package stix_test

import (
	"testing"

	"comity/stix"
)

func TestClassOfTypesAndObjects(t *testing.T) {
	for class, types := range map[stix.Class][]string{
		stix.Domain: {"attack-pattern", "campaign", "course-of-action", "grouping", "identity", "incident", "indicator",
			"infrastructure", "intrusion-set", "location", "malware", "malware-analysis", "note", "observed-data", "opinion",
			"report", "threat-actor", "tool", "vulnerability"},
		stix.Relation: {"relationship", "sighting"},
		stix.Observable: {"artifact", "autonomous-system", "directory", "domain-name", "email-addr", "email-message", "file",
			"ipv4-addr", "ipv6-addr", "mac-addr", "mutex", "network-traffic", "process", "software", "url", "user-account",
			"windows-registry-key", "x509-certificate"},
		stix.Meta:   {"extension-definition", "language-content", "marking-definition"},
		stix.Custom: {"x-acme", "bundle", "", "Indicator"},
	} {
		for _, typ := range types {
			if got := stix.ClassOf(typ); got != class {
				t.Errorf("%q is of class %d, want %d", typ, got, class)
			}
		}
	}
	for members, want := range map[string]stix.Class{
		``:                                   stix.Observable,
		`,"created":"2017-08-07T09:00:00Z"`:  stix.Custom,
		`,"modified":"2017-08-07T09:00:00Z"`: stix.Custom,
	} {
		o := object(t, `{"type":"x-acme","id":"x-acme--`+uuidA+`"`+members+`}`)
		if got := o.Class(); got != want {
			t.Errorf("a custom object with %q is of class %d, want %d", members, got, want)
		}
	}
	if o := object(t, `{"type":"indicator","id":"`+indicatorA+`"}`); o.Class() != stix.Domain {
		t.Errorf("an indicator without times is of class %d", o.Class())
	}
}
