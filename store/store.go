// Package store is the contract between comity and what keeps its data: the
// directory of who takes part, the records of each collection, the status of
// each push, and the chain of audit entries that says who did what.
//
// One method is one transaction. Nothing here assumes that only one process
// uses the store. Every method that touches objects takes an exchange.Grant
// and applies it inside, so counts, pages and dates speak only of what the
// caller may see. The promises are spelled out as tests in store/storetest.
package store

import (
	"context"
	"io"
	"iter"
	"time"

	"github.com/google/uuid"

	"comity/stix"
	"comity/taxii"
	"comity/taxii/audit"
	"comity/taxii/exchange"
)

// Store keeps everything. Methods are safe for concurrent use. Errors are
// taxii.Error where the caller can do something about them.
type Store interface {
	// Generation changes whenever the directory does.
	Generation(ctx context.Context) (uint64, error)
	// Directory is a copy of the directory with its generation.
	Directory(ctx context.Context) (*exchange.Directory, uint64, error)
	// Amend lets change alter the directory and saves it together with the
	// entries that change returns; if it fails, nothing is saved and its error
	// returned. It may be called more than once.
	Amend(ctx context.Context, change func(*exchange.Directory) ([]audit.Entry, error)) error

	// Document is what is kept under a name; nil if there is nothing.
	Document(ctx context.Context, name string) ([]byte, error)
	// AmendDocument lets change make new content of the old, which is nil if there is
	// none, and saves it together with the entries that change returns; nil removes the
	// document. If change fails, nothing is saved and its error returned. It may be
	// called more than once. The directory and its generation stay as they are.
	AmendDocument(ctx context.Context, name string, change func(old []byte) ([]byte, []audit.Entry, error)) error

	// Append adds one part of a push. Each item becomes a record, is known
	// already, or is refused; the status says which. Records get a date_added
	// that is a whole millisecond and greater than any the collection ever gave,
	// in the order in which they become visible. The status can be read once the
	// last part is in; what Append returns is its head so far, and this part of
	// it. A part that is in already changes nothing, so an Append of unknown
	// outcome can be repeated; one out of order is Conflict, one of a push that is
	// forgotten NotFound. A version that changes what no version may
	// is taken with a warning. Forbidden without the right
	// to write; NotFound if the directory has shut the collection; TooMany if the
	// first part is one push more than the flow's quota allows its writer that
	// day (UTC), TooLarge if the objects of the part are more than its quota lets it
	// hold. What is blocked (see Remove) is a failure. Each part commits with its audit
	// entry.
	Append(ctx context.Context, g exchange.Grant, part Part) (Status, Outcomes, error)
	// Rehearse tells what Append would make of all parts of a push, one after the
	// other, and stores nothing: no record, no status. It may read the parts more
	// than once. An error they yield is returned as it is.
	Rehearse(ctx context.Context, g exchange.Grant, parts iter.Seq2[Part, error]) (Status, []Outcomes, error)
	// Status is the head of a complete status; NotFound if there is none, it
	// has expired, or account is not the one that pushed.
	Status(ctx context.Context, account string, id uuid.UUID) (Status, error)
	// Push is the same for the operator, whoever pushed.
	Push(ctx context.Context, id uuid.UUID) (Status, error)
	// Outcomes is part n of a status, from 0 to Status.Parts-1.
	Outcomes(ctx context.Context, id uuid.UUID, n int) (Outcomes, error)
	// ExpireStatuses forgets the statuses requested before t, and parts of pushes
	// that were never completed.
	ExpireStatuses(ctx context.Context, t time.Time) error

	// State is where a collection stands; zero if nothing was ever added to it.
	State(ctx context.Context, collection uuid.UUID) (State, error)
	// Scan is a page of objects, oldest date_added first.
	Scan(ctx context.Context, g exchange.Grant, q Query) (*Page, error)
	// Manifest is the same page, described instead of copied.
	Manifest(ctx context.Context, g exchange.Grant, q Query) (Manifest, error)
	// Remove takes the records that were added to a collection at those dates,
	// at most 4,000; one that is gone already does not matter. Each leaves a
	// tombstone. What was removed can be added again, and is then a new record,
	// unless block keeps the content from coming back. The entry, which says why,
	// commits with it; its Count, From, To and Collection are set. If none is left, there is no entry.
	Remove(ctx context.Context, collection uuid.UUID, dates []time.Time, block Block, entry audit.Entry) (int, error)
	// Unblock lets back in what was blocked under that reason.
	Unblock(ctx context.Context, reason string) error
	// ForgetStatuses forgets the statuses of pushes into a collection: they quote
	// what was sent.
	ForgetStatuses(ctx context.Context, collection uuid.UUID) error
	// Due counts the records, by collection and day (UTC), whose retention ends
	// before t. A day is listed once it has begun.
	Due(ctx context.Context, t time.Time) ([]Due, error)
	// Has tells whether the caller can see any version of an object, of any
	// specification version.
	Has(ctx context.Context, g exchange.Grant, id stix.ID) (bool, error)
	// Labels looks up what is known of objects already in the collection: the
	// label of the newest version of each that the caller may see, or, if it may
	// write, that there is. The result is as long as keys.
	Labels(ctx context.Context, g exchange.Grant, keys []stix.Key) ([]exchange.Held, error)
	// Pushes is how many pushes org has begun on that day (UTC) that count
	// against the quota of an agreement. Days before its latest may be forgotten.
	Pushes(ctx context.Context, agreement, org string, day time.Time) (int64, error)
	// Count is the number of records in a collection, superseded versions
	// included.
	Count(ctx context.Context, collection uuid.UUID) (int64, error)

	// Record adds entries to the audit chain that stand for themselves.
	Record(ctx context.Context, entries ...audit.Entry) error
	// Entries are at most n links of the audit chain with numbers greater than
	// after, in order.
	Entries(ctx context.Context, after uint64, n int) ([]audit.Link, error)
	// ChainHead is the last link of the chain; zero if there is none. Open tells
	// that a start came after the last stop.
	ChainHead(ctx context.Context) (audit.Head, error)
	// Holders tells who got which of the records that were added to a collection
	// at those dates, as the delivery and gap entries say: what a recorded query
	// showed is worked out again, by the versions that were there when it was asked,
	// so what was superseded since counts. Which versions were there, the entry's
	// HighWater says. Entries up to number after are not looked at. Nobody is left out; somebody may be named who missed a version
	// that was superseded between two pages of one entry. Sorted by account.
	Holders(ctx context.Context, collection uuid.UUID, dates []time.Time, after uint64) ([]Holder, error)
	// Quarantined are at most n objects that were kept apart, with numbers
	// greater than after.
	Quarantined(ctx context.Context, after uint64, n int) ([]Quarantined, error)
	// Discard drops one of them; NotFound if there is none. The entry says why.
	Discard(ctx context.Context, number uint64, entry audit.Entry) error

	// Backup writes a consistent copy that can be opened as a store, while
	// others read and write, and returns its size.
	Backup(ctx context.Context, w io.Writer) (int64, error)
	// Check reads everything and reports every fault it finds; progress is
	// called with the number of records read so far.
	Check(ctx context.Context, progress func(records int64), fault func(string)) error
	// Ready is nil while the store can be written to.
	Ready(ctx context.Context) error
	// Close waits for what is under way and releases the store.
	Close() error
}

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

// Query asks for records of one collection. It chooses between those versions
// of an object that the caller may see and that are of the specification
// versions asked for; those at the same instant are first or last together.
type Query struct {
	taxii.Match
	After    time.Time // exclusive; zero: from the beginning
	Limit    int       // at least 1
	MaxBytes int       // a page ends before it grows larger, but holds one object at least; 0: no bound
	Detail   bool      // for upkeep: fill in Page.Details
	Into     *Page     // filled and returned, so that its memory is used again; nil: a new page
}

// Page is a page of objects.
type Page struct {
	Buffer  []byte   // Objects, behind what was in the Buffer of Query.Into
	Objects []byte   // JSON objects joined by commas
	Ends    []int    // where each object ends in Objects
	Added   []int64  // date_added of each object, in µs since 1970
	Sums    []uint32 // CRC-32C of each object
	First   time.Time
	Last    time.Time // date_added of the first and the last entry; zero if empty
	Details []Detail  // of each object, if asked for
	Standing
}

// State tells whether a collection changed: by being another one. It is of one
// start of the store and must not outlive it.
type State struct {
	Past uint64 // moves when something is removed, or a version is added to an id that was there
	End  uint64 // moves when anything is added
}

// Standing says how long a page is what its query is answered with.
type Standing struct {
	More  bool   // entries follow that the caller may see
	State State  // of the collection as it was read
	Asked uint32 // Unix second of the query: [exchange.View]
	Until uint32 // Unix second from which retention changes the answer; 0: never

	// HighWater is the last date_added that the collection had ever given when the
	// page was read: what was added up to then, and nothing else, decided what the
	// page shows. Zero if nobody knows. Unlike State it outlives a restart.
	HighWater time.Time
}

// Holds tells whether the same query has the same answer in that state of the
// collection, if the same view asks at that Unix second. It may be false although
// nothing changed, but it is true for a full page, whatever is added behind it.
func (s *Standing) Holds(now State, at uint32) bool {
	return now.Past == s.State.Past && (s.More || now.End == s.State.End) && at >= s.Asked && (s.Until == 0 || at < s.Until)
}

// Clear leaves of a page only its Buffer, and memory to fill.
func (p *Page) Clear() {
	*p = Page{Buffer: p.Buffer, Ends: p.Ends[:0], Added: p.Added[:0], Sums: p.Sums[:0], Details: p.Details[:0]}
}

// Detail is what a record says beside its object.
type Detail struct {
	DateAdded time.Time
	Handling  exchange.Handling
}

// Len is the number of objects.
func (p *Page) Len() int { return len(p.Ends) }

// Object is the JSON of the i-th object.
func (p *Page) Object(i int) []byte {
	if i == 0 {
		return p.Objects[:p.Ends[0]]
	}
	return p.Objects[p.Ends[i-1]+1 : p.Ends[i]]
}

// Manifest is a page of descriptions.
type Manifest struct {
	Records []Record
	Standing
}

// Record describes one stored version of an object.
type Record struct {
	ID        stix.ID
	Version   string // modified, else created, as spelled in the object; else date_added
	Spec      string // "2.0" or "2.1"
	DateAdded time.Time
}

// Block keeps removed content from coming back: objects that Origin pushes itself, and
// objects of others that name Origin's Identity as their creator.
type Block struct {
	Reason   string // under which it can be ended; "" blocks nothing
	Origin   string // organisation
	Identity string // STIX identity of Origin, "" if none is known
}

// Due is how many records of a collection end on a day.
type Due struct {
	Collection uuid.UUID
	Day        time.Time
	Count      int64
}

// Holder is an account that got objects, as the audit chain says.
type Holder struct {
	Account, Org string
	IDs          []stix.ID // each once, in the order asked for
}

// Quarantined is an object that was kept apart.
type Quarantined struct {
	Number     uint64
	Time       time.Time
	Account    string
	Collection uuid.UUID
	Refusal
	Object []byte
}
