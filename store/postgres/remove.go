package postgres

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"comity/stix"
	"comity/store"
	"comity/taxii"
	"comity/taxii/audit"
	"comity/taxii/exchange"
)

// maxRemove is how many records one call may remove.
const maxRemove = 4000

// Remove implements store.Store.
func (s *Store) Remove(ctx context.Context, id uuid.UUID, dates []time.Time, block store.Block, entry audit.Entry) (removed int, err error) {
	if len(dates) > maxRemove {
		return 0, taxii.Errorf(taxii.Invalid, "%d records cannot be removed at once, at most %d", len(dates), maxRemove)
	}
	n, err := s.number(ctx, id, false)
	if err != nil || n == 0 {
		return 0, failure(err)
	}
	at := make([]int64, len(dates))
	for i, t := range dates {
		at[i] = int64(store.DateOf(t))
	}
	entry.Collection = id.String()
	err = s.write(ctx, func(tx *writeTx) error {
		c, err := tx.lock(id, n, nil, nil)
		if err != nil {
			return err
		}
		list, err := rowsAt(ctx, tx.conn, n, at)
		if err != nil {
			return err
		}
		removed = len(list)
		if tx.nothing = removed == 0; tx.nothing {
			return nil
		}
		return c.remove(list, block, entry)
	})
	if err != nil {
		return 0, err
	}
	return removed, nil
}

// remove deletes records, blocks their content, and adds the entry that says why. The
// newest version of an id that is left goes into live and keeps its date.
func (c *collectionTx) remove(list []*row, block store.Block, entry audit.Entry) error {
	keys, removed := keysOfRows(list), map[store.Date]bool{}
	for _, r := range list {
		removed[r.Date] = true
	}
	var err error
	if c.ids, err = groupsOf(c.ctx, c.conn, c.n, keys); err != nil {
		return err
	}
	c.head.past++
	for _, key := range keys {
		for _, r := range c.ids[key] {
			if removed[r.Date] {
				c.uncount(r)
				c.countEnds(r.Handling, -1)
			}
		}
		c.ids[key] = slices.DeleteFunc(c.ids[key], func(r *row) bool { return removed[r.Date] })
		c.place(key)
	}
	for _, table := range []string{"live", "hist"} {
		c.batch.Queue(`DELETE FROM `+table+` WHERE collection = $1 AND added = ANY ($2)`, c.n, datesOf(list))
	}
	if block.Reason != "" {
		c.block(list, block)
	}
	entry.Count, entry.From, entry.To = len(list), list[0].Date.Pointer(), list[len(list)-1].Date.Pointer()
	return cmp.Or(c.save(), c.record(entry))
}

// block queues that the content of records is blocked. An object can be blocked for several
// reasons. Unblock ends one of them.
func (c *collectionTx) block(list []*row, block store.Block) {
	digests := make([][]byte, len(list))
	for i, r := range list {
		digests[i] = store.BlockKey(block.Origin, stix.Canonical(r.json))
	}
	c.batch.Queue(`INSERT INTO blocked_content SELECT unnest($1::bytea[]), $2 ON CONFLICT DO NOTHING`, digests, block.Reason)
	if block.Identity != "" {
		c.batch.Queue(`INSERT INTO blocked_identity VALUES ($1, $2, $3) ON CONFLICT (identity, reason) DO UPDATE SET origin = $3`, block.Identity, block.Reason, block.Origin)
	}
}

// findBlocked tells which items are blocked: as content of the writer itself, or as content
// of the creator that the object names. The same content from another organisation is not
// blocked. some is false if nothing at all is blocked.
func findBlocked(ctx context.Context, from querier, g exchange.Grant, items []store.Item, some bool) ([]bool, error) {
	blocked := make([]bool, len(items))
	if !some {
		return blocked, nil
	}
	origins, err := originsOf(ctx, from, items)
	if err != nil {
		return nil, err
	}
	writer := ""
	if c := g.Collection(); c != nil {
		writer = c.Writer
	}
	itemsOf := map[string][]int{} // by digest
	var digests [][]byte
	for i := range items {
		if items[i].Refused != nil {
			continue
		}
		o := &items[i].Object
		content := stix.Canonical(o.Raw)
		for _, origin := range append([]string{writer}, origins[string(o.Creator)]...) {
			digest := store.BlockKey(origin, content)
			itemsOf[string(digest)] = append(itemsOf[string(digest)], i)
			digests = append(digests, digest)
		}
	}
	rows, err := from.Query(ctx, `SELECT DISTINCT digest FROM blocked_content WHERE digest = ANY ($1)`, digests)
	if err != nil {
		return nil, err
	}
	var digest []byte
	_, err = pgx.ForEachRow(rows, []any{&digest}, func() error {
		for _, i := range itemsOf[string(digest)] {
			blocked[i] = true
		}
		return nil
	})
	return blocked, err
}

// originsOf returns the organisations whose content is blocked, by the identity that the
// items name as their creator.
func originsOf(ctx context.Context, from querier, items []store.Item) (map[string][]string, error) {
	creators := map[string]bool{}
	for i := range items {
		if items[i].Refused == nil && items[i].Object.Creator != "" {
			creators[string(items[i].Object.Creator)] = true
		}
	}
	rows, err := from.Query(ctx, `SELECT identity, origin FROM blocked_identity WHERE identity = ANY ($1)`, textual(slices.Collect(maps.Keys(creators))))
	if err != nil {
		return nil, err
	}
	origins := map[string][]string{}
	var identity, origin string
	_, err = pgx.ForEachRow(rows, []any{&identity, &origin}, func() error {
		origins[identity] = append(origins[identity], origin)
		return nil
	})
	return origins, err
}

// Unblock implements store.Store.
func (s *Store) Unblock(ctx context.Context, reason string) error {
	return s.write(ctx, func(tx *writeTx) error {
		q := &pgx.Batch{}
		q.Queue(`DELETE FROM blocked_content WHERE reason = $1`, reason)
		q.Queue(`DELETE FROM blocked_identity WHERE reason = $1`, reason)
		return tx.begin(q)
	})
}

// Discard implements store.Store.
func (s *Store) Discard(ctx context.Context, number uint64, entry audit.Entry) error {
	return s.write(ctx, func(tx *writeTx) error {
		found, err := tx.beginWith(`DELETE FROM quarantine WHERE number = $1 RETURNING true`, int64(number))
		if err == nil && !found {
			err = taxii.Errorf(taxii.NotFound, "there is no object %d in quarantine", number)
		}
		if err != nil {
			return err
		}
		return tx.record(entry)
	})
}
