package bolt

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"

	"github.com/google/uuid"
	"go.etcd.io/bbolt"
)

// Check implements store.Store. It reads the last commit while others write: that
// keeps the pages of that commit, so the file may grow meanwhile.
func (s *Store) Check(ctx context.Context, progress func(int64), fault func(string)) error {
	return s.view(func(tx *bbolt.Tx) error {
		ck := &checking{ctx: ctx, store: s, tx: tx, progress: progress, fault: fault}
		if err := ck.guard("pages", func() error { return ck.keys(tx.Cursor().Bucket(), "", 0) }); err != nil {
			return err
		}
		ck.guard("collections", func() error {
			return eachCollection(tx, func(id uuid.UUID, _ *bbolt.Bucket) error {
				return ck.guard("collection "+id.String(), func() error { return ck.collectionOf(id) })
			})
		})
		for _, part := range []struct {
			name  string
			check func() error
		}{{"statuses", ck.statuses}, {"audit", ck.chain}, {"directory", ck.directory}, {"blocklist", ck.blocklist}, {"quarantine", ck.quarantine}} {
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
	digests  map[string]bool // of agreements, that lines of the audit chain name
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

// maxDepth is how deep buckets are nested at most.
const maxDepth = 4

// keys walks through a bucket and those in it, and reports where keys do not ascend:
// the pages of a tree that has a wrong one, or leads back to itself, are not in order.
func (ck *checking) keys(b *bbolt.Bucket, name string, depth int) error {
	if depth > maxDepth {
		return damaged("the buckets in %s are nested too deep", name)
	}
	cursor := b.Cursor()
	var last []byte
	n := 0
	for k, v := cursor.First(); k != nil; k, v = cursor.Next() {
		if n++; n%1024 == 0 && ck.ctx.Err() != nil {
			return ck.ctx.Err()
		}
		if n > 1 && bytes.Compare(last, k) >= 0 {
			return damaged("the keys of bucket %q do not ascend at %x", name, k)
		}
		if last = append(last[:0], k...); v != nil {
			continue
		}
		if in := b.Bucket(k); in == nil {
			ck.fault(fmt.Sprintf("pages: bucket %q has an entry %x that is neither a value nor a bucket", name, k))
		} else if err := ck.guard("pages", func() error { return ck.keys(in, fmt.Sprintf("%s/%x", name, last), depth+1) }); err != nil {
			return err
		}
	}
	return nil
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
