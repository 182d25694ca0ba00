package exchange

import (
	"testing"

	"comity/stix"
)

// Each row tests one rule of precedence without the others, which only a test inside the
// package can.
func TestPrecedence(t *testing.T) {
	label := func(tlp stix.TLP) strictness { return strictness{tlp: rankOf(tlp)} }
	level := func(pap stix.PAP) strictness {
		return strictness{pap: rankOf(pap), limitsUse: true, barred: barredUnderPAP(pap)}
	}
	// The flow takes GREEN to RED. It labels unmarked objects AMBER+STRICT and bars
	// notifying for objects without a PAP or IEP marking.
	flow := rules{unmarked: rankOf(stix.AmberStrict), floor: rankOf(stix.Green), ceiling: rankOf(stix.Red), papMax: rankOf(stix.PAPRed), barred: Notify}
	reject, marked, low := flow, flow, flow
	reject.unmarked = none
	marked.required = true
	low.ceiling, low.papMax = rankOf(stix.Amber), rankOf(stix.PAPGreen)

	tests := []struct {
		name    string
		rules   rules
		inputs  labelInputs
		tlp     stix.TLP
		barred  Actions
		refused string
	}{
		{"own", flow, labelInputs{own: label(stix.Amber)}, stix.Amber, Notify, ""},
		{"own, and of use too", flow, labelInputs{own: label(stix.Amber).combine(level(stix.PAPAmber))}, stix.Amber, Block | Notify, ""},
		{"own beats what is looser beside it", flow, labelInputs{own: label(stix.Amber), inherited: label(stix.Red)}, stix.Amber, Notify, ""},
		{"own beats the default, if looser", flow, labelInputs{own: label(stix.Green).combine(level(stix.PAPGreen))}, stix.Green, 0, ""},

		{"granular tightens", flow, labelInputs{own: label(stix.Green), granular: label(stix.Red)}, stix.Red, Notify, ""},
		{"granular does not loosen", flow, labelInputs{own: label(stix.Amber), granular: label(stix.Green)}, stix.Amber, Notify, ""},
		{"granular is no marking of the whole", flow, labelInputs{granular: label(stix.Green).combine(level(stix.PAPClear))}, stix.AmberStrict, Notify, ""},
		{"granular PAP bars for the whole", flow, labelInputs{own: label(stix.Green), granular: level(stix.PAPRed)}, stix.Green, Lookup | Block | Notify, ""},

		{"inherited", flow, labelInputs{inherited: label(stix.Amber)}, stix.Amber, Notify, ""},
		{"inherited of use", flow, labelInputs{inherited: level(stix.PAPAmber)}, stix.AmberStrict, Block | Notify, ""},
		{"inherited beats the default, if looser", flow, labelInputs{inherited: label(stix.Green).combine(level(stix.PAPClear))}, stix.Green, 0, ""},
		{"own label, inherited use", flow, labelInputs{own: label(stix.Amber), inherited: label(stix.Red).combine(level(stix.PAPRed))}, stix.Amber, Lookup | Block | Notify, ""},
		{"own use, inherited label", flow, labelInputs{own: level(stix.PAPClear), inherited: label(stix.Amber).combine(level(stix.PAPRed))}, stix.Amber, 0, ""},

		{"unmarked", flow, labelInputs{}, stix.AmberStrict, Notify, ""},
		{"unmarked, refused", reject, labelInputs{}, stix.Green, Notify, "unmarked"},
		{"unmarked, where a marking is required", marked, labelInputs{}, stix.Green, Notify, "require"},
		{"inherited, where one is required", marked, labelInputs{inherited: label(stix.Amber)}, stix.Amber, Notify, ""},

		{"floor", flow, labelInputs{own: label(stix.Clear)}, stix.Green, Notify, ""},
		{"definitions carry the floor", reject, labelInputs{meta: true}, stix.Green, 0, ""},
		{"definitions have markings too", reject, labelInputs{meta: true, own: label(stix.Red).combine(level(stix.PAPAmber))}, stix.Red, Block | Notify, ""},
		{"definitions inherit nothing", reject, labelInputs{meta: true, inherited: label(stix.Red).combine(level(stix.PAPRed))}, stix.Green, 0, ""},

		{"referenced", flow, labelInputs{own: label(stix.Green), referenced: label(stix.Amber)}, stix.Amber, Notify, ""},
		{"referenced does not loosen", flow, labelInputs{own: label(stix.Amber), referenced: label(stix.Green)}, stix.Amber, Notify, ""},
		{"referenced bars what its own marking allows", flow, labelInputs{own: label(stix.Green).combine(level(stix.PAPClear)), referenced: strictness{barred: Block}}, stix.Green, Block, ""},
		{"referenced raises definitions too", reject, labelInputs{meta: true, referenced: label(stix.Red)}, stix.Red, 0, ""},

		{"up to the ceiling", low, labelInputs{own: label(stix.Amber).combine(level(stix.PAPGreen))}, stix.Amber, 0, ""},
		{"above the ceiling", low, labelInputs{own: label(stix.AmberStrict)}, stix.AmberStrict, Notify, "tlp_max"},
		{"above it by a part", low, labelInputs{own: label(stix.Green), granular: label(stix.Red)}, stix.Red, Notify, "tlp_max"},
		{"above it by reference", low, labelInputs{own: label(stix.Green), referenced: label(stix.Red)}, stix.Red, Notify, "tlp_max"},
		{"above pap_max", low, labelInputs{own: label(stix.Green).combine(level(stix.PAPAmber))}, stix.Green, Block | Notify, "pap_max"},
		{"above pap_max by a part", low, labelInputs{own: label(stix.Green), granular: level(stix.PAPAmber)}, stix.Green, Block | Notify, "pap_max"},
		{"the label is refused first", low, labelInputs{own: label(stix.Red).combine(level(stix.PAPRed))}, stix.Red, Lookup | Block | Notify, "tlp_max"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, refused := tt.rules.decide(tt.inputs)
			if refused != tt.refused {
				t.Errorf("refused by %q, want %q", refused, tt.refused)
			}
			if s.tlp != rankOf(tt.tlp) || s.barred != tt.barred {
				t.Errorf("%v without %q, want %s without %q", s, s.barred, tt.tlp, tt.barred)
			}
		})
	}
}
