package postgres

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"comity/stix"
	"comity/store"
	"comity/taxii"
	"comity/taxii/exchange"
)

// number returns the n of a collection; 0 if nothing was ever added to it. If add is set,
// the collection gets one.
func (s *Store) number(ctx context.Context, id uuid.UUID, add bool) (n int32, err error) {
	if known, ok := s.numbers.Load(id); ok {
		return known.(int32), nil
	}
	if add {
		if _, err := s.pool.Exec(ctx, `INSERT INTO collection (id) VALUES ($1) ON CONFLICT DO NOTHING`, id); err != nil {
			return 0, err
		}
	}
	err = s.pool.QueryRow(ctx, `SELECT n FROM collection WHERE id = $1`, id).Scan(&n)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, nil
	}
	if err == nil {
		s.numbers.Store(id, n)
	}
	return n, err
}

// head is a row of collection.
type head struct {
	last                    store.Date
	past, live, hist, mixed int64
	timeline                int64
}

// headColumns are the columns that scan reads.
const headColumns = `last, past, live, hist, mixed, timeline`

func (h *head) scan(r pgx.Row, more ...any) error {
	return r.Scan(append([]any{&h.last, &h.past, &h.live, &h.hist, &h.mixed, &h.timeline}, more...)...)
}

func (h *head) state() store.State { return store.State{Past: uint64(h.past), End: uint64(h.last)} }

// head reads the row of a collection; zero if there is none.
func (s *Store) head(ctx context.Context, id uuid.UUID) (h head, err error) {
	err = h.scan(s.pool.QueryRow(ctx, `SELECT `+headColumns+` FROM collection WHERE id = $1`, id))
	if errors.Is(err, pgx.ErrNoRows) {
		return head{}, nil
	}
	return h, err
}

// Count implements store.Store.
func (s *Store) Count(ctx context.Context, id uuid.UUID) (int64, error) {
	h, err := s.head(ctx, id)
	if err != nil {
		return 0, failure(err)
	}
	return h.live + h.hist, s.reach(ctx, progress{states: map[uuid.UUID]store.State{id: h.state()}})
}

// Due implements store.Store. The list is in the order of collection and day. It may count
// records that the standby lacks: upkeep reads them by Scan before it removes any.
func (s *Store) Due(ctx context.Context, t time.Time) (list []store.Due, err error) {
	rows, err := s.pool.Query(ctx, `SELECT c.id, d.day, d.n FROM due d JOIN collection c ON c.n = d.collection
		WHERE d.day <= $1 AND d.n > 0 ORDER BY c.id, d.day`, t.Unix()/secondsPerDay)
	if err != nil {
		return nil, failure(err)
	}
	list, err = pgx.CollectRows(rows, func(r pgx.CollectableRow) (due store.Due, err error) {
		var day int64
		err = r.Scan(&due.Collection, &day, &due.Count)
		due.Day = time.Unix(day*secondsPerDay, 0).UTC()
		return due, err
	})
	return list, failure(err)
}

const secondsPerDay = 24 * 60 * 60

// collectionTx is a collection that a write transaction has locked. It keeps the changes in
// memory until save.
type collectionTx struct {
	*writeTx
	id   uuid.UUID
	n    int32
	head head
	was  head                // as the database has it
	held int64               // records of the collections that share a quota
	ids  map[stix.Key][]*row // all versions of the ids that were looked up, in the order of Compare
	due  map[int64]int64     // change in the number of records that end on a day
}

// lock begins the transaction by locking a collection, and those with which it shares a
// quota. The statements that more queues are sent with it.
func (tx *writeTx) lock(id uuid.UUID, n int32, shared []uuid.UUID, more func(*collectionTx, *pgx.Batch)) (*collectionTx, error) {
	c := &collectionTx{writeTx: tx, id: id, n: n, ids: map[stix.Key][]*row{}, due: map[int64]int64{}}
	found := false
	q := &pgx.Batch{}
	q.Queue(`SET LOCAL plan_cache_mode = force_generic_plan`) // otherwise the statements with arrays are planned each time
	q.Queue(`SELECT `+headColumns+`, id FROM collection WHERE id = $1 OR id = ANY ($2) ORDER BY n FOR UPDATE`, id, shared).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			var h head
			var of uuid.UUID
			if err := h.scan(rows, &of); err != nil {
				return err
			}
			if of == id {
				c.head, c.was, found = h, h, true
			}
			if slices.Contains(shared, of) {
				c.held += h.live + h.hist
			}
		}
		return rows.Err()
	})
	if more != nil {
		more(c, q)
	}
	if err := tx.begin(q); err != nil {
		return nil, err
	}
	if !found {
		tx.numbers.Delete(id)
		return nil, taxii.Errorf(taxii.Unavailable, "the database has lost the collection, perhaps by a failover: try again")
	}
	c.sortVersions()
	return c, nil
}

// atOnce is the number of bytes up to which the JSON of an object is looked up together with
// its version. A push of small objects may meet large ones, which are read one at a time.
const atOnce = 32 << 10

// queueVersions queues the look-up of all versions of ids: the newest with their JSON.
func (c *collectionTx) queueVersions(q *pgx.Batch, keys []stix.Key) {
	if len(keys) == 0 {
		return
	}
	read := func(rows pgx.Rows) error {
		for rows.Next() {
			r, err := scanRow(rows)
			if err != nil {
				return err
			}
			r.json = bytes.Clone(r.json)
			c.ids[r.key] = append(c.ids[r.key], &r)
		}
		return rows.Err()
	}
	q.Queue(`SELECT `+header+`, CASE WHEN octet_length(json) <= $3 THEN json END, true FROM live WHERE collection = $1 AND key = ANY ($2)`, c.n, uuids(keys), atOnce).Query(read)
	q.Queue(`SELECT `+header+`, false FROM hist WHERE collection = $1 AND key = ANY ($2)`, c.n, uuids(keys)).Query(read)
}

func (c *collectionTx) sortVersions() {
	for _, group := range c.ids {
		sortVersions(group)
	}
}

func sortVersions(group []*row) {
	slices.SortFunc(group, func(v, w *row) int { return v.Compare(w.Version) })
}

func uuids(keys []stix.Key) []uuid.UUID {
	list := make([]uuid.UUID, len(keys))
	for i, key := range keys {
		list[i] = uuid.UUID(key)
	}
	return list
}

// timelineJump is how far the dates of a collection jump when the database has another
// timeline, after a failover or a restored backup of it: the dates that were given last may
// be unknown to this one, and clients may have them.
const timelineJump = time.Minute

// nextDate returns the date of a record that is added now.
func (c *collectionTx) nextDate(now time.Time) store.Date {
	if timeline := c.conn.Conn().PgConn().CustomData()[timelineKey].(int64); timeline != c.head.timeline {
		if c.head.timeline != 0 {
			c.head.last += store.Date(timelineJump.Microseconds())
		}
		c.head.timeline = timeline
	}
	c.head.last = store.DateAfter(c.head.last, now)
	return c.head.last
}

// add adds a row to its id.
func (c *collectionTx) add(r *row) {
	r.fresh = true
	group := c.ids[r.key]
	if len(group) > 0 {
		c.head.past++
	}
	at, _ := slices.BinarySearchFunc(group, r, func(v, w *row) int { return v.Compare(w.Version) })
	c.ids[r.key] = slices.Insert(group, at, r)
	c.countEnds(r.Handling, 1)
	c.place(r.key)
}

// place decides which version of an id is in live, and which are mixed.
func (c *collectionTx) place(key stix.Key) {
	group := c.ids[key]
	mixed := len(group) > 1 && store.AnyDiffer(versionsOf(group))
	for i, r := range group {
		r.live, r.mixed = i == len(group)-1, mixed
	}
}

// countEnds adds n, which may be negative, to the number of records whose retention ends on
// the day of h.
func (c *collectionTx) countEnds(h exchange.Handling, n int64) {
	if h.Until != 0 {
		c.due[int64(h.Until)/secondsPerDay] += n
	}
}

// copyMin is the number of new rows from which a COPY is faster than an INSERT of each.
const copyMin = 12

// save queues the changes. A COPY is sent at once, with everything that was queued before.
func (c *collectionTx) save() error {
	var fresh, moved, mixed [2][]*row // by whether they are in live now
	for _, group := range c.ids {
		for _, r := range group {
			live := 0
			if r.live {
				live = 1
			}
			switch {
			case r.fresh:
				fresh[live] = append(fresh[live], r)
			case r.live != r.wasLive:
				moved[live] = append(moved[live], r)
			}
			if !r.fresh && r.mixed != r.wasMixed {
				mixed[live] = append(mixed[live], r)
			}
			c.count(r)
		}
	}
	for live, table := range []string{"hist", "live"} { // out of live first, where keys are unique
		from := []string{"live", "hist"}[live]
		if len(moved[live]) > 0 {
			c.batch.Queue(`WITH moved AS (DELETE FROM `+from+` WHERE collection = $1 AND added = ANY ($2) RETURNING `+columns+`)
				INSERT INTO `+table+` (`+columns+`) SELECT `+columns+` FROM moved`, c.n, datesOf(moved[live]))
		}
		if len(mixed[live]) > 0 {
			c.batch.Queue(`UPDATE `+table+` SET mixed = NOT mixed WHERE collection = $1 AND added = ANY ($2)`, c.n, datesOf(mixed[live]))
		}
	}
	for live, table := range []string{"hist", "live"} {
		if err := c.insert(table, fresh[live]); err != nil {
			return err
		}
	}
	if c.head != c.was {
		h := c.head
		c.batch.Queue(`UPDATE collection SET last = $2, past = $3, live = $4, hist = $5, mixed = $6, timeline = $7 WHERE n = $1`,
			c.n, int64(h.last), h.past, h.live, h.hist, h.mixed, h.timeline)
		c.after = append(c.after, func() { c.learn(&progress{states: map[uuid.UUID]store.State{c.id: h.state()}}) })
	}
	for _, day := range slices.Sorted(maps.Keys(c.due)) {
		c.batch.Queue(`INSERT INTO due VALUES ($1, $2, $3) ON CONFLICT (collection, day) DO UPDATE SET n = due.n + excluded.n`, c.n, day, c.due[day])
	}
	return nil
}

// count brings the counters of the collection up to the present place of a row.
func (c *collectionTx) count(r *row) {
	if !r.fresh {
		c.uncount(r)
	}
	if r.live {
		c.head.live++
	} else {
		c.head.hist++
	}
	if r.mixed {
		c.head.mixed++
	}
}

// uncount takes a row that the database has out of the counters.
func (c *collectionTx) uncount(r *row) {
	if r.wasLive {
		c.head.live--
	} else {
		c.head.hist--
	}
	if r.wasMixed {
		c.head.mixed--
	}
}

// insert writes new rows.
func (c *collectionTx) insert(table string, rows []*row) error {
	slices.SortFunc(rows, func(v, w *row) int { return int(int64(v.Date) - int64(w.Date)) })
	if len(rows) >= copyMin {
		return cmp.Or(c.flush(), c.copyRows(table, c.n, rows))
	}
	for _, r := range rows {
		c.batch.Queue(`INSERT INTO `+table+insertRow, r.args(c.n)...)
	}
	return nil
}

func datesOf(rows []*row) []int64 {
	dates := make([]int64, len(rows))
	for i, r := range rows {
		dates[i] = int64(r.Date)
	}
	return dates
}
