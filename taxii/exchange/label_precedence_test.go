package exchange

import (
	"testing"

	"comity/stix"
)

// The precedence of §2.5 by itself, in the words of the rule. It is seen from
// inside: nothing else shows one rule without all others.
func TestPrecedence(t *testing.T) {
	label := func(tlp stix.TLP) strictness { return strictness{tlp: rankOf(tlp)} }
	level := func(pap stix.PAP) strictness {
		return strictness{pap: rankOf(pap), use: true, barred: barredUnderPAP(pap)}
	}
	// A flow that gives what is unmarked AMBER+STRICT and forbids to notify
	// under it, from GREEN up to RED.
	flow := rules{unmarked: rankOf(stix.AmberStrict), floor: rankOf(stix.Green), ceiling: rankOf(stix.Red), papMax: rankOf(stix.PAPRed), barred: Notify}
	reject, marked, low := flow, flow, flow
	reject.unmarked = none
	marked.required = true
	low.ceiling, low.papMax = rankOf(stix.Amber), rankOf(stix.PAPGreen)

	tests := []struct {
		name    string
		rules   rules
		e       evidence
		tlp     stix.TLP
		barred  Actions
		refused string
	}{
		{"own", flow, evidence{own: label(stix.Amber)}, stix.Amber, Notify, ""},
		{"own, and of use too", flow, evidence{own: label(stix.Amber).and(level(stix.PAPAmber))}, stix.Amber, Block | Notify, ""},
		{"own beats what is looser beside it", flow, evidence{own: label(stix.Amber), inherited: label(stix.Red)}, stix.Amber, Notify, ""},
		{"own beats the default, if looser", flow, evidence{own: label(stix.Green).and(level(stix.PAPGreen))}, stix.Green, 0, ""},

		{"granular tightens", flow, evidence{own: label(stix.Green), granular: label(stix.Red)}, stix.Red, Notify, ""},
		{"granular does not loosen", flow, evidence{own: label(stix.Amber), granular: label(stix.Green)}, stix.Amber, Notify, ""},
		{"granular is no marking of the whole", flow, evidence{granular: label(stix.Green).and(level(stix.PAPClear))}, stix.AmberStrict, Notify, ""},
		{"granular PAP bars for the whole", flow, evidence{own: label(stix.Green), granular: level(stix.PAPRed)}, stix.Green, Lookup | Block | Notify, ""},

		{"inherited", flow, evidence{inherited: label(stix.Amber)}, stix.Amber, Notify, ""},
		{"inherited of use", flow, evidence{inherited: level(stix.PAPAmber)}, stix.AmberStrict, Block | Notify, ""},
		{"inherited beats the default, if looser", flow, evidence{inherited: label(stix.Green).and(level(stix.PAPClear))}, stix.Green, 0, ""},
		{"own label, inherited use", flow, evidence{own: label(stix.Amber), inherited: label(stix.Red).and(level(stix.PAPRed))}, stix.Amber, Lookup | Block | Notify, ""},
		{"own use, inherited label", flow, evidence{own: level(stix.PAPClear), inherited: label(stix.Amber).and(level(stix.PAPRed))}, stix.Amber, 0, ""},

		{"unmarked", flow, evidence{}, stix.AmberStrict, Notify, ""},
		{"unmarked, refused", reject, evidence{}, stix.Green, Notify, "unmarked"},
		{"unmarked, where a marking is required", marked, evidence{}, stix.Green, Notify, "require"},
		{"inherited, where one is required", marked, evidence{inherited: label(stix.Amber)}, stix.Amber, Notify, ""},

		{"floor", flow, evidence{own: label(stix.Clear)}, stix.Green, Notify, ""},
		{"definitions carry the floor", reject, evidence{meta: true}, stix.Green, 0, ""},
		{"definitions have markings too", reject, evidence{meta: true, own: label(stix.Red).and(level(stix.PAPAmber))}, stix.Red, Block | Notify, ""},
		{"definitions inherit nothing", reject, evidence{meta: true, inherited: label(stix.Red).and(level(stix.PAPRed))}, stix.Green, 0, ""},

		{"referenced", flow, evidence{own: label(stix.Green), referenced: label(stix.Amber)}, stix.Amber, Notify, ""},
		{"referenced does not loosen", flow, evidence{own: label(stix.Amber), referenced: label(stix.Green)}, stix.Amber, Notify, ""},
		{"referenced bars what its own marking allows", flow, evidence{own: label(stix.Green).and(level(stix.PAPClear)), referenced: strictness{barred: Block}}, stix.Green, Block, ""},
		{"referenced raises definitions too", reject, evidence{meta: true, referenced: label(stix.Red)}, stix.Red, 0, ""},

		{"up to the ceiling", low, evidence{own: label(stix.Amber).and(level(stix.PAPGreen))}, stix.Amber, 0, ""},
		{"above the ceiling", low, evidence{own: label(stix.AmberStrict)}, stix.AmberStrict, Notify, "tlp_max"},
		{"above it by a part", low, evidence{own: label(stix.Green), granular: label(stix.Red)}, stix.Red, Notify, "tlp_max"},
		{"above it by reference", low, evidence{own: label(stix.Green), referenced: label(stix.Red)}, stix.Red, Notify, "tlp_max"},
		{"above pap_max", low, evidence{own: label(stix.Green).and(level(stix.PAPAmber))}, stix.Green, Block | Notify, "pap_max"},
		{"above pap_max by a part", low, evidence{own: label(stix.Green), granular: level(stix.PAPAmber)}, stix.Green, Block | Notify, "pap_max"},
		{"the label is refused first", low, evidence{own: label(stix.Red).and(level(stix.PAPRed))}, stix.Red, Lookup | Block | Notify, "tlp_max"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, refused := tt.rules.decide(tt.e)
			if refused != tt.refused {
				t.Errorf("refused by %q, want %q", refused, tt.refused)
			}
			if s.tlp != rankOf(tt.tlp) || s.barred != tt.barred {
				t.Errorf("%v without %q, want %s without %q", s, s.barred, tt.tlp, tt.barred)
			}
		})
	}
}
