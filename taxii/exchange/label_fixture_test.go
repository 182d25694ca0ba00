package exchange_test

import (
	"testing"

	"comity/stix"
	"comity/taxii/exchange"
)

// stock is what a collection holds already, by name.
type stock map[string]exchange.Held

// at is an object held under a label, with what is barred.
func at(label stix.TLP, barred ...exchange.Actions) exchange.Held {
	h := exchange.Held{Known: true, Handling: exchange.Handling{TLP: label}}
	for _, a := range barred {
		h.Handling.Barred |= a
	}
	return h
}

// definition is a held marking definition of that content.
func definition(content string) exchange.Held {
	h := at(stix.Clear)
	h.Definition = []byte("{" + content + "}")
	return h
}

func (s stock) known(keys []stix.Key) ([]exchange.Held, error) {
	byKey := map[stix.Key]exchange.Held{}
	for name, h := range s {
		byKey[id(name).Key()] = h
	}
	found := make([]exchange.Held, len(keys))
	for i, key := range keys {
		found[i] = byKey[key]
	}
	return found, nil
}

// judge pushes things into c, which holds s, and returns the verdicts.
func judge(t testing.TB, c *exchange.Collection, s stock, push []thing) []exchange.Verdict {
	t.Helper()
	l := exchange.NewLabels(c)
	for _, th := range push {
		l.Add(th.object(t))
	}
	verdicts, err := l.Resolve(s.known)
	if err != nil {
		t.Fatal(err)
	}
	if len(verdicts) != len(push) {
		t.Fatalf("%d verdicts for %d objects", len(verdicts), len(push))
	}
	return verdicts
}

// iep is the content of a definition that carries a policy.
func iep(permitted, notifications string) string {
	return `"extensions":{"extension-definition--762e2e97-ee51-43e5-a9ea-165fbb862c4a":{"extension_type":"property-extension",` +
		`"permitted_actions":"` + permitted + `","affected_party_notifications":"` + notifications + `"}}`
}

// acs is the content of a definition with these defaults.
func acs(privilege, sharing string) string {
	return `"extensions":{"extension-definition--3a65884d-005a-4290-8335-cb2d778a83ce":{"extension_type":"property-extension",` +
		`"policy_reference":"urn:isa:policy:acs:ns:v3.0?privdefault=` + privilege + `&sharedefault=` + sharing + `"}}`
}

// pap is the content of a definition of PAP.
func pap(level string) string {
	return `"extensions":{"extension-definition--f8d78575-edfd-406e-8e84-6162a8450f5b":{"extension_type":"property-extension","pap":"` + level + `"}}`
}
