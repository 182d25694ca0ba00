package exchange_test

import (
	"encoding/json"
	"testing"

	"comity/stix"
	"comity/taxii/exchange"
)

// A newer version of comity may have written a word that this version does not know. To
// ignore the word could mean to ignore a restriction.
func TestAnUnknownWordIsRefusedAndNeverLeftOut(t *testing.T) {
	for name, read := range map[string]error{
		"an action":                json.Unmarshal([]byte(`"search,share"`), new(exchange.Actions)),
		"an action that is empty":  json.Unmarshal([]byte(`"search,,block"`), new(exchange.Actions)),
		"an action of a view":      json.Unmarshal([]byte(`{"reads":true,"action":"share"}`), new(exchange.View)),
		"a label of a view":        json.Unmarshal([]byte(`{"reads":true,"ceiling":"black"}`), new(exchange.View)),
		"an act on an agreement":   json.Unmarshal([]byte(`{"id":"op-x","acts":[{"kind":"freeze"}]}`), new(exchange.Deposit)),
		"an act without its kind":  json.Unmarshal([]byte(`{"id":"op-x","acts":[{"kind":""}]}`), new(exchange.Deposit)),
		"a label that is no label": new(stix.TLP).UnmarshalText([]byte("black")),
	} {
		if read == nil {
			t.Errorf("%s is read without a complaint", name)
		}
	}
	for _, text := range []string{`""`, `"search"`, `"search,lookup,block,notify"`} {
		var a exchange.Actions
		if err := json.Unmarshal([]byte(text), &a); err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if got, _ := json.Marshal(a); string(got) != text {
			t.Errorf("%s comes back as %s", text, got)
		}
	}
	for _, kind := range []exchange.ActKind{exchange.Suspend, exchange.Reinstate, exchange.End, exchange.Withdraw} {
		text, _ := json.Marshal(exchange.Act{Kind: kind})
		var a exchange.Act
		if err := json.Unmarshal(text, &a); err != nil || a.Kind != kind {
			t.Errorf("%s is read as %+v, %v", text, a, err)
		}
	}
}

// An account for an unknown action sees only objects that bar no action.
func TestAnUnknownActionOfAnAccountIsBarredByAnyBar(t *testing.T) {
	p := policy(t, directory(t, text("dea-x", "", "")))
	for action, want := range map[string]bool{"search": true, "share": false} {
		pr := caller("igci/all")
		pr.Action = action
		g, err := p.Decide(pr, "dea-x.in", exchange.Read, inForce)
		if err != nil {
			t.Fatal(err)
		}
		view := g.View()
		if got := view.Sees(exchange.Handling{Barred: exchange.Block | exchange.Notify}); got != want {
			t.Errorf("an account for %s sees what must not be blocked by: %t, want %t", action, got, want)
		}
		if !view.Sees(exchange.Handling{}) {
			t.Errorf("an account for %s does not see what nothing bars", action)
		}
	}
}
