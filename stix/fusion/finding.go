package fusion

import "time"

// Finding is one entity as the audience sees whose contributions were fused.
type Finding struct {
	Entity
	Values []Value // what it consists of, by type and text
	Held   Reason  // why it is set aside and counted nowhere, "" if it counts

	Country     string // "" if nothing says
	Basis       Basis  // on what ground
	Disagreeing int    // origins that name another country
	Government  bool   // it is a government's
	Families    []string
	First, Last time.Time // seen: the earliest and the latest
	Strict      bool      // nothing below TLP:AMBER+STRICT says that it exists
	Mixed       bool      // some of what counts is TLP:AMBER+STRICT or above, some below
	Confidence  int       // 0 to 100, without sightings and disputes

	Origins []string // by slug
	FirstBy string   // the origin with the earliest contribution, of several the first by slug
	Sources []Ref    // what counts for it, by submitter and object
	Relays  []Ref    // what others passed on, by submitter and object
}

// Excluded is a contribution that counts for no finding.
type Excluded struct {
	Ref
	Kind   Kind
	Value  Value
	Reason Reason
}
