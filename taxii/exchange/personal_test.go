package exchange_test

import (
	"fmt"
	"strings"
	"testing"

	"comity/taxii/agreement"
	"comity/taxii/exchange"
)

// collectionWith returns a collection of dea-x with these terms of articles 7 and 8.
func collectionWith(personal *agreement.PersonalData, retention *agreement.Retention) *exchange.Collection {
	return &exchange.Collection{Agreement: "dea-x", Flow: "in", Article: "3", Terms: agreement.Terms{
		PersonalData: personal, Retention: retention,
		By: map[string]agreement.Clause{
			"personal_data": {Agreement: "dea-x", Article: "7"},
			"retention":     {Agreement: "dea-x", Article: "8"},
		},
	}}
}

// Labels are read once, not once for every observable, so the cost of an object with many
// of both grows with its size only.
func TestPersonalDataReadsLabelsOnce(t *testing.T) {
	c := collectionWith(&agreement.PersonalData{Forbidden: []string{"email-addr", "user-account"}, AllowIf: []string{"email-addr:a", "user-account:b"}}, nil)
	const n = 300
	var labels, objects []string
	for i := range n {
		labels = append(labels, fmt.Sprintf(`"a label of thirty and more characters, %d"`, i))
		objects = append(objects, fmt.Sprintf(`"%d":{"type":"email-addr"}`, i))
	}
	o := testObject{ID: "observed-data/o", Extra: `"spec_version":"2.0","labels":[` + strings.Join(append(labels, `"a"`), ",") + `],"objects":{` + strings.Join(objects, ",") + `}`}.object(t)
	if reason, _ := c.PersonalData(o); reason != "" {
		t.Fatal(reason)
	}
	if got := testing.AllocsPerRun(10, func() { c.PersonalData(o) }); got > 10*n {
		t.Errorf("%v allocations for %d observables and as many labels", got, n)
	}
}

func TestPersonalData(t *testing.T) {
	c := collectionWith(&agreement.PersonalData{
		Forbidden: []string{"email-addr", "user-account", "identity:individual"},
		AllowIf:   []string{"email-addr:attacker-controlled", "identity:individual:suspect"},
	}, nil)
	const old = `"spec_version":"2.0",`
	tests := []struct {
		name string
		push testObject
		want string
	}{
		{"a forbidden type", testObject{ID: "email-addr/e"}, "article 7: email-addr is personal data (/type)"},
		{"another", testObject{ID: "user-account/u"}, "article 7: user-account is personal data (/type)"},
		{"any other type", testObject{ID: "ipv4-addr/i"}, ""},
		{"a type that begins like it", testObject{ID: "email-message/e"}, ""},
		{"a person", testObject{ID: "identity/i", Extra: `"identity_class":"individual"`}, "article 7: identity:individual is personal data (/identity_class)"},
		{"an organisation", testObject{ID: "identity/i", Extra: `"identity_class":"organization"`}, ""},
		{"an identity of no class", testObject{ID: "identity/i"}, ""},
		{"definitions are none", testObject{ID: "marking-definition/m", Extra: `"identity_class":"individual"`}, ""},

		{"allowed by a label", testObject{ID: "email-addr/e", Extra: `"labels":["x","attacker-controlled"]`}, ""},
		{"a label spelled otherwise", testObject{ID: "email-addr/e", Extra: `"labels":["Attacker-Controlled"]`}, "article 7: email-addr is personal data (/type)"},
		{"a label that allows another type", testObject{ID: "user-account/u", Extra: `"labels":["attacker-controlled"]`}, "article 7: user-account is personal data (/type)"},
		{"a label that is none", testObject{ID: "email-addr/e", Extra: `"labels":"attacker-controlled"`}, "article 7: email-addr is personal data (/type)"},
		{"a person allowed by a label", testObject{ID: "identity/i", Extra: `"identity_class":"individual","labels":["suspect"]`}, ""},

		{"inside STIX 2.0 observed data", testObject{ID: "observed-data/o", Extra: old + `"objects":{"0":{"type":"ipv4-addr"},"1":{"type":"email-addr"}}`}, "article 7: email-addr is personal data (/objects/1/type)"},
		{"under a name that a pointer escapes", testObject{ID: "observed-data/o", Extra: old + `"objects":{"a/b~c":{"type":"user-account"}}`}, "article 7: user-account is personal data (/objects/a~1b~0c/type)"},
		{"nothing of the kind inside", testObject{ID: "observed-data/o", Extra: old + `"objects":{"0":{"type":"ipv4-addr"},"1":7,"2":{}}`}, ""},
		{"inside, allowed by the label of the whole", testObject{ID: "observed-data/o", Extra: old + `"labels":["attacker-controlled"],"objects":{"0":{"type":"email-addr"}}`}, ""},
		{"one allowed, the next not", testObject{ID: "observed-data/o", Extra: old + `"labels":["attacker-controlled"],"objects":{"0":{"type":"email-addr"},"1":{"type":"user-account"}}`}, "article 7: user-account is personal data (/objects/1/type)"},
		{"objects of no observed data", testObject{ID: "x-acme/x", Extra: `"objects":{"0":{"type":"email-addr"}}`}, ""},
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
	if reason, by := collectionWith(nil, nil).PersonalData(testObject{ID: "email-addr/e"}.object(t)); reason != "" || by != "" {
		t.Errorf("%q by %q, want neither", reason, by)
	}
}
