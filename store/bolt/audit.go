package bolt

import (
	"bytes"
	"cmp"
	"context"
	"time"

	"github.com/google/uuid"
	"go.etcd.io/bbolt"

	"comity/store"
	"comity/taxii"
	"comity/taxii/audit"
)

// appendAudit seals entries and adds them to the chain. The transaction keeps the end of
// the chain, so that a rollback leaves no trace.
//
// All entries get the time of the commit. So no entry has an earlier time than the entry
// before it, unless the clock was set back.
func (w *writeTx) appendAudit(entries ...audit.Entry) error {
	if len(entries) == 0 {
		return nil
	}
	w.writes++
	links, delivered := w.bucket(bucketLinks), w.bucket(bucketDelivered)
	if w.chain == nil {
		head := parseChainHead(w.bucket(bucketMeta).Get(keyChain))
		w.chain = &head
	}
	for _, e := range entries {
		e.Time, e.Salt = w.now.Truncate(time.Microsecond), audit.NewSalt()
		link, next, err := audit.Seal(e, *w.chain)
		if err != nil {
			return err
		}
		*w.chain = next
		if err := cmp.Or(fileDelivery(delivered, link.Number, &e), links.Put(numberKey(link.Number), append(link.Hash[:], link.Body...))); err != nil {
			return err
		}
	}
	return nil
}

// parseLink returns a copy of an entry of links.
func parseLink(k, v []byte) (audit.Link, error) {
	if len(k) != 8 || len(v) < 32 {
		return audit.Link{}, store.Damaged("an entry of links is cut off")
	}
	return audit.Link{Number: number(k), Hash: [32]byte(v), Body: bytes.Clone(v[32:])}, nil
}

// Record implements store.Store.
func (s *Store) Record(ctx context.Context, entries ...audit.Entry) error {
	return s.do(ctx, &job{objects: len(entries), run: func(w *writeTx) error { return w.appendAudit(entries...) }})
}

// Entries implements store.Store.
func (s *Store) Entries(ctx context.Context, after uint64, n int) (links []audit.Link, err error) {
	err = s.view(func(tx *bbolt.Tx) error {
		seal, err := sealOf(tx.Bucket(bucketMeta))
		if err != nil {
			return err
		}
		cursor := tx.Bucket(bucketLinks).Cursor()
		for k, v := cursor.Seek(numberKey(max(after, seal.Number) + 1)); k != nil && len(links) < n; k, v = cursor.Next() {
			link, err := parseLink(k, v)
			if err != nil {
				return err
			}
			links = append(links, link)
		}
		return ctx.Err()
	})
	return links, err
}

// ChainHead implements store.Store.
func (s *Store) ChainHead(ctx context.Context) (audit.Head, error) { return *s.head.Load(), ctx.Err() }

// maxDrop is how many links dropLinks reads at most in one transaction.
const maxDrop = 4000

// sealOf returns the seal of the audit chain; zero if nothing was archived.
func sealOf(meta *bbolt.Bucket) (seal audit.SignedCheckpoint, err error) {
	text := meta.Get(keySeal)
	if text == nil {
		return seal, nil
	}
	if seal, err = audit.ParseCheckpoint(string(text)); err != nil {
		return seal, store.Damaged("the seal of the audit record: %w", err)
	}
	return seal, nil
}

// Seal implements store.Store.
func (s *Store) Seal(ctx context.Context) (seal audit.SignedCheckpoint, err error) {
	err = s.view(func(tx *bbolt.Tx) error {
		if seal, err = sealOf(tx.Bucket(bucketMeta)); err != nil {
			return err
		}
		return ctx.Err()
	})
	return seal, err
}

// Archive implements store.Store.
func (s *Store) Archive(ctx context.Context, seal audit.SignedCheckpoint, entry audit.Entry) error {
	if err := s.do(ctx, &job{objects: 1, run: func(w *writeTx) error {
		meta := w.bucket(bucketMeta)
		before, err := sealOf(meta)
		if err != nil {
			return err
		}
		link := w.bucket(bucketLinks).Get(numberKey(seal.Number))
		if seal.Number <= before.Number || len(link) < 32 || [32]byte(link) != seal.Hash {
			return taxii.Errorf(taxii.Conflict, "the audit record after entry %d has no entry %d with the hash %x", before.Number, seal.Number, seal.Hash)
		}
		w.writes++
		return cmp.Or(meta.Put(keySeal, []byte(seal.String())), w.appendAudit(entry))
	}}); err != nil {
		return err
	}
	for from := uint64(1); from <= seal.Number; {
		var next uint64
		if err := s.do(ctx, &job{objects: exclusive, run: func(w *writeTx) (err error) {
			next, err = w.dropLinks(from, seal.Number)
			return err
		}}); err != nil {
			return err
		}
		from = next
	}
	return nil
}

// dropLinks reads up to maxDrop links from the number from to the number last, and
// deletes those that Holders does not need. It returns the number for the next call to
// start from.
func (w *writeTx) dropLinks(from, last uint64) (next uint64, err error) {
	links, delivered := w.bucket(bucketLinks), w.bucket(bucketDelivered)
	var drop []audit.Entry // a cursor loses its place where something is deleted
	cursor := links.Cursor()
	k, v := cursor.Seek(numberKey(from))
	for n := 0; k != nil && number(k) <= last && n < maxDrop; n++ {
		link, err := parseLink(k, v)
		if err != nil {
			return 0, err
		}
		e, err := link.Entry()
		if err != nil {
			return 0, err
		}
		e.Number = link.Number
		if !store.IsDelivery(&e) || !hasRecords(w.tx, &e) {
			drop = append(drop, e)
		}
		k, v = cursor.Next()
	}
	next = last + 1
	if k != nil {
		next = number(k)
	}
	for i := range drop {
		e := &drop[i]
		w.writes++
		if err := links.Delete(numberKey(e.Number)); err != nil {
			return 0, err
		}
		if !store.IsDelivery(e) {
			continue
		}
		id := uuid.MustParse(e.Collection)
		if b := delivered.Bucket(id[:]); b != nil {
			if err := b.Delete(deliveryKey(store.DateOf(*e.From), store.DateOf(*e.To), e.Number)); err != nil {
				return 0, err
			}
		}
	}
	return next, nil
}

// hasRecords tells whether the collection of a delivery still has a record in the span
// of the delivery.
func hasRecords(tx *bbolt.Tx, e *audit.Entry) bool {
	c := openCollection(tx, uuid.MustParse(e.Collection))
	if c == nil {
		return false
	}
	for _, b := range []*bbolt.Bucket{c.live, c.history()} {
		if k, _ := b.Cursor().Seek(dateKey(store.DateOf(*e.From))); k != nil && store.Date(number(k)) <= store.DateOf(*e.To) {
			return true
		}
	}
	return false
}
