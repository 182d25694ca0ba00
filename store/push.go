package store

import (
	"time"

	"github.com/google/uuid"

	"comity/stix"
	"comity/taxii"
	"comity/taxii/exchange"
)

// Item is one object of a push, in the order sent.
type Item struct {
	Object   stix.Object // not read if Refused is set without Quarantine
	Handling exchange.Handling
	Warning  string   // goes into the status of an object that is taken; "" for none
	Refused  *Refusal // non-nil: the object is a failure in the status, and not stored
}

// Refusal says why an object was not taken. If the object has no usable id, ID is
// "objects/<n>"; if it has no version, Version is the time of the push.
type Refusal struct {
	ID, Version, Message string

	By         string // rule or article, for the audit entry: it must not quote what was sent
	More       int    // number of further objects that this refusal counts for
	Quarantine bool   // the object goes into quarantine
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

	// Link is the link that brought the objects, and Remote the server that it pulled them
	// from; "" for a push. They go into the audit entries and nowhere else.
	Link, Remote string
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

// CheckPart returns an error unless the push has the part already, or the part is the next
// one. known says whether the store has the push, and complete whether that has its last
// part.
func (s *Status) CheckPart(part Part, known, complete bool) error {
	id := part.Submission.ID
	switch {
	case !known && part.N > 0:
		return taxii.Errorf(taxii.NotFound, "there is no push %s to go on with", id)
	case known && (s.Account != part.Submission.Account || s.Collection != part.Submission.Collection):
		return taxii.Errorf(taxii.Conflict, "push %s belongs to somebody else", id)
	case part.N > s.Parts || part.N == s.Parts && complete:
		return taxii.Errorf(taxii.Conflict, "push %s has %d parts, number %d cannot follow", id, s.Parts, part.N)
	}
	return nil
}

// Outcomes are the outcomes of the objects of one part: JSON objects of
// taxii.StatusDetail, joined by commas; empty if there are none.
type Outcomes struct {
	Successes, Failures []byte
	Warnings            []byte // on some of the successes
}
