package exchange_test

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"comity/stix"
	"comity/taxii/exchange"
)

// alreadyHeld are the objects that the collection has before the push.
var alreadyHeld = heldObjects{
	"indicator/held-green":    heldAt(stix.Green, exchange.Notify),
	"ipv4-addr/held-red":      heldAt(stix.Red, exchange.Block),
	"marking-definition/held": heldDefinition(iep("externally-visible-indirect-actions", "must-not")),
}

// drawPush makes a push of objects that refer to each other, to objects of the collection
// and to absent ones; some ids come in several versions.
func drawPush(t *rapid.T) []testObject {
	types := []string{"indicator", "report", "relationship", "ipv4-addr", "identity", "marking-definition"}
	var push []testObject
	for i := range rapid.IntRange(1, 12).Draw(t, "objects") {
		typ := rapid.SampledFrom(types).Draw(t, "type")
		th := testObject{ID: fmt.Sprintf("%s/%d", typ, rapid.IntRange(0, i).Draw(t, "number")), Version: i % 10}
		if typ == "marking-definition" {
			th.Extra = rapid.SampledFrom([]string{statement, iep("internally-visible-actions", "must-not"), iep("externally-visible-direct-actions", "must-not"), acs("deny", "deny"), forgedTLP, pap("clear")}).Draw(t, "content")
		}
		push = append(push, th)
	}
	targets := []string{"indicator/held-green", "ipv4-addr/held-red", "indicator/nowhere"}
	for _, th := range push {
		targets = append(targets, th.ID)
	}
	marking := []string{"", "", "", "green", "AMBER", "red", "clear green", "pap:red", "pap:amber green", "pap:clear", "marking-definition/held", "marking-definition/nowhere", "marking-definition/0 clear"}
	for i := range push {
		if push[i].Extra == "" {
			push[i].Extra = rapid.SampledFrom([]string{"", "", "", granular("amber"), granular("pap:amber")}).Draw(t, "part")
		}
		push[i].Marks = rapid.SampledFrom(marking).Draw(t, "marks")
		push[i].Refs = strings.Join(rapid.SliceOfN(rapid.SampledFrom(targets), 0, 3).Draw(t, "refs"), " ")
		push[i].Creator = rapid.SampledFrom(targets).Draw(t, "creator")
	}
	return push
}

// drawTerms draws lines of the handling block.
func drawTerms(t *rapid.T, unmarked ...string) string {
	lines := []string{
		rapid.SampledFrom(unmarked).Draw(t, "unmarked"),
		rapid.SampledFrom([]string{"", fromGreen}).Draw(t, "floor"),
		rapid.SampledFrom([]string{"", upToAmber}).Draw(t, "ceiling"),
		rapid.SampledFrom([]string{"", ignore}).Draw(t, "unknown"),
		rapid.SampledFrom([]string{"", upToPAPAmber}).Draw(t, "pap"),
	}
	return strings.Join(lines, "\n")
}

func TestLabelsDoNotDependOnTheOrderOfAPush(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		push := drawPush(rt)
		c := collection(t, "", drawTerms(rt, "", asAmber, asAmber+"\n"+notInherit))
		want := judge(t, c, alreadyHeld, push)
		order := make([]int, len(push))
		for i := range order {
			order[i] = i
		}
		order = rapid.Permutation(order).Draw(rt, "order")
		other := make([]testObject, len(push))
		for i, at := range order {
			other[i] = push[at]
		}
		for i, got := range judge(t, c, alreadyHeld, other) {
			if got != want[order[i]] {
				rt.Errorf("%s: %v in order %v, else %v", other[i].ID, got, order, want[order[i]])
			}
		}
	})
}

// There is one exception, which drawTerms leaves out here: an unmarked object inherits the
// label of a neighbour instead of the flow's default, which may be stricter.
func TestAddingAReferenceNeverLowersALabel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		push := drawPush(rt)
		c := collection(t, "", drawTerms(rt, "", asAmber+"\n"+notInherit))
		before := judge(t, c, alreadyHeld, push)
		from, to := rapid.IntRange(0, len(push)-1).Draw(rt, "from"), rapid.IntRange(0, len(push)-1).Draw(rt, "to")
		push[from].Refs += " " + push[to].ID
		for i, after := range judge(t, c, alreadyHeld, push) {
			if after.TLP < before[i].TLP || before[i].Barred&^after.Barred != 0 {
				rt.Errorf("%s falls from %v to %v by a reference from %s to %s", push[i].ID, before[i], after, push[from].ID, push[to].ID)
			}
		}
	})
}

// The labels equal those of a slow implementation that follows the rules literally.
func TestLabelsEqualThoseOfTheLiteralRules(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		push := drawPush(rt)
		c := collection(t, "", drawTerms(rt, "", asAmber, asAmber+"\n"+notInherit))
		c.Default = rapid.SampledFrom([]exchange.Actions{0, exchange.Notify}).Draw(rt, "default")
		want := expectedVerdicts(t, c, push)
		for i, v := range judge(t, c, alreadyHeld, push) {
			got := v.TLP.String() + " without " + v.Barred.String()
			if v.Refused != "" {
				got = v.Refused
			}
			if got != want[i] {
				rt.Errorf("object %d, %s: %s, want %s", i, push[i].ID, got, want[i])
			}
		}
	})
}

// The time for the labels of a long chain of references, each object before the one it
// refers to, grows with its length, not with the square of it.
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
		verdicts, err := l.Resolve(heldObjects(nil).known)
		if err != nil {
			t.Fatal(err)
		}
		for i, v := range verdicts {
			if v.TLP != stix.Red || v.Refused != "" {
				t.Fatalf("%s: object %d is %v, want the label of the last one", name, i, v)
			}
		}
	}
}

// One object has very many versions, and as many objects refer to it. A version does not
// pass on again a label that another version has passed on, which would take a time in the
// square of their number.
func TestLabelsOfManyVersions(t *testing.T) {
	const n = 50_000
	l := exchange.NewLabels(collection(t, "", ""))
	for i := range 2 * n {
		names := []string{"clear pap:clear", "green", "clear pap:red", "amber pap:green", "red"}
		th := testObject{ID: "note/n", Marks: names[min(i*len(names)/n, len(names)-1)]}
		if i >= n {
			th = testObject{ID: "report/p", Marks: "green", Refs: "note/n"}
		}
		l.Add(th.object(t))
	}
	verdicts, err := l.Resolve(heldObjects(nil).known)
	if err != nil {
		t.Fatal(err)
	}
	want := exchange.Handling{TLP: stix.Red, Barred: exchange.AllActions &^ exchange.Search}
	for i, v := range verdicts[n:] {
		if v.Handling != want || v.Refused != "" {
			t.Fatalf("report %d is %v, want %v", i, v, want)
		}
	}
}
