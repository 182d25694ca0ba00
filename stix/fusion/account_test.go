package fusion_test

import (
	"testing"
	"time"

	"comity/stix"
	"comity/stix/fusion"
)

// An account tells, beside its counts, how many contributions have context, how fresh they
// are, and which other origins gave the same entities.
func TestAccounts(t *testing.T) {
	seen := func(c fusion.Contribution, hours int) fusion.Contribution {
		c.Last = c.Received.Add(-time.Duration(hours) * time.Hour)
		return c
	}
	family := seen(statement("alder", "8.8.0.1"), 1)
	family.Family = "Quietmoth"
	again := seen(statement("alder", "8.8.0.1"), 4) // has the properties that the other lacks
	again.Object, again.KillChain, again.First = "indicator--again", true, time.Time{}
	again.Resolves = []string{"10.0.0.1"} // otherwise it would be a duplicate
	never := statement("alder", "8.8.0.2")
	never.KillChain, never.First, never.Last = true, time.Time{}, time.Time{}
	other := seen(statement("birch", "8.8.0.1"), 2)
	red := seen(statement("cedar", "8.8.0.1"), 100)
	red.Label = stix.Red
	state := stateOf(defaultRules(), []fusion.Contribution{family, again, never, other, red, relay("birch", never)})

	of := func(a *fusion.Account) []any { return []any{a.Given, a.Context, a.Fresh, a.Overlap, a.Relayed} }
	all := state.Accounts(0, fusion.C2)
	equal(t, "alder", of(all["alder"]), []any{2, 1, 150 * time.Minute, map[string]int{"birch": 1, "cedar": 1}, 0})
	equal(t, "birch", of(all["birch"]), []any{1, 0, 2 * time.Hour, map[string]int{"alder": 1, "cedar": 1}, 1})
	equal(t, "cedar", of(all["cedar"]), []any{1, 0, 100 * time.Hour, map[string]int{"alder": 1, "birch": 1}, 0})
	seenByOthers := state.Accounts(1, fusion.C2)
	equal(t, "without the RED one", of(seenByOthers["birch"]), []any{1, 0, 2 * time.Hour, map[string]int{"alder": 1}, 1})
	equal(t, "nobody else", len(seenByOthers), 2)
	equal(t, "no websites", len(state.Accounts(0, fusion.Website)), 0)
}

// A finding is strict if all its sources are strict, and mixed if only some are.
func TestStrictAndMixed(t *testing.T) {
	labelled := func(vendor string, label stix.TLP) fusion.Contribution {
		c := statement(vendor, "8.8.0.1")
		c.Label = label
		return c
	}
	for _, test := range []struct {
		labels        [2]stix.TLP
		strict, mixed bool
	}{
		{[2]stix.TLP{stix.Clear, stix.Amber}, false, false},
		{[2]stix.TLP{stix.Amber, stix.AmberStrict}, false, true},
		{[2]stix.TLP{stix.Red, stix.Green}, false, true},
		{[2]stix.TLP{stix.AmberStrict, stix.Red}, true, false},
	} {
		findings, _ := fusion.Fuse(defaultRules(), []fusion.Contribution{labelled("alder", test.labels[0]), labelled("birch", test.labels[1])})
		equal(t, test.labels[0].String()+", "+test.labels[1].String(), []bool{findings[0].Strict, findings[0].Mixed}, []bool{test.strict, test.mixed})
	}
}
