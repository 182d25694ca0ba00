package fusion_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"comity/stix"
	"comity/stix/fusion"
)

// anyRules are rules under which contributions of the small world meet every
// fate.
func anyRules(t *rapid.T) *fusion.Rules {
	rules := plain()
	rules.Merge = rapid.Bool().Draw(t, "merge")
	rules.Order = []fusion.Basis{fusion.BySource, fusion.ByDomain}
	rules.SiteOrder = []fusion.Basis{fusion.ByOwner, fusion.BySource}
	if rapid.Bool().Draw(t, "in scope only") {
		rules.Countries = []string{"KH", "ID"}
	}
	return rules
}

// batch is some contributions of a submitter.
func batch(t *rapid.T, submitter int) (of []fusion.Contribution) {
	for range rapid.IntRange(0, 4).Draw(t, "contributions") {
		object, subject := rapid.IntRange(0, 5).Draw(t, "object"), rapid.IntRange(0, 5).Draw(t, "subject")
		of = append(of, invented(submitter, object, subject, rapid.IntRange(0, 2).Draw(t, "version")))
	}
	return of
}

// Whatever is added, put, withdrawn, dropped and waited for, in whatever order:
// what each of several audiences gets from one State is the fusion of what it
// has, and what was touched is what changed.
func TestAudiences(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rules := anyRules(t)
		admits := []func(*fusion.Contribution) bool{nil, notRed, func(c *fusion.Contribution) bool { return c.Label < stix.Amber }}
		audiences := []int{0, 1, 2}
		state, model := fusion.NewState(rules, admits...), newModel(rules, admits...)
		if rapid.Bool().Draw(t, "collide") {
			state.Collide()
		}
		before := map[fusion.Entity]string{}
		submitter := rapid.IntRange(0, 2)
		vendor := []string{"alder", "birch", "cedar"}
		check := func(t *rapid.T) {
			after := model.components(audiences...)
			alike(t, "touched", state.Touched(), changed(before, after))
			before = after
			alike(t, "held", state.Len(), model.held())
			checkAudience(t, state, model, rapid.SampledFrom(audiences).Draw(t, "seen by"))
		}
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				of := batch(t, submitter.Draw(t, "submitter"))
				state.Add(of)
				model.add(of)
				check(t)
			},
			"put": func(t *rapid.T) {
				who, subject, audience := submitter.Draw(t, "submitter"), rapid.IntRange(0, 5).Draw(t, "subject"), rapid.IntRange(0, 2).Draw(t, "audience")
				var of []fusion.Contribution
				for range rapid.IntRange(0, 4).Draw(t, "contributions") {
					of = once(of, invented(who, rapid.IntRange(0, 5).Draw(t, "object"), subject, rapid.IntRange(0, 2).Draw(t, "version")))
				}
				by := statement{vendor[who], stix.ID(name("infrastructure", subject))}
				state.Put(by.submitter, by.object, audience, of)
				if model.put[audience][by] = of; of == nil {
					delete(model.put[audience], by)
				}
				check(t)
			},
			"withdraw": func(t *rapid.T) {
				label, who := stix.TLP(rapid.IntRange(0, 4).Draw(t, "label")), vendor[submitter.Draw(t, "submitter")]
				which := func(c *fusion.Contribution) bool { return c.Label == label && c.Origin == who }
				alike(t, "objects", state.Withdraw(which), model.withdraw(which))
				check(t)
			},
			"remove": func(t *rapid.T) {
				who, object := vendor[submitter.Draw(t, "submitter")], stix.ID(name("indicator", rapid.IntRange(0, 5).Draw(t, "object")))
				state.Remove(who, object)
				model.remove(func(c *fusion.Contribution) bool { return c.Submitter == who && c.Object == object })
				check(t)
			},
			"drop": func(t *rapid.T) {
				who := vendor[submitter.Draw(t, "submitter")]
				state.Drop(who)
				model.remove(func(c *fusion.Contribution) bool { return c.Submitter == who })
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

// All names on one host are one component, and many of them can go at once.
func TestManyNamesOnOneHost(t *testing.T) {
	const names = 10_000
	state := fusion.NewState(plain(), nil)
	equal(t, "none", state.Summary(0, fusion.C2), fusion.Summarise(fusion.C2, nil))
	for i := range names {
		vendor := []string{"alder", "birch"}[i%2]
		c := says(vendor, fmt.Sprintf("c2-%d.example.org", i), "8.8.0.1")
		state.Put(vendor, stix.ID(name("infrastructure", i)), 0, []fusion.Contribution{c})
	}
	equal(t, "touched", len(state.Touched()), names+1)
	equal(t, "servers", state.Summary(0, fusion.C2).Findings, names)
	state.Drop("alder")
	equal(t, "touched", len(state.Touched()), names+1)
	equal(t, "servers", state.Summary(0, fusion.C2).Findings, names/2)
}

// What is left out comes in the same order, whatever came first.
func TestLeftOutInOrder(t *testing.T) {
	var got [2][]fusion.Excluded
	for first := range got {
		state := fusion.NewState(plain(), nil)
		for i := range 2 {
			c := says("alder", "8.8.0.1")
			c.Revoked, c.Kind = true, []fusion.Kind{fusion.C2, fusion.Other}[(first+i)%2]
			state.Put("alder", stix.ID(name("infrastructure", (first+i)%2)), 0, []fusion.Contribution{c})
		}
		_, got[first] = state.Findings(0)
	}
	equal(t, "left out", got[1], got[0])
	equal(t, "contributions", len(got[0]), 2)
}

func checkAudience(t *rapid.T, state *fusion.State, model *model, audience int) {
	findings, left := fusion.Fuse(&model.rules, model.of(audience))
	alike(t, "findings", of(state, audience), outcome{findings, left})
	for _, kind := range []fusion.Kind{fusion.C2, fusion.Website, fusion.Other} {
		alike(t, "summary", state.Summary(audience, kind), fusion.Summarise(kind, findings))
	}
	components := model.components(audience)
	for _, key := range slices.Sorted(maps.Keys(keysOf(components))) {
		var about []fusion.Finding
		for _, n := range fusion.NewIndex(findings)[key] {
			about = append(about, findings[n])
		}
		alike(t, "about "+key, state.About(audience, key), about)
	}
	for e, want := range components {
		var got []string
		for _, c := range state.Component(audience, e) {
			got = append(got, model.fate(audience, &c))
		}
		slices.Sort(got)
		alike(t, "component of "+e.Key, strings.Join(got, "\n"), want)
	}
}

// keysOf is the texts that a component may be asked for by: keys, and what they
// are the host of.
func keysOf(components map[fusion.Entity]string) map[string]bool {
	all := map[string]bool{"8.8.0.3": true, "http://a.example.org/1": true}
	for e := range components {
		all[e.Key] = true
		all[fusion.Value{Type: "url", Text: e.Key}.Host().Text] = true
	}
	return all
}

func alike(t *rapid.T, what string, got, want any) {
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Fatalf("%s (-want +got):\n%s", what, diff)
	}
}
