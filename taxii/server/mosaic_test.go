package server_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"comity/store"
	"comity/taxii"
	"comity/taxii/audit"
	"comity/taxii/exchange"
	"comity/taxii/server"
)

var packed = header{"Accept-Encoding", "gzip"}

// objectsStore counts the objects that are read from it.
type objectsStore struct {
	store.Store
	objects atomic.Int64
}

func (s *objectsStore) Scan(ctx context.Context, g exchange.Grant, q store.Query) (*store.Page, error) {
	page, err := s.Store.Scan(ctx, g, q)
	if err == nil {
		s.objects.Add(int64(page.Len()))
	}
	return page, err
}

// bulky is the n-th indicator, which is longer than most.
func bulky(n, v int, extra ...string) string {
	return indicator(n, v, append(extra, `"description":"`+strings.Repeat(fmt.Sprintf("seen %d times, ", n), 20+n%7*20)+`"`)...)
}

func bulk(from, n int) (list []string) {
	for i := range n {
		list = append(list, bulky(from+i, 0))
	}
	return list
}

// after is a query for what was added after the i-th of those dates.
func after(dates []taxii.ManifestRecord, i int) string { return "added_after=" + dates[i].DateAdded }

// same compares the answers of two servers to one request, however they are packed.
func same(kept, twin direct, account, target string, headers ...header) (problem string) {
	got, want := kept.ask(account, "GET", target, headers...), twin.ask(account, "GET", target, headers...)
	for _, a := range []*answer{got, want} {
		a.body = []byte(a.unpacked())
		a.header.Del("Content-Length")
	}
	if got.fingerprint() != want.fingerprint() {
		return fmt.Sprintf("%s: %s gets\n%.2000s\nin place of\n%.2000s", target, account, got.fingerprint(), want.fingerprint())
	}
	return ""
}

// A compressed page that nobody asked for before is put together from what others
// got; only what they got in other pieces is read.
func TestNewPageIsReadAtItsEdgesOnly(t *testing.T) {
	var s objectsStore
	w := newWorld(t, func(w *world) { w.faults = func(inner store.Store) store.Store { s.Store = inner; return &s } })
	c := w.collection("sharing.reports")
	vendor, soc := w.as("vendor/feed"), w.as("bureau/soc")
	vendor.push(c, bulk(1, 900)...)
	dates := vendor.manifest(c, "")
	soc.get(c+"objects/?limit=300", packed).want(200)
	soc.get(c+"objects/?limit=500&"+after(dates, 299), packed).want(200)
	for from := 0; from < 100; from += 7 {
		before := s.objects.Load()
		page := soc.get(fmt.Sprintf("%sobjects/?limit=%d&%s", c, 650+from, after(dates, from)), packed).want(200)
		if read := s.objects.Load() - before; read >= 2*64 {
			t.Errorf("%s: %d objects read", page.request, read)
		}
		page.body = []byte(page.unpacked())
		if got := len(page.objects()); got != 650+from {
			t.Errorf("%s: %d objects", page.request, got)
		}
	}
	// A page that is at home in cells from end to end needs nothing.
	before := s.objects.Load()
	if page := soc.get(c+"objects/?limit=300&added_after=2000-01-01T00:00:00Z", packed).want(200); s.objects.Load() != before {
		t.Errorf("%s: %d objects read", page.request, s.objects.Load()-before)
	}
}

// Who asks for nothing compressed fills no memory with it.
func TestPlainPagesMakeNoCells(t *testing.T) {
	var s objectsStore
	w := newWorld(t, func(w *world) { w.faults = func(inner store.Store) store.Store { s.Store = inner; return &s } })
	c := w.collection("sharing.reports")
	w.as("vendor/feed").push(c, bulk(1, 400)...)
	soc := w.as("bureau/soc")
	soc.walk(c+"objects/", "limit=200")
	soc.do("HEAD", c+"objects/?limit=150", nil, packed).want(200)
	before := s.objects.Load()
	soc.get(c+"objects/?limit=199", packed).want(200)
	if read := s.objects.Load() - before; read != 199 {
		t.Errorf("%d objects read", read)
	}
}

// What is put together from cells is on record as delivered, to the last object, as
// is what is read from the store.
func TestMosaicIsOnRecord(t *testing.T) {
	w := newWorld(t, heldWorld)
	c := w.collection("held.in")
	w.as("vendor/feed").push(c, bulk(1, 400)...)
	dates := w.as("bureau/soc").manifest(c, "")
	w.as("bureau/soc").get(c+"objects/?limit=400", packed).want(200)
	for i, target := range []string{"limit=200&" + after(dates, 99), "limit=250&" + after(dates, 109)} {
		w.as([]string{"bureau/second", "partner/feed"}[i]).get(c+"objects/?"+target, packed).want(200)
		deliveries := w.entries(audit.Delivery)
		last := deliveries[len(deliveries)-1]
		from, n := 100+10*i, 200+50*i
		if last.Count != n || taxii.FormatTime(*last.From) != dates[from].DateAdded || taxii.FormatTime(*last.To) != dates[from+n-1].DateAdded {
			t.Errorf("%s: %+v", target, last)
		}
	}
}

// The bound on the octets of a page ends it at the same object.
func TestMosaicOfLargeObjects(t *testing.T) {
	w := newWorld(t)
	c := w.collection("sharing.reports")
	vendor := w.as("vendor/feed")
	for n := range 24 {
		size := 1 << 20
		if n%5 == 0 {
			size = 3 << 19
		}
		vendor.push(c, indicator(n, 0, `"x_blob":"`+strings.Repeat("x", size)+`"`))
	}
	dates := vendor.manifest(c, "")
	kept, twin := direct{w, w.server.Config.Handler}, w.forgetful()
	for _, limit := range []int{24, 14, 5} {
		for from := 0; from < 20; from += 3 {
			if problem := same(kept, twin, "vendor/feed", fmt.Sprintf("%sobjects/?limit=%d&%s", c, limit, after(dates, from)), packed); problem != "" {
				t.Fatalf("%.400s", problem)
			}
		}
	}
}

// A page that ends with the last object of all says so, until one is added.
func TestMosaicAtTheEnd(t *testing.T) {
	w := newWorld(t)
	c := w.collection("sharing.reports")
	vendor := w.as("vendor/feed")
	vendor.push(c, indicators(1, 128)...)
	dates := vendor.manifest(c, "")
	kept, twin := direct{w, w.server.Config.Handler}, w.forgetful()
	for round := range 3 {
		for _, query := range []string{"limit=1000", after(dates, 125), after(dates, 61) + "&limit=3", "limit=128", "limit=64", "added_after=2000-01-01T00:00:00Z&limit=128", "limit=0128", "limit=129"} {
			if problem := same(kept, twin, "vendor/feed", c+"objects/?"+query, packed); problem != "" {
				t.Error(problem)
			}
		}
		vendor.push(c, indicator(1000+round, 0))
	}
}

// Who has a page is told so until something in it ends by retention, be it in one of
// the cells or beside them.
func TestMosaicEndsWithWhatIsInIt(t *testing.T) {
	for name, at := range map[string]int{"in a cell": 100, "at the beginning": 195, "at the end": 205} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, guardedWorld)
			c := w.collection("guarded.in")
			list := bulk(1, 300)
			list[at] = bulky(at+1, 0, valid(noon.Add(-10*time.Hour)))
			for part := range 3 { // in cells of their own, so that they end at times of their own
				w.as("vendor/feed").push(c, list[100*part:][:100]...)
			}
			dates := w.as("vendor/feed").manifest(c, "")
			kept, twin := direct{w, w.server.Config.Handler}, w.forgetful()
			for part := range 3 {
				kept.ask("bureau/soc", "GET", c+"objects/?limit=100&"+after(dates, max(100*part-1, 0)), packed).want(200)
			}
			pages := []string{"limit=100&" + after(dates, 194), "limit=99&" + after(dates, 192), "limit=150&" + after(dates, 99), "limit=210"}
			tags := map[string]string{}
			for range 2 {
				for _, page := range pages {
					target, known := c+"objects/?"+page, header{"If-None-Match", tags[page]}
					if problem := same(kept, twin, "bureau/soc", target, packed, known); problem != "" {
						t.Errorf("%.3000s", problem)
					}
					tags[page] = twin.ask("bureau/soc", "GET", target).header.Get("ETag")
				}
				w.clock.move(20 * time.Hour)
			}
		})
	}
}

// Whatever is pushed, deleted, labelled and expires between: wherever a compressed
// page begins and however long it is, everybody gets what a server without cells
// answers, to the last octet.
func TestMosaicIsWhatAScanFinds(t *testing.T) {
	accounts := []string{"vendor/feed", "bureau/soc", "bureau/firewall", "bureau/chief", "team/soc"}
	labels := []string{"clear", "green", "amber", "green pap:red", "amber+strict", "red"}
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t, guardedWorld)
		defer func() { w.close(); w.store.Close() }()
		c := w.collection("guarded.in")
		kept, twin := direct{w, w.server.Config.Handler}, w.forgetful()
		var dates []taxii.ManifestRecord
		known, label := 0, 0
		push := func(n int) {
			var list []string
			for range n {
				var extra []string
				if known++; rapid.IntRange(0, 9).Draw(rt, "labelled") == 0 {
					label++
					extra = append(extra, markedAs(strings.Split(labels[label%len(labels)], " ")...))
				}
				if known%40 == 0 {
					extra = append(extra, valid(w.clock.now().Add(-time.Duration(rapid.IntRange(19, 23).Draw(rt, "hours"))*time.Hour)))
				}
				list = append(list, bulky(known, 1, extra...))
			}
			w.as("vendor/feed").do("POST", c+"objects/", envelopeOf(list...)).want(202)
			dates = w.as("vendor/feed").manifest(c, "match[version]=all&limit=10000")
		}
		push(rapid.IntRange(1, 400).Draw(rt, "at first"))
		asked := []string{c + "objects/"}
		ask := func(*rapid.T) {
			for range 4 {
				account := rapid.SampledFrom(accounts).Draw(rt, "account")
				target := rapid.SampledFrom(asked[max(len(asked)-8, 0):]).Draw(rt, "again")
				if rapid.Bool().Draw(rt, "new") {
					target = fmt.Sprintf("%sobjects/?limit=%d", c, rapid.IntRange(1, known+10).Draw(rt, "limit"))
					if from := rapid.IntRange(-1, len(dates)-1).Draw(rt, "from"); from >= 0 {
						target += "&" + after(dates, from)
					}
					asked = append(asked, target)
				}
				if problem := same(kept, twin, account, target, packed); problem != "" {
					rt.Fatal(problem)
				}
			}
		}
		rt.Repeat(map[string]func(*rapid.T){
			"push": func(*rapid.T) { push(rapid.IntRange(1, 50).Draw(rt, "more")) },
			"supersede": func(*rapid.T) {
				n := rapid.IntRange(1, known).Draw(rt, "n")
				v := rapid.IntRange(0, 5).Draw(rt, "version")
				w.as("vendor/feed").do("POST", c+"objects/", envelopeOf(bulky(n, v, markedAs(strings.Split(rapid.SampledFrom(labels).Draw(rt, "label"), " ")...)))).want(202)
				dates = w.as("vendor/feed").manifest(c, "match[version]=all&limit=10000")
			},
			"delete": func(*rapid.T) {
				w.as("vendor/feed").delete(c + "objects/" + id("indicator", rapid.IntRange(1, known).Draw(rt, "n")) + "/")
			},
			"later": func(*rapid.T) { w.clock.move(time.Duration(rapid.IntRange(-1, 90).Draw(rt, "minutes")) * time.Minute) },
			"ask":   ask, "ask on": ask, "ask and ask": ask,
		})
	})
}

// Cells and pages share a bounded room; those of one view lie in order and do not
// overlap, and those of an older state of the past make way.
func TestCellsAreBounded(t *testing.T) {
	const room = 50_000
	rapid.Check(t, func(rt *rapid.T) {
		s := server.NewShelf(room)
		past := uint64(1)
		for range 200 {
			view, first := rapid.IntRange(0, 2).Draw(rt, "view"), rapid.Int64Range(1, 500).Draw(rt, "first")
			switch rapid.IntRange(0, 9).Draw(rt, "what") {
			case 0:
				s.Put(int(first), 1000)
			case 1:
				past++
			}
			was, _ := s.Rows(view)
			s.Keep(view, past-rapid.Uint64Range(0, 1).Draw(rt, "older"), first, first+rapid.Int64Range(0, 63).Draw(rt, "more"), rapid.IntRange(0, room/3).Draw(rt, "octets"))
			now, cells := s.Rows(view)
			for i := 0; i+1 < len(now); i++ {
				if now[i] >= now[i+1] {
					rt.Fatalf("%d before %d, after %v", now[i], now[i+1], was)
				}
			}
			if counted, octets, entries := s.Used(); counted != octets || octets > room || (entries-cells)%2 != 0 {
				rt.Fatalf("%d octets counted, %d there; %d cells, %d entries", counted, octets, cells, entries)
			}
		}
	})
}

// Many at once, over a shelf that holds few cells, while more is pushed and some
// is taken back: every compressed page is whole.
func TestCellsAreSharedByMany(t *testing.T) {
	w := newWorld(t, func(w *world) { w.config.Shelf = 64 << 10 })
	c := w.collection("sharing.reports")
	vendor := w.as("vendor/feed")
	vendor.push(c, bulk(1, 500)...)
	dates := vendor.manifest(c, "")
	var wg sync.WaitGroup
	for reader := range 4 {
		wg.Go(func() {
			soc := w.as("bureau/soc")
			for round := range 25 {
				from := (reader*131 + round*37) % 200
				page := soc.get(fmt.Sprintf("%sobjects/?limit=%d&%s", c, 100+round*7, after(dates, from)), packed)
				page.body = []byte(page.unpacked())
				got := page.ids()
				if len(got) != 100+round*7 || got[0] != names([]string{bulky(from+2, 0)})[0] || page.last() != dates[from+len(got)].DateAdded {
					t.Errorf("%s: %d objects, from %s", page.request, len(got), got[0])
					return
				}
			}
		})
	}
	wg.Go(func() {
		for n := range 10 {
			vendor.push(c, bulk(1000+n, 1)...)
			vendor.delete(c + "objects/" + id("indicator", 1000+n) + "/")
		}
	})
	wg.Wait()
}
