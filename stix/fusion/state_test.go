package fusion_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"comity/stix"
	"comity/stix/fusion"
)

// anyRules draws rules under which random contributions count, are excluded or are held.
func anyRules(t *rapid.T) *fusion.Rules {
	rules := defaultRules()
	rules.Merge = rapid.Bool().Draw(t, "merge")
	rules.Order = []fusion.Basis{fusion.BySource, fusion.ByDomain}
	rules.SiteOrder = []fusion.Basis{fusion.ByOwner, fusion.BySource}
	if rapid.Bool().Draw(t, "in scope only") {
		rules.Countries = []string{"KH", "ID"}
	}
	return rules
}

// After any calls of Put, Drop and Advance, the findings of each audience are the fusion of
// its contributions, and Touched returns the entities whose related contributions changed.
func TestAudiences(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rules := anyRules(t)
		audiences := []int{0, 1, 2}
		state, model := fusion.NewState(rules, len(audiences)), newModel(rules, len(audiences))
		before := map[fusion.Entity]string{}
		submitter := rapid.IntRange(0, 2)
		vendor := []string{"alder", "birch", "cedar"}
		check := func(t *rapid.T) {
			after := model.related(audiences...)
			checkEqual(t, "touched", state.Touched(), changedKeys(before, after))
			before = after
			checkEqual(t, "held", state.Len(), model.count())
			checkAudience(t, state, model, rapid.SampledFrom(audiences).Draw(t, "seen by"))
		}
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				who, subject, audience := submitter.Draw(t, "submitter"), rapid.IntRange(0, 5).Draw(t, "subject"), rapid.IntRange(0, 2).Draw(t, "audience")
				var of []fusion.Contribution
				for range rapid.IntRange(0, 4).Draw(t, "contributions") {
					of = appendNew(of, derivedContribution(who, rapid.IntRange(0, 5).Draw(t, "object"), subject, rapid.IntRange(0, 2).Draw(t, "version")))
				}
				u := unit{vendor[who], stix.ID(name("infrastructure", subject))}
				state.Put(u.submitter, u.subject, audience, of)
				if model.put[audience][u] = of; of == nil {
					delete(model.put[audience], u)
				}
				check(t)
			},
			"drop": func(t *rapid.T) {
				who := vendor[submitter.Draw(t, "submitter")]
				state.Drop(who)
				model.drop(who)
				check(t)
			},
			"advance": func(t *rapid.T) {
				at := noon.AddDate(0, 0, rapid.IntRange(0, 7).Draw(t, "days"))
				state.Advance(at)
				model.rules.At = at
				check(t)
			},
		})
	})
}

// A State returns contributions as they were put, with times to the microsecond.
func TestHeldAsGiven(t *testing.T) {
	text := rapid.OneOf(rapid.SampledFrom([]string{"", "alder", "8.8.0.1", "a.example.org", "http://[::1]/", strings.Repeat("long/", 20_000), "\xff\x00"}), rapid.String())
	uuids := rapid.SampledFrom([]string{
		"indicator--00000000-0000-4000-8000-0000000000ab", "indicator--00000000-0000-4000-8000-0000000000AB", "x--00000000-0000-4000-8000-0000000000ab",
		"--00000000-0000-4000-8000-0000000000ab", "indicator--00000000-0000-4000-8000-0000000000a", "indicator--00000000-0000-0000-0000-000000000000",
		"indicator--{00000000-0000-4000-8000-0000000000ab}", "indicator--000000000000400080000000000000ab", "a--b--00000000-0000-4000-8000-0000000000ab",
	})
	id := rapid.Custom(func(t *rapid.T) stix.ID { return stix.ID(rapid.OneOf(uuids, text).Draw(t, "id")) })
	moment := rapid.Custom(func(t *rapid.T) time.Time {
		if rapid.IntRange(0, 3).Draw(t, "none") == 0 {
			return time.Time{}
		}
		seconds := rapid.OneOf(rapid.Int64Range(noon.Unix(), noon.Unix()+100), rapid.Int64Range(-62_167_219_200, 253_402_300_799)).Draw(t, "seconds")
		return time.Unix(seconds, rapid.SampledFrom([]int64{0, 1000, 1_000_000, 999_999_000}).Draw(t, "fraction")).UTC()
	})
	given := rapid.Custom(func(t *rapid.T) (c fusion.Contribution) {
		c.Ref = fusion.Ref{Submitter: text.Draw(t, "submitter"), Object: id.Draw(t, "object"), Version: moment.Draw(t, "version")}
		c.Subject, c.Origin, c.Kind = id.Draw(t, "subject"), text.Draw(t, "origin"), fusion.Kind(text.Draw(t, "kind"))
		c.Value = stix.Value{Type: text.Draw(t, "type"), Text: text.Draw(t, "value")}
		addresses := rapid.SampledFrom([]string{"8.8.0.1", "8.8.0.2", "2001:4860::8"})
		c.Resolves = rapid.SliceOfNDistinct(addresses, 0, 3, rapid.ID).Draw(t, "resolves")
		c.Label = stix.TLP(rapid.IntRange(0, 4).Draw(t, "label"))
		for _, at := range []*time.Time{&c.Made, &c.Received, &c.First, &c.Last, &c.Until} {
			*at = moment.Draw(t, "time")
		}
		c.Revoked, c.Government, c.KillChain = rapid.Bool().Draw(t, "revoked"), rapid.Bool().Draw(t, "government"), rapid.Bool().Draw(t, "chain")
		c.Country, c.Owner, c.Family = text.Draw(t, "country"), text.Draw(t, "owner"), text.Draw(t, "family")
		return c
	})
	rapid.Check(t, func(t *rapid.T) {
		state, c := fusion.NewState(defaultRules(), 1), given.Draw(t, "contribution")
		state.PutAll(0, []fusion.Contribution{c})
		checkEqual(t, "held", state.Component(0, fusion.Keys(&c)[0]), []fusion.Contribution{c})
	})
}

// The work for a push does not grow with the number of domains on an address: a new domain
// touches itself and the address. Many contributions can be removed at once.
func TestManyNamesOnOneHost(t *testing.T) {
	const names = 10_000
	state := fusion.NewState(defaultRules(), 1)
	put := func(i int) {
		vendor := []string{"alder", "birch"}[i%2]
		c := statement(vendor, fmt.Sprintf("c2-%d.example.org", i), "8.8.0.1")
		state.Put(vendor, stix.ID(name("infrastructure", i)), 0, []fusion.Contribution{c})
	}
	for i := range names {
		put(i)
	}
	servers := func() int {
		findings, _ := state.Findings(0)
		return fusion.Summarise(fusion.C2, findings).Findings
	}
	equal(t, "touched", len(state.Touched()), names+1)
	equal(t, "servers", servers(), names)
	host := fusion.Entity{Kind: fusion.C2, Key: "8.8.0.1"}
	put(names)
	touched := state.Touched()
	equal(t, "touched by one more", touched, []fusion.Entity{host, {Kind: fusion.C2, Key: "c2-10000.example.org"}})
	equal(t, "to be fused for it", len(state.Of(0, touched)), 1)
	equal(t, "to be fused for the host", len(state.Component(0, host)), 0)
	state.Drop("alder")
	equal(t, "touched", len(state.Touched()), names/2+2)
	equal(t, "servers", servers(), names/2)
}

// The work for a push does not grow with the number of addresses that many pushes give for
// one domain.
func TestOneNameOnManyHostsByManyPushes(t *testing.T) {
	state := fusion.NewState(defaultRules(), 1)
	put := func(i int) {
		c := statement("alder", "cdn.example.org")
		for n := range 64 {
			c.Resolves = append(c.Resolves, fmt.Sprintf("9.%d.%d.1", i, n))
		}
		state.Put("alder", stix.ID(name("infrastructure", i)), 0, []fusion.Contribution{c})
		other := statement("birch", fmt.Sprintf("9.%d.0.1", i))
		state.Put("birch", stix.ID(name("infrastructure", i)), 0, []fusion.Contribution{other})
	}
	for i := range 250 {
		put(i)
	}
	state.Touched()
	put(250)
	touched := state.Touched()
	equal(t, "touched by one more", len(touched), 1+64)
	equal(t, "to be fused for an address", len(state.Component(0, fusion.Entity{Kind: fusion.C2, Key: "9.7.0.1"})), 1)
}

// A domain with more than 64 addresses is connected with none of them, and each address can
// be merged with another domain.
func TestOneNameOnManyHosts(t *testing.T) {
	wide := statement("alder", "cdn.example.org")
	for i := range 32_000 {
		wide.Resolves = append(wide.Resolves, fmt.Sprintf("9.%d.%d.1", i/256, i%256))
	}
	narrow := statement("birch", "a.example.org", "9.0.7.1")
	state := fusion.NewState(defaultRules(), 1)
	state.Put("alder", "infrastructure--wide", 0, []fusion.Contribution{wide})
	equal(t, "touched", state.Touched(), []fusion.Entity{{Kind: fusion.C2, Key: "cdn.example.org"}})
	state.Put("birch", "infrastructure--narrow", 0, []fusion.Contribution{narrow})
	equal(t, "touched", len(state.Touched()), 2)
	equal(t, "servers", fused(defaultRules(), wide, narrow), []string{"9.0.7.1: birch", "cdn.example.org: alder"})
	wide.Resolves = wide.Resolves[:64]
	equal(t, "of 64", fused(defaultRules(), wide, narrow), []string{"a.example.org: birch", "cdn.example.org: alder"})
}

// Excluded contributions have the same order, whichever was put first.
func TestLeftOutInOrder(t *testing.T) {
	var got [2][]fusion.Excluded
	for first := range got {
		state := fusion.NewState(defaultRules(), 1)
		for i := range 2 {
			c := statement("alder", "8.8.0.1")
			c.Revoked, c.Kind = true, []fusion.Kind{fusion.C2, fusion.Other}[(first+i)%2]
			state.Put("alder", stix.ID(name("infrastructure", (first+i)%2)), 0, []fusion.Contribution{c})
		}
		_, got[first] = state.Findings(0)
	}
	equal(t, "left out", got[1], got[0])
	equal(t, "contributions", len(got[0]), 2)
}

func checkAudience(t *rapid.T, state *fusion.State, model *model, audience int) {
	findings, left := fusion.Fuse(&model.rules, model.contributions(audience))
	checkEqual(t, "findings", findingsOf(state, audience), outcome{findings, left})
	components := model.components(audience)
	for _, key := range slices.Sorted(maps.Keys(keysOf(components))) {
		var about []fusion.Finding
		for _, n := range fusion.NewIndex(findings)[key] {
			about = append(about, findings[n])
		}
		checkEqual(t, "about "+key, state.About(audience, key), about)
	}
	for e, want := range components {
		var got []string
		for _, c := range state.Component(audience, e) {
			got = append(got, model.describe(audience, &c))
		}
		slices.Sort(got)
		checkEqual(t, "component of "+e.Key, strings.Join(got, "\n"), want)
	}
}

// keysOf returns texts to look up findings by: the keys, their hosts, and two more.
func keysOf(components map[fusion.Entity]string) map[string]bool {
	all := map[string]bool{"8.8.0.3": true, "http://a.example.org/1": true}
	for e := range components {
		all[e.Key] = true
		all[stix.Value{Type: "url", Text: e.Key}.Host().Text] = true
	}
	return all
}

func checkEqual(t *rapid.T, what string, got, want any) {
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Fatalf("%s (-want +got):\n%s", what, diff)
	}
}
