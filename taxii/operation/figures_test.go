package operation_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"comity/stix"
	"comity/stix/fusion"
	"comity/taxii/demo"
	"comity/taxii/operation"
)

// The figures of each audience are those of one fusion of all contributions that it may
// benefit from.
func TestFiguresAreThoseOfOneFusion(t *testing.T) {
	w := pushedWorld(t)
	truth := w.expectedState(func(*fusion.Contribution) bool { return true })
	for audience, as := range []string{centre: "", bureaus: operation.Bureaus} {
		got := w.stats(as)
		equal(t, as+" servers", got.C2, servers(truth, audience))
		equal(t, as+" sites", got.Sites, sites(truth, audience))
		equal(t, as+" may leave", got.MayLeave, servers(truth, bureaus).Identified)
	}
	if c, b := w.stats("").C2.Digest, w.stats(operation.Bureaus).C2.Digest; c == b {
		t.Error("the bureaus see what is RED")
	}
	got, err := w.runner.Contributions(t.Context(), op, "")
	w.must(err)
	accounts := truth.Accounts(centre, fusion.C2)
	for _, c := range got {
		a := accounts[c.Origin]
		equal(t, c.Origin,
			[]any{c.Given, c.Sole, c.Corroborated, c.UniqueFirst, c.Led, c.ConfirmedOthers, c.Relayed, c.Context, c.Overlap, c.NotCounted},
			[]any{a.Given, a.Sole, a.Corroborated, a.UniqueFirst, a.Led, a.ConfirmedOthers, a.Relayed, a.Context, a.Overlap, a.NotCounted})
	}
	equal(t, "contributors", len(got), len(accounts))
}

// The figures are those that the scenario gives without a fusion.
func TestFiguresAreThoseOfTheScenario(t *testing.T) { pushedWorld(t).checkFigures() }

// checkFigures compares the figures with the scenario. All of it must have been pushed.
func (w *world) checkFigures() {
	w.Helper()
	truth := w.scenario.Truth()
	for as, view := range map[string]demo.View{"": truth.Centre, operation.Bureaus: truth.Bureaus} {
		s := w.stats(as)
		got := demo.View{Servers: s.C2.Identified, Confidence: s.C2.ByConfidence, Digest: s.C2.Digest}
		for n := range view.Origins {
			got.Origins = append(got.Origins, s.C2.ByOrigins[n+1])
		}
		equal(w, as+" servers", got, view)
		var issues operation.IssueStats
		for _, c := range truth.Countries {
			servers := c.Servers
			if as == operation.Bureaus {
				servers = c.Releasable
			}
			equal(w, as+" "+c.Code, []int{s.C2.ByCountry[c.Code], s.Sites.ByCountry[c.Code]}, []int{servers, c.Sites})
			issues.Flagged, issues.Absorbed = issues.Flagged+c.Issues, issues.Absorbed+c.AbsorbedC2+c.AbsorbedWeb
			issues.OwnReport, issues.Open = issues.OwnReport+c.Own, issues.Open+c.Open
		}
		equal(w, as+" issues", s.Issues, issues)
		equal(w, as+" reports", s.Reports.IDs, truth.Reports)
	}
}

// The figures of all countries add up to those of all bureaus. No country gets the digest,
// which depends on the origins.
func TestCountriesAddUp(t *testing.T) {
	w := publishedWorld(t)
	all, sum := w.stats(operation.Bureaus), operation.Stats{}
	for _, bureau := range w.bureaus() {
		s := w.stats(bureau)
		sum.C2.Identified += s.C2.Identified
		sum.C2.Corroborated += s.C2.Corroborated
		sum.Sites.Identified += s.Sites.Identified
		sum.Issues.Flagged += s.Issues.Flagged
		sum.Reports.Count += s.Reports.Count
		if s.C2.Digest != "" || s.MayLeave != 0 {
			t.Errorf("%s sees %q and %d", bureau, s.C2.Digest, s.MayLeave)
		}
		if _, err := w.runner.Contributions(t.Context(), op, bureau); err == nil {
			t.Errorf("%s sees who contributed", bureau)
		}
	}
	equal(t, "sums",
		[]int{sum.C2.Identified, sum.C2.Corroborated, sum.Sites.Identified, sum.Issues.Flagged, sum.Reports.Count},
		[]int{all.C2.Identified, all.C2.Corroborated, all.Sites.Identified, all.Issues.Flagged, all.Reports.Count})
}

// A contributor sees only its own account, and figures from its own data alone.
func TestAContributorSeesItsOwn(t *testing.T) {
	w := pushedWorld(t)
	own := w.expectedState(func(c *fusion.Contribution) bool { return c.Submitter == "cedar" })
	want := servers(own, centre)
	want.Digest = ""
	equal(t, "servers", w.stats("cedar").C2, want)
	rows, err := w.runner.Contributions(t.Context(), op, "cedar")
	w.must(err)
	if len(rows) != 1 || rows[0].Origin != "cedar" || len(rows[0].Overlap) > 0 {
		t.Errorf("it sees %+v", rows)
	}
	for _, as := range []string{"acme", "cert-kh", "igci2"} {
		if _, err := w.runner.Stats(t.Context(), op, as); err == nil {
			t.Errorf("%s takes no part, and sees figures", as)
		}
	}
}

// smallPush is a push of a few objects.
type smallPush struct {
	org, flow string
	objects   []stix.Object
}

// drawPushes draws pushes of everything that the parties send, in any order and of any size. An
// indicator, its infrastructure and the relationship between them rarely come in one push.
// An observable has no label of its own, so it comes with every relationship to it.
func drawPushes(t *rapid.T, w *world) (all []smallPush) {
	random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
	split := func(org, flow string, objects []stix.Object, most int) {
		observables := map[stix.ID]stix.Object{}
		objects = slices.DeleteFunc(slices.Clone(objects), func(o stix.Object) bool {
			if o.Class() == stix.Observable {
				observables[o.ID] = o
			}
			return o.Class() == stix.Observable
		})
		random.Shuffle(len(objects), func(i, j int) { objects[i], objects[j] = objects[j], objects[i] })
		for n := rapid.IntRange(1, most).Draw(t, "pushes of "+org); len(objects) > 0; n-- {
			size := len(objects)
			if n > 1 {
				size = 1 + random.IntN(len(objects))
			}
			some := slices.Clone(objects[:size])
			for _, o := range objects[:size] {
				o.References(func(_ string, id stix.ID) {
					if observable, ok := observables[id]; ok {
						some = append(some, observable)
					}
				})
			}
			all = append(all, smallPush{org, flow, some})
			objects = objects[size:]
		}
	}
	for _, vendor := range demo.Vendors() {
		split(vendor, "in", w.objectsOf(vendor, allRecords), 6)
	}
	for _, bureau := range w.bureaus() {
		for p := range w.scenario.IssuePushes(bureau, 10_000) {
			all = append(all, smallPush{bureau, "issues", p.Objects})
		}
	}
	random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

// The figures do not depend on the order and size of pushes, nor on when the Runner caught
// up or was restarted between them.
func TestOrderAndBatching(t *testing.T) {
	first := pushedWorld(t)
	first.catchUp()
	want := first.figures()
	checkTimes(t, 6, func(r *rapid.T) {
		w := newWorld(t)
		for _, p := range drawPushes(r, w) {
			if refused := w.push(p.org, p.flow, p.objects...); refused != nil {
				r.Fatalf("%s: %d of %d refused, such as %s", p.org, len(refused), len(p.objects), refused[0])
			}
			switch rapid.IntRange(0, 5).Draw(r, "then") {
			case 0, 1:
				w.catchUp()
			case 2:
				w.restart()
			}
		}
		w.catchUp()
		if diff := cmp.Diff(want, w.figures()); diff != "" {
			r.Fatalf("(-large pushes +small pushes):\n%s", diff)
		}
	})
}

// A second CatchUp, or a second push of everything, changes no figure and writes no object.
func TestRepeatedPushesChangeNothing(t *testing.T) {
	w := publishedWorld(t)
	w.catchUp()
	want, count := w.figures(), w.counts()
	w.catchUp()
	equal(t, "objects, settled again", w.counts(), count)
	w.pushAll(allRecords)
	w.flagAll()
	w.catchUp()
	equal(t, "figures, pushed again", w.figures(), want)
	equal(t, "objects, pushed again", w.counts(), count)
}

// After a restart the figures are the same, and the new Runner writes nothing.
func TestARestartChangesNothing(t *testing.T) {
	w := publishedWorld(t)
	w.reportOutcomes("ncb-id", demo.TakenDown)
	w.catchUp()
	want, count := w.figures(), w.counts()
	head, err := w.store.ChainHead(t.Context())
	w.must(err)
	w.restart()
	w.catchUp()
	equal(t, "figures", w.figures(), want)
	equal(t, "objects", w.counts(), count)
	after, err := w.store.ChainHead(t.Context())
	w.must(err)
	equal(t, "entries", after.Number, head.Number)
}

// A Runner that starts after an earlier one had read a part of the entries gets the same
// figures.
func TestARestartBetweenPushesChangesNothing(t *testing.T) {
	whole := pushedWorld(t)
	whole.catchUp()
	want, count := whole.figures(), whole.counts()
	for stop := range len(demo.Vendors()) {
		w := newWorld(t)
		w.flagAll()
		for n, vendor := range demo.Vendors() {
			objects := w.objectsOf(vendor, allRecords)
			w.push(vendor, "in", objects[:len(objects)/2]...)
			if n == stop {
				w.catchUp()
			}
			w.push(vendor, "in", objects[len(objects)/2:]...)
		}
		w.restart()
		w.catchUp()
		equal(t, "figures", w.figures(), want)
		equal(t, "objects", w.counts(), count)
	}
}
