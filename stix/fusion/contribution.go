package fusion

import (
	"time"

	"comity/stix"
)

// Kind says what an entity is.
type Kind string

// The kinds. Other is any other host or URL that somebody reports: it is never merged,
// and serves to match issues.
const (
	C2      Kind = "c2"
	Website Kind = "compromised-website"
	Other   Kind = "other"
)

// Ref names an object as one organisation sent it.
type Ref struct {
	Submitter string
	Object    stix.ID
	Version   time.Time // the latest change among the objects it was read from
}

// Contribution is one origin's statement about one observable. Times that are
// not known are zero, texts empty.
type Contribution struct {
	Ref
	Origin   string // the organisation that made it: in a relay another than Submitter
	Kind     Kind
	Value    stix.Value // of the type indicator, with its id, if its pattern claims no value
	Subject  stix.ID    // the infrastructure it was read from, or the indicator if that has only a pattern
	Resolves []string   // the addresses that a domain was said to resolve to, in normal form, sorted
	Label    stix.TLP   // the strictest of its objects

	Made        time.Time // created
	Received    time.Time
	First, Last time.Time // seen
	Until       time.Time // valid
	Revoked     bool
	Country     string // where the source says the infrastructure is, ISO 3166-1 alpha-2
	Owner       string // where it says the owner of a website is
	Government  bool   // the owner is said to be a government
	Family      string // of malware
	KillChain   bool   // a phase of a kill chain is given
}

// Entity identifies what a finding is about.
type Entity struct {
	Kind Kind
	Key  string // an IPv4 address, else a compressed IPv6 address, else a domain; of Other also a URL
}

// entity is the entity of c before merging.
func (c *Contribution) entity() Entity {
	if c.Kind == Other {
		return Entity{Other, c.Value.Text}
	}
	return Entity{c.Kind, c.Value.Host().Text}
}

// same tells whether b repeats c: the same version of the same object has the same
// value for the same subject.
func (c *Contribution) same(b *Contribution) bool {
	return c.Submitter == b.Submitter && c.Object == b.Object && c.Version.Equal(b.Version) &&
		c.Subject == b.Subject && c.Value == b.Value
}

// Relay tells whether an organisation other than the origin sent c.
func (c *Contribution) Relay() bool { return c.Origin != c.Submitter }

// maxResolves bounds the addresses that one contribution gives a domain. A
// domain that resolves to more is served by a network of other people's hosts, and no
// address is its own.
const maxResolves = 64

// Keys are the entities that c tells of: that of its value and, for a C2 domain, the
// addresses that it resolves to, if these are at most 64. A relay tells of its value alone.
func Keys(c *Contribution) []Entity {
	keys := []Entity{c.entity()}
	if c.resolves() && len(c.Resolves) <= maxResolves {
		for _, address := range c.Resolves {
			keys = append(keys, Entity{C2, address})
		}
	}
	return keys
}

// resolves tells whether c says what a C2 domain resolves to. A relay says nothing.
func (c *Contribution) resolves() bool {
	return c.Kind == C2 && c.Value.Type == "domain-name" && !c.Relay()
}

// urlHost is the host of c's URL, if c is of kind Other and about a URL: the key of such
// a contribution is the URL, not the host.
func (c *Contribution) urlHost() (host string, ok bool) {
	if c.Kind != Other || c.Value.Type != "url" {
		return "", false
	}
	return c.Value.Host().Text, true
}

// moment is when c was made, which is never after it was received.
func (c *Contribution) moment() time.Time {
	if c.Made.IsZero() || !c.Received.IsZero() && c.Received.Before(c.Made) {
		return c.Received
	}
	return c.Made
}
