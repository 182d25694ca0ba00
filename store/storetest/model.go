package storetest

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"pgregory.net/rapid"

	"comity/stix"
	"comity/store"
	"comity/taxii/exchange"
)

// model is a collection in a plain slice. It is simple, and slow.
type model struct {
	records []modelRecord // by date
	last    time.Time
}

type modelRecord struct {
	id       stix.ID
	kind     string
	spec     string
	own      bool      // has a version of its own
	version  time.Time // if it has none, date
	handling exchange.Handling
	raw      string
	date     time.Time
}

// add adds an object. It returns whether that is a success, and whether it is a new record.
func (m *model) add(i store.Item, now time.Time) (success, stored bool) {
	r := modelRecord{
		id: i.Object.ID, kind: i.Object.Type, spec: i.Object.Spec, handling: i.Handling, raw: string(i.Object.Raw),
		version: i.Object.Version().Time(), own: !i.Object.Version().IsZero(),
	}
	for _, old := range m.records {
		if old.id == r.id && old.own == r.own && (!r.own || old.spec == r.spec && old.version.Equal(r.version)) {
			return !r.own || stix.SameContent([]byte(old.raw), []byte(r.raw)), false
		}
	}
	r.date = wholeMillisecond(now)
	if next := m.last.Add(time.Millisecond); r.date.Before(next) {
		r.date = next
	}
	if m.last = r.date; !r.own {
		r.version = r.date
	}
	m.records = append(m.records, r)
	return true, true
}

// pick returns the records of one id that a query selects. With highest, a query without
// Specs selects only the highest specification version.
func (m *model) pick(g exchange.Grant, id stix.ID, q store.Query, highest bool) (picked []modelRecord) {
	view := g.View()
	var visible []modelRecord
	top := ""
	for _, r := range m.records {
		if r.id == id && view.Sees(r.handling) && (view.Types == nil || slices.Contains(view.Types, r.kind)) && (q.Specs == nil || slices.Contains(q.Specs, r.spec)) {
			visible = append(visible, r)
			top = max(top, r.spec)
		}
	}
	if q.Specs == nil && highest {
		visible = slices.DeleteFunc(visible, func(r modelRecord) bool { return r.spec != top })
	}
	v := q.Versions
	for _, r := range visible {
		isFirst := !slices.ContainsFunc(visible, func(o modelRecord) bool { return o.version.Before(r.version) })
		isLast := !slices.ContainsFunc(visible, func(o modelRecord) bool { return o.version.After(r.version) })
		at := slices.ContainsFunc(v.At, r.version.Equal)
		if v.All || v.First && isFirst || (v.Last || v.IsLast()) && isLast || at {
			picked = append(picked, r)
		}
	}
	return picked
}

// all returns all records that a query selects, in the order of dates.
func (m *model) all(g exchange.Grant, q store.Query) (entries []modelRecord) {
	for _, r := range m.records {
		if (q.IDs == nil || slices.Contains(q.IDs, string(r.id))) && (q.Types == nil || slices.Contains(q.Types, r.kind)) &&
			r.date.After(q.After) && slices.Contains(m.pick(g, r.id, q, true), r) {
			entries = append(entries, r)
		}
	}
	return entries
}

// page returns the first of these records that fit in a page.
func (m *model) page(g exchange.Grant, q store.Query) (entries []modelRecord, more bool) {
	size := 0
	for _, r := range m.all(g, q) {
		if len(entries) == q.Limit || len(entries) > 0 && q.MaxBytes > 0 && size+1+len(r.raw) > q.MaxBytes {
			return entries, true
		}
		if len(entries) > 0 {
			size++
		}
		size += len(r.raw)
		entries = append(entries, r)
	}
	return entries, false
}

// delete removes the records of its ids that a query selects. If it selects none for an
// id or an instant, delete removes nothing.
func (m *model) delete(g exchange.Grant, q store.Query) (n int, ok bool) {
	var removed []modelRecord
	for _, id := range q.IDs {
		picked := m.pick(g, stix.ID(id), q, false)
		for _, t := range q.Versions.At {
			if !slices.ContainsFunc(picked, func(r modelRecord) bool { return r.version.Equal(t) }) {
				return 0, false
			}
		}
		if len(picked) == 0 {
			return 0, false
		}
		removed = append(removed, picked...)
	}
	before := len(m.records)
	m.records = slices.DeleteFunc(m.records, func(r modelRecord) bool { return slices.Contains(removed, r) })
	return before - len(m.records), true
}

// The values that items and queries are drawn from. They are few, so that they coincide.
var (
	modelKinds  = []string{"indicator", "malware", "ipv4-addr", "x-both", "marking-definition"}
	modelGrants = []string{"writer", "reader", "blocker", "chief", "team", "zero", "operator"}
)

func modelIDs() (list []string) {
	for i, kind := range modelKinds {
		list = append(list, idOf(kind, i), idOf(kind, i+10))
	}
	return list
}

// drawHandling draws one of a few handlings, which are often the same as in real pushes.
func drawHandling(t *rapid.T, now time.Time) (h exchange.Handling) {
	h.TLP = rapid.SampledFrom([]stix.TLP{stix.Green, stix.AmberStrict, stix.Red, stix.Red}).Draw(t, "label")
	h.Barred = rapid.SampledFrom([]exchange.Actions{0, 0, 0, exchange.Block, exchange.Search}).Draw(t, "barred")
	if n := rapid.SampledFrom([]int64{0, 0, 1, 2, 3}).Draw(t, "until"); n > 0 {
		h.Until = uint32(now.Unix() + n)
	}
	return h
}

func drawItem(t *rapid.T, now time.Time) store.Item {
	id := rapid.SampledFrom(modelIDs()).Draw(t, "id")
	kind := stix.ID(id).Type()
	spec := rapid.SampledFrom([]string{"2.0", "2.1", "2.1"}).Draw(t, "spec")
	content := rapid.SampledFrom([]string{"a", "a", "a", "b"}).Draw(t, "content")
	pad := strings.Repeat("x", rapid.SampledFrom([]int{0, 0, 200}).Draw(t, "pad"))
	own := kind != "ipv4-addr" && (kind != "x-both" || rapid.Bool().Draw(t, "own version"))
	text := fmt.Sprintf(`{"type":%q,"spec_version":%q,"id":%q,"value":%q}`, kind, spec, id, content)
	if own {
		modified := day(rapid.IntRange(1, 5).Draw(t, "day"))
		if rapid.Bool().Draw(t, "spelled shorter") {
			modified = strings.Replace(modified, ".000Z", "Z", 1)
		}
		text = fmt.Sprintf(`{"type":%q,"spec_version":%q,"id":%q,"created":%q,"modified":%q,"name":%q}`,
			kind, spec, id, day(1), modified, content+pad)
	}
	i := item(text, stix.Clear)
	i.Handling = drawHandling(t, now)
	return i
}

func drawQuery(t *rapid.T, m *model) store.Query {
	var q store.Query
	q.Limit = rapid.SampledFrom([]int{1, 2, 3, 1000}).Draw(t, "limit")
	q.MaxBytes = rapid.SampledFrom([]int{0, 0, 1, 300, 700}).Draw(t, "max bytes")
	if rapid.Bool().Draw(t, "by id") {
		q.IDs = rapid.SliceOfN(rapid.SampledFrom(append(modelIDs(), idOf("indicator", 99), "nonsense")), 1, 5).Draw(t, "ids")
	}
	if rapid.Bool().Draw(t, "by type") {
		q.Types = rapid.SliceOfN(rapid.SampledFrom(append([]string{"nonsense"}, modelKinds...)), 1, 3).Draw(t, "types")
	}
	drawChoice(t, m, &q)
	if len(m.records) > 0 && rapid.Bool().Draw(t, "after") {
		q.After = rapid.SampledFrom(m.records).Draw(t, "after").date.Add(rapid.SampledFrom([]time.Duration{-1, 0, 1}).Draw(t, "nudge") * 1000)
	}
	return q
}

// drawChoice draws the part of a query that chooses between versions.
func drawChoice(t *rapid.T, m *model, q *store.Query) {
	q.Specs = rapid.SampledFrom([][]string{nil, nil, {"2.0"}, {"2.1"}, {"2.0", "2.1"}, {"3.0"}}).Draw(t, "specs")
	switch rapid.IntRange(0, 3).Draw(t, "versions") {
	case 1:
		q.Versions.All = true
	case 2, 3:
		q.Versions.First = rapid.Bool().Draw(t, "first")
		q.Versions.Last = rapid.Bool().Draw(t, "last")
		for range rapid.IntRange(0, 2).Draw(t, "instants") {
			at := dayTime(rapid.IntRange(1, 6).Draw(t, "at"))
			if len(m.records) > 0 && rapid.Bool().Draw(t, "of a record") {
				at = rapid.SampledFrom(m.records).Draw(t, "at").version
			}
			q.Versions.At = append(q.Versions.At, at)
		}
	}
}
