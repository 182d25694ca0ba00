package feed_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"comity/stix"
	stixfeed "comity/stix/feed"
	"comity/taxii/exchange"
	"comity/taxii/feed"
)

// open opens the feed of the account that blocks.
func (w *world) open() *feed.Answer {
	w.Helper()
	p := exchange.Principal{Account: "ncb-kh/block", Org: "ncb-kh", Purposes: exchange.Purposes, Action: "block"}
	a, err := w.feeds.Open(w.Context(), p, "f-block", feed.List)
	w.must(err)
	a.Close()
	return a
}

// A subscriber that takes in each delta has what the feed has, whenever it asks, and never gets
// a value in two ways.
func TestDeltasLeadToTheSameEntries(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		w := newWorld(t, "")
		w.subscribe("block", "block", empty)
		a := w.open()
		held, cursor, modified := map[string]int{}, a.Cursor(), 0
		for range rapid.IntRange(3, 12).Draw(r, "steps") {
			n := rapid.IntRange(0, 3).Draw(r, "indicator")
			switch rapid.IntRange(0, 4).Draw(r, "step") {
			case 0, 1:
				modified++
				at := time.Date(2026, 5, 1, 0, 0, modified, 0, time.UTC)
				more := fmt.Sprintf(`,"confidence":%d`, rapid.IntRange(0, 100).Draw(r, "confidence"))
				w.tryPush("fir", indicatorAt(n, address(fmt.Sprintf("203.0.114.%d", rapid.IntRange(1, 3).Draw(r, "value"))), at.Format("2006-01-02T15:04:05.000Z"), more))
			case 2:
				w.remove("fir", n, "")
			case 3:
				w.move(time.Duration(rapid.IntRange(1, 1500).Draw(r, "ms")) * time.Millisecond)
			case 4:
				w.subscribe("block", "block", empty+fmt.Sprintf("\n[query]\nmin_confidence = %d\n", rapid.IntRange(0, 100).Draw(r, "min")))
			}
			if rapid.Bool().Draw(r, "asks") {
				a = w.open()
				take(r, held, a.Since(cursor))
				cursor = a.Cursor()
				same(r, held, a)
			}
		}
	})
}

func take(r *rapid.T, held map[string]int, d feed.Delta) {
	if d.Full {
		clear(held)
	}
	named := map[string]bool{}
	for _, e := range d.Remove {
		if _, ok := held[e.Text]; !ok {
			r.Fatalf("%s is removed, and was not there", e.Text)
		}
		delete(held, e.Text)
		named[e.Text] = true
	}
	for _, e := range added(d) {
		if named[e.Text] {
			r.Fatalf("%s is named twice", e.Text)
		}
		named[e.Text] = true
		held[e.Text] = e.Confidence
	}
}

func same(r *rapid.T, held map[string]int, a *feed.Answer) {
	var want []string
	for e := range a.Entries.All() {
		want = append(want, fmt.Sprint(e.Text, e.Confidence))
	}
	var got []string
	for text, confidence := range held {
		got = append(got, fmt.Sprint(text, confidence))
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		r.Fatalf("it has %v, the feed %v", slices.Sorted(maps.Keys(held)), want)
	}
}

func TestAnUnknownCursorGivesAll(t *testing.T) {
	w := newWorld(t, "")
	w.subscribe("block", "block", empty)
	w.push("fir", indicator(1, address("203.0.114.1"), ""))
	a := w.open()
	id, _, _ := strings.Cut(a.Cursor(), ".")
	for _, cursor := range []string{"", "x", ".", id, id + ".", id + ".-1", id + ".99", "other.0", id + ".1x"} {
		if d := a.Since(cursor); !d.Full || len(added(d)) != 1 || d.Cursor != a.Cursor() {
			t.Errorf("%q: %+v", cursor, d)
		}
	}
	if d := a.Since(a.Cursor()); d.Full || len(added(d))+len(d.Remove) != 0 {
		t.Errorf("the present cursor: %+v", d)
	}
	w.push("fir", indicator(2, address("203.0.114.2"), ""))
	w.move(2 * time.Hour)
	old := a.Cursor()
	w.push("fir", indicator(3, address("203.0.114.3"), ""))
	w.open()
	w.move(2 * time.Hour)
	w.push("fir", indicator(4, address("203.0.114.4"), ""))
	if d := w.open().Since(old); !d.Full || len(added(d)) != 4 {
		t.Errorf("a cursor of four hours ago: %+v", d)
	}
}

// Subscribers are told what a creator revoked, and do not get all entries anew.
func TestARevocationIsADifferenceLikeAnother(t *testing.T) {
	w := newWorld(t, "")
	w.subscribe("block", "block", empty)
	w.push("fir", indicator(1, address("203.0.114.1"), ""), indicator(2, address("203.0.114.2"), ""))
	w.lists("block", "ipv4.txt", "203.0.114.1", "203.0.114.2")
	cursor := w.open().Cursor()
	w.push("fir", indicatorAt(1, address("203.0.114.1"), "2026-05-02T00:00:00.000Z", `,"revoked":true`))
	w.must(w.custody.Revoked(t.Context(), w.grant("fir", "pool.intel.fir", exchange.Write).Collection(), []stix.ID{"indicator--00000001-0000-4000-8000-000000000000"}))
	if d := w.open().Since(cursor); d.Full || len(added(d)) != 0 || len(d.Remove) != 1 {
		t.Errorf("%+v", d)
	}
}

// added are the entries that a difference adds.
func added(d feed.Delta) []*stixfeed.Entry { return slices.Collect(d.Added()) }
