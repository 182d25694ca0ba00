// Package follow reads the audit chain as a change feed, for packages that keep state up
// to date with the store. Whatever adds or removes records, or changes the directory,
// commits an entry to the chain, so a follower learns of it.
//
// It saves no positions, and decides no access: a follower reads all entries.
package follow

import (
	"context"
	"log/slog"
	"time"

	"comity/taxii/audit"
)

// Chain is the part of the store that a Follower reads. Entries returns at most n links
// with numbers greater than after, in order.
type Chain interface {
	Entries(ctx context.Context, after uint64, n int) ([]audit.Link, error)
}

// Follower is a position in the chain. Several Followers may read the same chain, each
// at its own pace. It is not safe for concurrent use: its owner guards it with the same
// mutex as the state that it keeps up to date.
type Follower struct {
	chain    Chain
	position uint64
}

// New makes a Follower that starts behind the entry with the number after; 0 starts
// at the beginning.
func New(chain Chain, after uint64) *Follower { return &Follower{chain, after} }

// Position is the number of the last entry that take accepted.
func (f *Follower) Position() uint64 { return f.position }

// batchSize is the number of entries that are read at once.
const batchSize = 1000

// CatchUp calls take with the entries behind the position, oldest first, in batches of
// at most 1,000, until there are no more. The position moves when take returns nil:
// after an error, the next CatchUp passes the same entries again, and perhaps more. If
// nothing is new, CatchUp costs one read of the store, so it may be called before each
// answer that has to be up to date.
func (f *Follower) CatchUp(ctx context.Context, take func(context.Context, []audit.Entry) error) error {
	for {
		links, err := f.chain.Entries(ctx, f.position, batchSize)
		if err != nil || len(links) == 0 {
			return err
		}
		entries := make([]audit.Entry, len(links))
		for i := range links {
			if entries[i], err = links[i].Entry(); err != nil {
				return err
			}
		}
		if err := take(ctx, entries); err != nil {
			return err
		}
		f.position = links[len(links)-1].Number
	}
}

// interval is the time between two calls of Run. With the time of the call itself, new
// entries take effect within a second.
const interval = time.Second / 2

// Run calls catchUp at once, and then twice a second until ctx ends. An error does
// not end it: it is logged under name when it first occurs, and catchUp is called
// again.
func Run(ctx context.Context, log *slog.Logger, name string, catchUp func(context.Context) error) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	logged := ""
	for ctx.Err() == nil {
		err := catchUp(ctx)
		switch {
		case err == nil || ctx.Err() != nil:
			logged = ""
		case err.Error() != logged:
			logged = err.Error()
			log.Error(name, "err", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}
