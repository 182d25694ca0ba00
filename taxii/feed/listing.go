package feed

import (
	"container/heap"
	"slices"
	"strings"
	"time"

	stixfeed "comity/stix/feed"
)

// listing has the entries of one feed in one family of formats. It follows the indexes of
// the collections that the feed reads, and the clock, since indicators begin and end to be
// active.
type listing struct {
	def   *Definition
	parts []*part

	values  map[stixfeed.Value]*value
	edges   edges                   // the times at which entries change by themselves
	entries []*stixfeed.Entry       // in the order of stixfeed.Compare; replaced, never changed
	sum     sum                     // of all entries
	leftOut map[stixfeed.Reason]int // indicators that are left out, and values that are not listed
	version time.Time               // of the last change of the entries; it never goes back
	history history

	updated   time.Time // the time of the last update
	redefined bool      // it has another definition than the listing before, and was not updated since
}

// part is one collection of a feed.
type part struct {
	terms
	index    *index
	position int // in the changes of the index
	erased   int // of the index, at the last update
	selected int // number of its indicators that the question selects
}

// terms are the parts of the agreement that select indicators.
type terms struct {
	minConfidence     int
	requireValidUntil bool
}

// value is a value that indicators claim.
type value struct {
	by     []*record // that claim it and that the question selects
	benign int       // number of indicators that name it benign
	never  bool      // it is never listed
	reason stixfeed.Reason
	entry  *stixfeed.Entry // nil if it is not listed now
}

// newListing makes a listing that its first update fills. It takes the place of another one,
// whose versions and history it goes on with; nil if there is none.
func newListing(def *Definition, parts []*part, before *listing) *listing {
	l := &listing{def: def, parts: parts}
	if before != nil {
		l.entries, l.version, l.history, l.updated = before.entries, before.version, before.history, before.updated
		l.redefined = before.def != def
		for _, p := range parts {
			if i := slices.IndexFunc(before.parts, func(q *part) bool { return p.index == q.index }); i >= 0 {
				p.erased = before.parts[i].erased
			}
		}
	}
	return l
}

// update takes in the changes of the indexes, which are up to date, and the passing of time
// until now. It takes the time of the last update for now if that is later: an entry that
// has ended does not come back.
func (l *listing) update(now time.Time) {
	if now.Before(l.updated) {
		now = l.updated
	}
	l.updated = now
	l.history.forget(now)
	defer l.forgetErased()
	if l.values == nil {
		l.rebuild(now)
		return
	}
	touched := map[stixfeed.Value]bool{}
	for _, p := range l.parts {
		changes, ok := p.index.since(p.position)
		if !ok {
			l.rebuild(now)
			return
		}
		for _, c := range changes {
			l.replace(p, c, touched, now)
		}
		p.position = p.index.position()
	}
	for len(l.edges) > 0 && !l.edges[0].at.After(now) {
		touched[heap.Pop(&l.edges).(edge).value] = true
	}
	var edits []edit
	var changes []entryChange
	for key := range touched {
		if was, is := l.evaluate(key, now); was != is {
			edits, changes = append(edits, edit{key, is}), append(changes, entryChange{before: was, after: is})
		}
	}
	if len(edits) == 0 {
		return
	}
	l.entries = edited(l.entries, edits)
	l.advance(changes, now)
}

// forgetErased begins a new history if records were withdrawn or purged: nothing that holds
// their values may remain. Every subscriber gets all entries next.
func (l *listing) forgetErased() {
	for _, p := range l.parts {
		if p.erased != p.index.erased {
			p.erased = p.index.erased
			l.history = newHistory(l.version)
		}
	}
}

// rebuild reads all records of the indexes again.
func (l *listing) rebuild(now time.Time) {
	before := l.entries
	l.values, l.edges, l.sum, l.leftOut = map[stixfeed.Value]*value{}, nil, sum{}, map[stixfeed.Reason]int{}
	for _, p := range l.parts {
		p.selected = 0
		for _, r := range p.index.records {
			l.replace(p, change{after: r}, nil, now)
		}
		p.position = p.index.position()
	}
	heap.Init(&l.edges)
	l.entries = make([]*stixfeed.Entry, 0, len(before))
	for key := range l.values {
		if _, is := l.evaluate(key, now); is != nil {
			l.entries = append(l.entries, is)
		}
	}
	sortEntries(l.entries)
	first, changes := l.version.IsZero(), differences(before, l.entries)
	if first || l.redefined || len(changes) > 0 {
		l.advance(changes, now)
	}
	if first || l.redefined {
		l.history = newHistory(l.version) // what was written before cannot be changed line by line
	}
	l.redefined = false
}

// advance gives the entries a new version, which these changes have made.
func (l *listing) advance(changes []entryChange, now time.Time) {
	if l.version = l.version.Add(time.Nanosecond); now.After(l.version) {
		l.version = now
	}
	for i := range changes {
		changes[i].at = l.version
	}
	l.history.add(changes, now)
}

// differences are the changes between two sorted lists.
func differences(before, after []*stixfeed.Entry) (changes []entryChange) {
	for len(before) > 0 || len(after) > 0 {
		order := 0
		switch {
		case len(before) == 0:
			order = 1
		case len(after) == 0:
			order = -1
		default:
			order = stixfeed.Compare(before[0].Value, after[0].Value)
		}
		var c entryChange
		if order <= 0 {
			c.before, before = before[0], before[1:]
		}
		if order >= 0 {
			c.after, after = after[0], after[1:]
		}
		if c.before != c.after && sumOf(c.before) != sumOf(c.after) {
			changes = append(changes, c)
		}
	}
	return changes
}

// replace takes in a change of an indicator, and adds the values to evaluate to touched. If
// that is nil, all will be evaluated, and the edges put in order.
func (l *listing) replace(p *part, c change, touched map[stixfeed.Value]bool, now time.Time) {
	if c.before != nil {
		reason := l.reason(p, c.before)
		if l.count(reason, -1); reason == "" || reason == stixfeed.Benign {
			p.selected--
			l.remove(c.before, reason, touched)
		}
	}
	if c.after != nil {
		reason := l.reason(p, c.after)
		if l.count(reason, 1); reason == "" || reason == stixfeed.Benign {
			p.selected++
			l.add(c.after, reason, touched, now)
		}
	}
}

// count counts an indicator or a value that is left out, unless the reason is "".
func (l *listing) count(reason stixfeed.Reason, n int) {
	if reason != "" {
		l.leftOut[reason] += n
	}
}

// reason is why the feed leaves an indicator out; "" if it does not.
func (l *listing) reason(p *part, r *record) stixfeed.Reason {
	switch {
	case r.reason == stixfeed.Benign: // it says something of its values whatever the question is
		return stixfeed.Benign
	case p.minConfidence > 0 && r.Confidence < p.minConfidence:
		return lowConfidence
	case p.requireValidUntil && r.Until.IsZero():
		return noValidUntil
	}
	return l.def.leftOut(r)
}

func (l *listing) add(r *record, reason stixfeed.Reason, touched map[stixfeed.Value]bool, now time.Time) {
	for _, key := range r.Values {
		if !l.def.kinds.Has(key.Kind) {
			continue
		}
		v := l.values[key]
		if v == nil {
			v = &value{never: l.def.never.Has(key)}
			l.values[key] = v
		}
		if touched != nil {
			touched[key] = true
		}
		if reason == stixfeed.Benign {
			v.benign++
			continue
		}
		v.by = append(v.by, r)
		from, until := l.def.active(&r.Indicator, key.Kind)
		for _, at := range []time.Time{from, until} {
			switch {
			case !at.After(now):
			case touched == nil:
				l.edges = append(l.edges, edge{at, key})
			default:
				heap.Push(&l.edges, edge{at, key})
			}
		}
	}
}

func (l *listing) remove(r *record, reason stixfeed.Reason, touched map[stixfeed.Value]bool) {
	for _, key := range r.Values {
		v := l.values[key]
		if v == nil {
			continue
		}
		touched[key] = true
		if reason == stixfeed.Benign {
			v.benign--
		} else {
			v.by = slices.DeleteFunc(v.by, func(other *record) bool { return other == r })
		}
	}
}

// evaluate works out whether a value is listed now, and returns its entry before and after.
// The two are the same pointer if nothing has changed.
func (l *listing) evaluate(key stixfeed.Value, now time.Time) (was, is *stixfeed.Entry) {
	v := l.values[key]
	if v == nil {
		return nil, nil // an edge of a value that has left
	}
	was = v.entry
	l.count(v.reason, -1)
	v.reason = ""
	switch {
	case len(v.by) == 0:
	case v.never:
		v.reason = stixfeed.NeverBlocked
	case v.benign > 0:
		v.reason = vetoed
	default:
		e := &stixfeed.Entry{Value: key}
		for _, r := range v.by {
			if from, until := l.def.active(&r.Indicator, key.Kind); !now.Before(from) && now.Before(until) {
				e.Add(&r.Indicator)
			}
		}
		if is = e; e.IDs == nil {
			v.reason, is = inactive, nil
		}
	}
	l.count(v.reason, 1)
	if len(v.by) == 0 && v.benign == 0 {
		delete(l.values, key)
	}
	before, after := sumOf(was), sumOf(is)
	if was != nil && is != nil && before == after {
		return was, was
	}
	l.sum.subtract(before)
	l.sum.add(after)
	v.entry = is
	return was, is
}

// sortEntries sorts a list. It makes the key of each entry once, not for each comparison.
func sortEntries(entries []*stixfeed.Entry) {
	type keyed struct {
		key   string
		entry *stixfeed.Entry
	}
	list := make([]keyed, len(entries))
	var b []byte
	for i, e := range entries {
		b = stixfeed.AppendKey(b[:0], e.Value)
		list[i] = keyed{string(b), e}
	}
	slices.SortFunc(list, func(a, b keyed) int { return strings.Compare(a.key, b.key) })
	for i := range list {
		entries[i] = list[i].entry
	}
}

// edit is the next entry of a value; nil if it is not listed any more.
type edit struct {
	value stixfeed.Value
	entry *stixfeed.Entry
}

// edited is a sorted list with edits, in any order, of different values.
func edited(entries []*stixfeed.Entry, edits []edit) []*stixfeed.Entry {
	slices.SortFunc(edits, func(a, b edit) int { return stixfeed.Compare(a.value, b.value) })
	list := make([]*stixfeed.Entry, 0, len(entries)+len(edits))
	for _, x := range edits {
		i, found := slices.BinarySearchFunc(entries, x.value, func(e *stixfeed.Entry, v stixfeed.Value) int { return stixfeed.Compare(e.Value, v) })
		list, entries = append(list, entries[:i]...), entries[i:]
		if found {
			entries = entries[1:]
		}
		if x.entry != nil {
			list = append(list, x.entry)
		}
	}
	return append(list, entries...)
}

// edge is a time at which an entry may change by itself.
type edge struct {
	at    time.Time
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
