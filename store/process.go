package store

import (
	"context"
	"time"

	"github.com/google/uuid"

	"comity/taxii/audit"
)

// Processes is how the processes that use one store at the same time act together. An engine
// that is open in one process only keeps the same promises within that process.
type Processes interface {
	// OnExclusive sets the function by which Exclusive, in any process, holds up the readers
	// in this one. hold waits for the scans of a collection that are under way, holds up new
	// ones and commits the deliveries. They are held up until release is called.
	OnExclusive(hold func(ctx context.Context, collection uuid.UUID) (release func(), err error))
	// OnGap sets the function that makes the entries about a process that served and was
	// killed, so that its last deliveries are not on record. It was alive at last, and
	// perhaps later.
	OnGap(gap func(ctx context.Context, last time.Time) ([]audit.Entry, error))
	// Recover records the entries of a gap for each process that has joined and was killed
	// before it left. It waits until it is certain which processes are alive.
	Recover(ctx context.Context) error
	// Join registers this process as one that serves, and commits the entry with that, before
	// it answers the first request. It returns Conflict, which names the setting, if a process
	// with other settings serves already.
	Join(ctx context.Context, p Process, entry audit.Entry) error
	// Leave ends what Join began, and commits the entry with that. It is called when all
	// deliveries of this process are on record.
	Leave(ctx context.Context, entry audit.Entry) error
	// Processes are those that serve now, in the order in which they joined.
	Processes(ctx context.Context) ([]Process, error)

	// Exclusive runs f while no page of a collection is between the store and the audit
	// record, in any process. It waits for the scans under way, holds up new ones, and lets
	// the deliveries be committed before it runs f. So when f removes records from that
	// collection, every reader that got them is on record, and no reader gets them later.
	// What f writes with its context commits only while this holds.
	//
	// f must not scan for a reader and must not call Exclusive. It must be short, because
	// the pollers of this collection wait. Those of other collections do not. For uuid.Nil,
	// which is no collection, nobody waits: what waits in any process to be recorded is
	// committed before f runs. f is not run if a delivery cannot be committed. Exclusive
	// returns Unavailable, which names the process, if one does not let its scans end in time.
	Exclusive(ctx context.Context, collection uuid.UUID, f func(ctx context.Context) error) error
	// Lead calls f while this process is the leader in a duty. One process at a time is, of
	// those that have called Lead for that duty. The context of f ends when the process is
	// not the leader any more, and what f writes with it commits only while the process is.
	// f returns then, and is called again when the process becomes the leader anew. Lead
	// returns when f has returned and ctx has ended, or f has returned of its own accord.
	Lead(ctx context.Context, duty string, f func(ctx context.Context))
}

// Process is a process that serves from a store.
type Process struct {
	Address string    `json:"address"`          // where it serves
	Version string    `json:"version"`          // of the program
	Joined  time.Time `json:"joined"`           // set by the store
	Duties  []string  `json:"duties,omitempty"` // in which it is the leader, in order; set by the store

	// Settings are those that every process which serves from the store must share, by name.
	// Errors show the values, so a digest stands for a secret.
	Settings map[string]string `json:"settings,omitempty"`
}
