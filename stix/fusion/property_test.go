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

// world is the small operation, read once.
type world struct {
	rules *fusion.Rules
	all   []fusion.Contribution
}

func smallWorld(t *testing.T) world {
	s := scenario(t, "small")
	return world{rules(t, s), contributions(t, s, 500)}
}

// outcome is what a fusion gives.
type outcome struct {
	Findings []fusion.Finding
	Left     []fusion.Excluded
}

func fuse(w world, of []fusion.Contribution) outcome {
	findings, left := fusion.Fuse(w.rules, of)
	return outcome{findings, left}
}

func of(s *fusion.State, audience int) outcome {
	findings, left := s.Findings(audience)
	return outcome{findings, left}
}

func same(t *rapid.T, what string, got, want outcome) {
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("%s (-want +got):\n%s", what, diff)
	}
}

// shuffled is the contributions in another order, a subject's still together.
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

// replace gives every audience what is left of the contributions it had.
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

// Order and batching of pushes do not matter: a state to which they came in any
// way, fused at any time, is one fusion of all.
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
		same(t, "any order", of(state, 0), want)
		state.Touched()
		state.PutAll(0, shuffled(t, w.all))
		if again := state.Touched(); again != nil {
			t.Fatalf("pushing all again touched %v", again)
		}
	})
}

// A fusion of several components is that of each.
func TestFuseIgnoresOrder(t *testing.T) {
	w := smallWorld(t)
	want := fuse(w, w.all)
	rapid.Check(t, func(t *rapid.T) {
		same(t, "shuffled", fuse(w, shuffled(t, w.all)), want)
		same(t, "twice", fuse(w, append(shuffled(t, w.all), w.all...)), want)
	})
}

// What is withdrawn is as if it had never come; pushed again, as if it had never
// gone.
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
		same(t, "withdrawn", of(state, 0), fuse(w, left))
		replace(state, w.all, w.all)
		same(t, "pushed again", of(state, 0), want)
	})
}

// A view is the fusion of what its audience may see, for every label, and what
// several audiences have is held once.
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
		equal(t, ceiling.String(), of(state, int(ceiling)), fuse(w, seen(ceiling)))
	}
	equal(t, "held once", state.Len(), len(w.all))
}

// Without one vendor the operation is what fusing the others gives, and findings
// that it had no part in are what they were.
func TestWithoutVendor(t *testing.T) {
	w := smallWorld(t)
	all := fuse(w, w.all)
	for _, vendor := range demo.Vendors() {
		state := stateOf(w.rules, w.all)
		state.Touched()
		without := fusion.Without(vendor, w.all)
		replace(state, w.all, without)
		got, want := of(state, 0), fuse(w, without)
		equal(t, vendor, got, want)

		after := map[fusion.Entity]fusion.Finding{}
		for _, f := range got.Findings {
			after[f.Entity] = f
		}
		for _, f := range all.Findings {
			touched := slices.Contains(f.Origins, vendor) || slices.ContainsFunc(f.Relays, func(r fusion.Ref) bool { return r.Submitter == vendor })
			if !touched {
				equal(t, vendor+" had no part in "+f.Key, after[f.Entity], f)
			}
		}
	}
}

// Every finding traces to a contribution, and every contribution to exactly one
// finding, once, or to a reason why not.
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
