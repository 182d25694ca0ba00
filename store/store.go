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
// taxii.Error where the caller can do something about them. A package that needs
// only a part takes the interfaces of that part.
type Store interface {
	Directory
	Documents
	Appender
	Statuses
	Reader
	Remover
	AuditLog
	Quarantine
	Processes
	Upkeep
}

// Directory keeps the organisations, accounts, tokens and agreements.
type Directory interface {
	// Generation changes whenever the directory does.
	Generation(ctx context.Context) (uint64, error)
	// Directory is a copy of the directory with its generation.
	Directory(ctx context.Context) (*exchange.Directory, uint64, error)
	// Amend lets change alter the directory and saves it together with the
	// entries that change returns; if it fails, nothing is saved and its error
	// returned. It may be called more than once. The entries get a subject for each
	// record that changes, which audit.Recorded reads: see audit.SubjectOf. An agreement
	// is named in the entry about it, anything else in the first.
	Amend(ctx context.Context, change func(*exchange.Directory) ([]audit.Entry, error)) error
}

// Documents keeps decisions that are not part of the directory, as documents with
// a name: the progress of an operation, for example.
type Documents interface {
	// Document is the content of a document; nil if there is none of that name.
	Document(ctx context.Context, name string) ([]byte, error)
	// AmendDocument lets change make new content of the old, which is nil if there is
	// none, and saves it together with the entries that change returns; nil removes the
	// document. If change fails, nothing is saved and its error returned. It may be
	// called more than once. The directory and its generation stay as they are.
	AmendDocument(ctx context.Context, name string, change func(old []byte) ([]byte, []audit.Entry, error)) error
}

// Appender takes pushes.
type Appender interface {
	// Append adds one part of a push, and commits it with its audit entry. Each item
	// becomes a record, is known already, or is refused; the status says which.
	// Records get a date_added that is a whole millisecond and greater than any the
	// collection ever gave, in the order in which they become visible.
	//
	// Append returns the head of the status so far, and the outcomes of this part. The
	// status can be read once the last part is in. A part that is in already changes
	// nothing, so an Append of unknown outcome can be repeated.
	//
	// A version that changes a property which no version may change (R-055, R-057,
	// R-058) is taken with a warning. A blocked object (see Remove) is a failure.
	//
	// The codes are Forbidden without the right to write; Unauthorized if by now the
	// directory has disabled the account of the grant, suspended its organisation or
	// revoked its token; NotFound if the directory has shut the collection, or if the push is forgotten; Conflict for a part out of
	// order; TooMany if the first part is one push more than the flow's quota allows its
	// writer that day (UTC); TooLarge if the objects of the part are more than its quota
	// lets it hold.
	Append(ctx context.Context, g exchange.Grant, part Part) (Status, Outcomes, error)
	// Rehearse returns the status that Append would give all parts of a push, one after
	// the other, and stores nothing: no record, no status. It may read the parts more
	// than once. An error that they yield is returned as it is. The outcomes of the n-th
	// part are given by the function.
	Rehearse(ctx context.Context, g exchange.Grant, parts iter.Seq2[Part, error]) (Status, func(n int) (Outcomes, error), error)
	// Labels looks up objects in the collection. A caller that may write gets the label
	// of the newest version, also of one that it may not see; others that of the newest
	// version that they may see. The result is as long as keys.
	Labels(ctx context.Context, g exchange.Grant, keys []stix.Key) ([]exchange.Held, error)
	// Pushes is the number of pushes that org has begun on that day (UTC) and that count
	// against the quota of an agreement. Days before the latest such day may be forgotten.
	Pushes(ctx context.Context, agreement, org string, day time.Time) (int64, error)
}

// Statuses keeps the status of each push.
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
	// State is the state of a collection; zero if nothing was ever added to it.
	State(ctx context.Context, collection uuid.UUID) (State, error)
	// Scan is a page of objects, oldest date_added first.
	Scan(ctx context.Context, g exchange.Grant, q Query) (*Page, error)
	// Manifest is the same page with a description in the place of each object.
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
	// Remove removes the records that were added to a collection at those dates, at
	// most 4,000, and returns their number. A date without a record is passed over.
	// The date of a removed record is never given again. A removed object can be added
	// again, and is then a new record, unless block keeps the content from coming back.
	//
	// The entry, which says why, commits with the removal; its Count, From, To and
	// Collection are set. There is no entry if no record was removed.
	Remove(ctx context.Context, collection uuid.UUID, dates []time.Time, block Block, entry audit.Entry) (int, error)
	// Unblock ends all blocks with that reason.
	Unblock(ctx context.Context, reason string) error
	// Due counts the records, by collection and day (UTC), whose retention ends
	// before t. A day is listed once it has begun.
	Due(ctx context.Context, t time.Time) ([]Due, error)
}

// AuditLog is the chain of audit entries.
type AuditLog interface {
	// Record adds entries to the audit chain that belong to no other change.
	Record(ctx context.Context, entries ...audit.Entry) error
	// Entries are at most n links of the audit chain with numbers greater than
	// after, in order. What was archived is not among them.
	Entries(ctx context.Context, after uint64, n int) ([]audit.Link, error)
	// ChainHead is the head of the chain; zero if there is no link.
	ChainHead(ctx context.Context) (audit.Head, error)
	// Seal is the signed checkpoint of the last link that was archived; zero if none was.
	Seal(ctx context.Context) (audit.SignedCheckpoint, error)
	// Archive makes seal the seal, and commits the entry with it. Then it drops the links
	// up to the seal in as many transactions as it needs, but keeps what Holders needs:
	// the deliveries and gaps that tell of records that are still there. What a kill
	// leaves is dropped by the next Archive. Conflict if the chain after the seal before
	// has no such link.
	Archive(ctx context.Context, seal audit.SignedCheckpoint, entry audit.Entry) error
	// Holders lists the accounts that got any of the records which were added to a
	// collection at those dates, sorted by account. It reads the delivery and gap
	// entries with numbers greater than after.
	//
	// Each recorded query is answered again with the versions that were there when it
	// was asked, as the entry's HighWater says, so a version that was superseded since
	// counts. No holder is left out. An account may be listed although it missed a
	// version that was superseded between two pages of one entry.
	Holders(ctx context.Context, collection uuid.UUID, dates []time.Time, after uint64) ([]Holder, error)
}

// Quarantine keeps refused objects apart, for a person to look at. An object beyond the
// QuarantineRoom of its collection is not kept, and its refusal says so.
type Quarantine interface {
	// Quarantined are at most n objects in quarantine, with numbers greater than after.
	Quarantined(ctx context.Context, after uint64, n int) ([]Quarantined, error)
	// Discard drops one object; NotFound if there is none. The entry says why.
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
	// Ready is nil while the store can be written to, else Unavailable with the
	// reason. It writes nothing itself.
	Ready(ctx context.Context) error
	// Stats are figures that are known without reading what is stored.
	Stats() Stats
	// OnCommit lets f know of each commit from now on, and how long it took to reach the
	// disk. Commits wait for f, so it must return at once.
	OnCommit(f func(took time.Duration))
	// Close waits for the calls under way and releases the store.
	Close() error
}

// Stats are figures of a store.
type Stats struct {
	Bytes   int64 // that the store takes on its disk; -1: unknown
	Free    int64 // bytes that are free on that disk; -1: unknown
	Waiting int   // changes that wait to be committed

	Replica *ReplicaStats // nil: pages are read from no replica
}

// ReplicaStats tell what a replica of the store takes over, since the store was opened.
type ReplicaStats struct {
	Lag     time.Duration // how long ago it was up to date, as far as is known
	Pages   int64         // pages that were read from it
	Primary int64         // pages that were read from the primary instead
}

// Block keeps removed content from coming back: objects that Origin pushes itself, and
// objects of others that name Origin's Identity as their creator.
type Block struct {
	Reason   string // names the block for Unblock; "" blocks nothing
	Origin   string // organisation
	Identity string // STIX identity of Origin, "" if none is known
}

// Due counts the records of a collection whose retention ends on a day.
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

// Quarantined is a refused object in quarantine.
type Quarantined struct {
	Number     uint64
	Time       time.Time
	Account    string
	Collection uuid.UUID
	Refusal
	Object []byte
}
