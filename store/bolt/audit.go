package bolt

import (
	"bytes"
	"context"
	"time"

	"go.etcd.io/bbolt"

	"comity/taxii/audit"
	"comity/taxii/exchange"
)

// appendAudit seals entries and links them to the chain. Where the chain ends it keeps
// in the transaction, so one that is given up leaves no trace.
//
// What they give as their time is the commit's for all: a later entry is never
// of an earlier time, unless the clock was set back.
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
		if err := firstOf(fileDelivery(delivered, link.Number, &e), links.Put(numberKey(link.Number), append(link.Hash[:], link.Body...))); err != nil {
			return err
		}
	}
	return nil
}

// parseLink copies an entry of links.
func parseLink(k, v []byte) (audit.Link, error) {
	if len(k) != 8 || len(v) < 32 {
		return audit.Link{}, damaged("an entry of links is cut off")
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
func (s *Store) ChainHead(ctx context.Context) (head audit.Head, err error) {
	err = s.view(func(tx *bbolt.Tx) error {
		head = parseChainHead(tx.Bucket(bucketMeta).Get(keyChain))
		return ctx.Err()
	})
	return head, err
}

// entryOf is the beginning of an entry on what somebody does to a collection. The
// centre reads all anyway; whose line it is beside, only who writes is known here.
func entryOf(g exchange.Grant, act audit.Act) audit.Entry {
	e := audit.Entry{Act: act, Account: "operator", Collection: g.ID().String()}
	if c, pr := g.Collection(), g.Principal(); c != nil {
		e.Account, e.Org, e.Home, e.Token = pr.Account, pr.Org, pr.Home, pr.Token
		e.Agreement, e.Article, e.Parties = c.Agreement, c.Article, []string{c.Writer}
	}
	return e
}
