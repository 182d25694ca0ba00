package report

import (
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"comity/stix"
	"comity/stix/rawjson"
)

// Document is one report, or its annex, as people read it. Texts are those of
// the objects: HTML and Markdown defang and escape them.
type Document struct {
	Number     string      `json:"number"`
	Annex      bool        `json:"annex"`
	Withdrawn  bool        `json:"withdrawn"` // then only its author and times are left
	Title      string      `json:"title"`
	Country    string      `json:"country,omitempty"` // ISO 3166-1 alpha-2, "" if its objects do not say
	Centre     string      `json:"centre"`            // the organisation that wrote it
	Contact    string      `json:"contact,omitempty"` // whom to ask before acting
	Label      stix.TLP    `json:"tlp"`               // the strictest label of its parts; a part without a known one counts as RED
	PAP        string      `json:"pap,omitempty"`     // as [stix.PAP.String] writes it, "" without one
	Published  time.Time   `json:"published"`
	Modified   time.Time   `json:"modified"`
	Summary    string      `json:"summary"`          // of the findings
	Why        string      `json:"why"`              // why the findings matter to this country
	Rows       []Row       `json:"rows,omitempty"`   // as [Rows] orders them
	Issues     []string    `json:"issues,omitempty"` // flagged by the country, each with its matches in one line
	Actions    []Action    `json:"actions,omitempty"`
	Notes      []Note      `json:"notes,omitempty"` // of analysts
	Provenance string      `json:"provenance"`
	History    []time.Time `json:"history,omitempty"` // times of its versions; set by the caller
}

// Action is a recommended action.
type Action struct {
	Name string `json:"name"`
	Who  string `json:"who,omitempty"`
	By   string `json:"by,omitempty"` // a date as people write it
	Text string `json:"text"`
}

// Read reads the report of that number from objects: its body, then its annex. The
// result is empty if there is none. Of several versions the newest counts. A revoked
// report is a document that says so and no more. Only notes by the creator of the
// report are read.
func Read(objects []stix.Object, number string) []*Document {
	return read(objects, func(n string) bool { return n == number })[number]
}

// ReadAll reads every report from objects, by number, each as [Read] does. It indexes
// the objects only once.
func ReadAll(objects []stix.Object) map[string][]*Document {
	return read(objects, func(string) bool { return true })
}

func read(objects []stix.Object, wanted func(number string) bool) map[string][]*Document {
	g := newGraph(objects)
	documents := map[string][]*Document{}
	for _, id := range g.order {
		o := g.objects[id]
		if !isReport(o) {
			continue
		}
		switch number := numberOf(o); {
		case !wanted(number):
		case slices.Contains(members(o, "labels"), "annex"):
			documents[number] = append(documents[number], g.document(o))
		default:
			documents[number] = slices.Insert(documents[number], 0, g.document(o))
		}
	}
	return documents
}

func isReport(o stix.Object) bool {
	return o.Type == "report" && slices.Contains(members(o, "labels"), "cyber-activity-report")
}

// numberOf is the number of a report: the id of its external reference that is not to
// a flagged issue.
func numberOf(o stix.Object) string {
	for e := rawjson.ElementsOf(rawjson.Member(o.Raw, "external_references")); e.Next(); {
		source, _ := rawjson.Text(rawjson.Member(e.Value, "source_name"))
		if s, ok := rawjson.Text(rawjson.Member(e.Value, "external_id")); ok && string(source) != "flagged-issue" {
			return string(s)
		}
	}
	return ""
}

func (g *graph) document(o stix.Object) *Document {
	d := &Document{
		Number: numberOf(o), Annex: slices.Contains(members(o, "labels"), "annex"), Withdrawn: o.Revoked,
		Title: member(o, "name"), Label: labelOf(o), PAP: papOf(o),
		Published: moment(o, "published"), Modified: o.Version().Time(),
	}
	centre := g.objects[o.Creator]
	d.Centre, d.Contact = member(centre, "name"), member(centre, "contact_information")
	if d.Withdrawn {
		return d
	}
	d.Summary, d.Why, _ = strings.Cut(member(o, "description"), "\n\n")
	d.Rows = g.rows(g.refs(o))
	for _, row := range d.Rows {
		d.Label = max(d.Label, row.Label)
	}
	d.Country = g.country(o, d.Rows)
	for _, ref := range members(o, "object_refs") {
		if action, ok := g.find(stix.ID(ref)); ok && action.Type == "course-of-action" {
			d.Actions = append(d.Actions, actionOf(action))
		}
	}
	for _, id := range g.order {
		note, ok := g.find(id)
		if ok && note.Type == "note" && note.Creator == o.Creator && slices.Contains(members(note, "object_refs"), string(o.ID)) {
			d.Label = max(d.Label, labelOf(note))
			d.note(note)
		}
	}
	return d
}

// actionDescription matches the description of an action: its addressee, its date if it
// has one, and its text.
var actionDescription = regexp.MustCompile(`^For (.+?)(?:, by (\d{1,2} \p{L}+ \d{4}))?\. (?s:(.*))$`)

// actionOf splits the description of an action into addressee, date and text.
func actionOf(o stix.Object) Action {
	a := Action{Name: member(o, "name"), Text: member(o, "description")}
	if parts := actionDescription.FindStringSubmatch(a.Text); parts != nil {
		a.Who, a.By, a.Text = parts[1], parts[2], parts[3]
	}
	return a
}

// note adds the text of a note on the report to the part that its label names.
func (d *Document) note(o stix.Object) {
	text := strings.TrimSpace(member(o, "content"))
	labels := members(o, "labels")
	switch {
	case slices.Contains(labels, "provenance"):
		d.Provenance = text
	case slices.Contains(labels, "flagged-issues"):
		d.Issues = append(d.Issues, paragraphs(text)...)
	case slices.Contains(labels, "analyst"):
		d.Notes = append(d.Notes, Note{strings.Join(members(o, "authors"), ", "), text})
	}
}

// country is the country of a report: the location to which it refers, else that of its
// findings.
func (g *graph) country(o stix.Object, rows []Row) string {
	for _, ref := range members(o, "object_refs") {
		if place, ok := g.find(stix.ID(ref)); ok && place.Type == "location" {
			return member(place, "country")
		}
	}
	for _, row := range rows {
		if row.Country != "" {
			return row.Country
		}
	}
	return ""
}

// papOf is the strictest PAP level that o bears, "" without one.
func papOf(o stix.Object) string {
	level, found := stix.PAPClear, false
	for _, id := range o.Markings {
		if l, ok := stix.MarkingPAP(id); ok {
			level, found = max(level, l), true
		}
	}
	if !found {
		return ""
	}
	return level.String()
}

// refang undoes what [defang] does to dots and colons.
var refang = strings.NewReplacer("[.]", ".", "[:]", ":")

// defang writes a value so that it cannot be clicked: hxxp for http, [.] for dots, and
// in IPv6 addresses [:] for colons.
func defang(v stix.Value) string {
	v.Text = refang.Replace(v.Text) // it may be defanged already
	if v.Type == "ipv6-addr" {
		return strings.ReplaceAll(v.Text, ":", "[:]")
	}
	if len(v.Text) > 4 && strings.EqualFold(v.Text[:4], "http") {
		v.Text = "hxxp" + v.Text[4:]
	}
	return strings.ReplaceAll(v.Text, ".", "[.]")
}

// linkPattern matches the e-mail addresses, URLs and hosts in a text.
var linkPattern = regexp.MustCompile(`[\pL\pN._%+-]+@[\pL\pN.-]+` +
	`|[a-zA-Z][a-zA-Z0-9+.-]*://[^\s"'<>]*[^\s"'<>.,;:)]` +
	`|\d{1,3}(?:\.\d{1,3}){3}` +
	`|[\pL\pN_-]+(?:\.[\pL\pN_-]+)*\.\pL[\pL\pN-]+`)

// fileExtensions are extensions that are no top-level domains. Names of reference
// tables have them.
var fileExtensions = []string{".csv", ".json", ".mmdb", ".toml", ".tsv", ".txt"}

// DefangText is a text with its URLs and hosts defanged. E-mail addresses stay.
func DefangText(text string) string {
	return linkPattern.ReplaceAllStringFunc(text, func(found string) string {
		isURL := strings.Contains(found, "://")
		if !isURL && (strings.Contains(found, "@") || slices.Contains(fileExtensions, path.Ext(found))) {
			return found
		}
		return defang(stix.Value{Text: found})
	})
}
