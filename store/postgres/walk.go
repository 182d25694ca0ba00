package postgres

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"comity/stix"
	"comity/store"
	"comity/taxii/exchange"
)

// walk is one walk through a collection.
type walk struct {
	ctx    context.Context
	store  *Store
	pool   *pgxpool.Pool // of the primary, or of the replica
	from   querier
	id     uuid.UUID
	n      int32
	end    store.State // of the collection, as it is confirmed: later records are left out
	late   bool        // a later record may have superseded one of the others
	news   uint64      // end of the collection that the page has waited for; 0: it has not
	choice store.Choice
	types  []string   // asked for and visible; nil: all
	after  store.Date // exclusive
	limit  int
	max    int // bytes; 0: no bound

	each  func(*row) error // gets each record of the page; must copy its JSON
	count int
	size  int
	more  bool
	read  int // bytes of the objects that the last statement has returned
}

// walk calls each with the records of the page that q asks for, in order, and returns how
// long the page stands.
func (s *Store) walk(ctx context.Context, g exchange.Grant, q store.Query, each func(*row) error) (standing store.Standing, err error) {
	if err := ctx.Err(); err != nil || !g.CanRead() {
		return standing, err
	}
	if q.Detail { // for upkeep, which is not to miss what other processes have acknowledged
		if err := s.catchUp(ctx); err != nil {
			return standing, err
		}
	}
	view := g.View()
	standing.Asked = view.At
	end, err := s.State(ctx, g.ID())
	if err != nil {
		return standing, err
	}
	w := &walk{
		ctx: ctx, store: s, pool: s.pool, id: g.ID(), end: end, choice: store.NewChoice(view, q.Match), types: textual(store.Narrowed(q.Types, &view)),
		after: store.DateOf(q.After), limit: max(q.Limit, 1), max: q.MaxBytes, each: each,
	}
	if w.n, err = s.number(ctx, g.ID(), false); err != nil || w.n == 0 {
		return standing, failure(err)
	}
	if !w.lookAtReplica(q, &standing) {
		if err = w.look(q, &standing); errors.Is(err, errNews) {
			if err = w.awaitNews(); err == nil {
				err = w.look(q, &standing)
			}
		}
	}
	if ctx.Err() != nil {
		return standing, ctx.Err()
	}
	standing.More, standing.Until = w.more, w.choice.Until
	return standing, failure(err)
}

// look reads the page from the pool, or what is left of it. It returns errNews, once and before
// the first record, if the page is to wait.
func (w *walk) look(q store.Query, standing *store.Standing) error {
	if q.IDs == nil && w.choice.OnlyLast() {
		if done, err := w.plain(standing); done || err != nil {
			return err
		}
	}
	return read(w.ctx, w.pool, false, func(tx pgx.Tx) error {
		w.from = tx
		h, err := w.head(tx.QueryRow(w.ctx, headQuery, w.n))
		if err != nil {
			return err
		}
		if standing.State == (store.State{}) { // plain has read nothing
			if err := w.checkNews(&h); err != nil {
				return err
			}
			w.stand(standing, &h)
		}
		w.late = w.hasLate(&h)
		if q.IDs != nil {
			return w.byID(q.IDs)
		}
		return w.merged()
	})
}

// errNews says that records will be confirmed in a moment, if all is well.
var errNews = errors.New("there are records that are not confirmed yet")

// newsTimeout bounds how long a page waits for them.
const newsTimeout = 500 * time.Millisecond

// checkNews returns errNews if there are records to wait for, once.
func (w *walk) checkNews(h *head) error {
	if w.news != 0 || w.count > 0 || uint64(h.last) <= w.end.End {
		return nil
	}
	w.news = uint64(h.last)
	return errNews
}

// awaitNews waits until the watcher has confirmed the news, so that whoever has pushed
// something at one server finds it at another one. If that takes long, the page is without them.
func (w *walk) awaitNews() error {
	deadline := time.Now().Add(newsTimeout)
	for {
		var err error
		if w.end, err = w.store.State(w.ctx, w.id); err != nil || w.end.End >= w.news || time.Now().After(deadline) {
			return err
		}
		if err := sleep(w.ctx, watchInterval/4); err != nil {
			return err
		}
	}
}

// stand notes the state of the collection that a page was read from.
func (w *walk) stand(standing *store.Standing, h *head) {
	standing.State = store.State{Past: min(uint64(h.past), w.end.Past), End: min(uint64(h.last), w.end.End)}
	if standing.State.End != 0 {
		standing.HighWater = store.Date(standing.State.End).Time()
	}
}

// hasLate tells whether a record that is left out may be a version of an id that was there.
func (w *walk) hasLate(h *head) bool {
	return uint64(h.last) > w.end.End && uint64(h.past) > w.end.Past
}

// textual leaves out the types that no column of text can have.
func textual(types []string) []string {
	if types == nil {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(types), func(t string) bool { return !utf8.ValidString(t) || strings.ContainsRune(t, 0) })
}

// take adds a record to the page; false if the page is full.
func (w *walk) take(r *row) (bool, error) {
	size := len(r.json)
	if w.count > 0 {
		size++ // the comma
		if w.count == w.limit || w.max > 0 && w.size+size > w.max {
			w.more = true
			return false, nil
		}
	}
	if err := w.each(r); err != nil {
		return false, err
	}
	w.count++
	w.size += size
	return true, nil
}

// maxRows is how many rows one statement reads at most.
const maxRows = 2001

// rows is how many rows the next statement reads: one more than the page still needs tells
// whether there are more.
func (w *walk) rows() int { return min(w.limit-w.count+1, maxRows) }

// maxRead is how many bytes of objects one statement reads for a page without a bound.
const maxRead = 16 << 20

// room is how many bytes of objects the next statement reads at most, and one object more,
// which tells whether there are more.
func (w *walk) room() int {
	if w.max == 0 {
		return maxRead
	}
	return max(w.max-w.size, 0)
}

// within lets a statement that reads rows end after room bytes of objects and one object
// more. That takes half as long again, so plain does it only for collections that have had a
// page full of bytes.
func within(room int, sql string, args *[]any) string {
	*args = append(*args, room)
	return fmt.Sprintf(`SELECT `+columns+`, newest FROM (SELECT *, sum(octet_length(json)) OVER (ORDER BY added ROWS UNBOUNDED PRECEDING) AS upto FROM (%s) r) p
		WHERE upto - octet_length(json) <= $%d ORDER BY added`, sql, len(*args))
}

// where is the condition that a record is visible and of the specification versions asked
// for, with its arguments: n, after, end, and others. It only spares rows: Admits decides.
func (w *walk) where() (string, []any) {
	v := &w.choice.View
	text, args := ` WHERE collection = $1 AND added > $2 AND added <= $3 AND (until = 0 OR until > $4)`, []any{w.n, int64(w.after), int64(w.end.End), int64(v.At)}
	add := func(condition string, values ...any) {
		for _, value := range values {
			args = append(args, value)
			condition = strings.Replace(condition, "$", fmt.Sprintf("#%d", len(args)), 1)
		}
		text += strings.ReplaceAll(condition, "#", "$")
	}
	if !v.Own {
		add(` AND tlp <= $ AND barred & $ = 0`, int16(v.Ceiling), int16(v.Action))
	}
	if w.choice.SpecsSet {
		specs := []int16{}
		for _, s := range w.choice.Specs {
			specs = append(specs, int16(s))
		}
		add(` AND spec = ANY ($)`, specs)
	}
	return text, args
}

// plain is the way of the default poll, if no id of the collection is mixed and no record that
// is left out has superseded another one: it reads live.
// The state of the collection and the page are one round trip, and one snapshot: otherwise
// an id that becomes mixed between the two would have its visible version in hist. It
// returns false if that is not so, perhaps after a part of the page.
func (w *walk) plain(standing *store.Standing) (done bool, err error) {
	for first := true; ; first = false {
		where, args := w.where()
		n, room := w.rows(), w.room()
		page := w.newest(where, &args, n)
		_, large := w.store.large.Load(w.id)
		if large {
			page = within(room, page, &args)
		}
		q := &pgx.Batch{}
		q.Queue(`BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY`)
		q.Queue(headQuery, w.n)
		q.Queue(page, args...)
		q.Queue(`COMMIT`)
		results := w.pool.SendBatch(w.ctx, q)
		if _, err := results.Exec(); err != nil {
			return false, cmp.Or(err, results.Close())
		}
		h, err := w.head(results.QueryRow())
		if err != nil {
			return false, cmp.Or(err, results.Close())
		}
		if first {
			if err := w.checkNews(&h); err != nil {
				return false, cmp.Or(results.Close(), err)
			}
		}
		if h.mixed > 0 || w.hasLate(&h) {
			return false, results.Close()
		}
		if first {
			w.stand(standing, &h)
		}
		rows, err := results.Query()
		read, full := 0, false
		if err == nil {
			read, full, err = w.takeAll(rows)
		}
		if full && w.count < w.limit {
			w.store.large.Store(w.id, true)
		}
		if err := cmp.Or(err, results.Close()); err != nil || full || read < n && (!large || w.read <= room) {
			return true, err
		}
	}
}

// newest is the statement that reads n rows of live. Where the query names types, it reads
// the rows of each type by the index of types.
func (w *walk) newest(where string, args *[]any, n int) string {
	*args = append(*args, n)
	limit := fmt.Sprintf(` ORDER BY added LIMIT $%d`, len(*args))
	from := `SELECT ` + columns + `, true AS newest FROM live` + where
	switch len(w.types) {
	case 1:
		*args = append(*args, w.types[0])
		return fmt.Sprintf(`%s AND type = $%d%s`, from, len(*args), limit)
	case 0:
		if w.types == nil {
			return from + limit
		}
	}
	*args = append(*args, slices.Compact(slices.Sorted(slices.Values(w.types))))
	return fmt.Sprintf(`SELECT r.* FROM unnest($%d::text[]) AS asked(type), LATERAL (%s AND type = asked.type%s) r%s`, len(*args), from, limit, limit)
}

// takeAll adds the rows that the choice admits to the page. It returns the number of rows,
// and whether the page is full.
func (w *walk) takeAll(rows pgx.Rows) (n int, full bool, err error) {
	defer rows.Close()
	w.read = 0
	for rows.Next() {
		n++
		r, damage := scanRow(rows)
		w.read += len(r.json)
		if damage != nil {
			if err := w.leaveOut(r.Date, damage); err != nil {
				return n, false, err
			}
		} else if w.choice.Admits(r.Spec, r.Handling) {
			ok, err := w.take(&r)
			if err != nil || !ok {
				return n, true, err
			}
		}
		w.after = r.Date
	}
	return n, false, rows.Err()
}

// merged reads live and hist in parallel, in the order of dates. For some it looks at all
// versions of the id: see hasRivals.
func (w *walk) merged() error {
	for {
		where, args := w.where()
		if w.types != nil {
			args = append(args, w.types)
			where += fmt.Sprintf(` AND type = ANY ($%d)`, len(args))
		}
		n, room := w.rows(), w.room()
		args = append(args, n)
		limit := fmt.Sprintf(` ORDER BY added LIMIT $%d`, len(args))
		superseded := where
		switch {
		case !w.choice.OnlyLast():
		case w.late:
			superseded += ` AND (mixed OR key IN (SELECT key FROM live WHERE collection = $1 AND added > $3))`
		default:
			superseded += ` AND mixed`
		}
		both := `(SELECT ` + columns + `, true AS newest FROM live` + where + limit + `) UNION ALL
			(SELECT ` + columns + `, false FROM hist` + superseded + limit + `)` + limit
		rows, err := w.from.Query(w.ctx, within(room, both, &args), args...)
		if err != nil {
			return err
		}
		list, err := w.collect(rows)
		if err != nil {
			return err
		}
		chosen, err := w.choose(list)
		if err != nil {
			return err
		}
		for _, r := range list {
			if r.json != nil && w.selects(r, chosen) {
				if ok, err := w.take(r); err != nil || !ok {
					return err
				}
			}
			w.after = r.Date
		}
		if len(list) < n && w.read <= room {
			return nil
		}
	}
}

// collect copies rows. A damaged one is left out of the page and has no JSON.
func (w *walk) collect(rows pgx.Rows) (list []*row, err error) {
	defer rows.Close()
	w.read = 0
	for rows.Next() {
		r, damage := scanRow(rows)
		w.read += len(r.json)
		if r.json = bytes.Clone(r.json); damage != nil {
			if err := w.leaveOut(r.Date, damage); err != nil {
				return nil, err
			}
			r.json = nil
		}
		list = append(list, &r)
	}
	return list, rows.Err()
}

// choose returns the dates of the versions that the query selects, of the ids for which
// that depends on their other versions.
func (w *walk) choose(list []*row) (chosen map[store.Date]bool, err error) {
	var keys []stix.Key
	for _, r := range list {
		if w.hasRivals(r) {
			keys = append(keys, r.key)
		}
	}
	if len(keys) == 0 {
		return nil, nil
	}
	groups, err := w.groups(keys)
	chosen = map[store.Date]bool{}
	for _, group := range groups {
		for _, v := range w.choice.Pick(versionsOf(group)) {
			chosen[v.Date] = true
		}
	}
	return chosen, err
}

// groups returns the versions of ids that are not left out.
func (w *walk) groups(keys []stix.Key) (map[stix.Key][]*row, error) {
	groups, err := groupsOf(w.ctx, w.from, w.n, keys)
	for key, group := range groups {
		groups[key] = slices.DeleteFunc(group, func(r *row) bool { return uint64(r.Date) > w.end.End })
	}
	return groups, err
}

// hasRivals tells whether it depends on the other versions of the id if the query selects a
// version.
func (w *walk) hasRivals(r *row) bool { return r.mixed || w.choice.First || w.late && !r.live }

// selects tells whether the query selects a version.
func (w *walk) selects(r *row, chosen map[store.Date]bool) bool {
	c := &w.choice
	if w.hasRivals(r) {
		return chosen[r.Date]
	}
	return c.Admits(r.Spec, r.Handling) && (c.All || c.Last && r.live || slices.Contains(c.At, r.Instant))
}

// byID looks up each id.
func (w *walk) byID(ids []string) error {
	keys := make([]stix.Key, len(ids))
	for i, id := range ids {
		keys[i] = stix.ID(id).Key()
	}
	groups, err := w.groups(keys)
	if err != nil {
		return err
	}
	var dates []int64
	for _, group := range groups {
		if w.types != nil && len(group) > 0 && !slices.Contains(w.types, group[0].kind) {
			continue
		}
		for _, v := range w.choice.Pick(versionsOf(group)) {
			if v.Date > w.after {
				dates = append(dates, int64(v.Date))
			}
		}
	}
	slices.Sort(dates)
	for part := range slices.Chunk(dates, maxRows) {
		rows, err := w.from.Query(w.ctx, rowsAtQuery, w.n, part)
		if err != nil {
			return err
		}
		if _, full, err := w.takeAll(rows); err != nil || full {
			return err
		}
	}
	return nil
}

// leaveOut logs that pages lack the damaged record added at d, once for each record. Pages
// go on without it, since otherwise no poll would get past it. At a replica it returns the
// damage, since the primary may have the record.
func (w *walk) leaveOut(d store.Date, damage error) error {
	if w.atReplica() {
		return damage
	}
	if _, known := w.store.leftOut.LoadOrStore(damagedRecord{w.id, d}, true); !known {
		w.store.log.Error("a damaged record is left out of every page: run comity check", "collection", w.id, "error", damage)
	}
	return nil
}

// damagedRecord names a record that does not match its checksum.
type damagedRecord struct {
	collection uuid.UUID
	date       store.Date
}
