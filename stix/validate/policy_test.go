package validate_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"comity/stix/validate"
)

func TestPolicyChangesTheLevelOfItsRules(t *testing.T) {
	custom := validate.Policy{RefuseCustom: true}
	tests := []struct {
		name, rule    string
		policy        validate.Policy
		raw           string
		without, with string // the level: error, warning or none
	}{
		{"custom property", "R-061", custom, head + `,"x_acme":1}`, "warning", "error"},
		{"property of a part", "R-061", custom, head + `,"kill_chain_phases":[{"kill_chain_name":"a","phase_name":"b","x_acme":1}]}`, "warning", "error"},
		{"property of an extension", "R-069", custom, `{"type":"file","id":"file--9f1d0c6e-2b1a-4c3e-8d5f-0123456789ab","extensions":{"ntfs-ext":{"sid":"1","x_acme":1}}}`, "warning", "error"},
		{"custom extension", "R-066", custom, strings.TrimSuffix(mutex, "}") + `,"extensions":{"x-acme-ext":{"a":1}}}`, "warning", "error"},
		{"custom type", "R-062", custom, strings.ReplaceAll(head, "tool", "acme") + `}`, "warning", "error"},
		{"explained property", "R-061", custom, head + `,"acme":1,"extensions":{"extension-definition--2bc0bc98-b3a2-45d5-8db8-86b8476861ac":{"extension_type":"toplevel-property-extension"}}}`, "none", "none"},
		{"explained type", "R-062", custom, strings.ReplaceAll(head, "tool", "acme") + `,"extensions":{"extension-definition--2bc0bc98-b3a2-45d5-8db8-86b8476861ac":{"extension_type":"new-sdo"}}}`, "none", "none"},
		{"space in a URL", "R-149", validate.Policy{LooseURLs: true}, `{"type":"url","id":"url--9f1d0c6e-2b1a-4c3e-8d5f-0123456789ab","value":"https://a.example/b c"}`, "error", "warning"},
		{"UUID of version 7", "R-017", validate.Policy{NewUUIDs: true}, strings.Replace(head, "-4c3e-", "-7c3e-", 1) + `}`, "error", "none"},
		{"no spec_version", "R-038", validate.Policy{STIX20: true}, strings.Replace(head, `"spec_version":"2.1",`, "", 1) + `,"labels":["a"]}`, "error", "none"},
		{"spec_version 2.0", "R-038", validate.Policy{STIX20: true}, strings.Replace(head, "2.1", "2.0", 1) + `,"labels":["a"]}`, "error", "none"},
	}
	level := func(all validate.Findings, rule string) string {
		switch {
		case has(all, rule, false):
			return "error"
		case has(all, rule, true):
			return "warning"
		}
		return "none"
	}
	for _, tt := range tests {
		all := validate.Object([]byte(tt.raw), validate.Policy{})
		if got := level(all, tt.rule); got != tt.without {
			t.Errorf("%s without the policy: %s, want %s: %v", tt.name, got, tt.without, all)
		}
		all = validate.Object([]byte(tt.raw), tt.policy)
		if got := level(all, tt.rule); got != tt.with || tt.with != "error" && !all.Valid() {
			t.Errorf("%s with the policy: %s, want %s: %v", tt.name, got, tt.with, all)
		}
	}
}

// A mistyped name is taken for a custom one, so the finding suggests the right name.
func TestFindingSaysWhichNameMayHaveBeenMistyped(t *testing.T) {
	for raw, want := range map[string]string{
		strings.Replace(head, `"tool"`, `"tol"`, 1) + `}`:                                       "R-062 /type: a custom type without x- before its name; did you mean tool?",
		head + `,"descripton":"a"}`:                                                             "R-061 /descripton: custom property without x_ before its name; did you mean description?",
		head + `,"kill_chain_phases":[{"kill_chain_name":"a","phase_name":"b","phase_nam":1}]}`: "R-061 /kill_chain_phases/0/phase_nam: no property of the standard's kill-chain-phase; did you mean phase_name?",
		head + `,"acme":1}`: "R-061 /acme: custom property without x_ before its name",
	} {
		all := validate.Object([]byte(raw), validate.Policy{})
		if !slices.ContainsFunc(all, func(f validate.Finding) bool { return f.String() == want }) {
			t.Errorf("%s\ngot  %v\nwant %s", raw, all, want)
		}
	}
}

// STIX 2.0 has no observables outside of observed-data, so an observable with a created is
// STIX 2.1.
func TestObservableIsNeverSTIX20(t *testing.T) {
	raw := strings.TrimSuffix(mutex, "}") + `,"created":"2024-03-05T08:00:00.000Z"}`
	if all := validate.Object([]byte(raw), validate.Policy{STIX20: true}); !all.Valid() || !has(all, "R-042", true) {
		t.Errorf("findings %v, want the warning R-042", all)
	}
}

// The id of network traffic may be computed from its times as they are spelled, or as the
// Python library of OASIS writes them, without trailing zeros.
func TestIDOfTrafficTakesEitherSpellingOfTime(t *testing.T) {
	base := bases(t)["sco-network-traffic-tcp-http"]
	for _, start := range []string{`"2024-03-01T10:00:00.5Z"`, `"2024-03-01T10:00:00.500Z"`} {
		raw := changed(t, base.Object, map[string]json.RawMessage{"start": json.RawMessage(start)})
		if all := validate.Object(raw, validate.Policy{}); has(all, "R-021", true) {
			t.Errorf("start %s: %v", start, all)
		}
	}
}

func TestFindingsAreSortedByLevel(t *testing.T) {
	all := validate.Object([]byte(head+`,"x_a/b~c":1,"confidence":-1}`), validate.Policy{})
	if all.Valid() || len(all.Errors()) != 2 || len(all.Errors())+len(all.Warnings()) != len(all) {
		t.Errorf("findings %v, errors %v", all, all.Errors())
	}
	if got, want := all[0].String(), "R-061 /x_a~1b~0c: a property name has 3 to 250 characters a-z, 0-9 and _"; got != want {
		t.Errorf("finding %q, want %q", got, want)
	}
	if got, want := all[1].String(), "R-040 /confidence: expected 0 to 100, not -1"; got != want {
		t.Errorf("finding %q, want %q", got, want)
	}
	whole := validate.Object([]byte(`5`), validate.Policy{})
	if got, want := whole[0].String(), "R-002 /: expected a JSON object"; len(whole) != 1 || got != want {
		t.Errorf("finding %q, want %q", got, want)
	}
	if none := validate.Object([]byte(mutex), validate.Policy{}); none != nil || !none.Valid() {
		t.Errorf("findings %v of a valid object", none)
	}
}
