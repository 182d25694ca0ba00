package server_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

// byLabel is one object of each label, by the number of its indicator:
// 1 unmarked, 2 GREEN, 3 AMBER, 4 AMBER+STRICT, 5 RED.
func byLabel() []string {
	return []string{indicator(1, 0), indicator(2, 0, marked(green)), indicator(3, 0, marked(amber)), indicator(4, 0, marked(amberStrict)), indicator(5, 0, marked(red))}
}

func TestRedIsForTheNamedPersonsAndTheSenderAlone(t *testing.T) {
	w := newWorld(t)
	c := w.collection("sharing.reports")
	w.as("vendor/feed").push(c, byLabel()...)
	for account, want := range map[string]int{
		"vendor/feed": 5, "vendor/other": 5, // of the organisation that sent it
		"bureau/chief": 5, // a person, and named
		"bureau/clerk": 4, "bureau/soc": 4, "igci/desk": 4,
	} {
		if got := len(w.as(account).ids(c, "")); got != want {
			t.Errorf("%s sees %d, want %d", account, got, want)
		}
	}
}

// Counts, pages, dates, versions and single objects speak only of what the
// caller may see.
func TestHiddenObjectsLeaveNoTrace(t *testing.T) {
	w := newWorld(t)
	c := w.collection("sharing.reports")
	vendor, soc := w.as("vendor/feed"), w.as("bureau/soc")
	hidden := func(n, v int) string { return indicator(n, v, marked(red)) }
	vendor.push(c, hidden(1, 0), indicator(2, 0), hidden(3, 0), indicator(4, 0), hidden(5, 0), hidden(6, 0))
	dates := vendor.manifest(c, "")
	for _, list := range []string{"objects/", "manifest/"} {
		a := soc.get(c + list + "?limit=2").want(200)
		if e := a.envelope(); e.More || e.Next != "" || len(e.Objects) != 2 || a.first() != dates[1].DateAdded || a.last() != dates[3].DateAdded {
			t.Errorf("%s, %s to %s", a, a.first(), a.last())
		}
		a = soc.get(c + list + "?added_after=" + dates[3].DateAdded).want(200)
		if string(a.body) != "{}" || a.last() != dates[3].DateAdded {
			t.Errorf("%s, Last %s", a, a.last())
		}
		if a = soc.get(c + list + "?match[id]=" + id("indicator", 1)); string(a.body) != "{}" {
			t.Errorf("%s", a)
		}
	}
	for _, path := range []string{"/", "/versions/", "/?match[version]=all", "/?added_after=2100-01-01T00:00:00Z"} {
		got, want := soc.get(c+"objects/"+id("indicator", 1)+path), soc.get(c+"objects/"+id("indicator", 9)+path)
		got.refused(404)
		if got.fingerprint() != want.fingerprint() {
			t.Errorf("%s\nand\n%s", got, want)
		}
	}
}

func TestWhoMayNotSeeTheNewestVersionGetsTheNewestItMaySee(t *testing.T) {
	w := newWorld(t)
	c := w.collection("sharing.reports")
	vendor, soc := w.as("vendor/feed"), w.as("bureau/soc")
	vendor.push(c, indicator(1, 0), indicator(1, 1), indicator(1, 2, marked(red)))
	one := c + "objects/" + id("indicator", 1) + "/"
	if got := soc.ids(c, ""); !slices.Equal(got, []string{id("indicator", 1) + " " + stamp(1)}) {
		t.Errorf("objects: %q", got)
	}
	if got := soc.get(one).want(200).ids(); !slices.Equal(got, []string{id("indicator", 1) + " " + stamp(1)}) {
		t.Errorf("object: %q", got)
	}
	if got := soc.get(one + "versions/").want(200).envelope().Versions; !slices.Equal(got, []string{stamp(0), stamp(1)}) {
		t.Errorf("versions: %q", got)
	}
	if got := soc.ids(c, "match[version]=all"); len(got) != 2 {
		t.Errorf("all: %q", got)
	}
	if got := vendor.ids(c, ""); !slices.Equal(got, []string{id("indicator", 1) + " " + stamp(2)}) {
		t.Errorf("the vendor: %q", got)
	}
}

// A relationship to something hidden would tell of it: it takes its label.
func TestRelationshipToAHiddenObjectIsHidden(t *testing.T) {
	w := newWorld(t)
	c := w.collection("sharing.reports")
	vendor, soc := w.as("vendor/feed"), w.as("bureau/soc")
	relation := func(n int) string {
		return object("relationship", id("relationship", n), `"spec_version":"2.1"`, `"created":"`+stamp(0)+`"`, `"modified":"`+stamp(0)+`"`,
			`"relationship_type":"related-to"`, `"source_ref":"`+id("indicator", 1)+`"`, `"target_ref":"`+id("indicator", 2)+`"`)
	}
	vendor.push(c, indicator(1, 0), indicator(2, 0, marked(red)), relation(1))
	vendor.push(c, relation(2))
	if got := soc.ids(c, ""); len(got) != 1 {
		t.Errorf("%q", got)
	}
	if got := vendor.ids(c, ""); len(got) != 4 {
		t.Errorf("the vendor: %q", got)
	}
}

func TestForgedMarkingIsRefused(t *testing.T) {
	w := newWorld(t)
	c := w.collection("sharing.reports")
	forged := object("marking-definition", id("marking-definition", 1), `"spec_version":"2.1"`, `"created":"`+stamp(0)+`"`, `"definition_type":"tlp"`, `"definition":{"tlp":"white"}`)
	status := w.as("vendor/feed").push(c, forged, indicator(1, 0, marked(red)))
	if status.FailureCount != 1 || status.Failures[0].ID != id("marking-definition", 1) {
		t.Errorf("%+v", status)
	}
	if got := w.as("bureau/soc").ids(c, ""); len(got) != 0 {
		t.Errorf("%q", got)
	}
}

func TestUnknownMarkingIsRed(t *testing.T) {
	w := newWorld(t)
	c := w.collection("sharing.reports")
	w.as("vendor/feed").push(c, indicator(1, 0, marked(id("marking-definition", 77))))
	if got := w.as("bureau/soc").ids(c, ""); len(got) != 0 {
		t.Errorf("%q", got)
	}
	if got := w.as("bureau/chief").ids(c, ""); len(got) != 1 {
		t.Errorf("%q", got)
	}
}

type handlingResource struct {
	Organisation, Account, Action string
	Person                        bool
	Purposes                      []string
	Collections                   []struct {
		ID, Alias, Agreement, Article, Until, Unmarked     string
		CanRead, CanWrite, CanDelete                       bool
		SeesUpTo, TLPMax, TLPFloor                         string
		Purposes, ObjectTypes, Require, STIXVersions, More []string
		BytesPerPush, ObjectsPerPush                       int64
	}
}

func TestHandlingSaysWhatTheCallerMayDo(t *testing.T) {
	w := newWorld(t)
	read := func(account string) (h handlingResource) {
		t.Helper()
		// Go matches names without their underscores taken away beforehand.
		a := w.as(account).get("/igci/x-handling/").want(200)
		if err := json.Unmarshal([]byte(strings.ReplaceAll(string(a.body), "_", "")), &h); err != nil {
			t.Fatal(err)
		}
		return h
	}
	find := func(h handlingResource, alias string) int {
		t.Helper()
		for i := range h.Collections {
			if h.Collections[i].Alias == alias {
				return i
			}
		}
		t.Fatalf("%s has no %s", h.Account, alias)
		return 0
	}
	vendor, chief, soc, rival := read("vendor/feed"), read("bureau/chief"), read("bureau/soc"), read("rival/feed")
	if vendor.Organisation != "vendor" || vendor.Account != "vendor/feed" || vendor.Person || !chief.Person || len(vendor.Collections) != 5 {
		t.Errorf("%+v", vendor)
	}
	reports := vendor.Collections[find(vendor, "sharing.reports")]
	if !reports.CanRead || !reports.CanWrite || !reports.CanDelete || reports.Unmarked != "green" || reports.TLPMax != "red" || !slices.Equal(reports.STIXVersions, []string{"2.0", "2.1"}) || reports.Until != "2030-01-01T00:00:00Z" {
		t.Errorf("%+v", reports)
	}
	for alias, want := range map[string][3]bool{"sharing.drop": {false, true, false}, "sharing.ledger": {true, true, false}, "sharing.warnings": {true, false, false}} {
		c := vendor.Collections[find(vendor, alias)]
		if got := [3]bool{c.CanRead, c.CanWrite, c.CanDelete}; got != want {
			t.Errorf("%s: read, write, delete %v, want %v", alias, got, want)
		}
	}
	if strict := vendor.Collections[find(vendor, "sharing.strict")]; strict.Unmarked != "reject" || strict.TLPMax != "amber" || len(strict.ObjectTypes) != 3 {
		t.Errorf("%+v", strict)
	}
	if a, b := chief.Collections[find(chief, "sharing.reports")].SeesUpTo, soc.Collections[find(soc, "sharing.reports")].SeesUpTo; a != "red" || b != "amber+strict" {
		t.Errorf("the chief sees up to %s, the SOC up to %s", a, b)
	}
	if in := rival.Collections[find(rival, "bounded.in")]; in.BytesPerPush != 4096 || in.ObjectsPerPush != 5 {
		t.Errorf("%+v", in)
	}
	if a := w.as("stranger/lone").get("/igci/x-handling/").want(200); !strings.Contains(string(a.body), `"collections":[]`) {
		t.Errorf("%s", a)
	}
}
