package fusion_test

import (
	"fmt"
	"testing"

	"comity/stix"
	"comity/stix/fusion"
)

// object is a STIX object of a type with a number for its id and a rest of
// members.
func object(t testing.TB, typ string, n int, rest string) stix.Object {
	t.Helper()
	raw := fmt.Sprintf(`{"type":%q,"spec_version":"2.1","id":"%s","created":"2017-04-01T12:00:00.000Z","modified":"2017-04-01T12:00:00.000Z",`+
		`"object_marking_refs":["%s"]%s}`, typ, name(typ, n), stix.Amber.Marking(), rest)
	o, err := stix.NewObject([]byte(raw))
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func name(typ string, n int) string {
	return fmt.Sprintf("%s--00000000-0000-4000-8000-%012d", typ, n)
}

func relation(t testing.TB, n int, from, kind, to string, more string) stix.Object {
	t.Helper()
	return object(t, "relationship", n, fmt.Sprintf(`,"source_ref":%q,"relationship_type":%q,"target_ref":%q%s`, from, kind, to, more))
}

const c2Indicator = `,"pattern_type":"stix","valid_from":"2017-04-01T12:00:00Z",` +
	`"kill_chain_phases":[{"kill_chain_name":"lockheed-martin-cyber-kill-chain","phase_name":"command-and-control"}],"pattern":`

// An indicator alone speaks through its pattern: what is asked for, not what is
// excluded.
func TestReadPattern(t *testing.T) {
	indicator := object(t, "indicator", 1, c2Indicator+`"[ipv4-addr:value IN ('8.8.0.1','8.8.0.2') AND ipv4-addr:value != '8.8.0.9'] OR [url:value NOT = 'http://b.example.org/'] OR [domain-name:value = 'C.example.org.']"`)
	all, refused := fusion.Read([]stix.Object{indicator}, source("alder"))
	var got []string
	for _, c := range all {
		got = append(got, string(c.Kind)+" "+c.Value.Text)
	}
	equal(t, "values", got, []string{"c2 8.8.0.1", "c2 8.8.0.2", "c2 c.example.org"})
	equal(t, "refused", len(refused), 0)
	equal(t, "read from", all[0].Subject, indicator.ID)
}

// An indicator of malware speaks through its pattern too, and so does one of
// infrastructure that is not there.
func TestReadIndicatorOfMalware(t *testing.T) {
	indicator := object(t, "indicator", 1, c2Indicator+`"[ipv4-addr:value = '8.8.0.1']"`)
	all, _ := fusion.Read([]stix.Object{
		indicator, object(t, "malware", 2, `,"name":"Quietmoth","is_family":true`),
		relation(t, 3, string(indicator.ID), "indicates", name("malware", 2), ""),
		relation(t, 4, string(indicator.ID), "indicates", name("infrastructure", 5), ""),
	}, source("alder"))
	equal(t, "contributions", len(all), 1)
	equal(t, "family", all[0].Family, "Quietmoth")
}

// An infrastructure without an indicator speaks for itself; a relationship that
// is revoked says nothing, and what is no address is refused with its id.
func TestReadInfrastructure(t *testing.T) {
	infra := object(t, "infrastructure", 1, `,"name":"x","infrastructure_types":["command-and-control"]`)
	objects := []stix.Object{
		infra, object(t, "ipv4-addr", 2, `,"value":"8.8.0.1"`), object(t, "ipv4-addr", 3, `,"value":"8.8.0.2"`), object(t, "ipv4-addr", 4, `,"value":"8.8.0"`),
		relation(t, 5, string(infra.ID), "consists-of", name("ipv4-addr", 2), ""),
		relation(t, 6, string(infra.ID), "consists-of", name("ipv4-addr", 3), `,"revoked":true`),
		relation(t, 7, string(infra.ID), "consists-of", name("ipv4-addr", 4), ""),
	}
	all, refused := fusion.Read(objects, source("alder"))
	equal(t, "contributions", len(all), 1)
	equal(t, "value", all[0].Value, fusion.Value{Type: "ipv4-addr", Text: "8.8.0.1"})
	equal(t, "who", []string{all[0].Submitter, all[0].Origin}, []string{"alder", "alder"})
	equal(t, "refused", len(refused) == 1 && refused[0].Object == objects[3].ID, true)
}

// What relationships join may have come before.
func TestReadFindsWhatCameBefore(t *testing.T) {
	before := map[stix.ID]stix.Object{}
	for _, o := range []stix.Object{
		object(t, "infrastructure", 1, `,"name":"x","infrastructure_types":["command-and-control"]`),
		object(t, "ipv4-addr", 2, `,"value":"8.8.0.1"`),
	} {
		before[o.ID] = o
	}
	from := source("alder")
	from.Find = func(id stix.ID) (stix.Object, bool) { o, ok := before[id]; return o, ok }
	indicator := object(t, "indicator", 3, c2Indicator+`"[ipv4-addr:value = '8.8.0.1']"`)
	all, _ := fusion.Read([]stix.Object{
		indicator,
		relation(t, 4, string(indicator.ID), "indicates", name("infrastructure", 1), ""),
		relation(t, 5, name("infrastructure", 1), "consists-of", name("ipv4-addr", 2), ""),
	}, from)
	equal(t, "contributions", len(all), 1)
	equal(t, "carried by", all[0].Object, indicator.ID)
	equal(t, "read from", all[0].Subject, stix.ID(name("infrastructure", 1)))
}

// A label that nobody knows is RED, and so is none at all.
func TestReadLabel(t *testing.T) {
	for _, mark := range []string{`,"object_marking_refs":["` + name("marking-definition", 9) + `"]`, ""} {
		raw := `{"type":"indicator","spec_version":"2.1","id":"` + name("indicator", 1) + `"` + mark + c2Indicator + `"[ipv4-addr:value = '8.8.0.1']"}`
		o, err := stix.NewObject([]byte(raw))
		if err != nil {
			t.Fatal(err)
		}
		all, _ := fusion.Read([]stix.Object{o}, source("alder"))
		equal(t, "label", all[0].Label, stix.Red)
	}
}

func TestKeys(t *testing.T) {
	c := says("alder", "a.example.org", "8.8.0.1")
	equal(t, "a server", fusion.Keys(&c), []fusion.Entity{{Kind: fusion.C2, Key: "a.example.org"}, {Kind: fusion.C2, Key: "8.8.0.1"}})
	c.Kind = fusion.Other
	equal(t, "what is never merged", fusion.Keys(&c), []fusion.Entity{{Kind: fusion.Other, Key: "a.example.org"}})
}
