package demo

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
	Type     string    `json:"type"`
	Spec     string    `json:"spec_version"`
	ID       stix.ID   `json:"id"`
	Creator  stix.ID   `json:"created_by_ref,omitempty"`
	Created  string    `json:"created,omitempty"`
	Modified string    `json:"modified,omitempty"`
	Revoked  bool      `json:"revoked,omitempty"`
	Labels   []string  `json:"labels,omitempty"`
	Markings []stix.ID `json:"object_marking_refs,omitempty"`

	Name         string   `json:"name,omitempty"`
	Class        string   `json:"identity_class,omitempty"`
	Sectors      []string `json:"sectors,omitempty"`
	Country      string   `json:"country,omitempty"`
	IsFamily     *bool    `json:"is_family,omitempty"`
	MalwareTypes []string `json:"malware_types,omitempty"`

	InfrastructureTypes []string `json:"infrastructure_types,omitempty"`
	FirstSeen           string   `json:"first_seen,omitempty"`
	LastSeen            string   `json:"last_seen,omitempty"`

	Relation string  `json:"relationship_type,omitempty"`
	Source   stix.ID `json:"source_ref,omitempty"`
	Target   stix.ID `json:"target_ref,omitempty"`

	IndicatorTypes []string `json:"indicator_types,omitempty"`
	Pattern        string   `json:"pattern,omitempty"`
	PatternType    string   `json:"pattern_type,omitempty"`
	ValidFrom      string   `json:"valid_from,omitempty"`
	ValidUntil     string   `json:"valid_until,omitempty"`
	KillChain      []phase  `json:"kill_chain_phases,omitempty"`

	Abstract      string    `json:"abstract,omitempty"`
	Content       string    `json:"content,omitempty"`
	Context       string    `json:"context,omitempty"`
	FirstObserved string    `json:"first_observed,omitempty"`
	LastObserved  string    `json:"last_observed,omitempty"`
	Observed      int       `json:"number_observed,omitempty"`
	Refs          []stix.ID `json:"object_refs,omitempty"`

	Value    string `json:"value,omitempty"`
	Defanged bool   `json:"defanged,omitempty"`
}

// phase is a kill chain phase.
type phase struct {
	Chain string `json:"kill_chain_name"`
	Phase string `json:"phase_name"`
}

var commandAndControl = []phase{{"lockheed-martin-cyber-kill-chain", "command-and-control"}}

// encode is the compact JSON of o.
func (o object) encode() []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(o); err != nil {
		panic("demo: " + err.Error()) // it is made of strings and numbers only
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// maker makes the objects of one organisation: its ids live in a namespace of
// its own, so the same input gets the same id.
type maker struct {
	namespace uuid.UUID
	identity  stix.ID
}

// makerOf is the maker of an organisation by its slug.
func makerOf(org string) maker {
	m := maker{namespace: uuid.NewSHA1(uuid.NameSpaceURL, []byte("https://"+org+".example/"))}
	m.identity = m.id("identity", org)
	return m
}

// Identity is the id of the identity object of an organisation of the scenario:
// of a vendor such as alder, or a bureau such as ncb-kh.
func Identity(org string) stix.ID { return makerOf(org).identity }

// id derives an id from the type and a key.
func (m maker) id(typ, key string) stix.ID {
	return stix.ID(typ + "--" + uuid.NewSHA1(m.namespace, []byte(typ+"|"+key)).String())
}

// make adds the common properties of an object: its id by key, its times and its label.
func (m maker) make(o object, key string, at time.Time, label stix.TLP) object {
	o.Spec, o.ID, o.Creator = "2.1", m.id(o.Type, key), m.identity
	o.Created, o.Modified = stamp(at), stamp(at)
	o.Markings = []stix.ID{label.Marking()}
	return o
}

// relate makes a relationship between two objects.
func (m maker) relate(from stix.ID, kind string, to stix.ID, at time.Time, label stix.TLP) object {
	o := object{Type: "relationship", Relation: kind, Source: from, Target: to}
	return m.make(o, string(from)+"|"+kind+"|"+string(to), at, label)
}

// observable is a cyber-observable: its id follows from its value, and it
// carries no marking of its own.
func observable(typ, value string, defanged bool) object {
	o := object{Type: typ, Spec: "2.1", Value: value, Defanged: defanged}
	o.ID, _ = stix.DeterministicID(o.encode())
	return o
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }
