// Package audit is the record of every decision that matters: one entry each,
// chained by hashes, so that nothing in it can be altered, dropped or reordered
// unseen. It verifies a chain, cuts out what concerns one party so that it still
// verifies, signs checkpoints, and gathers what pollers were given.
//
// It opens no store: the store commits an entry with what it is about and links
// it to the one before.
package audit

import (
	"time"

	"comity/taxii"
	"comity/taxii/exchange"
)

// Act is what an entry is about.
type Act string

// The acts.
const (
	Start      Act = "start"      // a server began to serve
	Stop       Act = "stop"       // it ended in good order
	Gap        Act = "gap"        // a server ended otherwise: deliveries of From to To may be missing
	Submission Act = "submission" // one part of a push: From and To are the dates it added
	Refusal    Act = "refusal"    // a request, or a push as a whole, that was refused
	Delivery   Act = "delivery"   // a reader got the records of a collection from From to To, or earlier versions of their objects
	Deletion   Act = "deletion"   // the owner took objects back
	Withdrawal Act = "withdrawal" // data was removed by notice, by revocation or by a decision
	Purge      Act = "purge"      // data was removed at the end of its retention
	Agreement  Act = "agreement"  // a transition in the life of an agreement
	Directory  Act = "directory"  // an organisation, account or token was added or changed
	Notice     Act = "notice"     // the centre told a party something
	Checkpoint Act = "checkpoint" // the chain was signed up to here
	Archive    Act = "archive"    // older entries were exported and dropped: Text is the seal, a signed checkpoint of the last of them
	Report     Act = "report"     // reports and feeds of an operation were drafted, published or reworked
	Derivation Act = "derivation" // objects of a contributor went into published findings
	Match      Act = "match"      // an issue that a country flagged matches a reported value
	Backup     Act = "backup"     // a copy of the store was begun
	Decision   Act = "decision"   // a person in the console decided on an act that takes several transactions
)

// Entry is one line of the record. Number, Time and Salt are given by the store
// when it commits; the rest says who did what, by which article, to which objects.
// A zero field does not apply.
type Entry struct {
	Number uint64    `json:"n"`
	Time   time.Time `json:"time"`
	Salt   string    `json:"salt"` // random, so that nobody can guess an entry by its digest
	Act    Act       `json:"act"`

	// Account is "org/name"; or "operator:name(number)", the user on the machine who ran a
	// command, or "operator" if that is not known; or "comity" for an act of the server itself.
	Account string `json:"account,omitempty"`
	Org     string `json:"org,omitempty"`    // it acted for
	Home    string `json:"home,omitempty"`   // of a seconded person
	Token   string `json:"token,omitempty"`  // id
	Remote  string `json:"remote,omitempty"` // network address, of a refused login; or the server that Link pulled from, such as "https://taxii.example"
	Link    string `json:"link,omitempty"`   // name of the link that brought a submission, or that sent what a notice recalls

	// Operator is the user on the machine, "name(number)", who ran a command as Account.
	Operator string `json:"operator,omitempty"`

	Agreement  string `json:"agreement,omitempty"`
	Article    string `json:"article,omitempty"`
	Digest     string `json:"digest,omitempty"`     // of the agreement, or of what the act is about
	Collection string `json:"collection,omitempty"` // id

	From     *time.Time     `json:"from,omitempty"` // date_added of the first and of the last record, both inclusive
	To       *time.Time     `json:"to,omitempty"`
	Count    int            `json:"count,omitempty"`    // records added, delivered or removed; requests refused
	Refused  int            `json:"refused,omitempty"`  // objects of a submission
	Subjects []Subject      `json:"subjects,omitempty"` // the first of them, where they have to be named
	Match    *taxii.Match   `json:"match,omitempty"`    // of a delivery
	View     *exchange.View `json:"view,omitempty"`     // of a delivery, as of its first page
	Feed     string         `json:"feed,omitempty"`     // of a delivery by a feed: the name of the feed and of its file

	// HighWater is the last date_added that the collection had given when the first page
	// of a delivery was read, and Ended the time at which its last page was asked for.
	// They tell which versions the query chose between. Without HighWater that is unknown.
	HighWater *time.Time `json:"high_water,omitempty"`
	Ended     *time.Time `json:"ended,omitempty"`

	Text string `json:"text,omitempty"`

	// Parties are the organisations that may read this line. If there are none, every
	// member of Agreement may; without an Agreement, the centre alone.
	Parties []string `json:"parties,omitempty"`
}

// Subject is one object that an entry is about, or one record of the directory: see
// [SubjectOf]. It never holds a value.
type Subject struct {
	ID     string `json:"id"`
	Digest string `json:"digest,omitempty"` // SHA-256 of the content in canonical form, hexadecimal
	Reason string `json:"reason,omitempty"` // rule or article
}

// MaxSubjects bounds the subjects that one entry names; Count and Refused count all.
const MaxSubjects = 100

// Concerns tells whether org may read the entry. member tells whether an organisation
// is bound by an agreement.
func (e *Entry) Concerns(org string, member func(agreement, org string) bool) bool {
	for _, p := range e.Parties {
		if p == org {
			return true
		}
	}
	return len(e.Parties) == 0 && e.Agreement != "" && member(e.Agreement, org)
}
