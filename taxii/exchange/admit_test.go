package exchange_test

import (
	"strings"
	"testing"

	"comity/stix"
	"comity/taxii/agreement"
	"comity/taxii/exchange"
)

func TestAdmits(t *testing.T) {
	const (
		types   = `object_types = ["indicator", "ipv4-addr", "x-acme"]`
		both    = `stix_versions = ["2.0", "2.1"]`
		old     = `"spec_version":"2.0"`
		creator = "identity/c"
		until   = `"valid_until":"2018-01-01T00:00:00Z"`
	)
	tests := []struct {
		name, flow string
		push       testObject
		want       string
	}{
		{"anything by default", ``, testObject{ID: "threat-actor/t"}, ""},
		{"custom objects by default", ``, testObject{ID: "x-acme/x"}, ""},
		{"custom observables by default", ``, testObject{ID: "x-sco/x"}, ""},

		{"a type of the flow", types, testObject{ID: "indicator/i"}, ""},
		{"a custom type of the flow", types, testObject{ID: "x-acme/x"}, ""},
		{"a type not of the flow", types, testObject{ID: "threat-actor/t"}, "article 3: type threat-actor not in flow in"},
		{"relationships are no exception", types, testObject{ID: "relationship/r"}, "article 3: type relationship not in flow in"},
		{"marking definitions always", types, testObject{ID: "marking-definition/m"}, ""},
		{"extension definitions always", types, testObject{ID: "extension-definition/e"}, ""},
		{"language content always", types, testObject{ID: "language-content/l"}, ""},

		{"STIX 2.0 where 2.1 is taken", ``, testObject{ID: "indicator/i", Extra: old}, "article 3: STIX 2.0 is not taken in flow in: comity convert makes STIX 2.1 of it"},
		{"STIX 2.0 where both are", both, testObject{ID: "indicator/i", Extra: old}, ""},
		{"STIX 2.1 where both are", both, testObject{ID: "indicator/i"}, ""},
		{"STIX 2.1 where 2.0 is taken", `stix_versions = ["2.0"]`, testObject{ID: "url/u"}, "article 3: STIX 2.1 is not taken in flow in"},
		{"the version before the type", types, testObject{ID: "tool/t", Extra: old}, "article 3: STIX 2.0 is not taken in flow in: comity convert makes STIX 2.1 of it"},

		{"a mistyped type", types, testObject{ID: "indicatr/x"}, "article 3: type indicatr not in flow in; did you mean indicator?"},
		{"a mistyped type where custom objects are refused", `unknown_types = "reject"`, testObject{ID: "indicatr/x"}, "article 3: type indicatr is not of STIX 2.1, and flow in takes no others; did you mean indicator?"},
		{"custom objects refused", `unknown_types = "reject"`, testObject{ID: "x-acme/x"}, "article 3: type x-acme is not of STIX 2.1, and flow in takes no others"},
		{"custom observables refused", `unknown_types = "reject"`, testObject{ID: "x-sco/x"}, "article 3: type x-sco is not of STIX 2.1, and flow in takes no others"},
		{"the standard's types are known", `unknown_types = "reject"`, testObject{ID: "x509-certificate/x"}, ""},

		{"creator required and missing", `require = ["created_by_ref"]`, testObject{ID: "indicator/i"}, "article 3: flow in requires created_by_ref"},
		{"creator required and there", `require = ["created_by_ref"]`, testObject{ID: "indicator/i", Creator: creator}, ""},
		{"creator required of relationships", `require = ["created_by_ref"]`, testObject{ID: "relationship/r"}, "article 3: flow in requires created_by_ref"},
		{"creator required of custom objects", `require = ["created_by_ref"]`, testObject{ID: "x-acme/x"}, "article 3: flow in requires created_by_ref"},
		{"observables have no creator", `require = ["created_by_ref"]`, testObject{ID: "url/u"}, ""},
		{"custom observables have none either", `require = ["created_by_ref"]`, testObject{ID: "x-sco/x"}, ""},
		{"marking definitions need none", `require = ["created_by_ref"]`, testObject{ID: "marking-definition/m"}, ""},
		{"end of validity required and missing", `require = ["valid_until"]`, testObject{ID: "indicator/i"}, "article 3: flow in requires valid_until"},
		{"end of validity required and there", `require = ["valid_until"]`, testObject{ID: "indicator/i", Extra: until}, ""},
		{"only indicators have one", `require = ["valid_until"]`, testObject{ID: "malware/m"}, ""},
		{"anything else required and missing", `require = ["confidence"]`, testObject{ID: "indicator/i"}, "article 3: flow in requires confidence"},
		{"anything else required and there", `require = ["confidence"]`, testObject{ID: "indicator/i", Extra: `"confidence":50`}, ""},
		{"tlp is seen to with the labels", `require = ["tlp"]`, testObject{ID: "indicator/i"}, ""},
		{"each of several", `require = ["tlp", "valid_until", "created_by_ref"]`, testObject{ID: "indicator/i", Extra: until}, "article 3: flow in requires created_by_ref"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, by := collection(t, tt.flow, "").Admits(tt.push.object(t))
			if got != tt.want {
				t.Errorf("refused: %q, want %q", got, tt.want)
			}
			if want, _, _ := strings.Cut(tt.want, ":"); by != want {
				t.Errorf("by %q, want %q", by, want)
			}
		})
	}
}

// A refusal cites its clause, with the name of the agreement if that is a parent. Without a
// clause it cites the article of the flow.
func TestRefusalsCiteTheClause(t *testing.T) {
	for _, tt := range []struct {
		by   agreement.Clause
		want string
	}{
		{agreement.Clause{Agreement: "op-y", Article: "5"}, "article 5"},
		{agreement.Clause{Agreement: "dea-x", Article: "7"}, "article 7 of dea-x"},
		{agreement.Clause{}, "article 3"},
	} {
		c := &exchange.Collection{Agreement: "op-y", Flow: "in", Article: "3", Terms: agreement.Terms{
			STIXVersions: []string{"2.1"}, Types: []string{"url"},
			By: map[string]agreement.Clause{"object_types": tt.by},
		}}
		reason, by := c.Admits(testObject{ID: "tool/t"}.object(t))
		if want := tt.want + ": type tool not in flow in"; reason != want || by != tt.want {
			t.Errorf("%q by %q, want %q", reason, by, want)
		}
	}
}

// An object without spec_version counts as STIX 2.0. The refusal tells a partner who forgot
// the property what to add.
func TestMissingSpecVersionIsNamed(t *testing.T) {
	c := &exchange.Collection{Agreement: "dea-x", Flow: "in", Article: "3", Terms: agreement.Terms{STIXVersions: []string{"2.1"}}}
	o, err := stix.NewObject([]byte(`{"type":"malware","id":"malware--9f1d0c6e-2b1a-4c3e-8d5f-0123456789ab","created":"2024-03-05T08:00:00.000Z","modified":"2024-03-05T08:00:00.000Z","name":"a","is_family":false}`))
	if err != nil {
		t.Fatal(err)
	}
	if reason, _ := c.Admits(&o); !strings.Contains(reason, `add "spec_version":"2.1"`) || !strings.Contains(reason, "comity convert") {
		t.Errorf("%q, want the missing spec_version named", reason)
	}
}
