package stix_test

import (
	"testing"

	"comity/stix"
)

// inExtension returns a marking definition with that content in an extension.
func inExtension(uuid, content string) []byte {
	return []byte(`{"type":"marking-definition","extensions":{"extension-definition--` + uuid + `":` + content + `}}`)
}

const (
	iepUUID = "762e2e97-ee51-43e5-a9ea-165fbb862c4a"
	acsUUID = "3a65884d-005a-4290-8335-cb2d778a83ce"
)

func TestMarkingIEP(t *testing.T) {
	tests := []struct {
		name, uuid, content string
		want                stix.IEP
		ok                  bool
	}{
		{"as in the draft", iepUUID, `{"extension_type":"property-extension","encrypt_in_transit":"may","permitted_actions":"externally-visible-direct-actions","affected_party_notifications":"may","tlp":"amber","iep_version":2.0}`,
			stix.IEP{PermittedActions: "externally-visible-direct-actions", Notifications: "may"}, true},
		{"ended long ago", iepUUID, `{"permitted_actions":"none","affected_party_notifications":"must-not","end_date":"2022-11-01T00:00:00Z"}`,
			stix.IEP{PermittedActions: "none", Notifications: "must-not"}, true},
		{"silent", iepUUID, `{}`, stix.IEP{}, true},
		{"a list of actions is no word", iepUUID, `{"permitted_actions":["none"],"affected_party_notifications":true}`, stix.IEP{}, true},
		{"no object", iepUUID, `7`, stix.IEP{}, true},
		{"another extension", acsUUID, `{"permitted_actions":"none"}`, stix.IEP{}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got, ok := stix.MarkingIEP(inExtension(tt.uuid, tt.content)); got != tt.want || ok != tt.ok {
				t.Errorf("%+v (%t), want %+v (%t)", got, ok, tt.want, tt.ok)
			}
		})
	}
	for _, definition := range []string{`{}`, `{"extensions":7}`, `{"definition_type":"statement","definition":{"permitted_actions":"none"}}`} {
		if _, ok := stix.MarkingIEP([]byte(definition)); ok {
			t.Errorf("%s is taken for IEP", definition)
		}
	}
}

func TestDeniesSharing(t *testing.T) {
	const urn = "urn:isa:policy:acs:ns:v3.0?privdefault="
	tests := []struct {
		name, uuid, content string
		want                bool
	}{
		{"denied", acsUUID, `{"policy_reference":"` + urn + `permit&sharedefault=deny"}`, true},
		{"denied, escaped", acsUUID, `{"policy_reference":"` + urn + `permit\u0026sharedefault=deny"}`, true},
		{"denied, in capitals", acsUUID, `{"policy_reference":"` + urn + `permit&shareDefault=DENY"}`, true},
		{"permitted", acsUUID, `{"policy_reference":"` + urn + `deny&sharedefault=permit"}`, false},
		{"permitted, as converted from STIX 1", acsUUID, `{"policy_reference":"` + urn + `permit?sharedefault=permit"}`, false},
		{"permitted by one, denied by the next", acsUUID, `{"policy_reference":"` + urn + `deny&sharedefault=permit ` + urn + `deny&sharedefault=deny"}`, true},
		{"denied, with an exception", acsUUID, `{"policy_reference":"` + urn + `deny&sharedefault=deny","further_sharing":[{"rule_effect":"permit","sharing_scope":["USA.USG"]}]}`, true},
		{"without a default", acsUUID, `{"identifier":"x"}`, true},
		{"no text", acsUUID, `{"policy_reference":["` + urn + `deny&sharedefault=permit"]}`, true},
		{"another extension", iepUUID, `{"policy_reference":"` + urn + `deny&sharedefault=deny"}`, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := stix.DeniesSharing(inExtension(tt.uuid, tt.content)); got != tt.want {
				t.Errorf("denies %t, want %t", got, tt.want)
			}
		})
	}
}
