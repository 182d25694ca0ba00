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

// Draft is what has to be known of a two-party agreement. ID, both parties'
// Org, Effective and Expires must be given.
type Draft struct {
	ID, Title string   // without Title, one is made of the names
	Centre    Party    // Role is centre; Kind without one international-body
	Partner   Party    // without Role, bureau for a national-bureau, else provider; without Kind private-vendor
	Purposes  []string // nil is all three

	Effective, Expires time.Time

	ObjectTypes   []string // what the partner may send; nil is all
	Unmarked      Unmarked // what becomes of the partner's unmarked objects
	RedRecipients []string // "org:name"; without any the partner may not send RED
}

//go:embed new.tmpl
var newText string

// New writes a data exchange agreement between the centre and a partner, with
// a flow inbound and a flow outbound, each article in plain words beside the
// block that carries it out. [Parse] and [Check] have nothing to say against
// it. What they would say against the draft is the error, with code Invalid.
func New(d Draft) ([]byte, error) {
	if d.Effective.IsZero() || d.Expires.IsZero() {
		return nil, taxii.Errorf(taxii.Invalid, "agreement %s: say when it takes effect and when it expires", d.ID)
	}
	d.Centre.Role = RoleCentre
	d.Centre.Kind = cmp.Or(d.Centre.Kind, "international-body")
	d.Centre.Name = cmp.Or(d.Centre.Name, d.Centre.Org)
	d.Partner.Kind = cmp.Or(d.Partner.Kind, "private-vendor")
	d.Partner.Name = cmp.Or(d.Partner.Name, d.Partner.Org)
	if d.Partner.Role == "" {
		d.Partner.Role = "provider"
		if d.Partner.Kind == "national-bureau" {
			d.Partner.Role = "bureau"
		}
	}
	d.Title = cmp.Or(d.Title, "Data exchange agreement: "+d.Centre.Name+" and "+d.Partner.Name)
	if d.Purposes == nil {
		d.Purposes = []string{"criminal-trends", "cyberthreats", "cybercrime"}
	}

	t, err := template.New("").Funcs(template.FuncMap{
		"q": quote, "list": list, "time": timestamp, "day": day, "words": words,
	}).Parse(newText)
	if err != nil {
		panic("agreement: new.tmpl: " + err.Error())
	}
	var b bytes.Buffer
	if err := t.Execute(&b, d); err != nil {
		return nil, taxii.Errorf(taxii.Invalid, "write agreement %s: %s", d.ID, err)
	}
	if _, ps := Parse(d.ID+".toml", b.Bytes()); ps.Err() != nil {
		return nil, ps.Err()
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

// words are the purposes as the article says them.
func words(ss []string) string {
	ss = slices.Clone(ss)
	for i, s := range ss {
		ss[i] = strings.ReplaceAll(s, "-", " ")
	}
	if n := len(ss); n > 1 {
		return strings.Join(ss[:n-1], ", ") + " and " + ss[n-1]
	}
	return strings.Join(ss, "")
}
