package storetest

import (
	"bytes"
	"slices"
	"time"

	"pgregory.net/rapid"

	"comity/stix"
	"comity/store"
	"comity/taxii/audit"
	"comity/taxii/exchange"
)

// holds tells whether a page says that it is still the answer to its query.
func (w *world) holds(g exchange.Grant, page *store.Page) bool {
	w.Helper()
	state, err := w.store.State(w.Context(), g.ID())
	if err != nil {
		w.Fatal(err)
	}
	return page.Holds(state, g.View().At)
}

var standingTests = []test{
	{"a full page holds whatever is added after it, the last page until something is added", func(w *world) {
		empty := w.scan(w.reader, store.Query{})
		if !w.holds(w.reader, empty) {
			w.Error("an empty page does not hold")
		}
		w.push(indicator(1, 1), indicator(2, 1), indicator(3, 1))
		full, last := w.scan(w.reader, store.Query{Limit: 2}), w.scan(w.reader, store.Query{})
		w.push(indicator(1, 1), address(1, "192.0.2.1")) // the first is there already
		for name, got := range map[string]bool{"full": !w.holds(w.reader, full), "last": w.holds(w.reader, last), "empty": w.holds(w.reader, empty)} {
			if got {
				w.Errorf("the %s page", name)
			}
		}
		last = w.scan(w.reader, store.Query{})
		w.push(indicator(1, 1), indicator(2, 1))
		if !w.holds(w.reader, last) {
			w.Error("a push of known objects changes a page")
		}
	}},
	{"a page tells the last date that was given when it was read", func(w *world) {
		w.push(indicator(1, 1), versioned("indicator", 2, "2.1", 1, stix.Red))
		last := w.scan(w.chief, store.Query{}).Last
		for _, removed := range []bool{false, true} {
			if removed {
				if _, err := w.delete(w.writer, withIDs(allVersions(), idOf("indicator", 2))); err != nil {
					w.Fatal(err)
				}
				w.reopen()
			}
			page, manifest := w.scan(w.reader, store.Query{Limit: 1}), w.manifest(w.reader, store.Query{})
			if !page.HighWater.Equal(last) || !manifest.HighWater.Equal(last) {
				w.Errorf("removed %t: %s and %s, want %s", removed, page.HighWater, manifest.HighWater, last)
			}
		}
	}},
	{"no page holds when something before its end changes", func(w *world) {
		w.push(indicator(1, 1), indicator(2, 2), indicator(3, 1), indicator(4, 1))
		for _, change := range []struct {
			name string
			do   func()
		}{
			{"a newer version", func() { w.push(indicator(1, 2)) }},
			{"an older version", func() { w.push(indicator(2, 1)) }},
			{"a version in another STIX", func() { w.push(versioned("indicator", 1, "2.0", 1, stix.Clear)) }},
			{"one deleted", func() {
				if n, err := w.delete(w.writer, withIDs(allVersions(), idOf("indicator", 3))); n != 1 || err != nil {
					w.Fatal(n, err)
				}
			}},
			{"one removed", func() {
				at := w.manifest(w.writer, store.Query{}).Records[0].DateAdded
				if n, err := w.store.Remove(w.Context(), w.writer.ID(), []time.Time{at}, store.Block{}, audit.Entry{Act: audit.Purge}); n != 1 || err != nil {
					w.Fatal(n, err)
				}
			}},
		} {
			page := w.scan(w.reader, store.Query{Limit: 1})
			if change.do(); w.holds(w.reader, page) {
				w.Errorf("%s: the page holds", change.name)
			}
		}
	}},
	{"a page holds from its request until the retention of a record in its range ends", func(w *world) {
		until := start.Truncate(time.Second).Add(time.Minute)
		w.push(indicator(1, 1), withHandling(indicator(2, 1), amber(0, until)), indicator(3, 1))
		one, two, three := w.scan(w.reader, store.Query{Limit: 1}), w.scan(w.reader, store.Query{Limit: 2}), w.scan(w.reader, store.Query{After: w.scan(w.reader, store.Query{Limit: 2}).Last})
		for after, want := range map[time.Duration][3]bool{
			0: {true, true, true}, 59 * time.Second: {true, true, true}, time.Minute: {false, false, true}, -time.Second: {},
		} {
			w.at(start.Truncate(time.Second).Add(after))
			if got := [3]bool{w.holds(w.reader, one), w.holds(w.reader, two), w.holds(w.reader, three)}; got != want {
				w.Errorf("after %s: %v, want %v", after, got, want)
			}
		}
	}},
}

// rememberedPage is a page with its query.
type rememberedPage struct {
	who  string
	q    store.Query
	page *store.Page
}

// compareRemembered repeats the query of each page that says that it holds.
func compareRemembered(t *rapid.T, w *world, pages []rememberedPage, grantOf func(who string) exchange.Grant) {
	for _, r := range pages {
		g := grantOf(r.who)
		if !w.holds(g, r.page) {
			continue
		}
		now := w.scan(g, r.q)
		if !bytes.Equal(now.Objects, r.page.Objects) || !slices.Equal(now.Added, r.page.Added) || now.More != r.page.More {
			t.Fatalf("%s asks %+v: the page %s, more %v, should hold; now it is %s, more %v", r.who, r.q, r.page.Objects, r.page.More, now.Objects, now.More)
		}
	}
}
