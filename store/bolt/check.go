package bolt

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/google/uuid"
	"go.etcd.io/bbolt"
)

// Check implements store.Store. Who writes waits while bbolt looks at its
// pages, which it can do in no other way; what the pages hold is then read as
// of one moment, whatever is written meanwhile.
func (s *Store) Check(ctx context.Context, progress func(int64), fault func(string)) error {
	if err := s.do(ctx, &job{objects: alone, run: func(w *writeTx) error {
		for err := range w.tx.Check() {
			fault("pages: " + err.Error())
		}
		return nil
	}}); err != nil {
		return err
	}
	return s.view(func(tx *bbolt.Tx) error {
		ck := &checking{ctx: ctx, store: s, tx: tx, progress: progress, fault: fault}
		ck.guard("collections", func() error {
			return eachCollection(tx, func(id uuid.UUID, _ *bbolt.Bucket) error {
				return ck.guard("collection "+id.String(), func() error { return ck.collectionOf(id) })
			})
		})
		for _, part := range []struct {
			name  string
			check func() error
		}{{"statuses", ck.statuses}, {"audit", ck.chain}, {"bars", ck.bars}, {"quarantine", ck.quarantine}} {
			if err := ck.guard(part.name, part.check); err != nil {
				return err
			}
		}
		return ctx.Err()
	})
}

// checking is one Check.
type checking struct {
	ctx      context.Context
	store    *Store
	tx       *bbolt.Tx
	records  int64
	progress func(int64)
	fault    func(string)
}

// guard runs one part of a check. What stops it is a fault, so that the parts
// after it are still checked; only the end of ctx is passed on.
func (ck *checking) guard(part string, f func() error) (err error) {
	defer func() {
		if ck.ctx.Err() != nil {
			err = ck.ctx.Err()
		} else if err != nil {
			ck.fault(part + ": " + err.Error())
			err = nil
		}
	}()
	defer recovered(&err)
	return f()
}

// statuses compares heads and parts.
func (ck *checking) statuses() error {
	heads, parts := ck.tx.Bucket(bucketHeads), ck.tx.Bucket(bucketParts)
	partsOf := map[uint64]int{}
	if err := heads.ForEach(func(k, v []byte) error {
		h, err := parseStatus(v)
		if err != nil {
			ck.fault(fmt.Sprintf("statuses: number %d is malformed", number(k)))
			return nil
		}
		for part := range h.Parts {
			if _, err := ck.store.outcomes(ck.tx, number(k), part); err != nil {
				ck.fault(fmt.Sprintf("statuses: part %d of %s is missing or damaged", part, h.ID))
			}
		}
		partsOf[number(k)] = h.Parts
		return ck.ctx.Err()
	}); err != nil {
		return err
	}
	return parts.ForEach(func(k, _ []byte) error {
		if len(k) != 16 || int(binary.BigEndian.Uint32(k[8:])) >= partsOf[number(k[:8])] {
			ck.fault(fmt.Sprintf("statuses: parts has %x, which is of none", k))
		}
		return ck.ctx.Err()
	})
}
