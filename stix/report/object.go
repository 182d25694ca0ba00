package report

import (
	"bytes"
	"encoding/json"
	"time"

	"github.com/google/uuid"

	"comity/stix"
)

// object is a STIX object with the properties that this package uses, in the order of
// the JSON text.
type object struct {
	Type       string      `json:"type"`
	Spec       string      `json:"spec_version"`
	ID         stix.ID     `json:"id"`
	Creator    stix.ID     `json:"created_by_ref,omitempty"`
	Created    string      `json:"created,omitempty"`
	Modified   string      `json:"modified,omitempty"`
	Revoked    bool        `json:"revoked,omitempty"`
	Labels     []string    `json:"labels,omitempty"`
	Confidence int         `json:"confidence,omitempty"`
	References []reference `json:"external_references,omitempty"`
	Markings   []stix.ID   `json:"object_marking_refs,omitempty"`

	Name        string   `json:"name,omitempty"`
	Description string   `json:"description,omitempty"`
	Class       string   `json:"identity_class,omitempty"`
	Sectors     []string `json:"sectors,omitempty"`
	Contact     string   `json:"contact_information,omitempty"`
	Country     string   `json:"country,omitempty"`
	IsFamily    bool     `json:"is_family,omitempty"`

	InfrastructureTypes []string `json:"infrastructure_types,omitempty"`
	FirstSeen           string   `json:"first_seen,omitempty"`
	LastSeen            string   `json:"last_seen,omitempty"`

	IndicatorTypes []string `json:"indicator_types,omitempty"`
	Pattern        string   `json:"pattern,omitempty"`
	PatternType    string   `json:"pattern_type,omitempty"`
	ValidFrom      string   `json:"valid_from,omitempty"`
	ValidUntil     string   `json:"valid_until,omitempty"`
	KillChain      []phase  `json:"kill_chain_phases,omitempty"`

	Relation string  `json:"relationship_type,omitempty"`
	Source   stix.ID `json:"source_ref,omitempty"`
	Target   stix.ID `json:"target_ref,omitempty"`

	Abstract    string    `json:"abstract,omitempty"`
	Content     string    `json:"content,omitempty"`
	Authors     []string  `json:"authors,omitempty"`
	Context     string    `json:"context,omitempty"`
	ReportTypes []string  `json:"report_types,omitempty"`
	Published   string    `json:"published,omitempty"`
	Refs        []stix.ID `json:"object_refs,omitempty"`

	Value          string                `json:"value,omitempty"`
	Schema         string                `json:"schema,omitempty"`
	Version        string                `json:"version,omitempty"`
	ExtensionTypes []string              `json:"extension_types,omitempty"`
	Extensions     map[stix.ID]extension `json:"extensions,omitempty"`
}

// reference is an external reference.
type reference struct {
	Source string `json:"source_name"`
	ID     string `json:"external_id"`
}

// phase is a kill chain phase.
type phase struct {
	Chain string `json:"kill_chain_name"`
	Phase string `json:"phase_name"`
}

// extension is the extension of a marking definition of TLP 2.0 or PAP.
type extension struct {
	Type string `json:"extension_type"`
	TLP  string `json:"tlp_2_0,omitempty"`
	PAP  string `json:"pap,omitempty"`
}

// view encodes o.
func (o object) view() stix.Object {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(o); err != nil {
		panic("report: " + err.Error()) // it is made of strings and numbers only
	}
	view, err := stix.NewObject(bytes.TrimSuffix(b.Bytes(), []byte("\n")))
	if err != nil {
		panic("report: " + err.Error()) // every object is made in this package
	}
	return view
}

// ID is the identifier of a domain or relationship object of an operation. It follows
// from the four arguments alone. The keys of each type are in the comment of the
// package.
func ID(namespace uuid.UUID, operation, typ, key string) stix.ID {
	return stix.ID(typ + "--" + uuid.NewSHA1(namespace, []byte(operation+"|"+typ+"|"+key)).String())
}

// stamp writes t in milliseconds, and "" for the zero time.
func stamp(t time.Time) string { return format(t, "2006-01-02T15:04:05.000Z") }

// shortStamp is stamp without trailing zeros in the fraction. valid_from and
// valid_until are written so.
func shortStamp(t time.Time) string { return format(t, "2006-01-02T15:04:05.999Z") }

// day writes the date of t as people do, and "" for the zero time.
func day(t time.Time) string { return format(t, "2 January 2006") }

func format(t time.Time, layout string) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(layout)
}
