package report

import (
	"bytes"
	"cmp"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"comity/stix"
	"comity/stix/fusion"
)

//go:embed report.html
var pageText string

// Part 3 of a document with more than longTable findings has the first excerptRows of
// them, so that the recommended actions stay on the first pages. The whole table then
// stands at the end.
const (
	longTable   = 30
	excerptRows = 12
)

// HTML writes the document as one page that loads no script, font or image. It has nine parts in a fixed order, and the whole table after
// them if that is long. A browser's print of it is A4 with the label at the head
// and the foot of every page. All values are defanged. The error is the writer's.
func (d *Document) HTML(w io.Writer) error { return d.LinkedHTML(w, "") }

// LinkedHTML writes the page of [Document.HTML] with a link at its head to the URL back, which
// leads to more of the operation. It is not printed.
func (d *Document) LinkedHTML(w io.Writer, back string) error {
	var page bytes.Buffer
	shown := d.view()
	shown.Back = back
	if err := pageTemplate().Execute(&page, shown); err != nil {
		return fmt.Errorf("write report %s: %w", d.Number, err)
	}
	_, err := page.WriteTo(w)
	return err
}

// pageTemplate parses report.html, once.
var pageTemplate = sync.OnceValue(func() *template.Template {
	return template.Must(template.New("report.html").Funcs(template.FuncMap{
		"day": day, "date": tableDate, "safe": DefangText, "value": defang, "kind": kindWord, "status": statusCell,
		"confidence": confidenceWord, "join": strings.Join, "table": tableOf, "lines": paragraphs, "instant": instant, "upper": strings.ToUpper,
		"quote": quote, "number": func(n int) int { return n + 1 },
	}).Parse(pageText))
})

// view is a document with the texts that are computed for its pages.
type view struct {
	*Document
	Heading       string // the title without the number
	CountryName   string // as in a list
	CountryInText string // as in a sentence
	Counted       string // the unit of the great number, such as "findings"
	Footer        string // of every page, before the page number
	LabelText     string // such as "TLP:AMBER"
	Colour        string // of the label, by FIRST's standard
	Sharing       string // the sharing that the label allows
	Permitted     string // the actions that the PAP level allows
	Severities    []severityLine
	Excerpt       []Row // the first of Rows if TableAtEnd, else all
	Government    []Row
	TableAtEnd    bool // the whole table of findings is at the end
	Charts        []Chart
	Back          string // URL of the page that leads to the document, "" for none
}

// paragraphs are the lines of a text that are not blank.
func paragraphs(text string) (lines []string) {
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}

// severityLine is a line of table 1.
type severityLine struct {
	Name                         string
	Count, Government, Confirmed int
}

func (d *Document) view() view {
	v := view{
		Document: d, CountryName: CountryName(d.Country), CountryInText: countryInText(d.Country), LabelText: "TLP:" + strings.ToUpper(d.Label.String()), Colour: colourOf(d.Label),
		Sharing: sharing(d.Label), Permitted: permitted(d.PAP), Excerpt: d.Rows, TableAtEnd: len(d.Rows) > longTable, Charts: d.charts(),
	}
	if v.TableAtEnd {
		v.Excerpt = d.Rows[:excerptRows]
	}
	v.Footer = d.Number
	if d.Annex {
		v.Footer += ", annex"
	}
	v.Footer += ", as of " + day(d.Modified) + " – page "
	_, heading, found := strings.Cut(d.Title, ": ")
	if !found {
		heading = d.Title
	}
	if d.Withdrawn {
		heading = "Withdrawn"
	}
	if first, size := utf8.DecodeRuneInString(heading); size > 0 {
		v.Heading = string(unicode.ToUpper(first)) + heading[size:]
	}
	kinds := map[fusion.Kind]bool{}
	for _, row := range d.Rows {
		kinds[row.Kind] = true
		if row.Government {
			v.Government = append(v.Government, row)
		}
	}
	v.Counted = "findings"
	if len(kinds) == 1 {
		v.Counted = wordingOf(d.Rows[0].Kind).plural
	}
	if len(d.Rows) == 1 {
		v.Counted = wordingOf(d.Rows[0].Kind).singular
	}
	v.Severities = severityLines(d.Rows)
	return v
}

func severityLines(rows []Row) []severityLine {
	var lines []severityLine
	for _, severity := range append(bySeverity[:len(bySeverity):len(bySeverity)], fusion.Unrated) {
		line := severityLine{Name: cmp.Or(string(severity), "not rated")}
		for _, row := range rows {
			if row.Severity != severity {
				continue
			}
			line.Count++
			if row.Government {
				line.Government++
			}
			if row.Sources > 1 {
				line.Confirmed++
			}
		}
		if line.Count > 0 {
			lines = append(lines, line)
		}
	}
	return lines
}

// findings is a table of rows. A column that would say nothing is left out.
type findings struct {
	Caption             string
	Rows                []Row
	Kinds, Families, AS bool
	MarkGovernment      bool // some of them are a government's, others not
}

func tableOf(rows []Row, caption string) findings {
	t := findings{Caption: caption, Rows: rows}
	for _, row := range rows {
		t.Kinds = t.Kinds || row.Kind != rows[0].Kind
		t.Families = t.Families || len(row.Families) > 0
		t.AS = t.AS || row.AS != 0
		t.MarkGovernment = t.MarkGovernment || row.Government != rows[0].Government
	}
	return t
}

// instant is a time as people write it.
func instant(t time.Time) string { return format(t, "2 January 2006, 15:04 UTC") }

// quote is a string of CSS, escaped so that no character ends it. html/template takes every
// such string for a URL, and would refuse a label.
func quote(text string) template.CSS {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range text {
		if unicode.IsLetter(r) || unicode.IsDigit(r) || r == ' ' {
			b.WriteRune(r)
		} else {
			fmt.Fprintf(&b, `\%x `, r) // the space is part of it
		}
	}
	b.WriteByte('"')
	return template.CSS(b.String())
}

// tableDate is a day in a table.
func tableDate(t time.Time) string { return cmp.Or(format(t, "2006-01-02"), "–") }

func kindWord(kind fusion.Kind) string {
	switch kind {
	case fusion.C2:
		return "C2 server"
	case fusion.Website:
		return "Website"
	}
	return "Other"
}

// statusCell is the last outcome in a table.
func statusCell(status string) string { return cmp.Or(statusWord(status), "–") }

// confidenceWord is the credibility on the Admiralty scale for a confidence, by
// appendix A of STIX 2.1.
func confidenceWord(confidence int) string {
	switch {
	case confidence >= 80:
		return "Confirmed by other sources"
	case confidence >= 60:
		return "Probably true"
	case confidence >= 40:
		return "Possibly true"
	case confidence >= 20:
		return "Doubtful"
	case confidence > 0:
		return "Improbable"
	}
	return "Cannot be judged"
}

// colourOf is the colour of a label's text on black (FIRST, TLP 2.0).
func colourOf(label stix.TLP) string {
	switch label {
	case stix.Clear:
		return "#FFFFFF"
	case stix.Green:
		return "#33FF00"
	case stix.Amber, stix.AmberStrict:
		return "#FFC000"
	}
	return "#FF2B2B"
}

// sharing is the rule for sharing under a label.
func sharing(label stix.TLP) string {
	switch label {
	case stix.Clear:
		return "There is no limit on disclosure."
	case stix.Green:
		return "Share it within the community of those who protect networks, and not in public."
	case stix.Amber:
		return "Share it within your organisation and with those whom it serves, on a need-to-know basis, to protect them and to prevent further harm."
	case stix.AmberStrict:
		return "Share it within your own organisation only, on a need-to-know basis."
	}
	return "It is for the eyes and ears of the individual recipients only. Do not share it."
}

// permitted is the rule for actions under a PAP level.
func permitted(level string) string {
	switch level {
	case "clear":
		return "Any lawful use."
	case "green":
		return "Active use too: block traffic from and to the findings, contact a host, set up a honeypot for it."
	case "amber":
		return "Passive checks only, at third parties too, such as look-up services. Do not block, and do not touch a finding: that would be seen."
	case "red":
		return "Search your own logs only. Do nothing that can be noticed from outside."
	}
	return ""
}
