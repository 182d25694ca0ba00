package fusion_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"comity/stix"
	"comity/stix/fusion"
	"comity/taxii/demo"
)

// smallOperation has the contributions of the small scenario.
type smallOperation struct {
	rules *fusion.Rules
	all   []fusion.Contribution
}

func smallWorld(t *testing.T) smallOperation {
	s := scenario(t, "small")
	return smallOperation{rules(t, s), contributions(t, s, 500)}
}

// outcome is the result of a fusion.
type outcome struct {
	Findings []fusion.Finding
	Left     []fusion.Excluded
}

func fuse(w smallOperation, of []fusion.Contribution) outcome {
	findings, left := fusion.Fuse(w.rules, of)
	return outcome{findings, left}
}

func findingsOf(s *fusion.State, audience int) outcome {
	findings, left := s.Findings(audience)
	return outcome{findings, left}
}

func checkSame(t *rapid.T, what string, got, want outcome) {
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("%s (-want +got):\n%s", what, diff)
	}
}

// shuffled returns the contributions in another order. Those of one subject stay together.
func shuffled(t *rapid.T, all []fusion.Contribution) []fusion.Contribution {
	groups := slices.Collect(func(yield func([]fusion.Contribution) bool) {
		for from := 0; from < len(all); {
			to := from + 1
			for to < len(all) && sameUnit(&all[to], &all[from]) {
				to++
			}
			if !yield(all[from:to]) {
				return
			}
			from = to
		}
	})
	random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
	random.Shuffle(len(groups), func(i, j int) { groups[i], groups[j] = groups[j], groups[i] })
	return slices.Concat(groups...)
}

func sameUnit(a, b *fusion.Contribution) bool {
	return a.Submitter == b.Submitter && a.Subject == b.Subject
}

// replace replaces the contributions all by those that are left, for every audience.
func replace(state *fusion.State, all, left []fusion.Contribution) {
	by := map[unit][]fusion.Contribution{}
	for i := range left {
		u := unit{left[i].Submitter, left[i].Subject}
		by[u] = append(by[u], left[i])
	}
	for i := range all {
		u := unit{all[i].Submitter, all[i].Subject}
		state.Put(u.submitter, u.subject, centre, by[u])
		state.Put(u.submitter, u.subject, bureaus, only(by[u], notRed))
	}
}

// The order and size of pushes do not matter: the findings of a state are those of one fusion
// of all contributions.
func TestOrderAndBatching(t *testing.T) {
	w := smallWorld(t)
	want := fuse(w, w.all)
	rapid.Check(t, func(t *rapid.T) {
		state := fusion.NewState(w.rules, 1)
		for rest := shuffled(t, w.all); len(rest) > 0; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "batch")
			for n < len(rest) && sameUnit(&rest[n], &rest[n-1]) {
				n++
			}
			state.PutAll(0, rest[:n])
			rest = rest[n:]
			if rapid.Bool().Draw(t, "fuse now") {
				state.Touched()
			}
		}
		checkSame(t, "any order", findingsOf(state, 0), want)
		state.Touched()
		state.PutAll(0, shuffled(t, w.all))
		if again := state.Touched(); again != nil {
			t.Fatalf("pushing all again touched %v", again)
		}
	})
}

// The result of Fuse depends neither on the order of contributions nor on repetitions.
func TestFuseIgnoresOrder(t *testing.T) {
	w := smallWorld(t)
	want := fuse(w, w.all)
	rapid.Check(t, func(t *rapid.T) {
		checkSame(t, "shuffled", fuse(w, shuffled(t, w.all)), want)
		checkSame(t, "twice", fuse(w, append(shuffled(t, w.all), w.all...)), want)
	})
}

// After a withdrawal the state is as if the contributions had never come. Pushed again, they
// count as before.
func TestWithdrawAndPushAgain(t *testing.T) {
	w := smallWorld(t)
	want := fuse(w, w.all)
	rapid.Check(t, func(t *rapid.T) {
		state := stateOf(w.rules, w.all)
		state.Touched()
		gone := map[fusion.Ref]bool{}
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		share := rapid.Float64Range(0, 1).Draw(t, "share")
		for i := range w.all {
			if random.Float64() < share {
				gone[w.all[i].Ref] = true
			}
		}
		left := only(w.all, func(c *fusion.Contribution) bool { return !gone[c.Ref] })
		replace(state, w.all, left)
		checkSame(t, "withdrawn", findingsOf(state, 0), fuse(w, left))
		replace(state, w.all, w.all)
		checkSame(t, "pushed again", findingsOf(state, 0), want)
	})
}

// The findings of an audience are the fusion of the contributions that it may see, for every
// label. A contribution that several audiences have is held once.
func TestViewIsFusionOfTheFiltered(t *testing.T) {
	w := smallWorld(t)
	state := fusion.NewState(w.rules, int(stix.Red)+1)
	seen := func(ceiling stix.TLP) []fusion.Contribution {
		return only(w.all, func(c *fusion.Contribution) bool { return c.Label <= ceiling })
	}
	for ceiling := stix.Clear; ceiling <= stix.Red; ceiling++ {
		state.PutAll(int(ceiling), seen(ceiling))
	}
	for ceiling := stix.Clear; ceiling <= stix.Red; ceiling++ {
		equal(t, ceiling.String(), findingsOf(state, int(ceiling)), fuse(w, seen(ceiling)))
	}
	equal(t, "held once", state.Len(), len(w.all))
}

// Without one vendor, the findings are those of the other vendors alone, and findings to
// which it did not contribute are unchanged.
func TestWithoutVendor(t *testing.T) {
	w := smallWorld(t)
	all := fuse(w, w.all)
	for _, vendor := range demo.Vendors() {
		state := stateOf(w.rules, w.all)
		state.Touched()
		without := fusion.Without(vendor, w.all)
		replace(state, w.all, without)
		got, want := findingsOf(state, 0), fuse(w, without)
		equal(t, vendor, got, want)

		after := map[fusion.Entity]fusion.Finding{}
		for _, f := range got.Findings {
			after[f.Entity] = f
		}
		for _, f := range all.Findings {
			touched := slices.Contains(f.Origins, vendor) || slices.ContainsFunc(f.Relays, func(r fusion.Ref) bool { return r.Submitter == vendor })
			if !touched {
				equal(t, vendor+" did not contribute to "+f.Key, after[f.Entity], f)
			}
		}
	}
}

// Every finding has a source, and every contribution is in exactly one finding or is
// excluded with a reason.
func TestEveryContributionIsAccountedFor(t *testing.T) {
	w := smallWorld(t)
	got := map[fusion.Ref]int{}
	result := fuse(w, w.all)
	for _, f := range result.Findings {
		if len(f.Sources) == 0 || len(f.Origins) == 0 {
			t.Errorf("%s comes from nowhere", f.Key)
		}
		for _, ref := range slices.Concat(f.Sources, f.Relays) {
			got[ref]++
		}
	}
	for _, e := range result.Left {
		got[e.Ref]++
	}
	want := map[fusion.Ref]int{}
	for i := range w.all {
		want[w.all[i].Ref]++
	}
	equal(t, "contributions", got, want)
}

// A selection has the findings of the contributions that its audiences have, and no later
// change of the State it comes from changes it.
func TestASelectionIsFusionOfTheSelected(t *testing.T) {
	w := smallWorld(t)
	state := fusion.NewState(w.rules, 2)
	state.PutAll(0, w.all)
	state.PutAll(1, only(w.all, notRed))
	selected := state.Select(func(submitter string) (audience int, taken bool) {
		return map[string]int{"elm": 0, "alder": 1}[submitter], submitter == "elm" || submitter == "alder"
	})
	state.Drop("elm")
	equal(t, "selection", findingsOf(selected, 0), fuse(w, only(w.all, func(c *fusion.Contribution) bool {
		return c.Submitter == "elm" || c.Submitter == "alder" && notRed(c)
	})))
}
