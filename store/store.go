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
	"comity/taxii/audit"
	"comity/taxii/exchange"
)

// Store keeps everything. Methods are safe for concurrent use. Errors are
// taxii.Error where the caller can do something about them. Who needs a part of it
// takes the interface of that part.
type Store interface {
	Directory
	Documents
	Appender
	Statuses
	Reader
	Remover
	AuditLog
	Quarantine
	Upkeep
}

// Directory is who takes part: organisations, accounts, tokens, agreements.
type Directory interface {
	// Generation changes whenever the directory does.
	Generation(ctx context.Context) (uint64, error)
	// Directory is a copy of the directory with its generation.
	Directory(ctx context.Context) (*exchange.Directory, uint64, error)
	// Amend lets change alter the directory and saves it together with the
	// entries that change returns; if it fails, nothing is saved and its error
	// returned. It may be called more than once.
	Amend(ctx context.Context, change func(*exchange.Directory) ([]audit.Entry, error)) error
}

// Documents keeps what is decided beside the directory, by name.
type Documents interface {
	// Document is what is kept under a name; nil if there is nothing.
	Document(ctx context.Context, name string) ([]byte, error)
	// AmendDocument lets change make new content of the old, which is nil if there is
	// none, and saves it together with the entries that change returns; nil removes the
	// document. If change fails, nothing is saved and its error returned. It may be
	// called more than once. The directory and its generation stay as they are.
	AmendDocument(ctx context.Context, name string, change func(old []byte) ([]byte, []audit.Entry, error)) error
}

// Appender takes pushes.
type Appender interface {
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
	// Labels looks up what is known of objects already in the collection: the
	// label of the newest version of each that the caller may see, or, if it may
	// write, that there is. The result is as long as keys.
	Labels(ctx context.Context, g exchange.Grant, keys []stix.Key) ([]exchange.Held, error)
	// Pushes is how many pushes org has begun on that day (UTC) that count
	// against the quota of an agreement. Days before its latest may be forgotten.
	Pushes(ctx context.Context, agreement, org string, day time.Time) (int64, error)
}

// Statuses keeps what became of each push.
type Statuses interface {
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
	// ForgetStatuses forgets the statuses of pushes into a collection: they quote
	// what was sent.
	ForgetStatuses(ctx context.Context, collection uuid.UUID) error
}

// Reader reads collections.
type Reader interface {
	// State is where a collection stands; zero if nothing was ever added to it.
	State(ctx context.Context, collection uuid.UUID) (State, error)
	// Scan is a page of objects, oldest date_added first.
	Scan(ctx context.Context, g exchange.Grant, q Query) (*Page, error)
	// Manifest is the same page, described instead of copied.
	Manifest(ctx context.Context, g exchange.Grant, q Query) (Manifest, error)
	// Has tells whether the caller can see any version of an object, of any
	// specification version.
	Has(ctx context.Context, g exchange.Grant, id stix.ID) (bool, error)
	// Count is the number of records in a collection, superseded versions
	// included.
	Count(ctx context.Context, collection uuid.UUID) (int64, error)
}

// Remover removes records.
type Remover interface {
	// Remove takes the records that were added to a collection at those dates,
	// at most 4,000; one that is gone already does not matter. Each leaves a
	// tombstone. What was removed can be added again, and is then a new record,
	// unless block keeps the content from coming back. The entry, which says why,
	// commits with it; its Count, From, To and Collection are set. If none is left,
	// there is no entry.
	Remove(ctx context.Context, collection uuid.UUID, dates []time.Time, block Block, entry audit.Entry) (int, error)
	// Unblock lets back in what was blocked under that reason.
	Unblock(ctx context.Context, reason string) error
	// Due counts the records, by collection and day (UTC), whose retention ends
	// before t. A day is listed once it has begun.
	Due(ctx context.Context, t time.Time) ([]Due, error)
}

// AuditLog is the chain of audit entries.
type AuditLog interface {
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
	// HighWater says. Entries up to number after are not looked at. Nobody is left out;
	// somebody may be named who missed a version that was superseded between two pages
	// of one entry. Sorted by account.
	Holders(ctx context.Context, collection uuid.UUID, dates []time.Time, after uint64) ([]Holder, error)
}

// Quarantine is the objects that were kept apart.
type Quarantine interface {
	// Quarantined are at most n objects that were kept apart, with numbers
	// greater than after.
	Quarantined(ctx context.Context, after uint64, n int) ([]Quarantined, error)
	// Discard drops one of them; NotFound if there is none. The entry says why.
	Discard(ctx context.Context, number uint64, entry audit.Entry) error
}

// Upkeep is for those who run the store.
type Upkeep interface {
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
