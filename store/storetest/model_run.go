package storetest

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"comity/stix"
	"comity/store"
	"comity/taxii"
	"comity/taxii/audit"
	"comity/taxii/exchange"
)

// testModel compares a store with the model after each step.
func testModel(t *testing.T, open Open) {
	outer := newWorld(t, open)
	round := 0
	rapid.Check(t, func(t *rapid.T) {
		w, m := outer, &model{}
		ctx := w.Context()
		round++
		w.parties = newParties(w, fmt.Sprint("model ", round))
		w.at(w.clock.Now())
		grantOf := func(who string) exchange.Grant {
			return map[string]exchange.Grant{
				"writer": w.writer, "reader": w.reader, "blocker": w.blocker, "chief": w.chief, "team": w.team,
				"zero": {}, "operator": exchange.Operator(w.writer.ID()),
			}[who]
		}
		drawGrant := func(t *rapid.T) exchange.Grant { return grantOf(rapid.SampledFrom(modelGrants).Draw(t, "who")) }
		var pages []rememberedPage
		t.Repeat(map[string]func(*rapid.T){
			"append": func(t *rapid.T) {
				items := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) store.Item { return drawItem(t, w.clock.Now()) }), 1, 6).Draw(t, "items")
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
				n, err := w.delete(w.writer, q)
				want, ok := m.delete(w.writer, q)
				if ok != (err == nil) || n != want || err != nil && taxii.CodeOf(err) != taxii.NotFound {
					t.Fatalf("delete %+v: %d, %v; want %d, %v", q.Match, n, err, want, ok)
				}
			},
			"scan": func(t *rapid.T) {
				q, g := drawQuery(t, m), drawGrant(t)
				comparePage(t, w, g, q, m)
			},
			"remember": func(t *rapid.T) {
				r := rememberedPage{who: rapid.SampledFrom(modelGrants[:5]).Draw(t, "who"), q: drawQuery(t, m)}
				r.page = w.scan(grantOf(r.who), r.q)
				pages = append(pages[max(len(pages)-5, 0):], r)
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
					if want := len(m.pick(g, id, allVersions(), false)) > 0; err != nil || seen != want {
						t.Fatalf("has %s: %v, %v; want %v", id, seen, err, want)
					}
					got, err := w.store.Labels(ctx, g, []stix.Key{id.Key()})
					if err != nil || len(got) != 1 {
						t.Fatalf("labels: %v, %v", got, err)
					}
					as := g
					if g.CanWrite() {
						as = exchange.Operator(g.ID()) // a writer also gets the label of a version past its retention
					}
					var want exchange.Held
					if vs := m.pick(as, id, allVersions(), false); len(vs) > 0 {
						newest := slices.MaxFunc(vs, func(a, b modelRecord) int {
							if a.spec != b.spec {
								return strings.Compare(a.spec, b.spec)
							}
							if c := a.version.Compare(b.version); c != 0 {
								return c
							}
							return a.date.Compare(b.date)
						})
						want = exchange.Held{Known: true, Handling: newest.handling}
						if newest.kind == "marking-definition" {
							want.Definition = []byte(newest.raw)
						}
					}
					if !reflect.DeepEqual(got[0], want) {
						t.Fatalf("label of %s: %+v; want %+v", id, got[0], want)
					}
				}
			},
			"later": func(t *rapid.T) {
				w.clock.add(time.Second)
				w.at(w.clock.Now())
			},
			"remove": func(t *rapid.T) {
				if len(m.records) == 0 {
					t.Skip("nothing is there")
				}
				removed := rapid.SliceOfNDistinct(rapid.SampledFrom(m.records), 1, 4, func(r modelRecord) time.Time { return r.date }).Draw(t, "removed")
				dates := []time.Time{m.last.Add(time.Millisecond)}
				for _, r := range removed {
					dates = append(dates, r.date)
				}
				n, err := w.store.Remove(ctx, w.writer.ID(), dates, store.Block{}, audit.Entry{Act: audit.Purge})
				if err != nil || n != len(removed) {
					t.Fatalf("remove: %d, %v; want %d", n, err, len(removed))
				}
				m.records = slices.DeleteFunc(m.records, func(r modelRecord) bool { return slices.Contains(removed, r) })
			},
			"due": func(t *rapid.T) {
				compareDue(t, w, m)
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
				compareRemembered(t, w, pages, grantOf)
				n, err := w.store.Count(ctx, w.writer.ID())
				if err != nil || int(n) != len(m.records) {
					t.Fatalf("count %d, %v; want %d", n, err, len(m.records))
				}
				comparePage(t, w, w.reader, store.Query{Limit: 1000}, m)
				comparePage(t, w, w.chief, store.Query{Limit: 1000}, m)
				comparePage(t, w, w.blocker, store.Query{Limit: 1000}, m)
				comparePage(t, w, w.team, store.Query{Limit: 1000}, m)
			},
		})
	})
	outer.mustCheck()
}

// compareDue compares the result of Due with the model.
func compareDue(t *rapid.T, w *world, m *model) {
	want := map[time.Time]int64{}
	for _, r := range m.records {
		if r.handling.Until != 0 {
			want[time.Unix(int64(r.handling.Until), 0).UTC().Truncate(24*time.Hour)]++
		}
	}
	got := map[time.Time]int64{}
	list, err := w.store.Due(w.Context(), w.clock.Now().AddDate(1, 0, 0))
	if err != nil {
		t.Fatal(err)
	}
	for _, due := range list {
		if due.Collection == w.writer.ID() {
			got[due.Day] = due.Count
		}
	}
	if !maps.Equal(got, want) {
		t.Fatalf("due %v; want %v", got, want)
	}
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
		if string(page.Object(i)) != r.raw || page.Added[i] != r.date.UnixMicro() || got.ID != r.id || got.Spec != r.spec || !got.DateAdded.Equal(r.date) {
			t.Fatalf("%+v: entry %d is %s, added %s; want %s, added %s", q, i, page.Object(i), got.DateAdded, r.raw, r.date)
		}
	}
	if len(want) > 0 && !(page.First.Equal(want[0].date) && page.Last.Equal(want[len(want)-1].date)) {
		t.Fatalf("%+v: page from %s to %s; want %s to %s", q, page.First, page.Last, want[0].date, want[len(want)-1].date)
	}
}
