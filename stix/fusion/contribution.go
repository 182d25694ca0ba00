package fusion

import (
	"time"

	"comity/stix"
)

// Kind says what an entity is.
type Kind string

// The kinds. Other is what else somebody warns of: it is never merged, and
// serves to match issues.
const (
	C2      Kind = "c2"
	Website Kind = "compromised-website"
	Other   Kind = "other"
)

// Ref names the object that says something, as one organisation sent it.
type Ref struct {
	Submitter string
	Object    stix.ID
	Version   time.Time // the latest change among the objects it was read from
}

// Contribution is one origin's statement about one observable. Times that are
// not known are zero, texts empty.
type Contribution struct {
	Ref
	Origin   string // who made it: another than Submitter in a relay
	Kind     Kind
	Value    Value
	Subject  stix.ID  // what it was read from as a unit: an infrastructure, or an indicator that has only a pattern
	Resolves []string // the addresses that a domain was said to resolve to, in normal form, sorted
	Label    stix.TLP // the strictest of its objects

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

// entity is what c is about as long as nothing is merged.
func (c *Contribution) entity() Entity {
	if c.Kind == Other {
		return Entity{Other, c.Value.Text}
	}
	return Entity{c.Kind, c.Value.Host().Text}
}

// same tells whether b is c once more: the same object says the same of the same
// subject.
func (c *Contribution) same(b *Contribution) bool {
	return c.Submitter == b.Submitter && c.Object == b.Object && c.Version.Equal(b.Version) &&
		c.Subject == b.Subject && c.Value == b.Value
}

// Relay tells whether another than the origin sent c.
func (c *Contribution) Relay() bool { return c.Origin != c.Submitter }

// maxResolves is how many addresses a domain may resolve to by one contribution
// and still be connected with them. A domain of more is served by a network of
// other people's hosts, and no address is its own.
const maxResolves = 64

// Keys names what c touches: the entity of its value, and of each address that
// it says this resolves to, if these are at most 64. Contributions that share a
// key are of one component, and so are those that others connect. Only C2 servers
// connect: nothing else is merged.
func Keys(c *Contribution) []Entity {
	keys := []Entity{c.entity()}
	if c.Kind == C2 && len(c.Resolves) <= maxResolves {
		for _, address := range c.Resolves {
			keys = append(keys, Entity{C2, address})
		}
	}
	return keys
}

// urlHost is the host that c is about a URL on, if c is of kind Other: the URL is
// its key then, not the host.
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
