package report_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"comity/stix"
	"comity/stix/fusion"
	"comity/stix/report"
	"comity/taxii/demo"
)

// propertiesOf returns a property of each object as text.
func propertiesOf(t *testing.T, objects []stix.Object, name string) (all []string) {
	t.Helper()
	for _, o := range objects {
		all = append(all, fmt.Sprint(property(t, o, name)))
	}
	return all
}

// labelsOf returns the TLP label of each object.
func labelsOf(objects []stix.Object) (all []string) {
	for _, o := range objects {
		label, _ := stix.MarkingTLP(o.Markings[0])
		all = append(all, label.String())
	}
	return all
}

func checkList(t *testing.T, what string, got, want []string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// Findings known only from strict sources are in an annex, with all objects about them.
func TestAnnex(t *testing.T) {
	r := cambodia()
	addServers(r, 2, true)
	r.Findings[1].Families = []string{"Brasskettle", "Quietmoth"}
	r.Reports[0].Notes = []report.Note{{Author: "J. Analyst", Text: "Seen before."}}
	objects := r.Objects()
	checkValid(t, objects)
	reports := ofType(t, objects, "report", "")
	checkList(t, "names", propertiesOf(t, reports, "name"), []string{
		"Cyber Activity Report CAR-2017-KH-C2: command-and-control servers in Cambodia",
		"Cyber Activity Report CAR-2017-KH-C2, annex: command-and-control servers in Cambodia",
	})
	checkList(t, "reports", labelsOf(reports), []string{"amber", "amber+strict"})
	checkList(t, "provenance", labelsOf(ofType(t, objects, "note", "provenance")), []string{"amber", "amber+strict"})
	checkList(t, "an analyst speaks once", propertiesOf(t, ofType(t, objects, "note", "analyst"), "authors"), []string{"[J. Analyst]"})
	checkList(t, "families", labelsOf(ofType(t, objects, "malware", "")), []string{"amber+strict", "amber"})
	checkSeparation(t, objects, r.Findings[1].Key)
	checkSeparation(t, objects, "Brasskettle")
	checkList(t, "what is found", propertiesOf(t, reports, "description"), []string{
		"This report lists 1 command-and-control server located in Cambodia.\n\nSeverity is critical or high for one of them, the government owns none, " +
			"and two or more independent sources agree on one. Through such a server somebody directs infected computers in any country. " +
			"It can be taken down only where it stands.",
		"This annex lists 2 command-and-control servers located in Cambodia.\n\nSeverity is critical or high for none of them, the government owns none, " +
			"and two or more independent sources agree on none. Through such a server somebody directs infected computers in any country. " +
			"It can be taken down only where it stands.",
	})
}

// If all findings of a report are strict, there is one report under their label. It
// refers to the issue, and its name has no value.
func TestFlaggedIssue(t *testing.T) {
	const grouping = "grouping--0f6d5c9e-4b0e-5a43-9b52-2f9e8f9e8f01"
	flagged := stix.Value{Type: "domain-name", Text: "issue-1.ph.example"}
	r := cambodia()
	r.Country = "PH"
	r.Findings = []report.Finding{{
		Entity: fusion.Entity{Kind: fusion.Other, Key: flagged.Text}, Values: []stix.Value{flagged},
		Basis: fusion.ByDomain, Confidence: 50, Sources: 1, Strict: true,
	}}
	r.Reports = []report.PlannedReport{{
		Number: "CAR-2017-PH-ISSUE-1", Theme: fusion.Other, Findings: []int{0}, Issue: grouping,
		Issues: []report.Issue{{Grouping: grouping, Values: []stix.Value{flagged}, Label: stix.Amber, Sources: 1}},
	}}
	objects := r.Objects()
	checkValid(t, objects)
	reports := ofType(t, objects, "report", "")
	checkList(t, "name", propertiesOf(t, reports, "name"), []string{"Cyber Activity Report CAR-2017-PH-ISSUE-1: an issue flagged by the Philippines"})
	checkList(t, "label", labelsOf(reports), []string{"amber+strict"})
	checkList(t, "references", propertiesOf(t, reports, "external_references"), []string{
		"[map[external_id:CAR-2017-PH-ISSUE-1 source_name:igci-cfc] map[external_id:" + grouping + " source_name:flagged-issue]]",
	})
	checkList(t, "issues", propertiesOf(t, ofType(t, objects, "note", "flagged-issues"), "content"), []string{
		"issue-1[.]ph[.]example: matched by this report, 1 source",
	})
	checkSeparation(t, objects, flagged.Text)
	if want := report.ID(r.Namespace, r.Operation, "report", "car|PH|issue|"+grouping); reports[0].ID != want {
		t.Errorf("the report is %s, want %s", reports[0].ID, want)
	}
}

// Issues stand in the part that matched them. A strict issue makes the note strict.
func TestIssues(t *testing.T) {
	r := cambodia()
	addServers(r, 1, true)
	issue := func(value string, label stix.TLP) report.Issue {
		return report.Issue{Values: []stix.Value{{Type: "ipv4-addr", Text: value}}, Label: label, Sources: 3}
	}
	r.Reports[0].Issues = []report.Issue{issue(r.Findings[0].Key, stix.Amber), issue(r.Findings[1].Key, stix.Amber)}
	objects := r.Objects()
	checkValid(t, objects)
	notes := ofType(t, objects, "note", "flagged-issues")
	checkList(t, "issues", propertiesOf(t, notes, "content"), []string{
		"198[.]18[.]32[.]26: matched by this report, 3 sources", "198[.]19[.]0[.]1: matched by this report, 3 sources",
	})
	checkList(t, "labels", labelsOf(notes), []string{"amber", "amber+strict"})

	r.Reports[0].Issues = r.Reports[0].Issues[:1]
	r.Reports[0].Issues[0].Label = stix.AmberStrict
	checkList(t, "a strict issue", labelsOf(ofType(t, r.Objects(), "note", "flagged-issues")), []string{"amber+strict"})
}

// A report of more than 200 findings has a grouping for each family.
func TestFamilies(t *testing.T) {
	r := cambodia()
	addServers(r, 199, false)
	if found := ofType(t, r.Objects(), "grouping", ""); len(found) > 0 {
		t.Errorf("200 findings make %d groupings", len(found))
	}
	addServers(r, 1, false)
	r.Findings[200].Families = []string{"Brasskettle", "Quietmoth"}
	objects := r.Objects()
	checkValid(t, objects)
	groupings := ofType(t, objects, "grouping", "")
	checkList(t, "groupings", propertiesOf(t, groupings, "name"), []string{
		"Brasskettle: command-and-control servers in Cambodia", "Quietmoth: command-and-control servers in Cambodia",
	})
	refs := fmt.Sprint(property(t, ofType(t, objects, "report", "")[0], "object_refs"))
	for i, want := range []int{3, 5} {
		if got := len(property(t, groupings[i], "object_refs").([]any)); got != want {
			t.Errorf("%s refers to %d objects, want %d", groupings[i].ID, got, want)
		}
		if !strings.Contains(refs, string(groupings[i].ID)) {
			t.Errorf("the report does not refer to %s", groupings[i].ID)
		}
	}
}

// Actions name their addressee and, if one is set, their date. They recommend nothing
// that the PAP level forbids, and have no value.
func TestActions(t *testing.T) {
	r := cambodia()
	r.Country, r.PAP = "PH", stix.PAPRed
	r.Reports[0].Acknowledge, r.Reports[0].Answer = demo.Snapshot.AddDate(0, 0, 7), demo.Snapshot.AddDate(0, 0, 30)
	actions := ofType(t, r.Objects(), "course-of-action", "")
	checkList(t, "names", propertiesOf(t, actions, "name"), []string{
		"Acknowledge the report", "Take the servers down", "Look for traffic", "Report what became of it",
	})
	all := propertiesOf(t, actions, "description")
	if want := "For the National Central Bureau of the Philippines, by 21 April 2017. Say that the report has arrived and who deals with it."; all[0] != want {
		t.Errorf("got %q, want %q", all[0], want)
	}
	if text := strings.Join(all, "\n"); strings.Contains(text, "block") || strings.Contains(text, "198") {
		t.Errorf("actions under PAP:RED:\n%s", text)
	}
}

// A website has pages, a host and an owner; a server without times has an
// indicator that holds from the snapshot.
func TestWebsite(t *testing.T) {
	r := cambodia()
	r.Country = "MM"
	r.Findings = []report.Finding{{
		Entity: fusion.Entity{Kind: fusion.Website, Key: "portal.gov.mm.example"},
		Values: []stix.Value{{Type: "url", Text: "http://portal.gov.mm.example/1.php"}, {Type: "url", Text: "http://portal.gov.mm.example/o'2.php"}},
		Basis:  fusion.ByOwner, Government: true, Confidence: 70, Severity: fusion.Critical, Sources: 2, Status: "in-progress",
	}}
	r.Reports = []report.PlannedReport{{Number: "CAR-2017-MM-WEB", Theme: fusion.Website, Findings: []int{0}}}
	objects := r.Objects()
	checkValid(t, objects)
	checkList(t, "labels", propertiesOf(t, ofType(t, objects, "infrastructure", ""), "labels"), []string{
		"[compromised-website government sources:2 severity:critical status:in-progress]",
	})
	checkList(t, "pattern", propertiesOf(t, ofType(t, objects, "indicator", ""), "pattern"), []string{
		`[url:value = 'http://portal.gov.mm.example/1.php' OR url:value = 'http://portal.gov.mm.example/o\'2.php']`,
	})
	checkList(t, "valid", propertiesOf(t, ofType(t, objects, "indicator", ""), "valid_from"), []string{"2017-04-14T00:00:00Z"})
	checkList(t, "host", propertiesOf(t, ofType(t, objects, "domain-name", ""), "value"), []string{"portal.gov.mm.example"})
	checkList(t, "owner", propertiesOf(t, ofType(t, objects, "identity", "")[2:], "name"), []string{"Owner of portal.gov.mm.example"})
	checkList(t, "place", propertiesOf(t, ofType(t, objects, "location", ""), "name"), []string{"Myanmar"})
}
