package demo_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"comity/stix"
	"comity/stix/validate"
	"comity/taxii/demo"
)

// A country reports on all it may know of, once it gets a report.
func TestWhoReports(t *testing.T) {
	s := scenario(t, "small")
	releasable := 0
	for i := range s.Servers {
		if s.Servers[i].Releasable() {
			releasable++
		}
	}
	equal(t, "outcomes", len(s.Outcomes()), releasable)
	s.MinServers = 50
	equal(t, "outcomes of countries with 50", len(s.Outcomes()), 0)
}

func TestOutcomeNote(t *testing.T) {
	const finding = stix.ID("infrastructure--be816996-e18b-56f4-81db-c647c8208bec")
	o := demo.Outcome{Country: "KH", Status: demo.TakenDown}
	note := o.Note(finding, demo.Snapshot)
	if found := validate.Object(note.Raw, validate.Policy{}).Errors(); found != nil {
		t.Fatalf("%v\n%s", found, note.Raw)
	}
	equal(t, "creator", note.Creator, demo.Identity("ncb-kh"))
	equal(t, "has its label", strings.Contains(string(note.Raw), `"labels":["outcome:taken-down"]`), true)
	equal(t, "markings", note.Markings, []stix.ID{stix.Amber.Marking()})
	var refers []stix.ID
	note.References(func(_ string, id stix.ID) { refers = append(refers, id) })
	equal(t, "refers to the finding", slices.Contains(refers, finding), true)
	equal(t, "made later it is the same note", o.Note(finding, demo.Snapshot.Add(time.Hour)).ID, note.ID)
}
