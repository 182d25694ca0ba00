package postgres

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"hash/crc32"
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

// Append implements store.Store. A small part takes two round trips: one locks the
// collection and reads what the part may meet there, the other writes and commits.
func (s *Store) Append(ctx context.Context, g exchange.Grant, part store.Part) (status store.Status, outcomes store.Outcomes, err error) {
	if !g.CanWrite() {
		return status, outcomes, taxii.Errorf(taxii.Forbidden, "you may not add to this collection")
	}
	if part.Submission.Collection != g.ID() {
		return status, outcomes, fmt.Errorf("append: the push is for collection %s, the grant for %s", part.Submission.Collection, g.ID())
	}
	if err := ctx.Err(); err != nil {
		return status, outcomes, err
	}
	n, err := s.number(ctx, g.ID(), true)
	if err != nil {
		return status, outcomes, failure(err)
	}
	err = s.write(ctx, func(tx *writeTx) error {
		status, outcomes, err = tx.append(g, part, n)
		return err
	})
	return status, outcomes, err
}

func (tx *writeTx) append(g exchange.Grant, part store.Part, n int32) (status store.Status, outcomes store.Outcomes, err error) {
	push := pushStatus{Status: store.Status{Submission: part.Submission}}
	check := access{records: map[string][]byte{}}
	c, err := tx.lock(g.ID(), n, sharedQuota(g.Collection()), func(c *collectionTx, q *pgx.Batch) {
		// A push is in before an Amend returns, or it sees what the Amend has changed.
		q.Queue(`SELECT pg_advisory_xact_lock_shared($1)`, int64(directoryKey))
		check.queue(q, append(store.CallerNames(g.Principal()), store.ShutName(g.ID())))
		push.queue(q, part.Submission.ID)
		c.queueVersions(q, keysOf(part.Items))
	})
	if err != nil {
		return status, outcomes, err
	}
	if err := cmp.Or(store.CheckOpen(g.ID(), check.record), store.CheckCaller(g.Principal(), tx.now, check.record), push.CheckPart(part, push.there, push.complete)); err != nil {
		return status, outcomes, err
	}
	if part.N < push.Parts {
		// It may have been committed here and not on the standby: a commit waits for that.
		tx.batch.Queue(barrier)
		outcomes, err = tx.outcomes(tx.ctx, tx.conn, part.Submission.ID, part.N)
		return push.Status, outcomes, err
	}
	if g.Collection() != nil {
		if err := store.CheckHeld(g.Collection(), c.held+int64(len(part.Items))); err != nil {
			return status, outcomes, err
		}
	}
	if !push.there {
		if err := tx.countPush(g.Collection()); err != nil {
			return status, outcomes, err
		}
	}
	items, err := tx.quarantine(part)
	if err != nil {
		return status, outcomes, err
	}
	tally, err := c.append(g, items, check.blocks)
	if err != nil {
		return status, outcomes, err
	}
	push.add(part, &tally)
	push.save(tx, part, tx.codec.Pack(tally.Outcomes))
	return push.Status, tally.Outcomes, cmp.Or(c.save(), tx.record(tally.Entry(store.EntryOf(g, audit.Submission), part.Submission)))
}

// sharedQuota are the collections that count for the quota objects_held of a collection;
// nil if it has none.
func sharedQuota(c *exchange.Collection) (ids []uuid.UUID) {
	if c != nil && c.Terms.Quota.ObjectsHeld != 0 {
		ids = c.Held
	}
	return ids
}

// keysOf are the keys of the items that were not refused, each once.
func keysOf(items []store.Item) []stix.Key {
	keys := make([]stix.Key, 0, len(items))
	seen := make(map[stix.Key]bool, len(items))
	for i := range items {
		if items[i].Refused != nil {
			continue
		}
		if key := items[i].Object.Key(); !seen[key] {
			seen[key] = true
			keys = append(keys, key)
		}
	}
	return keys
}

// append adds items to the collection in memory. blocks says whether any content is blocked.
func (c *collectionTx) append(g exchange.Grant, items []store.Item, blocks bool) (store.Tally, error) {
	tally := store.NewTally(c.now, items)
	blocked, err := findBlocked(c.ctx, c.conn, g, items, blocks)
	if err != nil {
		return tally, err
	}
	for i := range items {
		if err := c.appendItem(&tally, &items[i], blocked[i]); err != nil {
			return tally, fmt.Errorf("append %s: %w", items[i].Object.ID, err)
		}
	}
	return tally, nil
}

// appendItem adds one object, or notes in the tally why it was refused.
func (c *collectionTx) appendItem(tally *store.Tally, item *store.Item, blocked bool) error {
	if item.Refused != nil {
		tally.Refuse(item.Refused)
		return nil
	}
	o := &item.Object
	if blocked {
		tally.RefuseBlocked(o)
		return nil
	}
	r := newRow(item)
	group := c.ids[r.key]
	if i := slices.IndexFunc(group, func(w *row) bool { return w.Same(r.Version) }); i >= 0 {
		same, err := c.sameContent(group[i], o)
		if err == nil {
			tally.Known(item, group[i].Date.Time(), same)
		}
		return err
	}
	var before *stix.Lineage
	if len(group) > 0 {
		newest, err := c.lineage(group[len(group)-1])
		if err != nil {
			return err
		}
		before = &newest
	}
	r.Version = r.AddedAt(c.nextDate(tally.Now))
	c.add(r)
	tally.Add(item, r.Date.Time(), before)
	return nil
}

// newRow makes the row of an object, without its date.
func newRow(item *store.Item) *row {
	o := &item.Object
	return &row{
		Version: store.VersionOf(o, item.Handling),
		key:     o.Key(), kind: o.Type, json: o.Raw, sum: crc32.Checksum(o.Raw, castagnoli),
	}
}

// sameContent tells whether a row has the content of o.
func (c *collectionTx) sameContent(r *row, o *stix.Object) (bool, error) {
	if r.past != nil {
		return r.past.digest == store.DigestOf(o.Raw), nil
	}
	text, err := c.load(r)
	return err == nil && stix.SameContent(o.Raw, text), err
}

func (c *collectionTx) lineage(r *row) (stix.Lineage, error) {
	if r.past != nil {
		return r.past.lineage, nil
	}
	text, err := c.load(r)
	return stix.LineageOf(text), err
}

// load returns the JSON of a row, which may have been looked up without it.
func (c *collectionTx) load(r *row) ([]byte, error) {
	if r.json != nil {
		return r.json, nil
	}
	found, err := rowsAt(c.ctx, c.conn, c.n, []int64{int64(r.Date)})
	if err == nil && len(found) == 0 {
		err = store.Damaged("the record added %s is gone", taxii.FormatTime(r.Date.Time()))
	}
	if err != nil {
		return nil, err
	}
	return found[0].json, nil
}

// access is what the directory says on a push, as of its transaction.
type access struct {
	records map[string][]byte
	blocks  bool // some content is blocked
}

// queue queues the look-up of records of the directory.
func (a *access) queue(q *pgx.Batch, names []string) {
	q.Queue(`SELECT name, record FROM directory WHERE name = ANY ($1)`, names).Query(func(rows pgx.Rows) error {
		var name string
		var record []byte
		_, err := pgx.ForEachRow(rows, []any{&name, &record}, func() error {
			a.records[name] = bytes.Clone(record)
			return nil
		})
		return err
	})
	q.Queue(`SELECT EXISTS (SELECT FROM blocked_content)`).QueryRow(func(r pgx.Row) error { return r.Scan(&a.blocks) })
}

func (a *access) record(name string) []byte { return a.records[name] }

// Labels implements store.Store. A writer gets the handling of the newest version, since
// that decides the labels of new objects. Other callers get the handling of the newest
// version that they may see. That version may be one that the standby lacks: what a
// writer adds with its label reaches the standby after it.
func (s *Store) Labels(ctx context.Context, g exchange.Grant, keys []stix.Key) ([]exchange.Held, error) {
	held := make([]exchange.Held, len(keys))
	if !g.CanWrite() && !g.CanRead() {
		return held, ctx.Err()
	}
	n, groups, err := s.lookup(ctx, g, keys)
	if err != nil {
		return nil, err
	}
	view := g.View()
	var definitions []int64
	at := map[store.Date][]int{}
	for i, key := range keys {
		for _, r := range slices.Backward(groups[key]) {
			if g.CanWrite() || view.Sees(r.Handling) {
				held[i] = exchange.Held{Known: true, Handling: r.Handling}
				if r.kind == "marking-definition" {
					definitions, at[r.Date] = append(definitions, int64(r.Date)), append(at[r.Date], i)
				}
				break
			}
		}
	}
	found, err := rowsAt(ctx, s.pool, n, definitions)
	for _, r := range found {
		for _, i := range at[r.Date] {
			held[i].Definition = r.json
		}
	}
	return held, failure(err)
}

// countPush counts a new push against the quota of its agreement. It returns TooMany if the
// quota of the day is used up.
func (tx *writeTx) countPush(c *exchange.Collection) error {
	if c == nil {
		return nil
	}
	clause := c.Terms.By["pushes_per_day"]
	if clause.Agreement == "" {
		return nil // no agreement sets one
	}
	var n int64
	q := &pgx.Batch{}
	q.Queue(`INSERT INTO quota AS q VALUES ($1, $2, $3, 1) ON CONFLICT (agreement, org, day) DO UPDATE SET n = q.n + 1 RETURNING n`, clause.Agreement, c.Writer, tx.now).
		QueryRow(func(r pgx.Row) error { return r.Scan(&n) })
	q.Queue(`DELETE FROM quota WHERE agreement = $1 AND org = $2 AND day < $3`, clause.Agreement, c.Writer, tx.now)
	if err := tx.send(q); err != nil {
		return err
	}
	return store.CheckPushes(c, n-1, tx.now)
}

// Pushes implements store.Store. The store keeps the count of the last day with a push
// only. It may count a push that the standby lacks: Append counts again, and its commit waits
// for the standby.
func (s *Store) Pushes(ctx context.Context, agreement, org string, day time.Time) (n int64, err error) {
	err = s.pool.QueryRow(ctx, `SELECT coalesce(sum(n), 0)::bigint FROM quota WHERE agreement = $1 AND org = $2 AND day = $3`,
		agreement, org, day.UTC()).Scan(&n)
	return n, failure(err)
}
