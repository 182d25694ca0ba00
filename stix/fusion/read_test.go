package fusion_test

import (
	"fmt"
	"testing"

	"comity/stix"
	"comity/stix/fusion"
)

// object returns a STIX object of a type, with an id made of a number, and more members.
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

// An indicator without an infrastructure contributes the values that its pattern claims,
// if that is an OR of plain tests. Any other pattern claims no value: its indicator is
// conditional, and not counted.
func TestReadPattern(t *testing.T) {
	for _, test := range []struct {
		pattern string
		values  []string
	}{
		{"[ipv4-addr:value IN ('8.8.0.1','8.8.0.2')] OR [domain-name:value = 'C.example.org.' OR url:value = 'http://b.example.org/']",
			[]string{"8.8.0.1", "8.8.0.2", "c.example.org", "http://b.example.org/"}},
		{"[network-traffic:dst_ref.value = '8.8.0.1' AND network-traffic:dst_port = 443]", []string{"8.8.0.1"}},
		{"[file:hashes.MD5 = '79054025255fb1a26e4bc422aef54eb4' OR ipv4-addr:value = '8.8.0.1']", []string{"8.8.0.1"}},
		{"[ipv4-addr:value = '8.8.0.1' AND ipv4-addr:belongs_to_refs[*].number = 64500]", nil},
		{"[ipv4-addr:value = '8.8.0.1'] AND [domain-name:value = 'c.example.org']", nil},
		{"[ipv4-addr:value = '8.8.0.1'] FOLLOWEDBY [ipv4-addr:value = '8.8.0.2']", nil},
		{"[ipv4-addr:value = '8.8.0.1'] WITHIN 300 SECONDS", nil},
		{"[ipv4-addr:value = '8.8.0.1' OR url:value NOT = 'http://b.example.org/']", nil},
		{"[ipv4-addr:value != '8.8.0.9']", nil},
		{"[ipv4-addr:value ISSUBSET '8.8.0.0/24']", nil},
	} {
		indicator := object(t, "indicator", 1, c2Indicator+fmt.Sprintf("%q", test.pattern))
		all, refused := fusion.Read([]stix.Object{indicator}, source("alder"))
		var values []string
		for i := range all {
			if rules := defaultRules(); rules.Screen(&all[i]) != fusion.Conditional {
				values = append(values, all[i].Value.Text)
			}
			equal(t, "kind and subject", []any{all[i].Kind, all[i].Subject}, []any{fusion.C2, indicator.ID})
		}
		equal(t, test.pattern, values, test.values)
		equal(t, test.pattern+": refused", len(refused), 0)
		if test.values == nil {
			accounts := stateOf(defaultRules(), all).Accounts(centre, fusion.C2)
			equal(t, test.pattern+": not counted", accounts["alder"].NotCounted, map[fusion.Reason]int{fusion.Conditional: 1})
		}
	}
}

// An indicator of malware, or of an infrastructure that is missing, contributes the values
// of its pattern too.
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

// An infrastructure without an indicator contributes its observables. A revoked relationship
// does not count, and a malformed address is refused with its id.
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
	equal(t, "value", all[0].Value, stix.Value{Type: "ipv4-addr", Text: "8.8.0.1"})
	equal(t, "who", []string{all[0].Submitter, all[0].Origin}, []string{"alder", "alder"})
	equal(t, "refused", len(refused) == 1 && refused[0].Object == objects[3].ID, true)
}

// Relationships may refer to objects that came in an earlier push.
func TestReadFindsObjectsOfEarlierPushes(t *testing.T) {
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

// An object with an unknown marking, or with none, counts as RED.
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
	c := statement("alder", "a.example.org", "8.8.0.1")
	equal(t, "a server", fusion.Keys(&c), []fusion.Entity{{Kind: fusion.C2, Key: "a.example.org"}, {Kind: fusion.C2, Key: "8.8.0.1"}})
	c.Kind = fusion.Other
	equal(t, "what is never merged", fusion.Keys(&c), []fusion.Entity{{Kind: fusion.Other, Key: "a.example.org"}})
}
