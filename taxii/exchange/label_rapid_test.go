package exchange_test

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"comity/stix"
	"comity/taxii/exchange"
)

// inHand is what the collection of the properties holds.
var inHand = held{"indicator/held-green": stix.Green, "ipv4-addr/held-red": stix.Red, "marking-definition/held": stix.Clear}

// drawPush makes a push of objects that refer to each other, to what the
// collection holds and to nothing; some ids come in several versions.
func drawPush(t *rapid.T) []thing {
	types := []string{"indicator", "report", "relationship", "ipv4-addr", "identity", "marking-definition"}
	var push []thing
	for i := range rapid.IntRange(1, 12).Draw(t, "objects") {
		typ := rapid.SampledFrom(types).Draw(t, "type")
		th := thing{ID: fmt.Sprintf("%s/%d", typ, rapid.IntRange(0, i).Draw(t, "number")), Version: i % 10}
		if typ == "marking-definition" {
			th.Extra = rapid.SampledFrom([]string{statement, statement, forgedTLP}).Draw(t, "content")
		}
		push = append(push, th)
	}
	targets := []string{"indicator/held-green", "ipv4-addr/held-red", "indicator/nowhere"}
	for _, th := range push {
		targets = append(targets, th.ID)
	}
	marking := []string{"", "", "", "green", "AMBER", "red", "clear green", "pap:red", "marking-definition/held", "marking-definition/nowhere", "marking-definition/0 clear"}
	for i := range push {
		push[i].Marks = rapid.SampledFrom(marking).Draw(t, "marks")
		push[i].Refs = strings.Join(rapid.SliceOfN(rapid.SampledFrom(targets), 0, 3).Draw(t, "refs"), " ")
		push[i].Creator = rapid.SampledFrom(targets).Draw(t, "creator")
	}
	return push
}

// drawTerms are lines of handling.
func drawTerms(t *rapid.T, unmarked ...string) string {
	lines := []string{
		rapid.SampledFrom(unmarked).Draw(t, "unmarked"),
		rapid.SampledFrom([]string{"", fromGreen}).Draw(t, "floor"),
		rapid.SampledFrom([]string{"", upToAmber}).Draw(t, "ceiling"),
		rapid.SampledFrom([]string{"", ignore}).Draw(t, "unknown"),
	}
	return strings.Join(lines, "\n")
}

func TestOrderOfAPushDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		push := drawPush(rt)
		c := collection(t, "", drawTerms(rt, "", asAmber, asAmber+"\n"+notInherit))
		want := label(t, c, inHand, push)
		order := make([]int, len(push))
		for i := range order {
			order[i] = i
		}
		order = rapid.Permutation(order).Draw(rt, "order")
		other := make([]thing, len(push))
		for i, at := range order {
			other[i] = push[at]
		}
		for i, got := range label(t, c, inHand, other) {
			if got != want[order[i]] {
				rt.Errorf("%s: %v in order %v, else %v", other[i].ID, got, order, want[order[i]])
			}
		}
	})
}

// Who is unmarked and finds a neighbour takes its label instead of the flow's
// default, which may be stricter; everything else only ever rises.
func TestAddingAReferenceNeverLowersALabel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		push := drawPush(rt)
		c := collection(t, "", drawTerms(rt, "", asAmber+"\n"+notInherit))
		before := label(t, c, inHand, push)
		from, to := rapid.IntRange(0, len(push)-1).Draw(rt, "from"), rapid.IntRange(0, len(push)-1).Draw(rt, "to")
		push[from].Refs += " " + push[to].ID
		for i, after := range label(t, c, inHand, push) {
			if after.Label < before[i].Label {
				rt.Errorf("%s falls from %s to %s by a reference from %s to %s", push[i].ID, before[i].Label, after.Label, push[from].ID, push[to].ID)
			}
		}
	})
}

// The rules of §2.5, followed literally and slowly.
func TestLabelsAgreeWithTheRulesFollowedSlowly(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		push := drawPush(rt)
		c := collection(t, "", drawTerms(rt, "", asAmber, asAmber+"\n"+notInherit))
		want := slowly(t, c, push)
		for i, v := range label(t, c, inHand, push) {
			got := v.Label.String()
			if v.Refused != "" {
				got = v.Refused
			}
			if got != want[i] {
				rt.Errorf("object %d, %s: %s, want %s", i, push[i].ID, got, want[i])
			}
		}
	})
}

// slowly says what label would.
func slowly(t testing.TB, c *exchange.Collection, push []thing) []string {
	terms := &c.Terms
	objects := make([]*stix.Object, len(push))
	refs := make([]map[stix.ID]bool, len(push)) // markings that are no TLP included
	own := make([]rank, len(push))
	inPush := map[stix.ID]bool{}
	for i, th := range push {
		objects[i] = th.object(t)
		inPush[objects[i].ID] = true
	}
	for i, o := range objects {
		refs[i], own[i] = map[stix.ID]bool{}, none
		o.References(func(property string, to stix.ID) {
			if property != "created_by_ref" {
				refs[i][to] = true
			}
		})
		for _, mark := range o.Markings {
			if tlp, ok := stix.MarkingTLP(mark); ok {
				own[i] = max(own[i], rank(tlp))
			} else if !stix.IsPAP(mark) {
				refs[i][mark] = true
				if !inPush[mark] && mark != id("marking-definition/held") && terms.UnknownMarking != "ignore" {
					own[i] = rank(stix.Red)
				}
			}
		}
	}
	inherits := func(i int) bool {
		return own[i] == none && terms.UnmarkedObservables == "inherit" &&
			(objects[i].Type == "relationship" || objects[i].Type == "ipv4-addr" || objects[i].Type == "identity")
	}
	labels, refused := make([]stix.TLP, len(push)), make([]string, len(push))
	for i, o := range objects {
		reached := none
		if inherits(i) {
			reached = reach(i, objects, refs, own, inherits, map[int]bool{})
		}
		switch {
		case o.ForgedTLP():
			refused[i] = forgery
		case own[i] != none:
			labels[i] = stix.TLP(own[i])
		case o.Type == "marking-definition":
		case reached != none:
			labels[i] = stix.TLP(reached)
		case terms.Unmarked == nil:
			refused[i] = unmarked
		default:
			labels[i] = *terms.Unmarked
		}
		labels[i] = max(labels[i], terms.Floor)
	}
	for range push { // as often as a label can travel on
		for i := range push {
			for to := range refs[i] {
				for j, o := range objects {
					if o.ID == to {
						labels[i] = max(labels[i], labels[j])
					}
				}
				for name, tlp := range inHand {
					if id(name) == to && !inPush[to] {
						labels[i] = max(labels[i], tlp)
					}
				}
			}
		}
	}
	verdicts := make([]string, len(push))
	for i := range push {
		switch {
		case refused[i] != "":
			verdicts[i] = refused[i]
		case labels[i] > terms.Max:
			verdicts[i] = fmt.Sprintf("article 4: %s above %s", strings.ToUpper(labels[i].String()), strings.ToUpper(terms.Max.String()))
		default:
			verdicts[i] = labels[i].String()
		}
	}
	return verdicts
}

type rank int

const none rank = -1

// reach is the highest own label next to i or to unmarked neighbours like it;
// versions of one object are neighbours.
func reach(i int, objects []*stix.Object, refs []map[stix.ID]bool, own []rank, inherits func(int) bool, seen map[int]bool) rank {
	best := none
	seen[i] = true
	for j := range objects {
		sameID := objects[j].ID == objects[i].ID && inherits(j)
		if seen[j] || !sameID && !refs[i][objects[j].ID] && !refs[j][objects[i].ID] {
			continue
		}
		best = max(best, own[j])
		if inherits(j) {
			best = max(best, reach(j, objects, refs, own, inherits, seen))
		}
	}
	return best
}

// A chain as long as a push can be, each object before the one it refers to:
// what is worked out from neighbour to neighbour is done in one go.
func TestLabelsOfALongChain(t *testing.T) {
	const n = 200_000
	chain := func(typ, marking string) *exchange.Labels {
		l := exchange.NewLabels(collection(t, "", ""))
		for i := range n {
			raw := fmt.Appendf(nil, `{"type":%q,"id":"%s--%08x-0000-4000-8000-000000000000","spec_version":"2.1","x_ref":"%s--%08x-0000-4000-8000-000000000000"`, typ, typ, i, typ, i+1)
			if marking != "" || i == n-1 {
				mark := marks[marking]
				if i == n-1 {
					mark = marks["red"]
				}
				raw = fmt.Appendf(raw, `,"object_marking_refs":[%q]`, mark)
			}
			o, err := stix.NewObject(append(raw, '}'))
			if err != nil {
				t.Fatal(err)
			}
			l.Add(&o)
		}
		return l
	}
	for name, l := range map[string]*exchange.Labels{"raised": chain("note", "green"), "inherited": chain("url", "")} {
		verdicts, err := l.Resolve(held(nil).known)
		if err != nil {
			t.Fatal(err)
		}
		for i, v := range verdicts {
			if v.Label != stix.Red || v.Refused != "" {
				t.Fatalf("%s: object %d is %v, want the label of the last one", name, i, v)
			}
		}
	}
}
