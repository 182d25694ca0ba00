package feed

import (
	"container/heap"
	"fmt"
	"iter"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	stixfeed "comity/stix/feed"
)

// listing has the entries of one feed in one family of formats. It follows the indexes of
// the collections that the feed reads, and the clock, since indicators begin and end to be
// active.
type listing struct {
	question
	parts []*part

	entries *EntryList // nil until the first update; replaced, never changed
	sum     sum        // of all entries
	edges   edges      // the times before the horizon at which entries change by themselves
	horizon time.Time
	tag     string                  // identifies the entries, the definition and the formats
	leftOut map[stixfeed.Reason]int // indicators that are left out, and values that are not listed; replaced, never changed
	expire  time.Duration           // of a zone; 0 of other families
	updated time.Time               // the time of the last update
	stale   bool                    // the entries are those of the listing before

	version  time.Time // of the last change; it never goes back
	seen     time.Time // when the listing got the version
	history  history
	pending  []entryChange // since the version
	unknown  bool          // what has changed since the version is not known, or may not be told
	settled  bool          // the version is of the entries
	stored   versions      // what the store has
	document []byte        // from which that was read
}

// part is one collection of a feed.
type part struct {
	index    *index
	now      content // of the index
	position int     // in the changes of the index, at the last update
	erased   int     // of the index, at the last update
	selected int     // number of its indicators that the question selects
}

// newListing makes a listing that its first update fills. It takes the place of another one,
// whose versions and history it goes on with; nil if there is none.
func newListing(q question, parts []*part, before *listing) *listing {
	l := &listing{question: q, parts: parts, stale: true}
	if before != nil {
		l.entries, l.sum, l.expire, l.updated = before.entries, before.sum, before.expire, before.updated
		l.version, l.seen, l.history, l.pending = before.version, before.seen, before.history, before.pending
		l.unknown = before.unknown || before.def != q.def // what was written before cannot be changed line by line
		for _, p := range parts {
			if i := slices.IndexFunc(before.parts, func(q *part) bool { return p.index == q.index }); i >= 0 {
				p.erased = before.parts[i].erased
			}
		}
	}
	return l
}

// maxTouched is the number of values above which it is quicker to work out all entries.
const maxTouched = 50_000

// update takes in the changes of the indexes, which are up to date, and the passing of time
// until now. It takes the time of the last update for now if that is later: an entry that
// has ended does not come back.
func (l *listing) update(now time.Time) {
	if now.Before(l.updated) {
		now = l.updated
	}
	l.updated = now
	l.history = l.history.forget(now)
	defer l.forgetErased()
	if l.isCurrent(now) {
		return
	}
	l.leftOut, l.settled = maps.Clone(l.leftOut), false
	defer func() { l.tag = l.newTag() }()
	touched, ok := l.touched(now)
	if !ok {
		l.rebuild(now)
		return
	}
	before, next := l.entries, l.snapshot(now)
	next.never, next.checkNever, next.counts = before.never, before.checkNever, before.counts
	for _, key := range slices.Sorted(maps.Keys(touched)) {
		t := touched[key]
		never := l.def.never.Has(t.value)
		was, reason := before.entryOf(t.value, t.before, never)
		l.count(reason, -1)
		is, reason := next.entryOf(t.value, t.after, never)
		l.count(reason, 1)
		next.never = withKey(next.never, key, never && len(t.after) > 0)
		l.addEdges(key, t.value, t.after, now)
		if c := (entryChange{before: was, after: is}); !c.isNone() {
			l.sum.subtract(sumOf(was))
			l.sum.add(sumOf(is))
			next.counts.add(was, -1)
			next.counts.add(is, 1)
			l.pending = append(l.pending, c)
		}
	}
	l.entries = next
}

// newTag is the tag of the entries as they are. A new version of the formats is a change of all
// files, whose date has to be another one too.
func (l *listing) newTag() string { return fmt.Sprint(l.sum, l.def.digest, stixfeed.Version) }

// isCurrent tells whether nothing has changed since the last update.
func (l *listing) isCurrent(now time.Time) bool {
	return !l.stale && now.Before(l.horizon) && (len(l.edges) == 0 || l.edges[0].at.After(now)) &&
		!slices.ContainsFunc(l.parts, func(p *part) bool { return p.position != p.now.position() })
}

// snapshot has the sources of the entries as they are.
func (l *listing) snapshot(now time.Time) *EntryList {
	e := &EntryList{question: l.question, at: now}
	for _, p := range l.parts {
		e.sources = append(e.sources, p.now.rows)
	}
	return e
}

// touch is a value whose entry may have changed.
type touch struct {
	value         stixfeed.Value
	before, after []member
}

// touched finds the values whose entries may have changed since the last update. ok is false
// if they are not known or too many. It counts the indicators that are left out.
func (l *listing) touched(now time.Time) (all map[string]*touch, ok bool) {
	if l.stale || !now.Before(l.horizon) {
		return nil, false
	}
	all = map[string]*touch{}
	changes := make([][]change, len(l.parts))
	for i, p := range l.parts {
		if changes[i], ok = p.now.since(p.position); !ok || len(changes[i]) > maxTouched {
			return nil, false
		}
		for _, c := range changes[i] {
			for _, r := range []*record{c.before, c.after} {
				for _, v := range r.all() {
					if l.def.kinds.Has(v.Kind) {
						all[rowKey(v)] = &touch{value: v}
					}
				}
			}
		}
	}
	for len(l.edges) > 0 && !l.edges[0].at.After(now) {
		e := heap.Pop(&l.edges).(edge)
		all[e.key] = &touch{value: e.value}
	}
	for key, t := range all {
		for i, p := range l.parts {
			t.after = append(t.after, p.now.rows.claims(key, i)...)
		}
		t.before = slices.Clone(t.after)
	}
	for i, p := range l.parts {
		for _, c := range slices.Backward(changes[i]) {
			l.undo(i, c, all)
			l.countRecord(i, c.before, -1)
			l.countRecord(i, c.after, 1)
		}
		p.position = p.now.position()
	}
	return all, true
}

// undo takes a change of the collection i back in the claims before.
func (l *listing) undo(i int, c change, all map[string]*touch) {
	for _, v := range c.after.all() {
		if t := all[rowKey(v)]; t != nil {
			t.before = slices.DeleteFunc(t.before, func(m member) bool { return m.source == i && m.id == c.after.id })
		}
	}
	for _, v := range c.before.all() {
		if t := all[rowKey(v)]; t != nil {
			t.before = append(t.before, member{c.before.claim, i})
		}
	}
}

// entryOf is the entry of a value; nil if it is not listed, for that reason.
func (e *EntryList) entryOf(v stixfeed.Value, group []member, never bool) (*stixfeed.Entry, stixfeed.Reason) {
	entry := &stixfeed.Entry{}
	listed, reason := e.evaluate(entry, v, group, never, true)
	if !listed {
		return nil, reason
	}
	return entry, ""
}

// countRecord counts an indicator of a collection n times, as left out or selected; nil is none.
func (l *listing) countRecord(source int, r *record, n int) {
	if r != nil {
		l.countClaim(source, &r.claim, n)
	}
}

func (l *listing) countClaim(source int, c *claim, n int) {
	reason := l.reason(source, c)
	l.count(reason, n)
	if reason == "" || reason == stixfeed.Benign {
		l.parts[source].selected += n
	}
}

// count counts an indicator or a value that is left out, unless the reason is "".
func (l *listing) count(reason stixfeed.Reason, n int) {
	if reason != "" {
		l.leftOut[reason] += n
	}
}

// withKey is a sorted list with a key, or without it. The list itself stays as it is.
func withKey(list []string, key string, with bool) []string {
	i, found := slices.BinarySearch(list, key)
	switch {
	case found == with:
		return list
	case with:
		return slices.Insert(slices.Clone(list), i, key)
	}
	return slices.Delete(slices.Clone(list), i, i+1)
}

// add counts an entry n times; nil is none.
func (c *counts) add(e *stixfeed.Entry, n int) {
	if e != nil {
		c[e.Kind] += n
	}
}

// forgetErased forgets all changes if records were withdrawn or purged: nothing that holds their
// values may remain. Subscribers of another version get all entries next.
func (l *listing) forgetErased() {
	for _, p := range l.parts {
		if p.erased != p.now.erased {
			p.erased, l.unknown, l.settled = p.now.erased, true, false
		}
	}
	if l.unknown && l.history != nil {
		l.history, l.pending = history{{version: l.version, expire: l.expire}}, nil
	}
}

// rebuild works out all entries anew.
func (l *listing) rebuild(now time.Time) {
	before, sumBefore, next := l.entries, l.sum, l.snapshot(now)
	l.sum, l.leftOut, l.edges, l.horizon = sum{}, map[stixfeed.Reason]int{}, nil, now.Add(horizon)
	for i, p := range l.parts {
		p.position, p.selected = p.now.position(), 0
		for c := p.now.rows.from(noValueRow); c.advance() && c.key < valueRow; {
			var one claim
			one.read(c.key[len(noValueRow):], c.value)
			l.countClaim(i, &one, 1)
		}
	}
	bounds := next.split(runtime.GOMAXPROCS(0))
	evaluated := make([]*listing, len(bounds)-1)
	var working sync.WaitGroup
	for i := range evaluated {
		working.Go(func() { evaluated[i] = l.evaluate(bounds[i], bounds[i+1], now) })
	}
	working.Wait()
	for _, some := range evaluated {
		l.merge(some, next)
	}
	l.entries, l.stale = next, false
	if before == nil {
		l.unknown = true
	} else if l.sum != sumBefore && !l.unknown {
		changes, known := differences(before.All(), next.All(), maxHistory)
		l.pending, l.unknown = append(l.pending, changes...), !known
	}
}

// evaluate works out the entries of the values between two bounds. Of the listing that it returns,
// it has what rebuild merges.
func (l *listing) evaluate(from, to string, now time.Time) *listing {
	next := l.snapshot(now)
	l = &listing{question: l.question, entries: next, leftOut: map[stixfeed.Reason]int{}, horizon: now.Add(horizon), parts: slices.Clone(l.parts)}
	for i := range l.parts {
		l.parts[i] = &part{}
	}
	entry := &stixfeed.Entry{}
	next.walk(from, to, func(key string, value stixfeed.Value, group []member) bool {
		for i := range group {
			if group[i].first {
				l.countClaim(group[i].source, &group[i].claim, 1)
			}
		}
		if !l.def.kinds.Has(value.Kind) {
			return true
		}
		never := l.def.never.Has(value)
		if never {
			next.never = append(next.never, strings.Clone(key))
		}
		listed, reason := next.evaluate(entry, value, group, never, true)
		l.count(reason, 1)
		if listed {
			l.sum.add(sumOf(entry))
			next.counts.add(entry, 1)
		}
		l.addEdges(key, value, group, now)
		return true
	})
	return l
}

// merge adds to the listing and its next entries what was worked out of the values that follow.
func (l *listing) merge(some *listing, next *EntryList) {
	l.sum.add(some.sum)
	for kind, n := range some.entries.counts {
		next.counts[kind] += n
	}
	next.never = append(next.never, some.entries.never...)
	for reason, n := range some.leftOut {
		l.leftOut[reason] += n
	}
	for i, p := range some.parts {
		l.parts[i].selected += p.selected
	}
	if some.horizon.Before(l.horizon) {
		l.horizon = some.horizon
	}
	l.edges = slices.DeleteFunc(append(l.edges, some.edges...), func(e edge) bool { return !e.at.Before(l.horizon) })
	heap.Init(&l.edges)
	if len(l.edges) > maxEdges {
		l.nearer()
	}
}

// setExpire sets the expiry of a zone.
func (l *listing) setExpire(expire time.Duration) {
	if l.expire != expire {
		l.expire, l.settled = expire, false
	}
}

// advance gives what the listing has the newest of these versions.
func (l *listing) advance(given []int64, now time.Time) {
	next := state{version: timeOf(given[len(given)-1]), expire: l.expire, changes: l.pending}
	next.first = next.version
	if i := slices.Index(given, l.version.UnixMicro()); i < 0 {
		next.first = l.version // nobody knows what was between
	} else if i+1 < len(given) {
		next.first = timeOf(given[i+1])
	}
	switch {
	case l.unknown:
		next.changes = nil
		l.history = history{next}
	case !next.version.Equal(l.version):
		l.history = append(l.history, next)
	}
	if !next.version.Equal(l.version) {
		l.seen = now
	}
	l.version, l.settled, l.pending, l.unknown = next.version, true, nil, false
}

// differences are the changes between two lists. known is false if they are more than most.
func differences(before, after iter.Seq[*stixfeed.Entry], most int) (changes []entryChange, known bool) {
	nextBefore, stop := iter.Pull(before)
	defer stop()
	nextAfter, stop := iter.Pull(after)
	defer stop()
	was, _ := nextBefore()
	is, _ := nextAfter()
	for was != nil || is != nil {
		order := 0
		switch {
		case was == nil:
			order = 1
		case is == nil:
			order = -1
		case was.Value != is.Value:
			order = strings.Compare(rowKey(was.Value), rowKey(is.Value))
		}
		c := entryChange{before: was, after: is}
		if order < 0 {
			c.after = nil
		} else if order > 0 {
			c.before = nil
		}
		if !c.isNone() {
			if len(changes) == most {
				return changes, false
			}
			changes = append(changes, entryChange{before: clone(c.before), after: clone(c.after)})
		}
		if order <= 0 {
			was, _ = nextBefore() // which may take the place of the entry before
		}
		if order >= 0 {
			is, _ = nextAfter()
		}
	}
	return changes, true
}

// isNone tells whether nothing changes.
func (c *entryChange) isNone() bool {
	if c.before == nil || c.after == nil {
		return c.before == c.after
	}
	return equal(c.before, c.after)
}

// equal tells whether two entries of the same value have the same sum.
func equal(a, b *stixfeed.Entry) bool {
	return a.Name == b.Name && a.Confidence == b.Confidence && a.From.Equal(b.From) && a.Until.Equal(b.Until) && a.Modified.Equal(b.Modified) &&
		slices.Equal(a.IDs, b.IDs) && slices.Equal(a.Types, b.Types)
}

// horizon is how far the edges of a listing look ahead. When it comes, the entries are worked
// out anew, with their next edges.
const horizon = time.Hour

// maxEdges is the number of edges that a listing keeps. If there are more, its horizon is nearer.
const maxEdges = 50_000

// addEdges adds the times before the horizon at which the entry of a value may change by itself.
func (l *listing) addEdges(key string, v stixfeed.Value, group []member, now time.Time) {
	for i := range group {
		from, until := l.def.active(&group[i].claim, v.Kind)
		for _, at := range []int64{from, until} {
			if at > now.UnixMicro() && at < l.horizon.UnixMicro() {
				heap.Push(&l.edges, edge{timeOf(at), strings.Clone(key), stixfeed.Value{Kind: v.Kind, Text: strings.Clone(v.Text)}})
			}
		}
	}
	if len(l.edges) > maxEdges {
		l.nearer()
	}
}

// nearer halves the edges, and takes the time of the first one that it drops for the horizon.
func (l *listing) nearer() {
	slices.SortFunc(l.edges, func(a, b edge) int { return a.at.Compare(b.at) })
	l.horizon = l.edges[len(l.edges)/2].at
	i, _ := slices.BinarySearchFunc(l.edges, l.horizon, func(e edge, at time.Time) int { return e.at.Compare(at) })
	clear(l.edges[i:])
	l.edges = l.edges[:i] // a sorted list is a heap
}

// edge is a time at which an entry may change by itself.
type edge struct {
	at    time.Time
	key   string
	value stixfeed.Value
}

// edges is a heap of edges, the earliest first. An edge may be out of date: then nothing
// changes at its time.
type edges []edge

func (h edges) Len() int           { return len(h) }
func (h edges) Less(i, j int) bool { return h[i].at.Before(h[j].at) }
func (h edges) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *edges) Push(x any)        { *h = append(*h, x.(edge)) }
func (h *edges) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}
