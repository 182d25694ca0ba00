package postgres

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"math/bits"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"comity/store"
	"comity/taxii"
	"comity/taxii/audit"
)

// record queues audit entries. All get the time of the transaction. They become links of
// the chain once the transaction has committed, since a chain that was linked inside would
// let one push at a time wait for the standby.
func (tx *writeTx) record(entries ...audit.Entry) error {
	if len(entries) == 0 {
		return nil
	}
	bodies := make([][]byte, len(entries))
	for i, e := range entries {
		e.Time = tx.now.Truncate(time.Microsecond)
		var err error
		if bodies[i], err = json.Marshal(&e); err != nil {
			return err
		}
	}
	tx.entries = true
	tx.batch.Queue(`INSERT INTO entry (body) SELECT body FROM unnest($1::bytea[]) WITH ORDINALITY AS e(body, i) ORDER BY i`, bodies)
	return nil
}

// Record implements store.Store.
func (s *Store) Record(ctx context.Context, entries ...audit.Entry) error {
	if err := ctx.Err(); err != nil || len(entries) == 0 {
		return err
	}
	return s.write(ctx, func(tx *writeTx) error { return cmp.Or(tx.begin(&pgx.Batch{}), tx.record(entries...)) })
}

// sealDelay is how long the sealer waits after a commit, so that it seals for several.
const sealDelay = 10 * time.Millisecond

// sealAll makes links of entries as they are committed, until ctx ends.
func (s *Store) sealAll(ctx context.Context) {
	logged := ""
	for {
		select {
		case <-s.wake:
		case <-time.After(time.Second): // for an attempt that failed
		case <-ctx.Done():
			return
		}
		if sleep(ctx, sealDelay) != nil {
			return
		}
		err := s.seal(ctx)
		if err == nil || ctx.Err() != nil {
			logged = ""
		} else if err.Error() != logged {
			logged = err.Error()
			s.log.Error("audit entries cannot be linked yet", "error", err)
		}
	}
}

// maxSeal is how many entries one transaction links.
const maxSeal = 5000

// seal makes links of all entries that are committed, by any process. Whoever reads the
// chain seals first.
func (s *Store) seal(ctx context.Context) error {
	select {
	case s.sealing <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-s.sealing }()
	for {
		unsealed, err := findUnsealed(ctx, s.pool)
		if err != nil || !unsealed {
			return failure(err)
		}
		if err := s.write(ctx, (*writeTx).seal); err != nil {
			return err
		}
	}
}

// findUnsealed tells whether an entry is committed that is not a link yet.
func findUnsealed(ctx context.Context, from querier) (unsealed bool, err error) {
	err = from.QueryRow(ctx, `SELECT EXISTS (SELECT FROM entry)`).Scan(&unsealed)
	return unsealed, err
}

// readSealed runs f in a long read-only transaction that sees no entry which is not a link
// yet. If there is one, it seals first.
func (s *Store) readSealed(ctx context.Context, f func(pgx.Tx) error) error {
	for {
		unsealed := false
		if err := read(ctx, s.pool, true, func(tx pgx.Tx) error {
			var err error
			if unsealed, err = findUnsealed(ctx, tx); err != nil || unsealed {
				return err
			}
			return f(tx)
		}); err != nil || !unsealed {
			return err
		}
		if err := s.seal(ctx); err != nil {
			return err
		}
	}
}

// seal makes links of up to maxSeal entries, in the order of their numbers.
func (tx *writeTx) seal() error {
	var head audit.Head
	var last int64
	q := &pgx.Batch{}
	q.Queue(`SELECT number, hash, open, time FROM chain FOR UPDATE`).QueryRow(func(r pgx.Row) error { return scanHead(r, &head, &last) })
	var bodies [][]byte
	q.Queue(`WITH e AS (DELETE FROM entry WHERE n IN (SELECT n FROM entry ORDER BY n LIMIT $1) RETURNING n, body) SELECT body FROM e ORDER BY n`, maxSeal).
		Query(func(rows pgx.Rows) (err error) {
			bodies, err = pgx.CollectRows(rows, pgx.RowTo[[]byte])
			return err
		})
	if err := tx.begin(q); err != nil {
		return err
	}
	if tx.nothing = len(bodies) == 0; tx.nothing {
		return nil
	}
	for _, body := range bodies {
		var e audit.Entry
		if err := json.Unmarshal(body, &e); err != nil {
			return store.Damaged("an audit entry that is not linked yet: %w", err)
		}
		last = max(last, e.Time.UnixMicro()) // entries of several collections need not be in the order of time
		e.Time, e.Salt = time.UnixMicro(last).UTC(), audit.NewSalt()
		link, next, err := audit.Seal(e, head)
		if err != nil {
			return err
		}
		head = next
		queueLink(&tx.batch, link, &e)
	}
	tx.batch.Queue(`UPDATE chain SET number = $1, hash = $2, open = $3, time = $4`, int64(head.Number), head.Hash[:], head.Open, last)
	var seen progress
	seen.queue(&tx.batch)
	tx.after = append(tx.after, func() { tx.learn(&seen) })
	return nil
}

// queueLink queues a link. A delivery or gap is found by its collection and span.
func queueLink(q *pgx.Batch, link audit.Link, e *audit.Entry) {
	var collection *uuid.UUID
	var first, last, class *int64
	if store.IsDelivery(e) {
		id, from, to := uuid.MustParse(e.Collection), int64(store.DateOf(*e.From)), int64(store.DateOf(*e.To))
		bits := int64(bits.Len64(uint64(max(to-from, 0))))
		collection, first, last, class = &id, &from, &to, &bits
	}
	q.Queue(`INSERT INTO link VALUES ($1, $2, $3, $4, $5, $6, $7)`, int64(link.Number), link.Hash[:], link.Body, collection, first, last, class)
}

func scanHead(r pgx.Row, head *audit.Head, last *int64) error {
	var hash []byte
	if err := r.Scan(&head.Number, &hash, &head.Open, last); err != nil {
		return err
	}
	if len(hash) != len(head.Hash) {
		return store.Damaged("the head of the audit record is cut off")
	}
	head.Hash = [32]byte(hash)
	return nil
}

// scanLink reads the number, the hash and the body of a link, and then more columns.
func scanLink(r pgx.Row, more ...any) (link audit.Link, err error) {
	var hash []byte
	if err := r.Scan(append([]any{&link.Number, &hash, &link.Body}, more...)...); err != nil {
		return link, err
	}
	if len(hash) != len(link.Hash) {
		return link, store.Damaged("line %d of the audit record is cut off", link.Number)
	}
	link.Hash = [32]byte(hash)
	return link, nil
}

// Entries implements store.Store. Whoever then looks for the records that the entries tell of
// finds them.
func (s *Store) Entries(ctx context.Context, after uint64, n int) ([]audit.Link, error) {
	if err := cmp.Or(ctx.Err(), s.seal(ctx)); err != nil {
		return nil, err
	}
	rows, err := s.pool.Query(ctx, `SELECT number, hash, body FROM link WHERE number > greatest($1, (SELECT sealed FROM meta)) ORDER BY number LIMIT $2`, int64(after), n)
	if err != nil {
		return nil, failure(err)
	}
	links, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (audit.Link, error) { return scanLink(r) })
	if err != nil || len(links) == 0 {
		return nil, failure(err)
	}
	return links, s.reach(ctx, progress{link: links[len(links)-1].Number})
}

// ChainHead implements store.Store.
func (s *Store) ChainHead(ctx context.Context) (head audit.Head, err error) {
	if err := s.seal(ctx); err != nil {
		return head, err
	}
	var last int64
	if err := scanHead(s.pool.QueryRow(ctx, `SELECT number, hash, open, time FROM chain`), &head, &last); err != nil {
		return head, failure(err)
	}
	return head, s.reach(ctx, progress{link: head.Number})
}

// Seal implements store.Store.
func (s *Store) Seal(ctx context.Context) (audit.SignedCheckpoint, error) {
	seal, err := sealOf(ctx, s.pool)
	return seal, failure(err)
}

// sealOf reads the seal; zero if nothing was archived.
func sealOf(ctx context.Context, from querier) (seal audit.SignedCheckpoint, err error) {
	var text string
	if err := from.QueryRow(ctx, `SELECT seal FROM meta`).Scan(&text); err != nil || text == "" {
		return seal, err
	}
	if seal, err = audit.ParseCheckpoint(text); err != nil {
		return seal, store.Damaged("the seal of the audit record: %w", err)
	}
	return seal, nil
}

// Archive implements store.Store.
func (s *Store) Archive(ctx context.Context, seal audit.SignedCheckpoint, entry audit.Entry) error {
	if err := s.seal(ctx); err != nil {
		return err
	}
	if err := s.write(ctx, func(tx *writeTx) error {
		var before int64
		var hash []byte
		q := &pgx.Batch{}
		q.Queue(`SELECT sealed FROM meta FOR UPDATE`).QueryRow(func(r pgx.Row) error { return r.Scan(&before) })
		q.Queue(`SELECT hash FROM link WHERE number = $1`, int64(seal.Number)).QueryRow(func(r pgx.Row) error {
			if err := r.Scan(&hash); !errors.Is(err, pgx.ErrNoRows) {
				return err
			}
			return nil
		})
		if err := tx.begin(q); err != nil {
			return err
		}
		if seal.Number <= uint64(before) || !bytes.Equal(hash, seal.Hash[:]) {
			return taxii.Errorf(taxii.Conflict, "the audit record after entry %d has no entry %d with the hash %x", before, seal.Number, seal.Hash)
		}
		tx.batch.Queue(`UPDATE meta SET sealed = $1, seal = $2`, int64(seal.Number), seal.String())
		return tx.record(entry)
	}); err != nil {
		return err
	}
	for after := int64(0); after < int64(seal.Number); {
		if err := s.write(ctx, func(tx *writeTx) (err error) {
			after, err = tx.dropLinks(after, int64(seal.Number))
			return err
		}); err != nil {
			return err
		}
	}
	return nil
}

// dropLinks deletes those of the next 4,000 links after a number that Holders does not need:
// all but the deliveries and gaps whose collection still has a record in their span. It
// returns the number of the last link that it has read, or end if there are no more.
func (tx *writeTx) dropLinks(after, end int64) (last int64, err error) {
	var drop []int64
	q := &pgx.Batch{}
	read := 0
	q.Queue(`SELECT l.number, l.collection IS NULL OR NOT EXISTS (SELECT FROM live r WHERE r.collection = c.n AND r.added BETWEEN l.first AND l.last)
			AND NOT EXISTS (SELECT FROM hist r WHERE r.collection = c.n AND r.added BETWEEN l.first AND l.last)
		FROM link l LEFT JOIN collection c ON c.id = l.collection WHERE l.number > $1 AND l.number <= $2 ORDER BY l.number LIMIT 4000`, after, end).
		Query(func(rows pgx.Rows) error {
			var unneeded bool
			_, err := pgx.ForEachRow(rows, []any{&last, &unneeded}, func() error {
				if read++; unneeded {
					drop = append(drop, last)
				}
				return nil
			})
			return err
		})
	if err := tx.begin(q); err != nil {
		return 0, err
	}
	if read < 4000 {
		last = end
	}
	tx.batch.Queue(`SELECT drop_links($1)`, drop)
	return last, nil
}

// Holders implements store.Store. A span of dates is found by its class, the number of bits
// of its length, so the cost does not grow with all that was ever delivered.
func (s *Store) Holders(ctx context.Context, id uuid.UUID, dates []time.Time, after uint64) (holders []store.Holder, err error) {
	if err := s.seal(ctx); err != nil {
		return nil, err
	}
	n, err := s.number(ctx, id, false)
	if err != nil || n == 0 {
		return nil, failure(err)
	}
	at := make([]int64, len(dates))
	for i, t := range dates {
		at[i] = int64(store.DateOf(t))
	}
	err = read(ctx, s.pool, true, func(tx pgx.Tx) error {
		search, err := newHolderSearch(ctx, tx, n, at)
		if err != nil {
			return err
		}
		first, last, ok := search.Span()
		if !ok {
			return nil
		}
		rows, err := tx.Query(ctx, `SELECT number, hash, body FROM generate_series(0, 62) class, LATERAL (
				SELECT l.number, l.hash, l.body FROM link l WHERE l.collection = $1 AND l.class = class.class
					AND l.first BETWEEN $2 - (1::bigint << class.class) AND $3 AND l.last >= $2 AND l.number > $4) found
			ORDER BY number`, id, int64(first), int64(last), int64(after))
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			link, err := scanLink(rows)
			if err != nil {
				return err
			}
			e, err := link.Entry()
			if err != nil {
				return store.Damaged("line %d of the audit record: %w", link.Number, err)
			}
			search.Deliver(&e)
		}
		holders = search.Holders()
		return rows.Err()
	})
	return holders, err
}

// newHolderSearch makes a search for those of the records added at dates that are still
// there.
func newHolderSearch(ctx context.Context, from querier, n int32, dates []int64) (*store.HolderSearch, error) {
	search := store.NewHolderSearch()
	list, err := rowsAt(ctx, from, n, dates)
	if err != nil || len(list) == 0 {
		return search, err
	}
	groups, err := groupsOf(ctx, from, n, keysOfRows(list))
	if err != nil {
		return nil, err
	}
	at := make(map[int64]*row, len(list))
	for _, r := range list {
		at[int64(r.Date)] = r
	}
	for _, d := range dates { // the search keeps their order
		r := at[d]
		if r == nil {
			continue
		}
		id, err := r.id()
		if err != nil {
			return nil, err
		}
		if err := search.Add(id, r.Version, func() ([]store.Version, error) { return versionsOf(groups[r.key]), nil }); err != nil {
			return nil, err
		}
	}
	return search, nil
}
