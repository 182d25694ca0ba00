package stix_test

import (
	"testing"

	"comity/stix"
)

func TestMarkingsHaveTheStandardIDs(t *testing.T) {
	for uuid, want := range map[string]stix.TLP{
		"613f2e26-407d-48c7-9eca-b8e91df99dc9": stix.Clear, // TLP 1.0 WHITE
		"34098fce-860f-48ae-8e50-ebd3cc5e41da": stix.Green,
		"f88d31f6-486f-44da-b317-01333bde0b82": stix.Amber,
		"5e57c739-391a-4eb3-b6be-7d15ca92d5ed": stix.Red,
		"94868c89-83c2-464b-929b-a1a8aa3c8487": stix.Clear, // TLP 2.0
		"bab4a63c-aed9-4cf5-a766-dfca5abac2bb": stix.Green,
		"55d920b0-5e8b-4f79-9ee9-91f868d9b421": stix.Amber,
		"939a9414-2ddd-4d32-a0cd-375ea402b003": stix.AmberStrict,
		"e828b379-4e03-4974-9ac4-e53a884c97c1": stix.Red,
	} {
		id := stix.ID("marking-definition--" + uuid)
		if got, ok := stix.MarkingTLP(id); !ok || got != want {
			t.Errorf("%s is %s (%t), want %s", id, got, ok, want)
		}
		if _, ok := stix.MarkingPAP(id); ok {
			t.Errorf("%s is taken for PAP", id)
		}
	}
	for uuid, want := range map[string]stix.PAP{
		"a3bea94c-b469-41dc-9cfe-d6e7daba7730": stix.PAPClear, // WHITE
		"ad15a0cd-55b6-4588-a14c-a66105329b92": stix.PAPClear,
		"c43594d1-4b11-4c59-93ab-1c9b14d53ce9": stix.PAPGreen,
		"60f8932b-e51e-4458-b265-a2e8be9a80ab": stix.PAPAmber,
		"740d36e5-7714-4c30-961a-3ae632ceee0e": stix.PAPRed,
	} {
		id := stix.ID("marking-definition--" + uuid)
		if got, ok := stix.MarkingPAP(id); !ok || got != want {
			t.Errorf("%s is PAP %s (%t), want %s", id, got, ok, want)
		}
		if got, ok := stix.MarkingTLP(id); ok {
			t.Errorf("%s is %s, want no TLP", id, got)
		}
	}
	for _, id := range []stix.ID{"", "marking-definition--" + uuidA, "statement--34098fce-860f-48ae-8e50-ebd3cc5e41da"} {
		_, tlp := stix.MarkingTLP(id)
		if _, pap := stix.MarkingPAP(id); tlp || pap {
			t.Errorf("%q is TLP (%t) or PAP (%t), want neither", id, tlp, pap)
		}
	}
}

func TestForgedFindsTLPAndPAPContentUnderAWrongID(t *testing.T) {
	const (
		own    = "marking-definition--" + uuidA
		white1 = "marking-definition--613f2e26-407d-48c7-9eca-b8e91df99dc9"
		amber1 = "marking-definition--f88d31f6-486f-44da-b317-01333bde0b82"
		clear2 = "marking-definition--94868c89-83c2-464b-929b-a1a8aa3c8487"
		strict = "marking-definition--939a9414-2ddd-4d32-a0cd-375ea402b003"
	)
	tlp1 := func(level string) string { return `"definition_type":"tlp","definition":{"tlp":"` + level + `"}` }
	tlp2 := func(level string) string {
		return `"extensions":{"extension-definition--60a3c5c5-0d10-413e-aab3-9e08dde9e88d":{"extension_type":"property-extension","tlp_2_0":"` + level + `"}}`
	}
	const (
		papWhite = "marking-definition--a3bea94c-b469-41dc-9cfe-d6e7daba7730"
		papClear = "marking-definition--ad15a0cd-55b6-4588-a14c-a66105329b92"
		papRed   = "marking-definition--740d36e5-7714-4c30-961a-3ae632ceee0e"
	)
	pap := func(level string) string {
		return `"extensions":{"extension-definition--f8d78575-edfd-406e-8e84-6162a8450f5b":{"extension_type":"property-extension","pap":"` + level + `"}}`
	}
	tests := []struct {
		name, id, content string
		want              bool
	}{
		{"TLP 1.0 white", white1, tlp1("white"), false},
		{"TLP 1.0 green", green1, `"name":"TLP:GREEN",` + tlp1("green"), false},
		{"TLP 1.0 amber", amber1, tlp1("amber"), false},
		{"TLP 2.0 clear", clear2, tlp2("clear"), false},
		{"TLP 2.0 amber+strict", strict, tlp2("amber+strict"), false},
		{"TLP 2.0 red", red2, `"name":"TLP:RED",` + tlp2("red"), false},
		{"a statement", own, `"definition_type":"statement","definition":{"statement":"Copyright"}`, false},
		{"a statement that mentions tlp", own, `"definition_type":"statement","definition":{"statement":"tlp"}`, false},
		{"another extension", own, `"extensions":{"extension-definition--` + uuidB + `":{"tlp_2_0":"red"}}`, false},
		{"nothing at all", own, `"name":"TLP:RED"`, false},

		{"PAP white", papWhite, pap("white"), false},
		{"PAP clear", papClear, pap("clear"), false},
		{"PAP red", papRed, `"name":"PAP:RED",` + pap("red"), false},
		{"an IEP policy", own, `"extensions":{"extension-definition--762e2e97-ee51-43e5-a9ea-165fbb862c4a":{"tlp":"red"}}`, false},

		{"TLP 1.0 under an id of its own", own, tlp1("green"), true},
		{"TLP 2.0 under an id of its own", own, tlp2("green"), true},
		{"TLP by its type alone", own, `"definition_type":"tlp"`, true},
		{"TLP by its type alone, escaped", own, `"definition_type":"\u0074lp"`, true},
		{"TLP by its definition alone", own, `"definition_type":"statement","definition":{"tlp":"green"}`, true},
		{"TLP by its definition alone, escaped", own, `"definition":{"\u0074lp":"green"}`, true},
		{"red calls itself green", red2, tlp2("green"), true},
		{"green calls itself red", green1, tlp1("red"), true},
		{"red says green in the words of TLP 1.0", red2, tlp1("green"), true},
		{"green calls itself nothing", green1, `"name":"TLP:GREEN"`, true},
		{"red is a statement", red2, `"definition_type":"statement","definition":{"statement":"public"}`, true},
		{"a level that is none", red2, tlp2("RED"), true},
		{"a level that is no text", red2, `"extensions":{"extension-definition--60a3c5c5-0d10-413e-aab3-9e08dde9e88d":{"tlp_2_0":1}}`, true},
		{"TLP 1.0 white calls itself clear", white1, tlp1("clear"), true},
		{"two levels, the true one last", green1, tlp1("red") + `,` + tlp2("green"), true},
		{"two levels, the true one first", green1, tlp2("green") + `,` + tlp1("red"), true},
		{"PAP under an id of its own", own, pap("red"), true},
		{"PAP under an id of TLP", green1, tlp1("green") + `,` + pap("green"), true},
		{"TLP under an id of PAP", papRed, pap("red") + `,` + tlp1("red"), true},
		{"PAP red calls itself clear", papRed, pap("clear"), true},
		{"PAP red calls itself nothing", papRed, `"name":"PAP:RED"`, true},
		{"PAP clear calls itself white", papClear, pap("white"), true},
		{"a PAP level that is none", papRed, pap("RED"), true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := object(t, `{"type":"marking-definition","id":"`+tt.id+`","created":"2017-01-20T00:00:00.000Z",`+tt.content+`}`)
			if got := o.Forged(); got != tt.want {
				t.Errorf("forged %t, want %t", got, tt.want)
			}
		})
	}
	o := object(t, `{"type":"indicator","id":"`+indicatorA+`",`+tlp1("red")+`}`)
	if o.Forged() {
		t.Error("an indicator is no marking, whatever it says")
	}
}
