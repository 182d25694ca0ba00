package server_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"comity/taxii"
)

// Three kinds of poller follow a collection to which eight writers push, while
// the clock jumps about. None may miss or repeat an entry, or see it out of
// order: those that follow next, those that know the Last header only, and
// those that cut times to milliseconds.
func TestPollersMissNothingWhileEightWritersPush(t *testing.T) {
	const (
		writers = 8
		pushes  = 8
		objects = 25
		limit   = 50
	)
	w := newWorld(t)
	c := w.collection("sharing.reports")
	var writing, polling, jumping sync.WaitGroup
	var written atomic.Bool
	for n := range writers {
		vendor := w.as("vendor/feed")
		writing.Go(func() {
			for p := range pushes {
				if a := vendor.do("POST", c+"objects/", envelopeOf(indicators(1+(n*pushes+p)*objects, objects)...)); a.status != 202 {
					t.Errorf("%s", a)
				}
			}
		})
	}
	jumping.Go(func() {
		for !written.Load() {
			w.clock.move(time.Duration(rand.IntN(200)-100) * time.Millisecond)
			time.Sleep(time.Millisecond)
		}
	})

	pollers := map[string]func(page *answer) string{
		"by next":        byNext,
		"by Last":        byLast,
		"by Last, in ms": func(page *answer) string { return byLast(page)[:len("added_after=2026-03-01T12:00:00.123")] + "Z" },
	}
	seen := map[string]*[]string{}
	for name, follow := range pollers {
		soc, list := w.as("bureau/soc"), new([]string)
		seen[name] = list
		polling.Go(func() {
			query := "added_after=1970-01-01T00:00:00.000000Z"
			for {
				ended := written.Load() // before asking: then an empty page is the end
				page := soc.get(fmt.Sprintf("%sobjects/?limit=%d&%s", c, limit, query))
				if page.status != 200 {
					t.Errorf("%s", page)
					return
				}
				ids := page.ids()
				if *list = append(*list, ids...); len(*list) > 2*writers*pushes*objects {
					return // it repeats for ever
				}
				if len(ids) > 0 {
					query = follow(page)
				} else if ended {
					return
				}
			}
		})
	}
	writing.Wait()
	written.Store(true)
	jumping.Wait()
	polling.Wait()

	want := w.as("bureau/soc").ids(c, "")
	if len(want) != writers*pushes*objects {
		t.Fatalf("%d objects, want %d", len(want), writers*pushes*objects)
	}
	for name, got := range seen {
		if !slices.Equal(*got, want) {
			t.Errorf("%s: %d objects, want %d in the order of the collection", name, len(*got), len(want))
		}
	}
}

// byNext follows next, and the Last header where there is none.
func byNext(page *answer) string {
	if next := page.envelope().Next; next != "" {
		return "next=" + next
	}
	return byLast(page)
}

func byLast(page *answer) string { return "added_after=" + page.last() }

// A client that walks while others write gets each object of the start exactly once.
func TestWalkWhileOthersWrite(t *testing.T) {
	w := newWorld(t)
	c := w.collection("sharing.reports")
	vendor, soc := w.as("vendor/feed"), w.as("bureau/soc")
	vendor.push(c, indicators(1, 200)...)
	n := 1000
	var got []string
	target := c + "objects/?limit=20"
	for target != "" {
		page := soc.get(target).want(200)
		got = append(got, page.ids()...)
		if n < 1100 {
			vendor.push(c, indicators(n, 10)...)
			n += 10
		}
		next := page.envelope().Next
		if target = ""; next != "" {
			target = c + "objects/?limit=20&next=" + next
		}
	}
	if want := append(names(indicators(1, 200)), names(indicators(1000, 100))...); !slices.Equal(got, want) {
		t.Errorf("%d entries, want %d", len(got), len(want))
	}
}

// The dates of one collection do not depend on the pushes to another, so a party cannot
// infer them.
func TestDatesOfCollectionsAreIndependent(t *testing.T) {
	w := newWorld(t)
	vendor := w.as("vendor/feed")
	vendor.push(w.collection("sharing.reports"), indicators(1, 500)...)
	vendor.push(w.collection("sharing.ledger"), indicator(1, 0))
	got := vendor.manifest(w.collection("sharing.ledger"), "")[0].DateAdded
	if want := taxii.FormatTime(noon.Add(time.Millisecond).Truncate(time.Millisecond)); got != want {
		t.Errorf("added %s, want %s", got, want)
	}
}
