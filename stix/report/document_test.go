package report_test

import (
	"bytes"
	"flag"
	"fmt"
	"html"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"comity/stix"
	"comity/stix/fusion"
	"comity/stix/report"
)

var update = flag.Bool("update", false, "write the golden files; then read the difference")

// golden compares with testdata/name, or writes it.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s: run with -update, then read the difference\n%s", path, diff)
	}
}

// example returns a release with everything that a document can have: two families, a
// government's server, an IPv6 address, an annex, matched issues, an analyst's note and
// dates.
func example() *report.Release {
	r := cambodia()
	at := func(month time.Month, day int) time.Time { return time.Date(2017, month, day, 8, 30, 0, 0, time.UTC) }
	server := func(severity fusion.Severity, sources int, first, last time.Time, values ...stix.Value) report.Finding {
		return report.Finding{
			Entity: fusion.Entity{Kind: fusion.C2, Key: values[len(values)-1].Text}, Values: values, Basis: fusion.ByReference,
			Severity: severity, Sources: sources, Confidence: 30 + 20*sources, First: first, Last: last, Families: []string{"Tinwolf"},
		}
	}
	portal := server(fusion.Medium, 1, at(3, 20), at(3, 20), stix.Value{Type: "ipv4-addr", Text: "198.18.32.7"})
	portal.Government, portal.Status = true, "in-progress"
	six := server(fusion.Medium, 1, at(4, 3), at(4, 5), stix.Value{Type: "ipv6-addr", Text: "2001:db8:7::19"})
	six.Families = nil
	down := server(fusion.High, 2, at(3, 1), at(4, 9), stix.Value{Type: "ipv4-addr", Text: "198.18.4.100"})
	down.Status, down.Families = "taken-down", []string{"Quietmoth", "Tinwolf"}
	strict := server(fusion.Medium, 1, at(3, 28), at(4, 2), stix.Value{Type: "domain-name", Text: "c2-09999.kh.example"})
	strict.Strict = true
	r.Findings = append(r.Findings, portal, six, down, strict,
		server(fusion.Low, 1, time.Time{}, time.Time{}, stix.Value{Type: "domain-name", Text: "c2-00031.kh.example"}))
	r.Reports[0] = report.PlannedReport{
		Number: "CAR-2017-KH-C2", Theme: fusion.C2, Findings: []int{0, 1, 2, 3, 4, 5},
		Issues:      []report.Issue{{Grouping: "grouping--0f6d5c9e-4b0e-5a43-9b52-2f9e8f9e8f01", Values: []stix.Value{{Type: "ipv4-addr", Text: "198.18.32.7"}}, Label: stix.Amber, Sources: 1}},
		Notes:       []report.Note{{Author: "Sok D.", Text: "The panel at https://198.18.32.26/panel is the oldest.\nAsk desk@ncb.kh.example about it."}},
		Acknowledge: at(4, 21), Answer: at(5, 14),
	}
	return r
}

// read returns the documents of a report, which must exist.
func read(t *testing.T, objects []stix.Object, number string) []*report.Document {
	t.Helper()
	documents := report.Read(objects, number)
	if len(documents) == 0 {
		t.Fatalf("there is no %s", number)
	}
	return documents
}

// written returns a document as HTML and as Markdown.
func written(t *testing.T, d *report.Document) (page, text string) {
	t.Helper()
	var html, markdown bytes.Buffer
	if err := d.HTML(&html); err != nil {
		t.Fatal(err)
	}
	if err := d.Markdown(&markdown); err != nil {
		t.Fatal(err)
	}
	return html.String(), markdown.String()
}

func TestDocument(t *testing.T) {
	r := example()
	objects := r.Objects()
	documents := read(t, objects, "CAR-2017-KH-C2")
	if len(documents) != 2 || documents[0].Annex || !documents[1].Annex {
		t.Fatalf("got %d documents, want the body and then the annex", len(documents))
	}
	for _, d := range documents {
		d.History = []time.Time{r.At, r.At.Add(26 * time.Hour)}
		name := "car-2017-kh-c2"
		if d.Annex {
			name += "-annex"
		}
		page, text := written(t, d)
		golden(t, name+".html", []byte(page))
		golden(t, name+".md", []byte(text))

		tag := "TLP:" + strings.ToUpper(d.Label.String())
		for form, got := range map[string]string{"HTML": page, "Markdown": text} {
			if strings.Count(html.UnescapeString(got), tag) < 3 {
				t.Errorf("%s of %s says %s too seldom", form, name, tag)
			}
			for _, f := range r.Findings {
				for _, v := range f.Values {
					if strings.Contains(got, v.Text) {
						t.Errorf("%s of %s has %s as it is", form, name, v.Text)
					}
				}
			}
			if strings.Contains(got, "https://198") {
				t.Errorf("%s of %s has a URL in a note as it is", form, name)
			}
		}
		// The page must not load anything.
		if strings.Contains(page, "<script") || strings.Contains(page, "<link") || strings.Contains(page, "url(") || strings.Contains(page, "src=") {
			t.Errorf("%s is not self-contained", name)
		}
	}
	body, annex := documents[0], documents[1]
	if body.Label != stix.Amber || annex.Label != stix.AmberStrict {
		t.Errorf("got labels %v and %v", body.Label, annex.Label)
	}
	if page, _ := written(t, body); strings.Contains(page, "09999") {
		t.Error("the body tells what is for the annex alone")
	}
	if got := report.Read(objects, "CAR-2017-KH-WEB"); len(got) != 0 {
		t.Errorf("got %d documents of a number that is not there", len(got))
	}
}

// ReadAll returns each report as Read does, with the body first.
func TestReadAll(t *testing.T) {
	r := example()
	r.Reports = append(r.Reports, report.PlannedReport{Number: "CAR-2017-KH-WEB", Theme: fusion.Website, Findings: []int{1, 4}})
	objects := r.Objects()
	slices.Reverse(objects)
	all := report.ReadAll(objects)
	if len(all) != len(r.Reports) {
		t.Errorf("got %d numbers, want %d", len(all), len(r.Reports))
	}
	for _, p := range r.Reports {
		documents := all[p.Number]
		if len(documents) != 2 || documents[0].Annex || !documents[1].Annex {
			t.Errorf("%s has %d documents, want the body and then the annex", p.Number, len(documents))
		}
		if diff := cmp.Diff(read(t, objects, p.Number), documents); diff != "" {
			t.Errorf("%s (-alone +among all):\n%s", p.Number, diff)
		}
	}
}

// A note under a stricter label makes the whole document that strict.
func TestDocumentIsAsStrictAsItsParts(t *testing.T) {
	r := example()
	r.Reports[0].Issues[0].Label = stix.AmberStrict
	if got := read(t, r.Objects(), "CAR-2017-KH-C2")[0].Label; got != stix.AmberStrict {
		t.Errorf("got %v, want amber+strict", got)
	}
}

// A document has only the notes of the centre.
func TestDocumentLeavesOutNotesOfOthers(t *testing.T) {
	objects := example().Objects()
	for _, o := range ofType(t, objects, "note", "analyst") {
		theirs := strings.NewReplacer(string(o.Creator), "identity--0f6d5c9e-4b0e-5a43-9b52-2f9e8f9e8f02", string(o.ID), "note--0f6d5c9e-4b0e-5a43-9b52-2f9e8f9e8f03")
		objects = append(objects, object(t, theirs.Replace(string(o.Raw))))
	}
	if notes := read(t, objects, "CAR-2017-KH-C2")[0].Notes; len(notes) != 1 {
		t.Errorf("got %d notes, want the centre's", len(notes))
	}
}

func TestDocumentWithdrawn(t *testing.T) {
	r := example()
	objects := r.Objects()
	centre := read(t, objects, "CAR-2017-KH-C2")[0].Centre
	for _, o := range slices.Clone(objects) {
		if o.Type == "report" {
			gone, err := report.Revoke(o, o.Creator, r.At.AddDate(0, 0, 5))
			if err != nil {
				t.Fatal(err)
			}
			objects = append(objects, gone)
		}
	}
	for _, d := range read(t, objects, "CAR-2017-KH-C2") {
		if !d.Withdrawn || len(d.Rows)+len(d.Notes)+len(d.Issues) > 0 || d.Centre != centre {
			t.Errorf("got %+v", d)
		}
		page, text := written(t, d)
		if !d.Annex {
			golden(t, "withdrawn.html", []byte(page))
			golden(t, "withdrawn.md", []byte(text))
		}
		for _, got := range []string{page, text} {
			if !strings.Contains(got, "This report was withdrawn on 19 April 2017.") || strings.Contains(got, "198[") {
				t.Errorf("it does not say that it is withdrawn and no more:\n%s", got)
			}
		}
	}
	if rows := report.Rows(objects); len(rows) != len(r.Findings) || rows[0].Numbers != nil {
		t.Errorf("got %d findings, the first in %v", len(rows), rows[0].Numbers)
	}
}

// No text from an object becomes markup.
func TestDocumentEscapes(t *testing.T) {
	const script = `</style><script>alert(1)</script>`
	r := example()
	r.Centre.Name, r.Centre.Contact = `C"`+script, script+`"; } body { display: none`
	r.Findings[0].Families = []string{script, "a|b", "`code`", "**bold**"}
	r.Findings[0].Status = `"><img src=x onerror=alert(1)>`
	r.Findings[1].Values = []stix.Value{{Type: "ipv4-addr", Text: "198.18.32.7"}, {Type: "url", Text: "http://evil.example/`|`<u>|x\n# y"}}
	r.Reports[0].Number = `N"}` + script
	r.Reports[0].Notes = []report.Note{{Author: script, Text: script + "\n# heading\n1. one\n- item\n[x](http://evil.example/)"}}
	page, text := written(t, read(t, r.Objects(), r.Reports[0].Number)[0])
	for _, bad := range []string{"<script", "<img", "<u>", "http://evil"} {
		if strings.Contains(page, bad) {
			t.Errorf("%q is in the page", bad)
		}
		if strings.Contains(strings.ReplaceAll(text, "/`\\|`<u>", ""), bad) { // that one is in code
			t.Errorf("%q is in the text", bad)
		}
	}
	if n := strings.Count(page, "</style>"); n != 1 {
		t.Errorf("the style ends %d times", n)
	}
	for _, bad := range []string{"\n# heading", "\n> # heading", "> 1. one", "> - item", "[x](", "a|b"} {
		if strings.Contains(text, bad) {
			t.Errorf("%q is markup", bad)
		}
	}
	// Every line of a table has as many cells as its head.
	columns := 0
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "|") {
			columns = 0
			continue
		}
		n := strings.Count(line, "|") - strings.Count(line, `\|`)
		if columns == 0 {
			columns = n
		} else if n != columns {
			t.Errorf("%d cells, want %d: %s", n, columns, line)
		}
	}
}

// A long table is at the end, after the recommended actions.
func TestDocumentLong(t *testing.T) {
	r := example()
	addServers(r, 300, false)
	page, text := written(t, read(t, r.Objects(), "CAR-2017-KH-C2")[0])
	act, all := strings.Index(page, "Recommended actions"), strings.Index(page, "Table 2. All findings")
	if act < 0 || all < act {
		t.Errorf("actions at %d, the whole table at %d", act, all)
	}
	for i := range 300 {
		value := fmt.Sprintf("198[.]19[.]%d[.]%d<", (i+6)>>8, (i+6)&255)
		if !strings.Contains(page, value) {
			t.Fatalf("%s is not there", value)
		}
	}
	if n := strings.Count(text, "\n| `"); n < 305 {
		t.Errorf("Markdown has %d findings", n)
	}
}
