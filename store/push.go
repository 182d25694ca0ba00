package store

import (
	"time"

	"github.com/google/uuid"

	"comity/stix"
	"comity/taxii/exchange"
)

// Item is one object of a push, in the order sent.
type Item struct {
	Object   stix.Object // not read if Refused is set, unless it is to be kept apart
	Handling exchange.Handling
	Warning  string   // what is worth saying although it is taken; "" for nothing
	Refused  *Refusal // non-nil: named in the status, not stored
}

// Refusal says why an object was not taken. ID and Version are as good as the
// object allowed: ID may be "objects/<n>", Version may be the time of the push.
type Refusal struct {
	ID, Version, Message string

	By         string // rule or article, for the audit entry: it must not quote what was sent
	More       int    // how many more objects, beyond the one it names, it stands for
	Quarantine bool   // keep the object apart, for a person to look at
}

// Part is a slice of a push, at most 4,000 objects or 4 MiB, unless a single
// object is larger. All parts but the last have Last false; N counts from 0.
type Part struct {
	Submission Submission
	N          int
	Last       bool
	Items      []Item
}

// Submission is one push.
type Submission struct {
	ID         uuid.UUID // random; the id of its status
	Account    string
	Collection uuid.UUID
	Requested  time.Time
}

// Counts are the figures of a status.
type Counts struct {
	Successes, Failures int
	Stored              int // of the successes: those that were not known before
}

// Plus adds up two parts of one push.
func (c Counts) Plus(d Counts) Counts {
	return Counts{c.Successes + d.Successes, c.Failures + d.Failures, c.Stored + d.Stored}
}

// Status is the head of a status resource.
type Status struct {
	Submission
	Counts
	Parts int
}

// Outcomes is what became of one part: JSON objects of taxii.StatusDetail,
// joined by commas; empty if there are none.
type Outcomes struct {
	Successes, Failures []byte
	Warnings            []byte // on some of the successes
}
