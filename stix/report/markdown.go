package report

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Markdown writes the document as GitHub-flavoured Markdown: the parts of
// [Document.HTML], its charts as tables. All values are defanged, and all markup in the
// objects is escaped. The error is the writer's.
func (d *Document) Markdown(w io.Writer) error {
	m := markdown{view: d.view()}
	m.head()
	if d.Withdrawn {
		m.line("> **This report was withdrawn on %s.** Do not act on what it said. Destroy the copies you have, and tell those to whom you passed it on.", day(d.Modified))
		if d.Contact != "" {
			m.line("Questions: %s", escapeText(d.Contact))
		}
	} else {
		m.findingParts()
		m.actionParts()
		m.closingParts()
	}
	m.line("**%s**", m.LabelText)
	_, err := m.WriteTo(w)
	return err
}

// markdown is a document being written.
type markdown struct {
	view
	bytes.Buffer
}

// line writes a paragraph.
func (m *markdown) line(format string, values ...any) {
	if m.Len() > 0 {
		m.WriteByte('\n')
	}
	fmt.Fprintf(m, format+"\n", values...)
}

func (m *markdown) part(number int, title string) { m.line("## %d. %s", number, title) }

// text writes a text from the objects, a paragraph for each of its lines.
func (m *markdown) text(text string) {
	for _, line := range paragraphs(text) {
		m.line("%s", escapeText(line))
	}
}

// table writes a table. Cells are escaped already.
func (m *markdown) table(head []string, rows [][]string) {
	m.line("| %s |", strings.Join(head, " | "))
	fmt.Fprintln(m, strings.Repeat("| --- ", len(head))+"|")
	for _, row := range rows {
		fmt.Fprintf(m, "| %s |\n", strings.Join(row, " | "))
	}
}

func (m *markdown) head() {
	m.line("**%s**", m.LabelText)
	m.line("# %s", escapeText(m.Heading))
	annex := ""
	if m.Annex {
		annex = ", annex"
	}
	m.line("Cyber Activity Report **%s**%s", escapeText(m.Number), annex)
	facts := [][]string{{"From", escapeText(m.Centre)}}
	if m.CountryName != "" {
		facts = append(facts, []string{"Country", escapeText(m.CountryName)})
	}
	facts = append(facts, []string{"Published", day(m.Published)})
	if m.Withdrawn {
		facts = append(facts, []string{"Withdrawn", day(m.Modified)})
	} else {
		facts = append(facts, []string{"As of", day(m.Modified)})
	}
	facts = append(facts, []string{"Label", m.LabelText})
	if m.PAP != "" {
		facts = append(facts, []string{"Permitted actions", "PAP:" + strings.ToUpper(m.PAP)})
	}
	m.table([]string{"", ""}, facts)
}

// findingParts writes parts 1 to 4, with the whole table of findings: Markdown has no
// pages.
func (m *markdown) findingParts() {
	m.part(1, "What was found")
	m.line("**%d** %s", len(m.Rows), m.Counted)
	m.text(m.Summary)
	if m.CountryInText == "" {
		m.part(2, "Why it matters")
	} else {
		m.part(2, "Why it matters to "+escapeText(m.CountryInText))
	}
	m.text(m.Why)
	for _, note := range m.Notes {
		lines := paragraphs(note.Text)
		for i, line := range lines {
			lines[i] = "> " + escapeText(line)
		}
		author := "Analyst’s note"
		if note.Author != "" {
			author = escapeText(note.Author) + ", analyst"
		}
		m.line("%s\n>\n> — %s", strings.Join(lines, "\n>\n"), author)
	}
	m.part(3, "Findings")
	if len(m.Rows) == 0 {
		m.line("There is no finding in this part.")
	} else {
		m.line("Table 1. By severity")
		var rows [][]string
		for _, s := range m.Severities {
			rows = append(rows, []string{s.Name, strconv.Itoa(s.Count), strconv.Itoa(s.Government), strconv.Itoa(s.Confirmed)})
		}
		m.table([]string{"Severity", "Findings", "Of a government", "Two or more sources"}, rows)
		m.line("Table 2. All findings, the most severe first. Values are written so that nothing opens them.")
		m.findings(m.Rows)
	}
	m.part(4, "Government and critical sectors first")
	switch len(m.Government) {
	case 0:
		m.line("None of the findings is known to be a government’s or a critical sector’s.")
	case len(m.Rows):
		m.line("All findings in table 2 are a government’s.")
	default:
		m.findings(m.Government)
	}
}

func (m *markdown) findings(rows []Row) {
	t := tableOf(rows, "")
	head := []string{"Value"}
	for _, column := range []struct {
		name  string
		shown bool
	}{{"Kind", t.Kinds}, {"Family", t.Families}, {"AS", t.AS}} {
		if column.shown {
			head = append(head, column.name)
		}
	}
	head = append(head, "First seen", "Last seen", "Sources", "Confidence", "Severity", "Status")
	cells := make([][]string, len(rows))
	for i, row := range rows {
		cells[i] = t.cells(row)
	}
	m.table(head, cells)
}

func (t findings) cells(row Row) []string {
	values := make([]string, len(row.Values))
	for i, v := range row.Values {
		values[i] = codeSpan(defang(v))
	}
	value := cmp.Or(strings.Join(values, "<br>"), "–")
	if row.Government && t.MarkGovernment {
		value += "<br>**Government**"
	}
	cells := []string{value}
	if t.Kinds {
		cells = append(cells, kindWord(row.Kind))
	}
	if t.Families {
		cells = append(cells, escapeText(strings.Join(row.Families, ", ")))
	}
	if t.AS {
		as := ""
		if row.AS != 0 {
			as = "AS" + strconv.Itoa(row.AS)
		}
		cells = append(cells, as)
	}
	return append(cells, tableDate(row.First), tableDate(row.Last), strconv.Itoa(row.Sources), confidenceWord(row.Confidence),
		escapeText(cmp.Or(string(row.Severity), "not rated")), escapeText(statusCell(row.Status)))
}

// actionParts writes parts 5 and 6.
func (m *markdown) actionParts() {
	m.part(5, "Issues that "+escapeText(cmp.Or(m.CountryInText, "the country"))+" flagged")
	if len(m.Issues) == 0 {
		m.line("No issue flagged by the country is matched here.")
	} else {
		lines := make([]string, len(m.Issues))
		for i, issue := range m.Issues {
			lines[i] = "- " + escapeText(issue)
		}
		m.line("%s", strings.Join(lines, "\n"))
	}
	m.part(6, "Recommended actions")
	if len(m.Actions) == 0 {
		m.line("None is recommended.")
		return
	}
	rows := make([][]string, len(m.Actions))
	for i, a := range m.Actions {
		rows[i] = []string{strconv.Itoa(i + 1), "**" + escapeText(a.Name) + "** " + escapeText(a.Text), escapeText(cmp.Or(a.Who, "–")), escapeText(cmp.Or(a.By, "–"))}
	}
	m.table([]string{"No.", "Action", "Who", "By"}, rows)
}

// closingParts writes parts 7 to 9.
func (m *markdown) closingParts() {
	m.part(7, "Figures")
	if len(m.Charts) == 0 {
		m.line("The findings are too few to draw.")
	}
	for _, c := range m.Charts {
		m.line("**%s**, %s", c.Title, c.Note)
		rows := make([][]string, len(c.Bars))
		for i, b := range c.Bars {
			rows[i] = []string{escapeText(b.Name), strconv.Itoa(b.Count)}
		}
		m.table([]string{"", "Findings"}, rows)
	}
	m.part(8, "Handling")
	m.line("- **%s** %s", m.LabelText, m.Sharing)
	if m.PAP == "" {
		fmt.Fprintln(m, "- **Actions** The report does not say what may be done with it: ask first.")
	} else {
		fmt.Fprintf(m, "- **PAP:%s** %s\n", strings.ToUpper(m.PAP), m.Permitted)
	}
	fmt.Fprintf(m, "- **Before acting** Ask %s. Others may be at work on it.\n", escapeText(cmp.Or(m.Contact, m.Centre, "who sent you this")))
	m.part(9, "Provenance and versions")
	m.text(m.Provenance)
	if len(m.History) > 0 {
		rows := make([][]string, len(m.History))
		for i, t := range m.History {
			rows[i] = []string{strconv.Itoa(i + 1), instant(t)}
		}
		m.table([]string{"Version", "Made"}, rows)
	}
}

// escaper escapes the markup of GitHub-flavoured Markdown. A defanged dot is markup
// only where a link, or the definition of one, begins with it.
var escaper = strings.NewReplacer(
	"[.](", `\[.\](`, "[.]:", `\[.\]:`, "[.]", "[.]", "[:](", `\[:\](`, "[:]:", `\[:\]:`, "[:]", "[:]",
	`\`, `\\`, "`", "\\`", "*", `\*`, "_", `\_`, "[", `\[`, "]", `\]`, "<", "&lt;", ">", "&gt;", "&", "&amp;",
	"|", `\|`, "~", `\~`, "#", `\#`, "!", `\!`, "$", `\$`, "\r", " ", "\n", " ",
)

// escapeText is a text from the objects in one line, defanged and escaped.
func escapeText(text string) string {
	text = escaper.Replace(DefangText(strings.TrimSpace(text)))
	// These would begin a list.
	if digits := strings.TrimLeft(text, "0123456789"); strings.HasPrefix(text, "-") || strings.HasPrefix(text, "+") {
		return `\` + text
	} else if len(digits) < len(text) && digits != "" && (digits[0] == '.' || digits[0] == ')') {
		return text[:len(text)-len(digits)] + `\` + digits
	}
	return text
}

// codeSpan is a value as code in a cell of a table. It stands between more backticks
// than it has, and its pipes are escaped, which tables demand in code too.
func codeSpan(value string) string {
	fence := "`"
	for strings.Contains(value, fence) {
		fence += "`"
	}
	value = strings.NewReplacer("|", `\|`, "\r", " ", "\n", " ").Replace(value)
	if len(fence) > 1 {
		value = " " + value + " "
	}
	return fence + value + fence
}
