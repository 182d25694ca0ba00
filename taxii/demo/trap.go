package demo

import (
	"encoding/json"
	"fmt"
	"strings"

	"comity/stix"
)

// Trap is a push in which something has to be refused while the rest succeeds.
type Trap struct {
	Name    string
	Vendor  string
	Objects []json.RawMessage // of the push, not all of them STIX
	Refused []string          // ids of what is refused, "" for the push as a whole
	Why     Refusal
	Article string // of the vendor's own agreement, "" where only the standard forbids it
	Rule    string // of stix/validate, "" where only the agreement forbids it
}

// Refusal is the reason of one.
type Refusal string

// The refusals.
const (
	Malformed     Refusal = "malformed"
	OverQuota     Refusal = "quota"
	Unmarked      Refusal = "unmarked"
	PersonalData  Refusal = "personal-data"
	UnknownLabel  Refusal = "unknown-marking"
	ForgedMarking Refusal = "forged-marking"
)

// Traps are the ten pushes of the last row of SCENARIO 5.2. quota is how many
// objects the agreements let a push have: the second trap has one more.
//
// An unknown marking is to be read as RED. It is refused where the ceiling is
// lower, under article 4; the flow in of op-asean-demo takes RED, so there the
// object is held back as RED instead.
func (s *Scenario) Traps(quota int) []Trap {
	traps := malformedTraps()
	good, _ := trapRecord("over-quota")
	over := Trap{Name: "over quota", Vendor: trapVendor, Refused: []string{""}, Why: OverQuota, Article: "11"}
	over.Objects = raws(good)
	for n := 0; len(over.Objects) <= quota; n++ {
		over.Objects = append(over.Objects, observable("domain-name", fmt.Sprintf("quota-%d.example", n), false).encode())
	}
	traps = append(traps, over)

	traps = append(traps, markingTrap("unmarked", Unmarked, func(o *object) { o.Markings = nil }))

	mail := observable("email-addr", "desk@trap.example", false)
	with := Trap{Name: "email address", Vendor: trapVendor, Refused: []string{string(mail.ID)}, Why: PersonalData, Article: "7"}
	good, _ = trapRecord("email")
	with.Objects = append(raws(good), mail.encode())
	traps = append(traps, with)

	unknown := makerOf(trapVendor).id("marking-definition", "nobody knows")
	traps = append(traps, markingTrap("unknown marking", UnknownLabel, func(o *object) { o.Markings = []stix.ID{unknown} }))
	return append(traps, forgedTrap())
}

const trapVendor = "alder"

// trapRecord is a harmless record to go with what is refused, and the maker of
// both.
func trapRecord(name string) ([]stix.Object, maker) {
	value := name + ".trap.example"
	r := Record{Kind: Match, Vendor: trapVendor, Origin: trapVendor, Value: value, Key: value, Label: stix.Amber, Time: Start}
	return r.Objects(), makerOf(trapVendor)
}

func raws(objects []stix.Object) (raw []json.RawMessage) {
	for i := range objects {
		raw = append(raw, objects[i].Raw)
	}
	return raw
}

// malformedTraps break five rules of the standard.
func malformedTraps() (traps []Trap) {
	for _, bad := range []struct{ name, rule, from, to string }{
		{"no pattern", "R-006", `"pattern":"[domain-name:value = 'X']",`, ``},
		{"broken pattern", "R-150", `'X']`, `'X'`},
		{"bad time", "R-032", `"modified":"2017-03-20T`, `"modified":"2017-03-32T`},
		{"ends before it begins", "R-102", `"valid_until":"2017-06-18T`, `"valid_until":"2017-01-18T`},
		{"number for a name", "R-007", `"name":"Suspicious host X"`, `"name":42`},
	} {
		name := strings.ReplaceAll(bad.name, " ", "-")
		objects, _ := trapRecord(name)
		indicator := &objects[len(objects)-1]
		spell := strings.NewReplacer("X", name+".trap.example")
		t := Trap{Name: bad.name, Vendor: trapVendor, Refused: []string{string(indicator.ID)}, Why: Malformed, Rule: bad.rule}
		t.Objects = raws(objects)
		broken := strings.Replace(string(indicator.Raw), spell.Replace(bad.from), spell.Replace(bad.to), 1)
		t.Objects[len(objects)-1] = json.RawMessage(broken)
		traps = append(traps, t)
	}
	return traps
}

// markingTrap is a push with one more object whose marking is at fault.
func markingTrap(name string, why Refusal, spoil func(*object)) Trap {
	objects, m := trapRecord(strings.ReplaceAll(name, " ", "-"))
	o := m.make(object{Type: "grouping", Name: name, Context: "suspicious-activity", Refs: []stix.ID{objects[len(objects)-1].ID}}, name, Start, stix.Amber)
	spoil(&o)
	return Trap{
		Name: name, Vendor: trapVendor, Objects: append(raws(objects), o.encode()),
		Refused: []string{string(o.ID)}, Why: why, Article: "4",
	}
}

// forgedTrap claims that a marking of the vendor's own is TLP:CLEAR.
func forgedTrap() Trap {
	objects, m := trapRecord("forged")
	id := m.id("marking-definition", "forged")
	forged := fmt.Sprintf(`{"type":"marking-definition","spec_version":"2.1","id":%q,"created_by_ref":%q,"created":%q,"name":"TLP:CLEAR","extensions":`+
		`{"extension-definition--60a3c5c5-0d10-413e-aab3-9e08dde9e88d":{"extension_type":"property-extension","tlp_2_0":"clear"}}}`,
		id, m.identity, stamp(Start))
	return Trap{
		Name: "forged marking", Vendor: trapVendor, Objects: append(raws(objects), json.RawMessage(forged)),
		Refused: []string{string(id)}, Why: ForgedMarking, Article: "4", Rule: "R-085",
	}
}
