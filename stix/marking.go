package stix

import (
	"slices"

	"comity/stix/rawjson"
)

// tlpMarkings are the marking definitions of TLP 1.0 (STIX 2.1 §7.2.1.4) and
// TLP 2.0 (OASIS common objects), by the ids that everybody uses.
var tlpMarkings = map[ID]TLP{
	"marking-definition--613f2e26-407d-48c7-9eca-b8e91df99dc9": Clear, // TLP 1.0 WHITE
	"marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da": Green,
	"marking-definition--f88d31f6-486f-44da-b317-01333bde0b82": Amber,
	"marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed": Red,
	"marking-definition--94868c89-83c2-464b-929b-a1a8aa3c8487": Clear, // TLP 2.0
	"marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb": Green,
	"marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421": Amber,
	"marking-definition--939a9414-2ddd-4d32-a0cd-375ea402b003": AmberStrict,
	"marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1": Red,
}

// papMarkings are the marking definitions of the Permissible Actions Protocol.
// They say what may be done, not who may see.
var papMarkings = map[ID]bool{
	"marking-definition--ad15a0cd-55b6-4588-a14c-a66105329b92": true, // CLEAR
	"marking-definition--a3bea94c-b469-41dc-9cfe-d6e7daba7730": true, // WHITE
	"marking-definition--c43594d1-4b11-4c59-93ab-1c9b14d53ce9": true,
	"marking-definition--60f8932b-e51e-4458-b265-a2e8be9a80ab": true,
	"marking-definition--740d36e5-7714-4c30-961a-3ae632ceee0e": true,
}

// tlpExtension is the extension definition that TLP 2.0 markings ride in.
const tlpExtension = "extension-definition--60a3c5c5-0d10-413e-aab3-9e08dde9e88d"

// MarkingTLP is the label that the marking definition named id stands for.
func MarkingTLP(id ID) (label TLP, ok bool) {
	label, ok = tlpMarkings[id]
	return label, ok
}

// IsPAP tells whether id names a marking of the Permissible Actions Protocol.
func IsPAP(id ID) bool { return papMarkings[id] }

// ForgedTLP tells whether o is a marking definition that claims a TLP level it
// is not: TLP content under an id of its own, or the id of a TLP marking with
// another level or none. Such a definition must never be trusted.
func (o *Object) ForgedTLP() bool {
	if o.Type != "marking-definition" {
		return false
	}
	claims, levels := o.claimedTLP()
	label, known := tlpMarkings[o.ID]
	if !known {
		return claims
	}
	word := tlpWord(label, o.ID)
	return len(levels) == 0 || slices.ContainsFunc(levels, func(level string) bool { return level != word })
}

// claimedTLP tells whether a marking definition claims to be one of TLP 1.0 or
// 2.0, and every level it gives in its content.
func (o *Object) claimedTLP() (claims bool, levels []string) {
	for m := rawjson.MembersOf(o.Raw); m.Next(); {
		switch string(m.Name) {
		case "definition_type":
			s, _ := text(m.Value)
			claims = claims || s == "tlp"
		case "definition":
			if s, ok := text(rawjson.Member(m.Value, "tlp")); ok {
				claims, levels = true, append(levels, s)
			}
		case "extensions":
			for e := rawjson.MembersOf(m.Value); e.Next(); {
				if string(e.Name) == tlpExtension {
					s, _ := text(rawjson.Member(e.Value, "tlp_2_0"))
					claims, levels = true, append(levels, s)
				}
			}
		}
	}
	return claims, levels
}

// tlpWord is how the definition named id spells its level: TLP 1.0 says
// "white" where TLP 2.0 says "clear".
func tlpWord(label TLP, id ID) string {
	if id == "marking-definition--613f2e26-407d-48c7-9eca-b8e91df99dc9" {
		return "white"
	}
	return label.String()
}
