package feed

import (
	"context"
	"errors"
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

// record is the newest version of an indicator that a view sees. It never changes: a new
// version of the indicator is another record.
type record struct {
	stixfeed.Indicator
	reason stixfeed.Reason // why no feed may have it; "" if one may
	added  int64           // date_added, in µs since 1970
	ends   uint32          // Unix second at which its retention ends; 0: never
	tlp    stix.TLP
}

// viewKey identifies a view of a collection, but for the time: grants with equal keys see
// the same records.
type viewKey struct {
	collection uuid.UUID
	own        bool
	ceiling    stix.TLP
	action     exchange.Actions
	types      string
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

// index has the indicators of one collection as one view sees them. A scan fills it, and
// then it follows the audit chain: a new version replaces the one before, and removed
// indicators leave. Its Service guards it.
type index struct {
	store   Store
	loading chan struct{} // closed at the end of the scan that fills the index; nil if none runs

	chain     *follow.Follower // nil until the first scan is complete
	records   map[stix.ID]*record
	expiry    uint32    // Unix second at which the next retention ends; 0: none
	span      span      // of date_added in which all records are
	highWater time.Time // every record that was added up to then has been looked at
	unsettled span      // scanned since the index last was up to date
	changes   []change
	dropped   int // changes that are no longer remembered
	erased    int // times that records were withdrawn or purged
}

func newIndex(s Store) *index {
	return &index{store: s}
}

// errArchived says that entries which the index has not read are no longer in the chain.
var errArchived = errors.New("entries of the audit chain were archived")

// catchUp brings an index that was filled up to date. g is a grant with the view of the
// index, of this moment. After an error it may be called again; after errArchived the index
// has to be filled again.
func (x *index) catchUp(ctx context.Context, g exchange.Grant) error {
	err := x.chain.CatchUp(ctx, func(ctx context.Context, entries []audit.Entry) error {
		return x.apply(ctx, g, entries)
	})
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

// load scans the collection from the beginning into a new index, which takes the place of x.
func (x *index) load(ctx context.Context, g exchange.Grant) (*index, error) {
	head, err := x.store.ChainHead(ctx)
	if err != nil {
		return nil, err
	}
	n := newIndex(x.store)
	n.chain, n.records = follow.New(x.store, head.Number), map[stix.ID]*record{}
	err = n.scan(ctx, g, store.Query{}, func(r *record) bool {
		n.records[r.ID] = r
		return true
	})
	n.unsettled = span{time.UnixMicro(1), n.highWater}
	return n, err
}

// fill gives x the content of a loaded index. Every feed that follows x starts over.
func (x *index) fill(loaded *index) {
	x.chain, x.records, x.expiry = loaded.chain, loaded.records, loaded.expiry
	x.span, x.highWater, x.unsettled = loaded.span, loaded.highWater, loaded.unsettled
	x.dropped, x.changes = x.position()+1, nil
	x.erased++ // since that, perhaps
}

// revocation tells whether a withdrawal follows from a revocation, which is an act of the
// server under no article. The version that revokes stays for all to read, and subscribers
// are told as of any other change.
func revocation(e *audit.Entry) bool {
	return e.Act == audit.Withdrawal && e.Account == "comity" && e.Article == ""
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
	collection := g.ID().String()
	for i := range entries {
		e := &entries[i]
		if e.Collection != collection || e.From == nil || e.To == nil {
			continue
		}
		switch e.Act {
		case audit.Submission:
			added.extend(*e.From, *e.To)
		case audit.Withdrawal, audit.Purge:
			if !revocation(e) {
				x.erased++
			}
			removed.extend(*e.From, *e.To)
		case audit.Deletion:
			removed.extend(*e.From, *e.To)
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
	return x.drop(ctx, g, removed)
}

// take scans what was added.
func (x *index) take(ctx context.Context, g exchange.Grant, s span) error {
	if s.to.IsZero() {
		return nil
	}
	return x.scan(ctx, g, store.Query{After: s.from.Add(-time.Microsecond)}, func(r *record) bool {
		if r.added > s.to.UnixMicro() {
			return false
		}
		x.replace(r.ID, r)
		return true
	})
}

// drop looks which of the records of a span are still there, and looks up those that are
// not: an older version may have come in the place of one that was removed.
func (x *index) drop(ctx context.Context, g exchange.Grant, s span) error {
	if s.to.IsZero() {
		return nil
	}
	missing := map[stix.ID]bool{}
	for id, r := range x.records {
		if r.added >= s.from.UnixMicro() && r.added <= s.to.UnixMicro() {
			missing[id] = true
		}
	}
	if len(missing) == 0 {
		return nil
	}
	if err := x.scan(ctx, g, store.Query{After: s.from.Add(-time.Microsecond)}, func(r *record) bool {
		if known := x.records[r.ID]; known != nil && known.added == r.added {
			delete(missing, r.ID)
		}
		return r.added <= s.to.UnixMicro()
	}); err != nil {
		return err
	}
	return x.lookUp(ctx, g, missing)
}

// expire looks up the records whose retention has ended.
func (x *index) expire(ctx context.Context, g exchange.Grant) error {
	ended, at := map[stix.ID]bool{}, g.View().At
	next := uint32(0)
	for id, r := range x.records {
		switch {
		case r.ends == 0:
		case r.ends <= at:
			ended[id] = true
		case next == 0 || r.ends < next:
			next = r.ends
		}
	}
	if err := x.lookUp(ctx, g, ended); err != nil {
		return err // expiry stays, so that the next call looks them up again
	}
	x.expiry = next
	for id := range ended {
		if r := x.records[id]; r != nil && r.ends != 0 && (x.expiry == 0 || r.ends < x.expiry) {
			x.expiry = r.ends
		}
	}
	return nil
}

// idsOfQuery is the number of ids that one query asks for.
const idsOfQuery = 500

// lookUp replaces each of those records by the version that the view sees now, if any.
func (x *index) lookUp(ctx context.Context, g exchange.Grant, ids map[stix.ID]bool) error {
	var all []string
	found := map[stix.ID]bool{}
	for id := range ids {
		all = append(all, string(id))
	}
	for some := range slices.Chunk(all, idsOfQuery) {
		if err := x.scan(ctx, g, store.Query{Match: taxii.Match{IDs: some}}, func(r *record) bool {
			found[r.ID] = true
			x.replace(r.ID, r)
			return true
		}); err != nil {
			return err
		}
	}
	for _, id := range all {
		if id := stix.ID(id); !found[id] {
			x.replace(id, nil)
		}
	}
	return nil
}

// replace puts a record in the place of the one before; nil removes it.
func (x *index) replace(id stix.ID, r *record) {
	before := x.records[id]
	if before == nil && r == nil || before != nil && r != nil && before.added == r.added {
		return
	}
	if r == nil {
		delete(x.records, id)
	} else {
		x.records[id] = r
	}
	if x.changes = append(x.changes, change{before, r}); len(x.changes) > maxChanges {
		half := len(x.changes) / 2
		x.changes, x.dropped = slices.Clone(x.changes[half:]), x.dropped+half
	}
}

// position is the number of changes so far.
func (x *index) position() int { return x.dropped + len(x.changes) }

// since lists the changes after a position; ok is false if some of them are no longer
// remembered.
func (x *index) since(position int) (changes []change, ok bool) {
	if position < x.dropped {
		return nil, false
	}
	return x.changes[position-x.dropped:], true
}

// pageSize is the number of objects of one transaction of the store.
const pageSize = 10_000

// scan calls take with the indicators behind q.After that the grant shows, in the order of
// date_added, until take returns false. An indicator of several specification versions
// comes once.
func (x *index) scan(ctx context.Context, g exchange.Grant, q store.Query, take func(*record) bool) error {
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
		for i := range page.Len() {
			o, err := stix.NewObject(page.Object(i))
			if err != nil {
				continue // no list has an object that cannot be read
			}
			r := &record{added: page.Added[i], ends: page.Details[i].Handling.Until, tlp: page.Details[i].Handling.TLP}
			r.Indicator, r.reason = extractor.Extract(o)
			if r.ends != 0 && (x.expiry == 0 || r.ends < x.expiry) {
				x.expiry = r.ends
			}
			added := time.UnixMicro(r.added).UTC()
			x.span.extend(added, added)
			if !take(r) {
				return nil
			}
		}
		if !page.More {
			return nil
		}
		q.After = page.Last
	}
}
