package stix_test

import (
	"encoding/json"
	"testing"

	"comity/stix"
)

func TestLabelsAreOrderedByStrictness(t *testing.T) {
	order := []stix.TLP{stix.Clear, stix.Green, stix.Amber, stix.AmberStrict, stix.Red}
	for i, want := range []string{"clear", "green", "amber", "amber+strict", "red"} {
		if i > 0 && order[i] <= order[i-1] {
			t.Errorf("%s is not stricter than %s", order[i], order[i-1])
		}
		if got := order[i].String(); got != want {
			t.Errorf("label %q, want %q", got, want)
		}
		if got, err := stix.ParseTLP(want); err != nil || got != order[i] {
			t.Errorf("ParseTLP(%q) %s, %v", want, got, err)
		}
		var back stix.TLP
		if b, err := json.Marshal(order[i]); err != nil || string(b) != `"`+want+`"` || json.Unmarshal(b, &back) != nil || back != order[i] {
			t.Errorf("%s through JSON: %s, %v, then %s", want, b, err, back)
		}
	}
	var zero stix.TLP
	if zero != stix.Clear {
		t.Errorf("the zero label is %s", zero)
	}
	if got, want := stix.TLP(9).String(), "tlp(9)"; got != want {
		t.Errorf("label %q, want %q", got, want)
	}
}

// A caller that ignores the error gets the strictest label.
func TestParseTLPRefusesOtherWords(t *testing.T) {
	for _, s := range []string{"", "white", "RED", "Amber", "amber strict", "tlp:red", "red "} {
		if got, err := stix.ParseTLP(s); err == nil || got != stix.Red {
			t.Errorf("ParseTLP(%q) %s, %v; want red and an error", s, got, err)
		}
	}
}
