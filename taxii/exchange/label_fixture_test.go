package exchange_test

import (
	"testing"

	"comity/stix"
	"comity/taxii/exchange"
)

// heldObjects are the objects that a collection has before a push, by name.
type heldObjects map[string]exchange.Held

// heldAt returns an object that is held under a label, with the barred actions.
func heldAt(label stix.TLP, barred ...exchange.Actions) exchange.Held {
	h := exchange.Held{Known: true, Handling: exchange.Handling{TLP: label}}
	for _, a := range barred {
		h.Handling.Barred |= a
	}
	return h
}

// heldDefinition returns a held marking definition with that content.
func heldDefinition(content string) exchange.Held {
	h := heldAt(stix.Clear)
	h.Definition = []byte("{" + content + "}")
	return h
}

func (s heldObjects) known(keys []stix.Key) ([]exchange.Held, error) {
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

// judge returns the verdicts of a push to c, which holds s.
func judge(t testing.TB, c *exchange.Collection, s heldObjects, push []testObject) []exchange.Verdict {
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

// iep returns the content of a marking definition with an IEP policy.
func iep(permitted, notifications string) string {
	return `"extensions":{"extension-definition--762e2e97-ee51-43e5-a9ea-165fbb862c4a":{"extension_type":"property-extension",` +
		`"permitted_actions":"` + permitted + `","affected_party_notifications":"` + notifications + `"}}`
}

// acs returns the content of a marking definition with these ACS defaults.
func acs(privilege, sharing string) string {
	return `"extensions":{"extension-definition--3a65884d-005a-4290-8335-cb2d778a83ce":{"extension_type":"property-extension",` +
		`"policy_reference":"urn:isa:policy:acs:ns:v3.0?privdefault=` + privilege + `&sharedefault=` + sharing + `"}}`
}

// pap returns the content of a marking definition of a PAP level.
func pap(level string) string {
	return `"extensions":{"extension-definition--f8d78575-edfd-406e-8e84-6162a8450f5b":{"extension_type":"property-extension","pap":"` + level + `"}}`
}
