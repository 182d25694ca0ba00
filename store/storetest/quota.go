package storetest

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"comity/store"
	"comity/taxii"
	"comity/taxii/audit"
	"comity/taxii/exchange"
)

// quotaOf returns the grants on a collection with that quota of pushes a day.
func quotaOf(w *world, pushes int) parties {
	return newParties(w, w.Name()+" quota", fmt.Sprintf("[quota]\narticle = \"1\"\npushes_per_day = %d\n", pushes))
}

// begin appends the first part of a push.
func (w *world) begin(p parties, last bool, items ...store.Item) (store.Submission, error) {
	sub := store.Submission{ID: uuid.New(), Account: p.writer.Principal().Account, Collection: p.writer.ID(), Requested: w.clock.Now()}
	return sub, w.append(p.writer, store.Part{Submission: sub, Last: last, Items: items})
}

// wantPushes compares the number of pushes of a day.
func (w *world) wantPushes(day time.Time, want int64) {
	w.Helper()
	if n, err := w.store.Pushes(w.Context(), "dea", "vendor", day); n != want || err != nil {
		w.Errorf("%d pushes, %v; want %d", n, err, want)
	}
}

var quotaTests = []test{
	{"one push more than allowed is refused until midnight", func(w *world) {
		p := quotaOf(w, 2)
		w.wantPushes(start, 0)
		for n := range 2 {
			if _, err := w.begin(p, true, indicator(n, 1)); err != nil {
				w.Fatal(err)
			}
		}
		w.wantPushes(start, 2)
		w.reopen()
		_, err := w.begin(p, true, indicator(3, 1))
		w.wantCode(err, taxii.TooMany)
		e, ok := err.(*taxii.Error)
		if want := 12*time.Hour - 123_456_789; !ok || e.RetryAfter != want || !strings.Contains(e.Msg, "article 1") || !strings.Contains(e.Msg, "2 pushes") {
			w.Errorf("%+v, want to retry after %s", err, want)
		}
		w.want(p.writer, allVersions(), "indicator0/2.1/1 indicator1/2.1/1")
		w.lastEntry(2) // the refusal is for the server to record
		w.wantPushes(start, 2)
		w.clock.add(12 * time.Hour)
		if _, err := w.begin(p, true, indicator(3, 1)); err != nil {
			w.Error(err)
		}
		w.wantPushes(w.clock.Now(), 1)
		w.wantPushes(start, 0) // only the last day is kept
		w.mustCheck()
	}},
	{"the parts after the first, and those handed in again, do not count", func(w *world) {
		p := quotaOf(w, 1)
		sub, err := w.begin(p, false, indicator(1, 1))
		if err != nil {
			w.Fatal(err)
		}
		for _, part := range []store.Part{{Submission: sub}, {Submission: sub, N: 1, Last: true}, {Submission: sub, N: 1, Last: true}} {
			if err := w.append(p.writer, part); err != nil {
				w.Errorf("part %d: %v", part.N, err)
			}
		}
		w.wantPushes(start, 1)
	}},
	{"a rehearsal does not count", func(w *world) {
		p := quotaOf(w, 1)
		if _, err := w.begin(p, true, indicator(1, 1)); err != nil {
			w.Fatal(err)
		}
		if _, _, err := w.store.Rehearse(w.Context(), p.writer, func(yield func(store.Part, error) bool) {
			yield(store.Part{Last: true, Items: []store.Item{indicator(2, 1)}}, nil)
		}); err != nil {
			w.Error(err)
		}
		w.wantPushes(start, 1)
	}},
	{"concurrent pushes do not hold more objects than allowed", func(w *world) {
		p := newParties(w, w.Name()+" held", "[quota]\narticle = \"1\"\nobjects_held = 6\n")
		if _, err := w.begin(p, true, indicator(0, 1), indicator(0, 2)); err != nil {
			w.Fatal(err)
		}
		var wg sync.WaitGroup
		var taken atomic.Int64
		for n := range 16 {
			wg.Go(func() {
				_, err := w.begin(p, true, indicator(n+1, 1))
				if err == nil {
					taken.Add(1)
					return
				}
				if taxii.CodeOf(err) != taxii.TooLarge || !strings.Contains(err.Error(), "article 1: more than 6 objects held") {
					w.Errorf("got %v", err)
				}
			})
		}
		wg.Wait()
		if n, err := w.store.Count(w.Context(), p.writer.ID()); n != 6 || taken.Load() != 4 || err != nil {
			w.Errorf("%d objects are held after %d pushes more, %v", n, taken.Load(), err)
		}
		if _, err := w.delete(p.writer, withIDs(allVersions(), idOf("indicator", 0))); err != nil {
			w.Fatal(err)
		}
		_, err := w.begin(p, true, indicator(20, 1), indicator(21, 1), indicator(22, 1))
		w.wantCode(err, taxii.TooLarge)
		sub, err := w.begin(p, true, indicator(20, 1), indicator(21, 1))
		if err != nil {
			w.Error("deleting makes no room: ", err)
		}
		if err := w.append(p.writer, store.Part{Submission: sub, Last: true, Items: []store.Item{indicator(20, 1), indicator(21, 1)}}); err != nil {
			w.Error("a part that is in is refused: ", err)
		}
		w.mustCheck()
	}},
	{"without a quota nothing counts", func(w *world) {
		for n := range 5 {
			w.push(indicator(n, 1))
		}
	}},
}

// quarantined returns up to n objects in quarantine, after a number.
func (w *world) quarantined(after uint64, n int) []store.Quarantined {
	w.Helper()
	list, err := w.store.Quarantined(w.Context(), after, n)
	if err != nil {
		w.Fatal(err)
	}
	return list
}

var quarantineTests = []test{
	{"an object for quarantine is kept as it came", func(w *world) {
		odd := indicator(1, 1)
		odd.Object.Raw = []byte(strings.Replace(string(odd.Object.Raw), "n1", `\u0041<&>é`, 1))
		odd.Refused = &store.Refusal{ID: idOf("indicator", 1), Version: day(1), Message: "article 6: a person's name", By: "article 6", Quarantine: true}
		sub := w.push(refused(2, "R-001"), odd, indicator(3, 1), odd)
		w.want(w.writer, allVersions(), "indicator3/2.1/1")
		if head, _, _ := w.details(sub); head.Failures != 3 {
			w.Errorf("%+v", head)
		}
		w.reopen()
		list := w.quarantined(0, 10)
		if len(list) != 2 {
			w.Fatalf("%+v", list)
		}
		q := list[0]
		if q.Number != 1 || !q.Time.Equal(start) || q.Account != sub.Account || q.Collection != sub.Collection || q.Refusal != *odd.Refused || string(q.Object) != string(odd.Object.Raw) {
			w.Errorf("%+v", q)
		}
		if one := w.quarantined(0, 1); len(one) != 1 || one[0].Number != 1 {
			w.Errorf("%+v", one)
		}
		if rest := w.quarantined(1, 10); len(rest) != 1 || rest[0].Number != 2 {
			w.Errorf("%+v", rest)
		}
		w.mustCheck()
	}},
	{"what is discarded is gone, with a line, and its number is not given again", func(w *world) {
		odd := store.Item{Object: indicator(1, 1).Object, Refused: &store.Refusal{ID: "x", Quarantine: true}}
		w.push(odd)
		if err := w.store.Discard(w.Context(), 1, audit.Entry{Act: audit.Purge, Text: "looked at"}); err != nil {
			w.Fatal(err)
		}
		if e := w.lastEntry(2); e.Text != "looked at" {
			w.Errorf("%+v", e)
		}
		w.wantCode(w.store.Discard(w.Context(), 1, audit.Entry{Act: audit.Purge}), taxii.NotFound)
		w.lastEntry(2)
		w.reopen()
		w.push(odd)
		if list := w.quarantined(0, 10); len(list) != 1 || list[0].Number != 2 {
			w.Errorf("%+v", list)
		}
		w.mustCheck()
	}},
	{"one collection cannot fill the quarantine", func(w *world) {
		odd := func(length int) store.Item {
			o := store.Item{Object: indicator(1, 1).Object, Refused: &store.Refusal{ID: "x", Message: "article 6", Quarantine: true}}
			o.Object.Raw = bytes.Repeat([]byte{'x'}, length)
			return o
		}
		want := func(sub store.Submission, messages ...string) {
			w.Helper()
			_, _, failures := w.details(sub)
			if len(failures) < len(messages) {
				w.Fatalf("%d failures", len(failures))
			}
			for i, f := range failures[len(failures)-len(messages):] {
				if f.Message != messages[i] {
					w.Errorf("%q, want %q", f.Message, messages[i])
				}
			}
		}
		const full = "article 6; the quarantine of this collection is full, so the object is not kept"
		want(w.push(odd(store.QuarantineBytes*2/3), odd(store.QuarantineBytes*2/3), odd(3)), "article 6", full, "article 6")
		w.push(slices.Repeat([]store.Item{odd(1)}, store.QuarantineObjects-3)...)
		w.reopen()
		want(w.push(odd(4), odd(5)), "article 6", full)
		list := w.quarantined(0, 2*store.QuarantineObjects)
		if n := len(list); n != store.QuarantineObjects || string(list[n-1].Object) != "xxxx" {
			w.Errorf("%d objects", n)
		}
		other := newParties(w, w.Name()+" other")
		sub, err := w.begin(other, true, odd(6))
		if err != nil {
			w.Fatal(err)
		}
		want(sub, "article 6")
		if err := w.store.Discard(w.Context(), 1, audit.Entry{Act: audit.Purge}); err != nil {
			w.Fatal(err)
		}
		want(w.push(odd(7), odd(8)), "article 6", full)
		w.mustCheck()
	}},
	{"a rehearsal keeps nothing", func(w *world) {
		odd := store.Item{Object: indicator(1, 1).Object, Refused: &store.Refusal{ID: "x", Quarantine: true}}
		if _, _, err := w.store.Rehearse(w.Context(), w.writer, func(yield func(store.Part, error) bool) {
			yield(store.Part{Last: true, Items: []store.Item{odd}}, nil)
		}); err != nil {
			w.Fatal(err)
		}
		if list := w.quarantined(0, 10); len(list) != 0 {
			w.Errorf("%+v", list)
		}
	}},
}

var shutTests = []test{
	{"a collection that is shut takes nothing, whatever the grant", func(w *world) {
		sub, err := w.begin(w.parties, false, indicator(1, 1))
		if err != nil {
			w.Fatal(err)
		}
		id := w.writer.ID().String()
		if err := w.amend(func(d *exchange.Directory) error { d.Shut[id] = start; return nil }); err != nil {
			w.Fatal(err)
		}
		w.reopen()
		_, err = w.begin(w.parties, true, indicator(2, 1))
		w.wantCode(err, taxii.NotFound)
		w.wantCode(w.append(w.writer, store.Part{Submission: sub, N: 1, Last: true}), taxii.NotFound)
		_, _, err = w.store.Rehearse(w.Context(), w.writer, func(yield func(store.Part, error) bool) { yield(store.Part{Last: true}, nil) })
		w.wantCode(err, taxii.NotFound)
		w.want(w.writer, allVersions(), "indicator1/2.1/1")
		if err := w.amend(func(d *exchange.Directory) error { delete(d.Shut, id); return nil }); err != nil {
			w.Fatal(err)
		}
		w.push(indicator(2, 1))
		w.want(w.writer, allVersions(), "indicator1/2.1/1 indicator2/2.1/1")
	}},
	{"other collections stay open", func(w *world) {
		other := newParties(w, w.Name()+" other")
		if err := w.amend(func(d *exchange.Directory) error { d.Shut[other.writer.ID().String()] = start; return nil }); err != nil {
			w.Fatal(err)
		}
		w.push(indicator(1, 1))
	}},
}
