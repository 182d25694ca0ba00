package report_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"comity/stix"
	"comity/stix/report"
)

// collection looks up the newest versions of objects in a country's collection.
func collection(t *testing.T, objects []stix.Object) func(stix.ID) (stix.Object, bool) {
	t.Helper()
	all := byID(t, objects)
	return func(id stix.ID) (stix.Object, bool) {
		o, ok := all[id]
		return o, ok
	}
}

// A release a week later writes only the objects that changed.
func TestRevise(t *testing.T) {
	r := cambodia()
	addServers(r, 2, false)
	before := r.Objects()
	r.At = r.At.AddDate(0, 0, 7)
	same, err := report.Revise(r.Objects(), collection(t, before), r.At)
	if err != nil || len(same) > 0 {
		t.Fatalf("%d objects changed, %v", len(same), err)
	}

	r.Findings[1].Status = "taken-down"
	addServers(r, 1, false)
	changed, err := report.Revise(r.Objects(), collection(t, before), r.At)
	if err != nil {
		t.Fatal(err)
	}
	versions := byID(t, before)
	var again, fresh []string
	for _, o := range changed {
		old, known := versions[o.ID]
		if !known {
			fresh = append(fresh, o.Type)
			continue
		}
		again = append(again, o.Type)
		if o.Created != old.Created || o.Modified.String() != "2017-04-21T00:00:00.000Z" {
			t.Errorf("%s: created %s, modified %s", o.ID, o.Created, o.Modified)
		}
		if faults := stix.Succession(old.Raw, o.Raw); faults != nil {
			t.Errorf("%s: %v", o.ID, faults)
		}
	}
	checkList(t, "changed", again, []string{"infrastructure", "report", "note"})
	checkList(t, "new", fresh, []string{"ipv4-addr", "infrastructure", "relationship", "relationship", "indicator", "relationship"})
	checkList(t, "published", propertiesOf(t, ofType(t, changed, "report", ""), "published"), []string{"2017-04-14T00:00:00.000Z"})
}

// A version is later than the one before, whatever the clock says.
func TestReviseClock(t *testing.T) {
	r := cambodia()
	before := r.Objects()
	r.Findings[0].Status = "seized"
	changed, err := report.Revise(r.Objects(), collection(t, before), r.At.Add(-time.Hour))
	if err != nil || len(changed) != 1 || changed[0].Modified.String() != "2017-04-14T00:00:00.001Z" {
		t.Errorf("got %v, %v", changed, err)
	}
}

// A report that has no findings any more keeps its number and says that it is
// withdrawn. No version follows it.
func TestRevoke(t *testing.T) {
	r := cambodia()
	addServers(r, 1, true)
	objects := r.Objects()
	centre := report.ID(r.Namespace, r.Operation, "identity", "igci")
	var gone []stix.Object
	for _, o := range ofType(t, objects, "report", "") {
		o, err := report.Revoke(o, centre, r.At)
		if err != nil {
			t.Fatal(err)
		}
		gone = append(gone, o)
		for _, left := range []string{"198.", "infrastructure--", "indicator--", "description"} {
			if strings.Contains(string(o.Raw), left) {
				t.Errorf("%s is left in %s", left, o.Raw)
			}
		}
		if !o.Revoked || o.Modified.String() != "2017-04-14T00:00:00.001Z" || o.Created.String() != "2017-04-14T00:00:00.000Z" {
			t.Errorf("made %s, modified %s, revoked %t", o.Created, o.Modified, o.Revoked)
		}
		if _, err := report.Revoke(o, centre, r.At); err == nil {
			t.Error("revoked twice")
		}
	}
	checkList(t, "names", propertiesOf(t, gone, "name"), []string{
		"Cyber Activity Report CAR-2017-KH-C2, withdrawn", "Cyber Activity Report CAR-2017-KH-C2, annex, withdrawn",
	})
	checkList(t, "labels", labelsOf(gone), []string{"amber", "amber+strict"})
	checkValid(t, append(slices.Clone(objects[:9]), gone...)) // after the identities and definitions that all objects refer to
	if _, err := report.Revise(objects, collection(t, gone), r.At); err == nil {
		t.Error("a withdrawn report came back")
	}
}
