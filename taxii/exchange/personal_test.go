package exchange_test

import (
	"fmt"
	"strings"
	"testing"

	"comity/taxii/agreement"
	"comity/taxii/exchange"
)

// under is a flow of dea-x with these terms of article 7 and 8.
func under(personal *agreement.PersonalData, retention *agreement.Retention) *exchange.Collection {
	return &exchange.Collection{Agreement: "dea-x", Flow: "in", Article: "3", Terms: agreement.Terms{
		PersonalData: personal, Retention: retention,
		By: map[string]agreement.Clause{
			"personal_data": {Agreement: "dea-x", Article: "7"},
			"retention":     {Agreement: "dea-x", Article: "8"},
		},
	}}
}

// Labels are read once, not once for every observable: an object of many of both
// costs what its size costs.
func TestPersonalDataReadsLabelsOnce(t *testing.T) {
	c := under(&agreement.PersonalData{Forbidden: []string{"email-addr", "user-account"}, AllowIf: []string{"email-addr:a", "user-account:b"}}, nil)
	const n = 300
	var labels, objects []string
	for i := range n {
		labels = append(labels, fmt.Sprintf(`"a label of thirty and more characters, %d"`, i))
		objects = append(objects, fmt.Sprintf(`"%d":{"type":"email-addr"}`, i))
	}
	o := thing{ID: "observed-data/o", Extra: `"spec_version":"2.0","labels":[` + strings.Join(append(labels, `"a"`), ",") + `],"objects":{` + strings.Join(objects, ",") + `}`}.object(t)
	if reason, _ := c.PersonalData(o); reason != "" {
		t.Fatal(reason)
	}
	if got := testing.AllocsPerRun(10, func() { c.PersonalData(o) }); got > 10*n {
		t.Errorf("%v allocations for %d observables and as many labels", got, n)
	}
}

func TestPersonalData(t *testing.T) {
	c := under(&agreement.PersonalData{
		Forbidden: []string{"email-addr", "user-account", "identity:individual"},
		AllowIf:   []string{"email-addr:attacker-controlled", "identity:individual:suspect"},
	}, nil)
	const old = `"spec_version":"2.0",`
	tests := []struct {
		name string
		push thing
		want string
	}{
		{"a forbidden type", thing{ID: "email-addr/e"}, "article 7: email-addr is personal data (/type)"},
		{"another", thing{ID: "user-account/u"}, "article 7: user-account is personal data (/type)"},
		{"any other type", thing{ID: "ipv4-addr/i"}, ""},
		{"a type that begins like it", thing{ID: "email-message/e"}, ""},
		{"a person", thing{ID: "identity/i", Extra: `"identity_class":"individual"`}, "article 7: identity:individual is personal data (/identity_class)"},
		{"an organisation", thing{ID: "identity/i", Extra: `"identity_class":"organization"`}, ""},
		{"an identity of no class", thing{ID: "identity/i"}, ""},
		{"definitions are none", thing{ID: "marking-definition/m", Extra: `"identity_class":"individual"`}, ""},

		{"allowed by a label", thing{ID: "email-addr/e", Extra: `"labels":["x","attacker-controlled"]`}, ""},
		{"a label spelled otherwise", thing{ID: "email-addr/e", Extra: `"labels":["Attacker-Controlled"]`}, "article 7: email-addr is personal data (/type)"},
		{"a label that allows another type", thing{ID: "user-account/u", Extra: `"labels":["attacker-controlled"]`}, "article 7: user-account is personal data (/type)"},
		{"a label that is none", thing{ID: "email-addr/e", Extra: `"labels":"attacker-controlled"`}, "article 7: email-addr is personal data (/type)"},
		{"a person allowed by a label", thing{ID: "identity/i", Extra: `"identity_class":"individual","labels":["suspect"]`}, ""},

		{"inside STIX 2.0 observed data", thing{ID: "observed-data/o", Extra: old + `"objects":{"0":{"type":"ipv4-addr"},"1":{"type":"email-addr"}}`}, "article 7: email-addr is personal data (/objects/1/type)"},
		{"under a name that a pointer escapes", thing{ID: "observed-data/o", Extra: old + `"objects":{"a/b~c":{"type":"user-account"}}`}, "article 7: user-account is personal data (/objects/a~1b~0c/type)"},
		{"nothing of the kind inside", thing{ID: "observed-data/o", Extra: old + `"objects":{"0":{"type":"ipv4-addr"},"1":7,"2":{}}`}, ""},
		{"inside, allowed by the label of the whole", thing{ID: "observed-data/o", Extra: old + `"labels":["attacker-controlled"],"objects":{"0":{"type":"email-addr"}}`}, ""},
		{"one allowed, the next not", thing{ID: "observed-data/o", Extra: old + `"labels":["attacker-controlled"],"objects":{"0":{"type":"email-addr"},"1":{"type":"user-account"}}`}, "article 7: user-account is personal data (/objects/1/type)"},
		{"objects of no observed data", thing{ID: "x-acme/x", Extra: `"objects":{"0":{"type":"email-addr"}}`}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			reason, by := c.PersonalData(tt.push.object(t))
			if reason != tt.want {
				t.Errorf("%q, want %q", reason, tt.want)
			}
			if want := (map[bool]string{true: "article 7"})[tt.want != ""]; by != want {
				t.Errorf("by %q, want %q", by, want)
			}
		})
	}
}

func TestNothingIsPersonalWithoutABlock(t *testing.T) {
	if reason, by := under(nil, nil).PersonalData(thing{ID: "email-addr/e"}.object(t)); reason != "" || by != "" {
		t.Errorf("%q by %q, want neither", reason, by)
	}
}
