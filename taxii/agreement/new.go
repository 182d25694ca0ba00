package agreement

import (
	"bytes"
	"cmp"
	_ "embed"
	"encoding/json"
	"slices"
	"strings"
	"text/template"
	"time"

	"comity/taxii"
)

// Draft has the terms of a new agreement between the centre and its partners. ID, Effective,
// Expires and the Org of each party must be given.
type Draft struct {
	ID, Title string   // a missing Title is made of the names
	Centre    Party    // Role is centre; the default Kind is international-body
	Partners  []Party  // at least one; the default Kind is private-vendor, the default Role is bureau for a national-bureau, else provider
	Purposes  []string // nil is all three

	Effective, Expires time.Time

	Senders       []string // ids of the partners that send to the centre; nil is all
	Readers       []string // ids of the partners that read the others' collections, as the centre does
	OnwardTo      []string // kinds of organisation to which the centre may pass on fused data; nil is none
	ObjectTypes   []string // types of the partners' objects; nil is all
	Unmarked      Unmarked // the rule for the partners' unmarked objects
	RedRecipients []string // "org:name"; if there are none, the partners may not send RED
}

// outline is a draft with lists of names for the text of its articles.
type outline struct {
	Draft
	PartnerIDs                         []string
	Everybody, Partner, Sender, Reader string // names, joined for a sentence
}

//go:embed new.tmpl
var newText string

// New writes a data exchange agreement: a flow inbound, in which each sender has
// a collection of its own, and a flow outbound from the centre to all partners,
// each article in plain words beside the block that carries it out. [Parse] and
// [Check] find no problem in it. If Parse finds errors, they are the error of New, with
// code Invalid.
func New(d Draft) ([]byte, error) {
	if d.Effective.IsZero() || d.Expires.IsZero() {
		return nil, taxii.Errorf(taxii.Invalid, "agreement %s: say when it takes effect and when it expires", d.ID)
	}
	if len(d.Partners) == 0 {
		return nil, taxii.Errorf(taxii.Invalid, "agreement %s: name at least one partner", d.ID)
	}
	d.Centre.Role = RoleCentre
	d.Centre.Kind = cmp.Or(d.Centre.Kind, "international-body")
	d.Centre.Name = cmp.Or(d.Centre.Name, d.Centre.Org)
	d.Partners = slices.Clone(d.Partners)
	o := outline{}
	names := map[string]string{}
	for i := range d.Partners {
		p := &d.Partners[i]
		p.Kind = cmp.Or(p.Kind, "private-vendor")
		p.Name = cmp.Or(p.Name, p.Org)
		role := "provider"
		if p.Kind == "national-bureau" {
			role = "bureau"
		}
		p.Role = cmp.Or(p.Role, role)
		names[p.Org] = p.Name
		o.PartnerIDs = append(o.PartnerIDs, p.Org)
	}
	if d.Senders == nil {
		d.Senders = o.PartnerIDs
	}
	if d.Purposes == nil {
		d.Purposes = []string{"criminal-trends", "cyberthreats", "cybercrime"}
	}
	namesOf := func(orgs []string) string {
		var ss []string
		for _, org := range orgs {
			ss = append(ss, cmp.Or(names[org], org))
		}
		return enumerate(ss)
	}
	o.Partner, o.Sender, o.Reader = namesOf(o.PartnerIDs), namesOf(d.Senders), namesOf(d.Readers)
	names[d.Centre.Org] = d.Centre.Name
	o.Everybody = namesOf(append([]string{d.Centre.Org}, o.PartnerIDs...))
	d.Title = cmp.Or(d.Title, "Data exchange agreement: "+o.Everybody)
	o.Draft = d

	t, err := template.New("").Funcs(template.FuncMap{
		"q": quote, "list": list, "time": timestamp, "day": day, "tlp": tlpWords,
		"words":   func(ss []string) string { return enumerate(spaced(ss...)) },
		"prepend": func(s string, ss []string) []string { return append([]string{s}, ss...) },
	}).Parse(newText)
	if err != nil {
		panic("agreement: new.tmpl: " + err.Error())
	}
	var b bytes.Buffer
	if err := t.Execute(&b, o); err != nil {
		return nil, taxii.Errorf(taxii.Invalid, "write agreement %s: %s", d.ID, err)
	}
	_, ps := Parse(d.ID, b.Bytes())
	var messages []string
	for _, p := range ps.Errors() {
		messages = append(messages, p.Msg) // without the line, since there is no file yet
	}
	if messages != nil {
		return nil, taxii.Errorf(taxii.Invalid, "%s", strings.Join(messages, "\n"))
	}
	return b.Bytes(), nil
}

// quote writes a TOML basic string: a JSON string with DEL escaped.
func quote(s string) (string, error) {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(s)
	return strings.ReplaceAll(strings.TrimSpace(b.String()), "\x7f", `\u007f`), err
}

func list(ss []string) (string, error) {
	var quoted []string
	for _, s := range ss {
		q, err := quote(s)
		if err != nil {
			return "", err
		}
		quoted = append(quoted, q)
	}
	return "[" + strings.Join(quoted, ", ") + "]", nil
}

func timestamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func day(t time.Time) string { return t.UTC().Format("2 January 2006") }
