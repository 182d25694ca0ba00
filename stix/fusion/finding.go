package fusion

import (
	"time"

	"comity/stix"
)

// Finding is one entity, as the audience sees it whose contributions were fused.
type Finding struct {
	Entity
	Values []stix.Value // its observables, by type and text
	Held   Reason       // why it is set aside and counted nowhere, "" if it counts

	Country     string // "" if unknown
	Basis       Basis  // of Country
	Disagreeing int    // origins that name another country
	Government  bool   // it is a government's
	Families    []string
	First, Last time.Time // seen: the earliest and the latest
	Strict      bool      // all its sources are TLP:AMBER+STRICT or above
	Mixed       bool      // some of its sources are TLP:AMBER+STRICT or above, some below
	Confidence  int       // 0 to 100, without sightings and disputes

	Origins []string // by slug
	FirstBy string   // the origin with the earliest contribution, of several the first by slug
	Sources []Ref    // the contributions that count for it, by submitter and object
	Relays  []Ref    // the relayed contributions, by submitter and object
}

// Excluded is a contribution that counts for no finding.
type Excluded struct {
	Ref
	Kind   Kind
	Value  stix.Value
	Reason Reason
}
