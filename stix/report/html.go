package report

import (
	"bytes"
	"cmp"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"comity/stix"
	"comity/stix/fusion"
)

//go:embed report.html
var pageText string

// excerpt is how many findings part 3 has of a document with more than whole: the
// rest would push what is to be done off the first pages. Table 2 then stands at
// the end.
const (
	whole   = 30
	excerpt = 12
)

// HTML writes the document as one page that needs nothing else: no script, no
// font, no image. It has nine parts in a fixed order, and the whole table after
// them if that is long. A browser's print of it is A4 with the label at the head
// and the foot of every page. All values are defanged. The error is the writer's.
func (d *Document) HTML(w io.Writer) error {
	t, err := template.New("").Funcs(template.FuncMap{
		"day": day, "date": dated, "safe": harmless, "value": defang, "kind": kindWord, "status": statusCell,
		"confidence": confidenceWord, "join": strings.Join, "table": tableOf, "lines": paragraphs, "instant": instant, "upper": strings.ToUpper,
		"quote": quote, "number": func(n int) int { return n + 1 },
	}).Parse(pageText)
	if err != nil {
		panic("report: report.html: " + err.Error())
	}
	var page bytes.Buffer
	if err := t.Execute(&page, d.view()); err != nil {
		return fmt.Errorf("write report %s: %w", d.Number, err)
	}
	_, err = page.WriteTo(w)
	return err
}

// view is a document with all that its pages say of it.
type view struct {
	*Document
	Heading    string // the title without the number
	Place      string // where, in a list
	Whose      string // where, in a sentence
	Of         string // what the great number counts
	Running    string // at the foot of every page, before its number
	Tag        string // the label as it is written
	Colour     string // of the label, by FIRST's standard
	Sharing    string // what the label allows
	Permitted  string // what the PAP level allows
	Severities []severityLine
	Excerpt    []Row // of Rows if that is long, else all
	Government []Row
	Long       bool
	Charts     []chart
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
		Document: d, Place: countryName(d.Country), Whose: countryInText(d.Country), Tag: "TLP:" + strings.ToUpper(d.Label.String()), Colour: colourOf(d.Label),
		Sharing: sharing(d.Label), Permitted: permitted(d.PAP), Excerpt: d.Rows, Long: len(d.Rows) > whole, Charts: d.charts(),
	}
	if v.Long {
		v.Excerpt = d.Rows[:excerpt]
	}
	v.Running = d.Number
	if d.Annex {
		v.Running += ", annex"
	}
	v.Running += ", as of " + day(d.Modified) + " – page "
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
	about := map[fusion.Kind]bool{}
	for _, row := range d.Rows {
		about[row.Kind] = true
		if row.Government {
			v.Government = append(v.Government, row)
		}
	}
	v.Of = "findings"
	if len(about) == 1 {
		v.Of = wordingOf(d.Rows[0].Kind).many
	}
	if len(d.Rows) == 1 {
		v.Of = wordingOf(d.Rows[0].Kind).one
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

// findings is a table of rows, with those columns that say something.
type findings struct {
	Caption             string
	Rows                []Row
	Kinds, Families, AS bool
	Marks               bool // some of them are a government's, others not
}

func tableOf(rows []Row, caption string) findings {
	t := findings{Caption: caption, Rows: rows}
	for _, row := range rows {
		t.Kinds = t.Kinds || row.Kind != rows[0].Kind
		t.Families = t.Families || len(row.Families) > 0
		t.AS = t.AS || row.AS != 0
		t.Marks = t.Marks || row.Government != rows[0].Government
	}
	return t
}

// instant is a moment for people.
func instant(t time.Time) string { return format(t, "2 January 2006, 15:04 UTC") }

// quote is a string of CSS, escaped so that nothing ends it. The templates take every such string for a URL, and
// would refuse a label.
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

// dated is a day in a table.
func dated(t time.Time) string { return cmp.Or(format(t, "2006-01-02"), "–") }

func kindWord(kind fusion.Kind) string {
	switch kind {
	case fusion.C2:
		return "C2 server"
	case fusion.Website:
		return "Website"
	}
	return "Other"
}

// statusCell is the last outcome as a table has it.
func statusCell(status string) string { return cmp.Or(statusWord(status), "–") }

// confidenceWord is the credibility on the Admiralty scale that STIX 2.1,
// appendix A, gives for a confidence.
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

// colourOf is that of the text of a label, on black (FIRST, TLP 2.0).
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

// sharing is with whom a label allows to share.
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

// permitted is what a level of PAP allows to do.
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
