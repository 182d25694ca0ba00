package storetest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"comity/stix"
	"comity/store"
	"comity/taxii"
	"comity/taxii/exchange"
)

// model is what a collection means, without a thought of speed.
type model struct {
	records []modelRecord // by date
	last    time.Time
}

type modelRecord struct {
	id      stix.ID
	kind    string
	spec    string
	own     bool      // has a version of its own
	version time.Time // if it has none, date
	label   stix.TLP
	raw     string
	date    time.Time
}

// add takes an object: success, and whether it is a new record.
func (m *model) add(i store.Item, now time.Time) (success, stored bool) {
	r := modelRecord{
		id: i.Object.ID, kind: i.Object.Type, spec: i.Object.Spec, label: i.Label, raw: string(i.Object.Raw),
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

// pick is what of one id a query means; every spec unless highest.
func (m *model) pick(g exchange.Grant, id stix.ID, q store.Query, highest bool) (picked []modelRecord) {
	var visible []modelRecord
	top := ""
	for _, r := range m.records {
		if r.id == id && g.Sees(r.label) && (q.Specs == nil || slices.Contains(q.Specs, r.spec)) {
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

// all is everything that a query means, by date.
func (m *model) all(g exchange.Grant, q store.Query) (entries []modelRecord) {
	for _, r := range m.records {
		if (q.IDs == nil || slices.Contains(q.IDs, string(r.id))) && (q.Types == nil || slices.Contains(q.Types, r.kind)) &&
			r.date.After(q.After) && slices.Contains(m.pick(g, r.id, q, true), r) {
			entries = append(entries, r)
		}
	}
	return entries
}

// page is the beginning of all that fits.
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

// delete removes what a query means of its ids: all of it or nothing.
func (m *model) delete(g exchange.Grant, q store.Query) (n int, ok bool) {
	var gone []modelRecord
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
		gone = append(gone, picked...)
	}
	before := len(m.records)
	m.records = slices.DeleteFunc(m.records, func(r modelRecord) bool { return slices.Contains(gone, r) })
	return before - len(m.records), true
}

// The pool that items and queries are drawn from: few, so that they meet.
var (
	modelKinds  = []string{"indicator", "malware", "ipv4-addr", "x-both"}
	modelGrants = []string{"writer", "reader", "chief", "zero", "operator"}
)

func modelIDs() (list []string) {
	for i, kind := range modelKinds {
		list = append(list, idOf(kind, i), idOf(kind, i+10))
	}
	return list
}

func drawItem(t *rapid.T) store.Item {
	id := rapid.SampledFrom(modelIDs()).Draw(t, "id")
	kind := stix.ID(id).Type()
	spec := rapid.SampledFrom([]string{"2.0", "2.1", "2.1"}).Draw(t, "spec")
	label := rapid.SampledFrom([]stix.TLP{stix.Green, stix.AmberStrict, stix.Red, stix.Red}).Draw(t, "label")
	content := rapid.SampledFrom([]string{"a", "a", "a", "b"}).Draw(t, "content")
	pad := strings.Repeat("x", rapid.SampledFrom([]int{0, 0, 200}).Draw(t, "pad"))
	own := kind != "ipv4-addr" && (kind != "x-both" || rapid.Bool().Draw(t, "own version"))
	if !own {
		return item(fmt.Sprintf(`{"type":%q,"spec_version":%q,"id":%q,"value":%q}`, kind, spec, id, content), label)
	}
	modified := day(rapid.IntRange(1, 5).Draw(t, "day"))
	if rapid.Bool().Draw(t, "spelled shorter") {
		modified = strings.Replace(modified, ".000Z", "Z", 1)
	}
	return item(fmt.Sprintf(`{"type":%q,"spec_version":%q,"id":%q,"created":%q,"modified":%q,"name":%q}`,
		kind, spec, id, day(1), modified, content+pad), label)
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

// testModel compares a store with the model, step by step.
func testModel(t *testing.T, open Open) {
	outer := newWorld(t, open)
	round := 0
	rapid.Check(t, func(t *rapid.T) {
		w, m := outer, &model{}
		ctx := w.Context()
		round++
		w.parties = newParties(w, fmt.Sprint("model ", round))
		grants := map[string]exchange.Grant{
			"writer": w.writer, "reader": w.reader, "chief": w.chief, "zero": {}, "operator": exchange.Operator(w.writer.ID()),
		}
		drawGrant := func(t *rapid.T) exchange.Grant {
			return grants[rapid.SampledFrom(modelGrants).Draw(t, "who")]
		}
		t.Repeat(map[string]func(*rapid.T){
			"append": func(t *rapid.T) {
				items := rapid.SliceOfN(rapid.Custom(drawItem), 1, 6).Draw(t, "items")
				now := w.clock.Now()
				sub := w.push(items...)
				var want store.Counts
				for _, i := range items {
					success, stored := m.add(i, now)
					switch {
					case !success:
						want.Failures++
					case stored:
						want.Stored++
						fallthrough
					default:
						want.Successes++
					}
				}
				head, err := w.store.Status(ctx, sub.Account, sub.ID)
				if err != nil || head.Counts != want {
					t.Fatalf("status %+v, %v; want %+v", head.Counts, err, want)
				}
			},
			"delete": func(t *rapid.T) {
				var q store.Query
				q.IDs = rapid.SliceOfNDistinct(rapid.SampledFrom(modelIDs()), 1, 2, func(s string) string { return s }).Draw(t, "ids")
				drawChoice(t, m, &q)
				n, err := w.store.Delete(ctx, w.writer, q)
				want, ok := m.delete(w.writer, q)
				if ok != (err == nil) || n != want || err != nil && taxii.CodeOf(err) != taxii.NotFound {
					t.Fatalf("delete %+v: %d, %v; want %d, %v", q.Match, n, err, want, ok)
				}
			},
			"scan": func(t *rapid.T) {
				q, g := drawQuery(t, m), drawGrant(t)
				comparePage(t, w, g, q, m)
			},
			"walk": func(t *rapid.T) {
				q, g := drawQuery(t, m), drawGrant(t)
				for want := m.all(g, q); ; {
					page, err := w.store.Scan(ctx, g, q)
					if err != nil {
						t.Fatal(err)
					}
					for i := range page.Len() {
						if len(want) == 0 || string(page.Object(i)) != want[0].raw {
							t.Fatalf("walk %+v: %s is none of what is left: %v", q, page.Object(i), want)
						}
						want = want[1:]
					}
					if q.After = page.Last; !page.More {
						if len(want) > 0 {
							t.Fatalf("walk %+v ends before %v", q, want)
						}
						return
					}
				}
			},
			"known": func(t *rapid.T) {
				g := drawGrant(t)
				for _, id := range modelIDs() {
					id := stix.ID(id)
					seen, err := w.store.Has(ctx, g, id)
					if want := len(m.pick(g, id, all(), false)) > 0; err != nil || seen != want {
						t.Fatalf("has %s: %v, %v; want %v", id, seen, err, want)
					}
					got, err := w.store.Labels(ctx, g, []stix.Key{id.Key()})
					if err != nil || len(got) != 1 {
						t.Fatalf("labels: %v, %v", got, err)
					}
					as := g
					if g.CanWrite() {
						as = w.writer
					}
					var want exchange.Held
					if vs := m.pick(as, id, all(), false); len(vs) > 0 {
						newest := slices.MaxFunc(vs, func(a, b modelRecord) int {
							if a.spec != b.spec {
								return strings.Compare(a.spec, b.spec)
							}
							if c := a.version.Compare(b.version); c != 0 {
								return c
							}
							return a.date.Compare(b.date)
						})
						want = exchange.Held{Known: true, TLP: newest.label}
					}
					if got[0].Known != want.Known || want.Known && got[0] != want {
						t.Fatalf("label of %s: %+v; want %+v", id, got[0], want)
					}
				}
			},
			"clock": func(t *rapid.T) {
				w.clock.add(time.Duration(rapid.IntRange(-10, 30).Draw(t, "milliseconds")) * time.Millisecond)
			},
			"restart": func(t *rapid.T) {
				if rapid.IntRange(0, 3).Draw(t, "restart") == 0 {
					w.reopen()
				}
			},
			"": func(t *rapid.T) {
				n, err := w.store.Count(ctx, w.writer.ID())
				if err != nil || int(n) != len(m.records) {
					t.Fatalf("count %d, %v; want %d", n, err, len(m.records))
				}
				comparePage(t, w, w.reader, store.Query{Limit: 1000}, m)
				comparePage(t, w, w.chief, store.Query{Limit: 1000}, m)
			},
		})
	})
	outer.clean()
}

// comparePage compares a page and its manifest with the model.
func comparePage(t *rapid.T, w *world, g exchange.Grant, q store.Query, m *model) {
	want, more := m.page(g, q)
	page, err := w.store.Scan(w.Context(), g, q)
	if err != nil {
		t.Fatalf("scan %+v: %v", q, err)
	}
	manifest, err := w.store.Manifest(w.Context(), g, q)
	if err != nil {
		t.Fatalf("manifest %+v: %v", q, err)
	}
	if page.Len() != len(want) || page.More != more || len(manifest.Records) != len(want) || manifest.More != more {
		t.Fatalf("%+v: page of %d, more %v, manifest of %d, more %v; want %d, %v: %s", q, page.Len(), page.More, len(manifest.Records), manifest.More, len(want), more, page.Objects)
	}
	for i, r := range want {
		got := manifest.Records[i]
		if string(page.Object(i)) != r.raw || got.ID != r.id || got.Spec != r.spec || !got.DateAdded.Equal(r.date) {
			t.Fatalf("%+v: entry %d is %s, added %s; want %s, added %s", q, i, page.Object(i), got.DateAdded, r.raw, r.date)
		}
	}
	if len(want) > 0 && !(page.First.Equal(want[0].date) && page.Last.Equal(want[len(want)-1].date)) {
		t.Fatalf("%+v: page from %s to %s; want %s to %s", q, page.First, page.Last, want[0].date, want[len(want)-1].date)
	}
}
