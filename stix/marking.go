package stix

import (
	"slices"

	"comity/stix/rawjson"
)

// tlpMarkings are the marking definitions of TLP 1.0 (STIX 2.1 §7.2.1.4) and
// TLP 2.0 (OASIS common objects), by their published ids.
var tlpMarkings = map[ID]TLP{
	tlpWhite: Clear, // TLP 1.0
	"marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da": Green,
	"marking-definition--f88d31f6-486f-44da-b317-01333bde0b82": Amber,
	"marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed": Red,
	"marking-definition--94868c89-83c2-464b-929b-a1a8aa3c8487": Clear, // TLP 2.0
	"marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb": Green,
	"marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421": Amber,
	"marking-definition--939a9414-2ddd-4d32-a0cd-375ea402b003": AmberStrict,
	"marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1": Red,
}

// papMarkings are those of the Permissible Actions Protocol (OASIS common
// objects).
var papMarkings = map[ID]PAP{
	papWhite: PAPClear,
	"marking-definition--ad15a0cd-55b6-4588-a14c-a66105329b92": PAPClear,
	"marking-definition--c43594d1-4b11-4c59-93ab-1c9b14d53ce9": PAPGreen,
	"marking-definition--60f8932b-e51e-4458-b265-a2e8be9a80ab": PAPAmber,
	"marking-definition--740d36e5-7714-4c30-961a-3ae632ceee0e": PAPRed,
}

// The definitions that say "white" where newer ones say "clear".
const (
	tlpWhite = "marking-definition--613f2e26-407d-48c7-9eca-b8e91df99dc9"
	papWhite = "marking-definition--a3bea94c-b469-41dc-9cfe-d6e7daba7730"
)

// The extension definitions that markings use.
const (
	tlpExtension = "extension-definition--60a3c5c5-0d10-413e-aab3-9e08dde9e88d" // TLP 2.0
	papExtension = "extension-definition--f8d78575-edfd-406e-8e84-6162a8450f5b"
	iepExtension = "extension-definition--762e2e97-ee51-43e5-a9ea-165fbb862c4a" // IEP 2.0
	acsExtension = "extension-definition--3a65884d-005a-4290-8335-cb2d778a83ce" // ACS 3.0
)

// MarkingTLP is the label that the marking definition named id stands for.
func MarkingTLP(id ID) (label TLP, ok bool) {
	label, ok = tlpMarkings[id]
	return label, ok
}

// MarkingPAP is the level that the marking definition named id stands for.
func MarkingPAP(id ID) (level PAP, ok bool) {
	level, ok = papMarkings[id]
	return level, ok
}

// Forged tells whether o is a marking definition that claims a level of TLP or
// PAP falsely: it has such content under another id, or the id of a standard definition
// with another level or none. Such a definition must never be trusted.
func (o *Object) Forged() bool {
	if o.Type != "marking-definition" {
		return false
	}
	tlp, pap := o.claims()
	return tlp.forged(tlpWord(o.ID)) || pap.forged(papWord(o.ID))
}

// claim is the claim of a marking definition to be one of a protocol, with every level
// that it states.
type claim struct {
	made   bool
	levels []string
}

// forged compares the claim with the word for the level in the definition of that id, ""
// if the protocol has no such id.
func (c claim) forged(word string) bool {
	if word == "" {
		return c.made
	}
	return len(c.levels) == 0 || slices.ContainsFunc(c.levels, func(level string) bool { return level != word })
}

// claims are the claims of a marking definition to be one of TLP 1.0 or 2.0, and of PAP.
func (o *Object) claims() (tlp, pap claim) {
	for m := rawjson.MembersOf(o.Raw); m.Next(); {
		switch string(m.Name) {
		case "definition_type":
			s, _ := text(m.Value)
			tlp.made = tlp.made || s == "tlp"
		case "definition":
			if s, ok := text(rawjson.Member(m.Value, "tlp")); ok {
				tlp = claim{true, append(tlp.levels, s)}
			}
		case "extensions":
			for e := rawjson.MembersOf(m.Value); e.Next(); {
				switch string(e.Name) {
				case tlpExtension:
					s, _ := text(rawjson.Member(e.Value, "tlp_2_0"))
					tlp = claim{true, append(tlp.levels, s)}
				case papExtension:
					s, _ := text(rawjson.Member(e.Value, "pap"))
					pap = claim{true, append(pap.levels, s)}
				}
			}
		}
	}
	return tlp, pap
}

func tlpWord(id ID) string {
	label, known := tlpMarkings[id]
	switch {
	case !known:
		return ""
	case id == tlpWhite:
		return "white"
	}
	return label.String()
}

func papWord(id ID) string {
	level, known := papMarkings[id]
	switch {
	case !known:
		return ""
	case id == papWhite:
		return "white"
	}
	return level.String()
}
