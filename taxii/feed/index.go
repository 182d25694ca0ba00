package feed

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"comity/stix"
	stixfeed "comity/stix/feed"
	"comity/store"
	"comity/taxii"
	"comity/taxii/audit"
	"comity/taxii/exchange"
	"comity/taxii/follow"
)

// viewKey identifies a view of a collection, but for the time: grants with equal keys see
// the same records.
type viewKey struct {
	collection uuid.UUID
	own        bool
	ceiling    stix.TLP
	action     exchange.Actions
	types      string
}

// newIndex makes an index that has to be filled.
func newIndex(s Store, dir string, key viewKey, now func() time.Time) *index {
	x := &index{lock: newLock(), store: s, now: now, dir: dir, view: fmt.Sprintf("%s %t %s %d %s", key.collection, key.own, key.ceiling, key.action, key.types)}
	if dir != "" {
		digest := sha256.Sum256([]byte(x.view))
		x.file = filepath.Join(dir, hex.EncodeToString(digest[:12]))
	}
	return x
}

func viewKeyOf(g exchange.Grant) viewKey {
	v := g.View()
	key := viewKey{collection: g.ID(), own: v.Own, ceiling: v.Ceiling, action: v.Action}
	if v.Types != nil {
		key.types = ";" + strings.Join(v.Types, ",")
	}
	return key
}

// change is the replacement of a record by the next one of the same indicator. before is
// nil if the indicator is new, after is nil if it is gone.
type change struct{ before, after *record }

// maxChanges is the number of changes that an index remembers. A feed that missed more
// starts over.
const maxChanges = 100_000

// index has the indicators of one collection as one view sees them, in a table and what has
// changed since the table was written. A scan fills it, and then it follows the audit chain: a
// new version replaces the one before, and removed indicators leave.
type index struct {
	store  Store
	now    func() time.Time
	view   string
	dir    string // of tables; "": that of temporary files
	file   string // of the table; "" if it has no name
	wanted int    // answers that are being made from it; the mutex of the Service guards it

	lock                   // guards what follows
	writing  chan struct{} // closed when its table was written anew; nil if nobody does so
	restored bool          // the file was looked at

	content
	chain     *follow.Follower // nil until the first scan is complete
	changed   int              // bytes of the rows that are not in the table
	written   time.Time        // when the table was
	expiry    uint32           // Unix second at which the next retention ends; 0: none
	unsettled span             // scanned since the index last was up to date
	left      []departure      // in the order in which they left
	erasing   bool             // the table may have records that were withdrawn or purged
}

// content is what an index has at one moment. A copy of it stays as it is.
type content struct {
	rows      rows
	sum       sum       // of all records
	span      span      // of date_added in which all records are
	highWater time.Time // every record that was added up to then has been looked at
	changes   []change
	dropped   int // changes that are no longer remembered
	erased    int // times that records of the view were withdrawn or purged
	withdrawals
}

// withdrawals tells which withdrawals concern the records of a view.
type withdrawals struct {
	Followed uint64 `json:"followed"` // position in the audit chain: nothing is known of the entries up to there
	Last     uint64 `json:"last"`     // number of the last entry since that withdrew records of the view; 0: none
}

// errArchived says that entries which the index has not read are no longer in the chain.
var errArchived = errors.New("entries of the audit chain were archived")

// catchUp brings an index that was filled up to date. g is a grant with the view of the
// index, of this moment, and head the number of the last entry of the chain. After an error
// it may be called again; after errArchived the index has to be filled again.
func (x *index) catchUp(ctx context.Context, g exchange.Grant, head uint64) (err error) {
	if x.chain.Position() < head {
		err = x.chain.CatchUp(ctx, func(ctx context.Context, entries []audit.Entry) error {
			return x.apply(ctx, g, entries)
		})
	}
	switch err {
	case nil:
		x.unsettled = span{}
	case errArchived:
		x.chain = nil
	}
	if err == nil && x.expiry != 0 && g.View().At >= x.expiry {
		err = x.expire(ctx, g)
	}
	return err
}

// erases tells whether nothing may remain of what was removed. A withdrawal that follows from
// a revocation is an act of the server under no article: the version that revokes stays for
// all to read, and subscribers are told as of any other change.
func erases(e *audit.Entry) bool {
	return e.Act == audit.Purge || e.Act == audit.Withdrawal && (e.Account != "comity" || e.Article != "")
}

// span is the part of a collection between two date_added, both inclusive; empty if to is
// zero.
type span struct{ from, to time.Time }

func (s *span) extend(from, to time.Time) {
	if s.to.IsZero() || from.Before(s.from) {
		s.from = from
	}
	if to.After(s.to) {
		s.to = to
	}
}

// apply takes in new entries of the audit chain. A removal may be of a version that no scan has
// seen, and bring an older version back that was passed over as superseded. So whatever was
// scanned since the index last was up to date is scanned again.
func (x *index) apply(ctx context.Context, g exchange.Grant, entries []audit.Entry) error {
	if entries[0].Number != x.chain.Position()+1 {
		return errArchived
	}
	var added, removed span
	var erasing []*audit.Entry
	collection := g.ID().String()
	for i := range entries {
		e := &entries[i]
		if e.Collection != collection || e.From == nil || e.To == nil {
			continue
		}
		switch e.Act {
		case audit.Submission:
			added.extend(*e.From, *e.To)
		case audit.Deletion, audit.Withdrawal, audit.Purge:
			removed.extend(*e.From, *e.To)
		}
		if erases(e) {
			erasing = append(erasing, e)
		}
	}
	if !removed.to.IsZero() && !x.unsettled.to.IsZero() {
		added.extend(x.unsettled.from, x.unsettled.to)
	}
	if !added.to.IsZero() {
		x.unsettled.extend(added.from, added.to)
	}
	if err := x.take(ctx, g, added); err != nil {
		return err
	}
	if err := x.drop(ctx, g, removed); err != nil {
		return err
	}
	erased := false
	for _, e := range erasing {
		if x.lost(span{*e.From, *e.To}) {
			if erased = true; e.Act == audit.Withdrawal {
				x.Last = e.Number
			}
		}
	}
	if erased {
		x.erase()
	}
	return nil
}

// departure tells that a record of that date_added left the index.
type departure struct {
	added int64
	at    time.Time
}

// depart notes that a record leaves.
func (x *index) depart(r *record) {
	now := x.now()
	first := slices.IndexFunc(x.left, func(d departure) bool { return now.Sub(d.at) < keepDepartures })
	if first < 0 {
		first = len(x.left)
	}
	if x.left = append(x.left[first:], departure{r.added, now}); len(x.left) > maxChanges {
		x.erase() // as if they were erased, so that they need not be remembered
	}
}

// keepDepartures is longer than histories and tables have a record that left.
const keepDepartures = 2 * historyFor

// lost tells whether records of a span have left of late. What is erased beyond them was not in
// the view, and nobody who reads it may notice.
func (x *index) lost(s span) bool {
	return slices.ContainsFunc(x.left, func(d departure) bool { return d.added >= s.from.UnixMicro() && d.added <= s.to.UnixMicro() })
}

// erase has histories and the table forget all records that left.
func (x *index) erase() { x.left, x.erased, x.erasing = nil, x.erased+1, true }

// take scans what was added.
func (x *index) take(ctx context.Context, g exchange.Grant, s span) error {
	if s.to.IsZero() {
		return nil
	}
	return x.scan(ctx, g, store.Query{After: s.from.Add(-time.Microsecond)}, func(page []*record) bool {
		more := true
		for i, r := range page {
			if r.added > s.to.UnixMicro() {
				page, more = page[:i], false
				break
			}
		}
		x.replace(page, nil)
		return more
	})
}

// drop looks which of the records of a span are still there, and looks up those that are
// not: an older version may have come in the place of one that was removed.
func (x *index) drop(ctx context.Context, g exchange.Grant, s span) error {
	if s.to.IsZero() {
		return nil
	}
	missing := map[string]int64{} // date_added by id
	last := addedKey(s.to.UnixMicro())
	for c := x.rows.from(addedKey(s.from.UnixMicro())); c.advance() && c.key <= last; {
		missing[strings.Clone(c.value)] = number(c.key[len(addedRow):])
	}
	if len(missing) == 0 {
		return nil
	}
	if err := x.scan(ctx, g, store.Query{After: s.from.Add(-time.Microsecond)}, func(page []*record) bool {
		for _, r := range page {
			if missing[r.id] == r.added {
				delete(missing, r.id)
			}
		}
		return page[len(page)-1].added <= s.to.UnixMicro()
	}); err != nil {
		return err
	}
	return x.lookUp(ctx, g, slices.Sorted(maps.Keys(missing)))
}

// expire looks up the records whose retention has ended.
func (x *index) expire(ctx context.Context, g exchange.Grant) error {
	var ended []string
	at, next := g.View().At, uint32(0)
	for c := x.rows.from(endRow); next == 0 && c.advance() && c.key < recordRow; {
		if ends := endOf(c.key); ends > at {
			next = ends
		} else {
			ended = append(ended, strings.Clone(c.value))
		}
	}
	if err := x.lookUp(ctx, g, ended); err != nil {
		return err // expiry stays, so that the next call looks them up again
	}
	x.expiry = next
	for _, id := range ended {
		if r := x.record(id); r != nil {
			x.expires(r.ends)
		}
	}
	return nil
}

// expires notes the Unix second at which the retention of a record ends.
func (x *index) expires(at uint32) {
	if at != 0 && (x.expiry == 0 || at < x.expiry) {
		x.expiry = at
	}
}

// idsOfQuery is the number of ids that one query asks for.
const idsOfQuery = 500

// lookUp replaces each of those records by the version that the view sees now, if any.
func (x *index) lookUp(ctx context.Context, g exchange.Grant, ids []string) error {
	for some := range slices.Chunk(ids, idsOfQuery) {
		var found []*record
		if err := x.scan(ctx, g, store.Query{Match: taxii.Match{IDs: some}}, func(page []*record) bool {
			found = append(found, page...)
			return true
		}); err != nil {
			return err
		}
		gone := slices.DeleteFunc(slices.Clone(some), func(id string) bool {
			return slices.ContainsFunc(found, func(r *record) bool { return r.id == id })
		})
		x.replace(found, gone)
	}
	return nil
}

// record is the record of an indicator; nil if there is none.
func (x *index) record(id string) *record {
	if row := x.rows.get(recordRow + id); row != "" {
		return readRecord(id, row)
	}
	return nil
}

// replace puts records in the place of those before of the same indicators, and removes
// those of others.
func (x *index) replace(records []*record, gone []string) {
	pending := map[string]string{} // values of rows by key; "" if the row is no more
	exchange := func(id string, after *record) {
		row, ok := pending[recordRow+id]
		if !ok {
			row = x.rows.get(recordRow + id)
		}
		var before *record
		if row != "" {
			before = readRecord(id, row)
		}
		if before == nil && after == nil || before != nil && after != nil && before.added == after.added {
			return
		}
		if before != nil {
			x.depart(before)
			x.sum.subtract(sumOfRow(id, row))
			for row := range before.rows() {
				pending[row.key] = ""
			}
		}
		if after != nil {
			x.sum.add(after.sum())
			for row := range after.rows() {
				pending[row.key] = row.value
			}
		}
		x.changes = append(x.changes, change{before, after})
	}
	for _, r := range records {
		exchange(r.id, r)
	}
	for _, id := range gone {
		exchange(id, nil)
	}
	if len(pending) == 0 {
		return
	}
	changed := make([]row, 0, len(pending))
	for _, key := range slices.Sorted(maps.Keys(pending)) {
		changed = append(changed, row{key, pending[key]})
		x.changed += len(key) + len(pending[key])
	}
	x.rows = x.rows.with(changed)
	if len(x.changes) > maxChanges {
		x.forget(x.dropped + len(x.changes)/2)
	}
}

// forget forgets the changes up to a position.
func (c *content) forget(position int) {
	if n := position - c.dropped; n > 0 {
		c.changes, c.dropped = slices.Clone(c.changes[n:]), position
	}
}

// position is the number of changes so far.
func (c *content) position() int { return c.dropped + len(c.changes) }

// since lists the changes after a position; ok is false if some of them are no longer
// remembered.
func (c *content) since(position int) (changes []change, ok bool) {
	if position < c.dropped {
		return nil, false
	}
	return c.changes[position-c.dropped:], true
}

// pageSize is the number of objects of one transaction of the store.
const pageSize = 10_000

// scan calls take with each page of the indicators behind q.After that the grant shows, in the
// order of date_added, until take returns false. An indicator of several specification
// versions comes once.
func (x *index) scan(ctx context.Context, g exchange.Grant, q store.Query, take func([]*record) bool) error {
	q.Match.Types, q.Limit, q.MaxBytes, q.Detail = []string{"indicator"}, pageSize, 16<<20, true
	q.Into = &store.Page{}
	extractor := stixfeed.Extractor{}
	for {
		q.Into.Buffer = q.Into.Buffer[:0]
		page, err := x.store.Scan(ctx, g, q)
		if err != nil {
			return err
		}
		if page.HighWater.After(x.highWater) {
			x.highWater = page.HighWater
		}
		var records []*record
		for i := range page.Len() {
			o, err := stix.NewObject(page.Object(i))
			if err != nil {
				continue // no list has an object that cannot be read
			}
			in, reason := extractor.Extract(o)
			r := newRecord(&in, reason)
			r.added, r.ends, r.tlp = page.Added[i], page.Details[i].Handling.Until, page.Details[i].Handling.TLP
			x.expires(r.ends)
			added := time.UnixMicro(r.added).UTC()
			x.span.extend(added, added)
			records = append(records, r)
		}
		if len(records) > 0 && !take(records) || !page.More {
			return nil
		}
		q.After = page.Last
	}
}
