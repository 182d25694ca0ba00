package stix_test

import (
	"testing"

	"comity/stix"
)

func TestPAPLevelsAreOrderedByStrictness(t *testing.T) {
	order := []stix.PAP{stix.PAPClear, stix.PAPGreen, stix.PAPAmber, stix.PAPRed}
	for i, want := range []string{"clear", "green", "amber", "red"} {
		if i > 0 && order[i] <= order[i-1] {
			t.Errorf("%s is not stricter than %s", order[i], order[i-1])
		}
		if got := order[i].String(); got != want {
			t.Errorf("level %q, want %q", got, want)
		}
		if got, err := stix.ParsePAP(want); err != nil || got != order[i] {
			t.Errorf("ParsePAP(%q) %s, %v", want, got, err)
		}
	}
	if got, want := stix.PAP(9).String(), "pap(9)"; got != want {
		t.Errorf("level %q, want %q", got, want)
	}
	for _, s := range []string{"", "white", "RED", "amber+strict"} {
		if got, err := stix.ParsePAP(s); err == nil || got != stix.PAPRed {
			t.Errorf("ParsePAP(%q) %s, %v; want red and an error", s, got, err)
		}
	}
}
