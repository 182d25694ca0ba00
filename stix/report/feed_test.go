package report_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"comity/stix"
	"comity/stix/fusion"
	"comity/stix/report"
)

var exported = time.Date(2017, 4, 15, 6, 0, 0, 0, time.UTC)

// feedRows returns the rows of the example, a website with two pages, and a host with two
// addresses.
func feedRows() []report.Row {
	return append(report.Rows(example().Objects()),
		report.Row{
			Kind: fusion.Website, Key: "portal.gov.kh.example", Country: "KH", Government: true, Sources: 2, Confidence: 70, Severity: fusion.Critical,
			Values: []stix.Value{
				{Type: "domain-name", Text: "portal.gov.kh.example"},
				{Type: "url", Text: "http://portal.gov.kh.example/a.php"}, {Type: "url", Text: "http://portal.gov.kh.example/b.php?x=1&y=<2>"},
			},
			Last: time.Date(2017, 4, 10, 1, 2, 3, 456789000, time.UTC), Label: stix.Amber, Numbers: []string{"CAR-2017-KH-002", "CAR-2017-KH-WEB"}, Finding: "infrastructure--be816996-e18b-56f4-81db-c647c8208bec",
		},
		report.Row{Kind: fusion.Other, Key: "198.18.9.1", Country: "KH", AS: 64496, Confidence: 50, Label: stix.AmberStrict, Values: []stix.Value{
			{Type: "ipv4-addr", Text: "198.18.9.1"}, {Type: "ipv4-addr", Text: "198.18.9.2"}, {Type: "url", Text: "https://198.18.9.2/x"},
		}})
}

func TestFeeds(t *testing.T) {
	var table, lines bytes.Buffer
	if err := report.CSV(&table, feedRows(), exported); err != nil {
		t.Fatal(err)
	}
	golden(t, "feed.csv", table.Bytes())
	if err := report.JSONLines(&lines, feedRows(), "igci-asean-demo", exported); err != nil {
		t.Fatal(err)
	}
	golden(t, "feed.jsonl", lines.Bytes())

	records, err := csv.NewReader(&table).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(lines.String(), "\n"); n != len(records)-1 {
		t.Errorf("%d events in one feed, %d in the other", n, len(records)-1)
	}
	for line := range strings.Lines(lines.String()) {
		var event map[string]any
		if err := json.Unmarshal([]byte(line), &event); err != nil {
			t.Fatal(err)
		}
		if event["feed.name"] != nil || event["feed.code"] != "igci-asean-demo" {
			t.Errorf("it names a source, or no feed: %s", line)
		}
	}
}

// No cell is a formula for a spreadsheet.
func TestCSVHasNoFormula(t *testing.T) {
	row := report.Row{Kind: fusion.C2, Status: "=cmd|' /C calc'!A0", Country: "@SUM(1)", Families: []string{"+1", `-2"x`}, Numbers: []string{"\t=1"}, Values: []stix.Value{{Type: "domain-name", Text: "-x.example"}}}
	var b bytes.Buffer
	if err := report.CSV(&b, []report.Row{row}, exported); err != nil {
		t.Fatal(err)
	}
	records, err := csv.NewReader(&b).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	quoted := 0
	for _, cell := range records[1] {
		if cell != "" && strings.ContainsRune("=+-@\t\r\n", rune(cell[0])) {
			t.Errorf("%q is a formula", cell)
		}
		if strings.HasPrefix(cell, "'") {
			quoted++
		}
	}
	if quoted != 6 {
		t.Errorf("%d cells are quoted, want 6: %q", quoted, records[1])
	}
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("no space left") }

func TestFeedsReportTheWriter(t *testing.T) {
	if err := report.CSV(fullDisk{}, feedRows(), exported); err == nil {
		t.Error("CSV says nothing")
	}
	if err := report.JSONLines(fullDisk{}, feedRows(), "x", exported); err == nil {
		t.Error("JSONLines says nothing")
	}
	for _, d := range report.Read(example().Objects(), "CAR-2017-KH-C2") {
		if d.HTML(fullDisk{}) == nil || d.Markdown(fullDisk{}) == nil {
			t.Error("the document says nothing")
		}
	}
}
