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

// Draft is what has to be known of an agreement between the centre and its
// partners. ID, Effective, Expires and the Org of each party must be given.
type Draft struct {
	ID, Title string   // without Title, one is made of the names
	Centre    Party    // Role is centre; Kind without one international-body
	Partners  []Party  // at least one; without Role, bureau for a national-bureau, else provider; without Kind private-vendor
	Purposes  []string // nil is all three

	Effective, Expires time.Time

	Senders       []string // ids of the partners that send to the centre; nil is all
	Readers       []string // ids of the partners that read what the others send, beside the centre
	OnwardTo      []string // kinds of organisation that the centre may pass on to what it has fused; nil is nobody
	ObjectTypes   []string // what partners may send; nil is all
	Unmarked      Unmarked // what becomes of the partners' unmarked objects
	RedRecipients []string // "org:name"; without any the partners may not send RED
}

// outline is a draft with the words that its articles are made of.
type outline struct {
	Draft
	PartnerIDs                         []string
	Everybody, Partner, Sender, Reader string // names, as a sentence has them
}

//go:embed new.tmpl
var newText string

// New writes a data exchange agreement: a flow inbound, in which each sender has
// a collection of its own, and a flow outbound from the centre to all partners,
// each article in plain words beside the block that carries it out. [Parse] and
// [Check] have nothing to say against it. What they would say against the draft
// is the error, with code Invalid.
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
	called := func(orgs []string) string {
		var ss []string
		for _, org := range orgs {
			ss = append(ss, cmp.Or(names[org], org))
		}
		return enumerate(ss)
	}
	o.Partner, o.Sender, o.Reader = called(o.PartnerIDs), called(d.Senders), called(d.Readers)
	names[d.Centre.Org] = d.Centre.Name
	o.Everybody = called(append([]string{d.Centre.Org}, o.PartnerIDs...))
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
	var said []string
	for _, p := range ps.Errors() {
		said = append(said, p.Msg) // there is no file yet that a line could be of
	}
	if said != nil {
		return nil, taxii.Errorf(taxii.Invalid, "%s", strings.Join(said, "\n"))
	}
	return b.Bytes(), nil
}

// quote writes a TOML basic string: a JSON string is one but for DEL.
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
