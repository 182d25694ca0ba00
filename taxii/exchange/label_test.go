package exchange_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"comity/stix"
	"comity/taxii/exchange"
)

// These are lines of the handling block.
const (
	asAmber      = `unmarked = { in = "default:amber", out = "reject" }`
	upToAmber    = `tlp_max = { in = "amber", out = "red" }`
	fromGreen    = `tlp_floor = { in = "green" }`
	upToPAPAmber = `pap_max = { in = "amber" }`
	ignore       = `unknown_marking = "ignore"`
	notInherit   = `unmarked_observables = "default"`
)

// These are refusals, and members of marking definitions.
const (
	unmarked      = "article 4: no TLP marking, and flow in refuses what is unmarked"
	aboveMax      = "article 4: RED above AMBER"
	redAboveAmber = "article 4: PAP:RED above PAP:AMBER"
	forgery       = "article 4: a marking definition with TLP or PAP content must be the standard's own"
	forgedTLP     = `"definition_type":"tlp","definition":{"tlp":"clear"}`
	statement     = `"definition_type":"statement","definition":{"statement":"Copyright"}`
)

// Each row is one push, with the label of each object or the reason why it is refused.
func TestLabels(t *testing.T) {
	const i, j, rel, ip, dom = "indicator/i", "indicator/j", "relationship/r", "ipv4-addr/ip", "domain-name/dom"
	tests := []struct {
		name     string
		handling string
		held     heldObjects
		push     []testObject
		want     []string
	}{
		// Own markings.
		{"TLP 1.0", "", nil, []testObject{{ID: "indicator/1", Marks: "WHITE"}, {ID: "indicator/2", Marks: "GREEN"}, {ID: "indicator/3", Marks: "AMBER"}, {ID: "indicator/4", Marks: "RED"}},
			[]string{"clear", "green", "amber", "red"}},
		{"TLP 2.0", "", nil, []testObject{{ID: "indicator/1", Marks: "clear"}, {ID: "indicator/2", Marks: "green"}, {ID: "indicator/3", Marks: "amber"}, {ID: "indicator/4", Marks: "amber+strict"}, {ID: "indicator/5", Marks: "red"}},
			[]string{"clear", "green", "amber", "amber+strict", "red"}},
		{"the stricter of two", "", nil, []testObject{{ID: i, Marks: "green amber+strict"}, {ID: j, Marks: "AMBER clear"}}, []string{"amber+strict", "amber"}},
		{"PAP restricts use, not sharing", "", nil, []testObject{{ID: i, Marks: "pap:red green"}}, []string{"green"}},
		{"IEP too", "", nil, []testObject{{ID: i, Marks: "marking-definition/x green"}, {ID: "marking-definition/x", Extra: iep("none", "must-not")}}, []string{"green", "clear"}},
		{"PAP alone leaves it unmarked", "", nil, []testObject{{ID: i, Marks: "pap:red"}}, []string{unmarked}},

		// Floor and ceiling.
		{"the floor lifts", fromGreen, nil, []testObject{{ID: i, Marks: "clear"}, {ID: j, Marks: "amber"}}, []string{"green", "amber"}},
		{"the floor lifts what has a default", `tlp_floor = { in = "red" }` + "\n" + asAmber, nil, []testObject{{ID: i}}, []string{"red"}},
		{"up to the ceiling", upToAmber, nil, []testObject{{ID: i, Marks: "amber"}}, []string{"amber"}},
		{"above the ceiling", upToAmber, nil, []testObject{{ID: i, Marks: "red"}, {ID: j, Marks: "amber+strict"}}, []string{aboveMax, "article 4: AMBER+STRICT above AMBER"}},

		// Unmarked.
		{"unmarked is refused", "", nil, []testObject{{ID: i}}, []string{unmarked}},
		{"unmarked has a default", asAmber, nil, []testObject{{ID: i}}, []string{"amber"}},
		{"a looser marking beats the default", asAmber, nil, []testObject{{ID: i, Marks: "clear"}}, []string{"clear"}},
		{"definitions carry the floor", fromGreen, nil, []testObject{{ID: "marking-definition/m", Extra: statement}, {ID: "extension-definition/e"}}, []string{"green", "green"}},
		{"definitions may be marked", "", nil, []testObject{{ID: "marking-definition/m", Extra: statement, Marks: "amber"}}, []string{"amber"}},
		{"the standard's own TLP definition", "", nil, []testObject{{ID: "GREEN", Extra: `"definition_type":"tlp","definition":{"tlp":"green"}`}}, []string{"clear"}},

		// Granular markings: they make a label stricter only, and do not mark the whole object.
		{"by the marking of a part", "", nil, []testObject{{ID: i, Marks: "green", Extra: granular("red")}}, []string{"red"}},
		{"not loosened by one", "", nil, []testObject{{ID: i, Marks: "amber", Extra: granular("green")}}, []string{"amber"}},
		{"unmarked in spite of one", "", nil, []testObject{{ID: i, Extra: granular("green")}}, []string{unmarked}},
		{"a part above the ceiling", upToAmber, nil, []testObject{{ID: i, Marks: "green", Extra: granular("red")}}, []string{aboveMax}},
		{"raised by the part of another", "", nil, []testObject{{ID: "report/p", Marks: "green", Refs: i}, {ID: i, Marks: "green", Extra: granular("red")}}, []string{"red", "red"}},

		// Inheritance.
		{"from what refers to it", asAmber, nil, []testObject{{ID: "observed-data/o", Marks: "green", Refs: ip}, {ID: ip}}, []string{"green", "green"}},
		{"from what it refers to", asAmber, nil, []testObject{{ID: rel, Refs: i}, {ID: i, Marks: "green"}}, []string{"green", "green"}},
		{"the highest of several", asAmber, nil, []testObject{{ID: i, Marks: "green", Refs: ip}, {ID: j, Marks: "red", Refs: ip}, {ID: ip}}, []string{"red", "red", "red"}},
		{"through unmarked ones", asAmber, nil, []testObject{{ID: i, Marks: "green"}, {ID: rel, Refs: i + " " + ip}, {ID: ip}, {ID: "relationship/s", Refs: dom + " " + ip}, {ID: dom}},
			[]string{"green", "green", "green", "green", "green"}},
		{"not through a marked one", asAmber, nil, []testObject{{ID: i, Marks: "red", Refs: rel}, {ID: rel, Refs: ip}, {ID: ip, Marks: "green", Refs: dom}, {ID: dom}},
			[]string{"red", "red", "green", "green"}},
		{"not through an unmarked object of another kind", asAmber, nil, []testObject{{ID: "report/p", Marks: "green", Refs: i}, {ID: i, Refs: ip}, {ID: ip}},
			[]string{"amber", "amber", "amber"}},
		{"not through its creator", "", nil, []testObject{{ID: i, Marks: "green", Creator: "identity/c"}, {ID: "identity/c"}}, []string{"green", unmarked}},
		{"nor from what it created", "", nil, []testObject{{ID: "identity/c", Marks: "red"}, {ID: rel, Creator: "identity/c"}}, []string{"red", unmarked}},
		{"none reachable: refused", "", nil, []testObject{{ID: ip, Refs: dom}, {ID: dom}}, []string{unmarked, unmarked}},
		{"none reachable: the default", asAmber, nil, []testObject{{ID: ip, Refs: dom}, {ID: dom}}, []string{"amber", "amber"}},
		{"not from the collection, only in the same push", "", heldObjects{i: heldAt(stix.Green)}, []testObject{{ID: rel, Refs: i}}, []string{unmarked}},
		{"by every kind that seldom is marked", "", nil, []testObject{{ID: "report/p", Marks: "green", Refs: "sighting/s location/l identity/d language-content/c x-sco/x url/u"},
			{ID: "sighting/s"}, {ID: "location/l"}, {ID: "identity/d"}, {ID: "language-content/c"}, {ID: "x-sco/x"}, {ID: "url/u"}},
			[]string{"green", "green", "green", "green", "green", "green", "green"}},
		{"by no other kind", "", nil, []testObject{{ID: "report/p", Marks: "green", Refs: "malware/m note/n x-acme/x"}, {ID: "malware/m"}, {ID: "note/n"}, {ID: "x-acme/x"}},
			[]string{"green", unmarked, unmarked, unmarked}},
		{"not where the flow says default", asAmber + "\n" + notInherit, nil, []testObject{{ID: i, Marks: "green"}, {ID: rel, Refs: i}}, []string{"green", "amber"}},
		{"not where the flow refuses", notInherit, nil, []testObject{{ID: i, Marks: "green"}, {ID: rel, Refs: i}}, []string{"green", unmarked}},

		// Raised by references.
		{"to the label of what it refers to", "", nil, []testObject{{ID: "report/p", Marks: "green", Refs: i}, {ID: i, Marks: "amber"}}, []string{"amber", "amber"}},
		{"not the other way", "", nil, []testObject{{ID: "report/p", Marks: "amber", Refs: i}, {ID: i, Marks: "green"}}, []string{"amber", "green"}},
		{"over several steps", "", nil, []testObject{{ID: "report/p", Marks: "clear", Refs: "note/n"}, {ID: "note/n", Marks: "green", Refs: i}, {ID: i, Marks: "red"}}, []string{"red", "red", "red"}},
		{"in a circle", "", nil, []testObject{{ID: "note/a", Marks: "clear", Refs: "note/b"}, {ID: "note/b", Marks: "amber", Refs: "note/c"}, {ID: "note/c", Marks: "green", Refs: "note/a"}}, []string{"amber", "amber", "amber"}},
		{"by itself to nothing", "", nil, []testObject{{ID: "note/a", Marks: "green", Refs: "note/a"}}, []string{"green"}},
		{"by the default of the unmarked", asAmber, nil, []testObject{{ID: "report/p", Marks: "green", Refs: i}, {ID: i}}, []string{"amber", "amber"}},
		{"by what the collection holds", "", heldObjects{i: heldAt(stix.Red)}, []testObject{{ID: "report/p", Marks: "green", Refs: i}}, []string{"red"}},
		{"by what the collection holds of an object in the push too", "", heldObjects{i: heldAt(stix.Red)}, []testObject{{ID: "report/p", Marks: "green", Refs: i}, {ID: i, Marks: "green"}}, []string{"red", "green"}},
		{"by what the collection holds, over a step", "", heldObjects{i: heldAt(stix.Red)}, []testObject{{ID: "note/n", Marks: "clear", Refs: "report/p"}, {ID: "report/p", Marks: "green", Refs: i}}, []string{"red", "red"}},
		{"never lowered by it", "", heldObjects{i: heldAt(stix.Green)}, []testObject{{ID: "report/p", Marks: "amber", Refs: i}}, []string{"amber"}},
		{"not by its creator", "", heldObjects{"identity/d": heldAt(stix.Red)}, []testObject{{ID: i, Marks: "green", Creator: "identity/c"}, {ID: "identity/c", Marks: "red"}, {ID: j, Marks: "green", Creator: "identity/d"}}, []string{"green", "red", "green"}},
		{"not by what nobody knows", "", nil, []testObject{{ID: "report/p", Marks: "green", Refs: i}}, []string{"green"}},
		{"by what is refused itself", upToAmber, nil, []testObject{{ID: "report/p", Marks: "green", Refs: i}, {ID: i, Marks: "red"}}, []string{aboveMax, aboveMax}},
		{"above the ceiling by what the collection holds", upToAmber, heldObjects{i: heldAt(stix.Red)}, []testObject{{ID: "report/p", Marks: "green", Refs: i}}, []string{aboveMax}},

		// Versions of one object in one push.
		{"each version has its own label", "", nil, []testObject{{ID: i, Marks: "green"}, {ID: i, Marks: "red", Version: 1}}, []string{"green", "red"}},
		{"references mean the strictest version", "", nil, []testObject{{ID: i, Marks: "red"}, {ID: "report/p", Marks: "green", Refs: i}, {ID: i, Marks: "green", Version: 1}}, []string{"red", "red", "green"}},
		{"neighbours inherit from the strictest version", "", nil, []testObject{{ID: i, Marks: "red"}, {ID: i, Marks: "green", Version: 1}, {ID: rel, Refs: i + " " + ip}, {ID: ip}}, []string{"red", "green", "red", "red"}},
		{"unmarked versions inherit together", "", nil, []testObject{{ID: rel, Refs: i}, {ID: i, Marks: "green"}, {ID: rel, Version: 1}}, []string{"green", "green", "green"}},

		// Markings that are neither TLP nor PAP.
		{"unknown is red", "", nil, []testObject{{ID: i, Marks: "green marking-definition/x"}}, []string{"red"}},
		{"unknown alone is red", "", nil, []testObject{{ID: i, Marks: "marking-definition/x"}}, []string{"red"}},
		{"unknown is above the ceiling", upToAmber, nil, []testObject{{ID: i, Marks: "green marking-definition/x"}}, []string{aboveMax}},
		{"unknown is ignored where the flow says so", ignore, nil, []testObject{{ID: i, Marks: "green marking-definition/x"}, {ID: j, Marks: "marking-definition/x"}}, []string{"green", unmarked}},
		{"explained by a definition in the push", "", nil, []testObject{{ID: i, Marks: "green marking-definition/x"}, {ID: "marking-definition/x", Extra: statement}}, []string{"green", "clear"}},
		{"explained by one in the collection", "", heldObjects{"marking-definition/x": heldAt(stix.Clear)}, []testObject{{ID: i, Marks: "green marking-definition/x"}}, []string{"green"}},
		{"explained, but unmarked all the same", "", heldObjects{"marking-definition/x": heldAt(stix.Clear)}, []testObject{{ID: i, Marks: "marking-definition/x"}}, []string{unmarked}},
		{"no label is inherited from the statement", asAmber, nil, []testObject{{ID: ip, Marks: "marking-definition/x"}, {ID: "marking-definition/x", Extra: statement}}, []string{"amber", "clear"}},
		{"two with one statement are no neighbours", asAmber, nil, []testObject{{ID: ip, Marks: "marking-definition/x"}, {ID: i, Marks: "green marking-definition/x"}, {ID: "marking-definition/x", Extra: statement}}, []string{"amber", "green", "clear"}},

		{"an unknown one of a part is red for the whole", "", nil, []testObject{{ID: i, Marks: "green", Extra: `"name":"secret","granular_markings":[{"marking_ref":"` + string(id("marking-definition/x")) + `","selectors":["name"]}]`}}, []string{"red"}},
		{"to refer to one is not to be marked with it", "", nil, []testObject{{ID: i, Marks: "green marking-definition/x"}, {ID: "note/n", Marks: "green", Refs: "marking-definition/x"}}, []string{"red", "green"}},

		// ACS: an object that nobody may share is red.
		{"ACS that denies sharing", "", nil, []testObject{{ID: i, Marks: "marking-definition/x"}, {ID: "marking-definition/x", Extra: acs("permit", "deny")}}, []string{"red", "clear"}},
		{"ACS that denies sharing, held", "", heldObjects{"marking-definition/x": heldDefinition(acs("permit", "deny"))}, []testObject{{ID: i, Marks: "green marking-definition/x"}}, []string{"red"}},
		{"unknown markings ignored, ACS is none", ignore, heldObjects{"marking-definition/x": heldDefinition(acs("deny", "deny"))}, []testObject{{ID: i, Marks: "green marking-definition/x"}}, []string{"red"}},
		{"ACS that permits sharing says nothing", "", nil, []testObject{{ID: i, Marks: "green marking-definition/x"}, {ID: j, Marks: "marking-definition/x"}, {ID: "marking-definition/x", Extra: acs("deny", "permit")}}, []string{"green", unmarked, "clear"}},

		// Forgeries.
		{"a definition of TLP under an id of its own", "", nil, []testObject{{ID: "marking-definition/f", Extra: forgedTLP}}, []string{forgery}},
		{"red that calls itself clear", "", nil, []testObject{{ID: "RED", Extra: forgedTLP}}, []string{forgery}},
		{"a definition of PAP under an id of its own", "", nil, []testObject{{ID: "marking-definition/f", Extra: pap("clear")}}, []string{forgery}},
		{"PAP red that calls itself clear", "", nil, []testObject{{ID: "pap:red", Extra: pap("clear")}}, []string{forgery}},
		{"the standard's own PAP definition", "", nil, []testObject{{ID: "pap:white", Extra: pap("white")}}, []string{"clear"}},
		{"what it refers to raises nobody", "", nil, []testObject{{ID: "marking-definition/f", Extra: forgedTLP, Refs: j}, {ID: j, Marks: "red"}, {ID: i, Marks: "green marking-definition/f"}}, []string{forgery, "red", "green"}},
		{"nor what it is marked with", "", nil, []testObject{{ID: "marking-definition/f", Extra: pap("clear"), Marks: "red"}, {ID: i, Marks: "green marking-definition/f"}}, []string{forgery, "green"}},
		{"what it marks is judged without it", "", nil, []testObject{{ID: "marking-definition/f", Extra: forgedTLP}, {ID: i, Marks: "marking-definition/f"}, {ID: j, Marks: "green marking-definition/f"}}, []string{forgery, unmarked, "green"}},
		{"an id keeps its meaning, whatever a forgery says", "", nil, []testObject{{ID: i, Marks: "RED"}, {ID: "RED", Extra: forgedTLP}}, []string{"red", forgery}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, v := range judge(t, collection(t, "", tt.handling), tt.held, tt.push) {
				if v.Refused != "" {
					got = append(got, v.Refused)
				} else {
					got = append(got, v.TLP.String())
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// With require = ["tlp"] the label may be inherited, but must not be the flow's default for
// unmarked objects.
func TestLabelsRequiredByTheFlow(t *testing.T) {
	c := collection(t, `require = ["tlp"]`, asAmber)
	verdicts := judge(t, c, nil, []testObject{
		{ID: "indicator/i", Marks: "green"}, {ID: "relationship/r", Refs: "indicator/i"}, {ID: "indicator/j"},
		{ID: "url/u"}, {ID: "marking-definition/m", Extra: statement},
	})
	const missing = "article 3: no TLP marking, and flow in requires one"
	for i, want := range []string{"", "", missing, missing, ""} {
		if got := verdicts[i].Refused; got != want {
			t.Errorf("object %d: %q, want %q", i, got, want)
		}
	}
}

func TestLabelsOfAnEmptyPush(t *testing.T) {
	if got := judge(t, collection(t, "", ""), nil, nil); len(got) != 0 {
		t.Errorf("%d verdicts of nothing", len(got))
	}
}

// The collection is asked once for all referenced objects, whether or not they are in the
// push. If it cannot answer, there are no verdicts.
func TestLabelsAskTheCollectionOnce(t *testing.T) {
	l := exchange.NewLabels(collection(t, "", ""))
	for _, th := range []testObject{
		{ID: "report/p", Marks: "green", Refs: "indicator/i indicator/j url/u"},
		{ID: "report/q", Marks: "green marking-definition/m", Refs: "indicator/j", Creator: "identity/c"},
		{ID: "indicator/i", Marks: "green"},
	} {
		l.Add(th.object(t))
	}
	var asked []stix.Key
	broken := errors.New("the disk broke")
	verdicts, err := l.Resolve(func(keys []stix.Key) ([]exchange.Held, error) {
		asked = keys
		return nil, broken
	})
	if !errors.Is(err, broken) || verdicts != nil {
		t.Errorf("%v, %v; want the error and no verdict", verdicts, err)
	}
	want := []stix.Key{id("indicator/i").Key(), id("indicator/j").Key(), id("url/u").Key(), id("marking-definition/m").Key()}
	if diff := cmp.Diff(want, asked); diff != "" {
		t.Errorf("asked for (-want +got):\n%s", diff)
	}
}
