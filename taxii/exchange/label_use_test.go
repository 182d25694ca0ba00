package exchange_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"comity/stix"
	"comity/taxii/exchange"
)

const (
	internal = "internally-visible-actions"
	indirect = "externally-visible-indirect-actions"
	direct   = "externally-visible-direct-actions"
)

// defaultIEP is the iep line of an agreement that allows search and lookup.
const defaultIEP = `iep = { article = "4", name = "x", permitted_actions = "externally-visible-indirect-actions", affected_party_notifications = "may" }`

// Accounts for different actions read the same collection. Each sees the objects whose
// markings allow its action.
func TestActionAwareFeed(t *testing.T) {
	const everyone = "search,lookup,block,notify"
	policies := []testObject{
		{ID: "marking-definition/internal", Extra: iep(internal, "may")},
		{ID: "marking-definition/indirect", Extra: iep(indirect, "may")},
		{ID: "marking-definition/direct", Extra: iep(direct, "must-not")},
		{ID: "marking-definition/notify", Extra: iep(direct, "may")},
		{ID: "marking-definition/none", Extra: iep("none", "may")},
		{ID: "marking-definition/ask", Extra: iep("contact-for-instruction", "may")},
		{ID: "marking-definition/odd", Extra: iep("EXTERNALLY-VISIBLE-DIRECT-ACTIONS", "may")},
	}
	tests := []struct{ name, marks, want string }{
		{"PAP:RED is for search", "pap:red", "search"},
		{"PAP:AMBER for search and lookup", "pap:amber", "search,lookup"},
		{"PAP:GREEN for all", "pap:green", everyone},
		{"PAP:CLEAR for all", "pap:clear", everyone},
		{"PAP:WHITE is clear", "pap:white", everyone},
		{"the stricter of two", "pap:green pap:red", "search"},

		{"IEP internal removes it from block", "marking-definition/internal", "search"},
		{"IEP indirect", "marking-definition/indirect", "search,lookup"},
		{"IEP direct, nobody to be notified", "marking-definition/direct", "search,lookup,block"},
		{"IEP direct, notifications allowed", "marking-definition/notify", everyone},
		{"IEP none", "marking-definition/none", ""},
		{"IEP contact for instruction", "marking-definition/ask", ""},
		{"IEP in words of its own", "marking-definition/odd", ""},

		{"both: what both allow", "pap:amber marking-definition/notify", "search,lookup"},
		{"both, the other way", "pap:green marking-definition/internal", "search"},

		{"neither: the flow's default", "", "search,lookup"},
		{"a marking beats a stricter default", "pap:clear", everyone},
	}
	c := collection(t, "", defaultIEP)
	if want := exchange.Block | exchange.Notify; c.Default != want {
		t.Fatalf("the agreement bars %q, want %q", c.Default, want)
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			verdicts := judge(t, c, nil, append(policies, testObject{ID: "indicator/i", Marks: "green " + tt.marks}))
			h := verdicts[len(policies)].Handling
			var got exchange.Actions
			for _, name := range exchange.ActionNames {
				account := exchange.View{Reads: true, Ceiling: stix.Red, Action: exchange.ActionOf(name)}
				if account.Sees(h) {
					got |= account.Action
				}
			}
			if got.String() != tt.want {
				t.Errorf("seen for %q, want %q", got, tt.want)
			}
			owner := exchange.View{Reads: true, Own: true, Action: exchange.Block}
			if !owner.Sees(h) {
				t.Error("hidden from who sent it")
			}
		})
	}
}

// Each row is one push, with the barred actions of each object or the reason why it is
// refused.
func TestBarredActions(t *testing.T) {
	const i, ip, rel = "indicator/i", "ipv4-addr/ip", "relationship/r"
	const all, active, shown = "search,lookup,block,notify", "block,notify", "lookup,block,notify"
	x := testObject{ID: "marking-definition/x", Extra: iep(internal, "must-not")}
	tests := []struct {
		name     string
		handling string
		held     heldObjects
		push     []testObject
		want     []string
	}{
		{"nothing says anything", asAmber, nil, []testObject{{ID: i}}, []string{""}},
		{"TLP says nothing of use", "", nil, []testObject{{ID: i, Marks: "red"}}, []string{""}},
		{"a definition in the push, after what it marks", asAmber, nil, []testObject{{ID: i, Marks: x.ID}, x}, []string{shown, ""}},
		{"a definition in the collection", asAmber, heldObjects{x.ID: heldDefinition(x.Extra)}, []testObject{{ID: i, Marks: x.ID}}, []string{shown}},
		{"one in each: the stricter", asAmber, heldObjects{x.ID: heldDefinition(iep("none", "may"))}, []testObject{{ID: i, Marks: x.ID}, x}, []string{all, ""}},
		{"its versions: the strictest", asAmber, nil, []testObject{x, {ID: x.ID, Version: 1, Extra: iep(direct, "may")}, {ID: i, Marks: x.ID}}, []string{"", "", shown}},
		{"a statement says nothing", asAmber + "\n" + defaultIEP, nil, []testObject{{ID: x.ID, Extra: statement}, {ID: i, Marks: x.ID}}, []string{"", active}},
		{"an unknown marking says nothing", "", nil, []testObject{{ID: i, Marks: x.ID}}, []string{""}},
		{"definitions are for everyone", asAmber + "\n" + defaultIEP, nil, []testObject{x, {ID: "extension-definition/e"}}, []string{"", ""}},

		{"a part counts for the whole", asAmber, nil, []testObject{{ID: i, Extra: granular("pap:amber")}}, []string{active}},
		{"a part does not loosen", asAmber, nil, []testObject{{ID: i, Marks: "pap:red", Extra: granular("pap:green")}}, []string{shown}},
		{"a part is no marking of the whole", asAmber + "\n" + defaultIEP, nil, []testObject{{ID: i, Extra: granular("pap:clear")}}, []string{active}},

		{"inherited from what refers to it", asAmber, nil, []testObject{{ID: i, Marks: "pap:amber", Refs: ip}, {ID: ip}}, []string{active, active}},
		{"inherited from what it refers to", asAmber, nil, []testObject{{ID: rel, Refs: i}, {ID: i, Marks: "pap:amber"}}, []string{active, active}},
		{"inherited, looser than the default", asAmber + "\n" + defaultIEP, nil, []testObject{{ID: i, Marks: "pap:green", Refs: ip}, {ID: ip}}, []string{"", ""}},
		{"inherited through what has a label of its own", "", nil, []testObject{{ID: i, Marks: "red pap:red", Refs: ip}, {ID: ip, Marks: "green", Refs: "url/u"}, {ID: "url/u"}}, []string{shown, shown, shown}},
		{"not inherited through what has a level of its own", asAmber, nil, []testObject{{ID: i, Marks: "pap:red", Refs: rel}, {ID: rel, Marks: "pap:clear", Refs: ip}, {ID: ip}}, []string{shown, "", ""}},
		{"inherited from an IEP policy", asAmber, nil, []testObject{x, {ID: i, Marks: x.ID, Refs: ip}, {ID: ip}}, []string{"", shown, shown}},
		{"not where the flow says default", asAmber + "\n" + notInherit + "\n" + defaultIEP, nil, []testObject{{ID: i, Marks: "pap:clear", Refs: ip}, {ID: ip}}, []string{active, active}},

		{"raised by what it refers to", asAmber, nil, []testObject{{ID: "report/p", Marks: "pap:clear", Refs: i}, {ID: i, Marks: "pap:amber"}}, []string{active, active}},
		{"not the other way", asAmber, nil, []testObject{{ID: "report/p", Marks: "pap:red", Refs: i}, {ID: i, Marks: "pap:clear"}}, []string{shown, ""}},
		{"raised over several steps", asAmber, nil, []testObject{{ID: "report/p", Refs: "note/n"}, {ID: "note/n", Refs: i}, {ID: i, Marks: "pap:red"}}, []string{shown, shown, shown}},
		{"raised by each in its own respect", asAmber, heldObjects{"url/u": heldAt(stix.Clear, exchange.Search)}, []testObject{{ID: "report/p", Refs: i + " url/u"}, {ID: i, Marks: "pap:amber"}}, []string{"search,block,notify", active}},
		{"raised by what the collection holds", "", heldObjects{i: heldAt(stix.Clear, exchange.Block)}, []testObject{{ID: "report/p", Marks: "green", Refs: i}}, []string{"block"}},

		{"above pap_max", upToPAPAmber, nil, []testObject{{ID: i, Marks: "green pap:red"}, {ID: "indicator/j", Marks: "green pap:amber"}}, []string{redAboveAmber, active}},
		{"a part above it", upToPAPAmber, nil, []testObject{{ID: i, Marks: "green", Extra: granular("pap:red")}}, []string{redAboveAmber}},
		{"inherited above it", upToPAPAmber, nil, []testObject{{ID: i, Marks: "green pap:red", Refs: ip}, {ID: ip}}, []string{redAboveAmber, redAboveAmber}},
		{"raised above it", upToPAPAmber, nil, []testObject{{ID: "report/p", Marks: "green pap:clear", Refs: i}, {ID: i, Marks: "green pap:red"}}, []string{redAboveAmber, redAboveAmber}},
		{"a policy has no level to be above it", upToPAPAmber, nil, []testObject{{ID: i, Marks: "green " + x.ID}, x}, []string{shown, ""}},

		{"a forged level says nothing", asAmber, nil, []testObject{{ID: "marking-definition/f", Extra: pap("red")}, {ID: i, Marks: "marking-definition/f"}}, []string{forgery, ""}},
		{"nor does a policy in a forgery", asAmber, nil, []testObject{{ID: "marking-definition/f", Extra: forgedTLP + "," + iep("none", "may")}, {ID: i, Marks: "marking-definition/f"}}, []string{forgery, ""}},
		{"an id keeps its meaning, whatever a forgery says", asAmber, nil, []testObject{{ID: i, Marks: "pap:red"}, {ID: "pap:red", Extra: pap("clear")}}, []string{shown, forgery}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, v := range judge(t, collection(t, "", tt.handling), tt.held, tt.push) {
				if v.Refused != "" {
					got = append(got, v.Refused)
				} else {
					got = append(got, v.Barred.String())
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// The iep line of an agreement restricts only the actions that its keys name.
func TestDefaultOfAnAgreement(t *testing.T) {
	for block, want := range map[string]string{
		``:                                    "",
		`iep = { article = "4", name = "x" }`: "",
		`iep = { article = "4", name = "x", affected_party_notifications = "must-not" }`:                        "notify",
		`iep = { article = "4", name = "x", permitted_actions = "internally-visible-actions" }`:                 "lookup,block,notify",
		`iep = { article = "4", name = "x", permitted_actions = "none", affected_party_notifications = "may" }`: "search,lookup,block,notify",
	} {
		if got := collection(t, "", block).Default.String(); got != want {
			t.Errorf("%s\nbars %q, want %q", block, got, want)
		}
	}
}

// By has the article behind a refusal, and nothing of the pushed object.
func TestRefusalsCiteTheArticle(t *testing.T) {
	c := collection(t, `require = ["tlp"]`, upToAmber+"\n"+upToPAPAmber)
	push := []testObject{{ID: "indicator/i", Marks: "red"}, {ID: "indicator/j", Marks: "green pap:red"}, {ID: "indicator/k"}, {ID: "marking-definition/f", Extra: pap("red")}, {ID: "indicator/l", Marks: "green"}}
	for i, want := range []string{"article 4", "article 4", "article 3", "article 4", ""} {
		if v := judge(t, c, nil, push)[i]; v.By != want || (v.Refused == "") != (want == "") {
			t.Errorf("%s: %q by %q, want %q", push[i].ID, v.Refused, v.By, want)
		}
	}
}
