package storetest

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"comity/store"
	"comity/taxii"
)

// wholeMillisecond rounds t up to a millisecond. A date rounded down could be earlier than
// the time at which somebody has just polled, who would miss the entry.
func wholeMillisecond(t time.Time) time.Time {
	return t.Add(time.Millisecond - 1).Truncate(time.Millisecond)
}

var dateTests = []test{
	{"strictly increasing whole milliseconds in the order sent", func(w *world) {
		for n := range 4 {
			w.push(indicator(3*n, 1), indicator(3*n+1, 1), indicator(3*n+2, 1))
		}
		records := w.manifest(w.reader, store.Query{}).Records
		if len(records) != 12 || !records[0].DateAdded.Equal(wholeMillisecond(start)) {
			w.Fatalf("%v", records)
		}
		for i, r := range records {
			if string(r.ID) != idOf("indicator", i) {
				w.Errorf("entry %d is %s", i, r.ID)
			}
		}
		w.ascending()
	}},
	{"increasing over a restart a delete and a clock set back", func(w *world) {
		w.push(indicator(1, 1), indicator(2, 1), indicator(3, 1))
		last := w.scan(w.reader, store.Query{}).Last
		for _, name := range []string{idOf("indicator", 3), idOf("indicator", 2)} {
			if _, err := w.delete(w.writer, withIDs(allVersions(), name)); err != nil {
				w.Fatal(err)
			}
		}
		w.clock.add(-time.Hour)
		w.reopen()
		w.push(indicator(4, 1))
		if page := w.scan(w.reader, store.Query{After: last}); page.Len() != 1 || !page.First.Equal(last.Add(time.Millisecond)) {
			w.Errorf("%d entries after %s, from %s", page.Len(), last, page.First)
		}
		w.clock.add(2 * time.Hour)
		w.push(indicator(5, 1))
		if page := w.scan(w.reader, store.Query{}); !page.Last.Equal(wholeMillisecond(w.clock.Now())) {
			w.Errorf("the dates do not fall back into step: %s at %s", page.Last, w.clock.Now())
		}
		w.ascending()
		w.mustCheck()
	}},
	{"a duplicate takes no date", func(w *world) {
		w.push(indicator(1, 1))
		w.push(indicator(1, 1), indicator(2, 1))
		records := w.manifest(w.reader, store.Query{}).Records
		if gap := records[1].DateAdded.Sub(records[0].DateAdded); gap != time.Millisecond {
			w.Errorf("%s between two records", gap)
		}
	}},
	{"three pagers lose and repeat nothing while eight writers push", func(w *world) {
		const writers, pushes, size = 8, 12, 20
		var writing sync.WaitGroup
		var done atomic.Bool
		for i := range writers {
			writing.Go(func() {
				for n := range pushes {
					items := make([]store.Item, size)
					for j := range items {
						items[j] = indicator((i*pushes+n)*size+j, 1)
					}
					part := store.Part{Submission: w.submission(), Last: true, Items: items}
					if err := w.append(w.writer, part); err != nil {
						w.Error(err)
					}
					w.clock.add(time.Millisecond)
				}
			})
		}
		var paging sync.WaitGroup
		for name, next := range map[string]func(store.Query, *store.Page) time.Time{
			"by cursor": func(q store.Query, p *store.Page) time.Time {
				c, err := taxii.ParseCursor(taxii.NewCursor(w.reader.ID(), p.Last, q.Match).String())
				if err != nil {
					w.Error(err)
				}
				return c.After
			},
			"by the Last header": func(_ store.Query, p *store.Page) time.Time {
				t, err := taxii.ParseTime(taxii.FormatTime(p.Last))
				if err != nil {
					w.Error(err)
				}
				return t
			},
			"by the Last header cut to milliseconds": func(_ store.Query, p *store.Page) time.Time {
				return p.Last.Truncate(time.Millisecond)
			},
		} {
			paging.Go(func() {
				q := store.Query{Limit: 50}
				seen := map[string]int{}
				for {
					final := done.Load()
					page, err := w.store.Scan(w.Context(), w.reader, q)
					if err != nil {
						w.Errorf("%s: %v", name, err)
						return
					}
					if page.Len() > q.Limit {
						w.Errorf("%s: a page of %d", name, page.Len())
					}
					for i := range page.Len() {
						seen[string(page.Object(i))]++
					}
					if page.Len() > 0 {
						q.After = next(q, page)
					} else if page.More {
						w.Errorf("%s: an empty page promises more", name)
					}
					if final && !page.More && page.Len() == 0 {
						break
					}
				}
				if len(seen) != writers*pushes*size {
					w.Errorf("%s: saw %d objects of %d", name, len(seen), writers*pushes*size)
				}
				for object, n := range seen {
					if n != 1 {
						w.Errorf("%s: saw %d times %s", name, n, object)
					}
				}
			})
		}
		writing.Wait()
		done.Store(true)
		paging.Wait()
		w.ascending()
		w.mustCheck()
	}},
	{"entries that were read never move", func(w *world) {
		// An entry never becomes visible with a date at or before one shown.
		stop := make(chan struct{})
		var wg sync.WaitGroup
		for i := range 4 {
			wg.Go(func() {
				for n := 0; ; n++ {
					select {
					case <-stop:
						return
					default:
					}
					part := store.Part{Submission: w.submission(), Last: true, Items: []store.Item{indicator(i, n%28+1), indicator(100*n+i+10, 1)}}
					if err := w.append(w.writer, part); err != nil {
						w.Error(err)
						return
					}
				}
			})
		}
		var before []store.Record
		for range 30 {
			q := allVersions()
			q.Limit = 100_000
			after := w.manifest(w.reader, q).Records
			if len(after) < len(before) || !slices.Equal(before, after[:len(before)]) {
				w.Error("entries moved")
				break
			}
			before = after
		}
		close(stop)
		wg.Wait()
	}},
}

// ascending tests that the dates of all entries ascend in whole milliseconds.
func (w *world) ascending() {
	w.Helper()
	q := allVersions()
	q.Limit = 1_000_000
	var last time.Time
	for _, r := range w.manifest(w.writer, q).Records {
		if !r.DateAdded.After(last) || r.DateAdded.Truncate(time.Millisecond) != r.DateAdded || r.DateAdded.Location() != time.UTC {
			w.Errorf("%s was added %s, after %s", r.ID, r.DateAdded, last)
		}
		last = r.DateAdded
	}
}
