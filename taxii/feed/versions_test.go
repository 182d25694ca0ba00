package feed_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"comity/taxii/exchange"
	"comity/taxii/feed"
)

// process is another server on the same store, with files of its own.
func (w *world) process() *world {
	w.Helper()
	other := &world{TB: w.TB, dir: w.TempDir(), store: w.store}
	other.config = w.config
	other.config.Dir = w.TempDir()
	other.clock.Store(w.clock.Load())
	other.serve()
	return other
}

// A subscriber may reach another server with each request, as behind a proxy, and servers are
// restarted. Whichever it asks, it gets the same list under the same tag, date and cursor; a
// version never goes back; and what it is told of changes leads to what is listed.
func TestEveryServerGivesTheSameVersion(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		w := newWorld(t, "")
		w.subscribe("block", "block", empty)
		servers := []*world{w, w.process()}
		held, cursor, modified, last := map[string]int{}, "", 0, time.Time{}
		for range rapid.IntRange(5, 25).Draw(r, "steps") {
			n := rapid.IntRange(0, 3).Draw(r, "indicator")
			one := rapid.SampledFrom(servers).Draw(r, "server")
			switch rapid.IntRange(0, 7).Draw(r, "step") {
			case 0, 1:
				modified++
				at := time.Date(2026, 5, 1, 0, 0, modified, 0, time.UTC)
				more := rapid.SampledFrom([]string{"", `,"confidence":70`, `,"revoked":true`, `,"valid_until":"2026-06-01T12:00:02Z"`}).Draw(r, "more")
				w.tryPush("fir", indicatorAt(n, address(fmt.Sprintf("203.0.114.%d", n)), at.Format("2006-01-02T15:04:05.000Z"), more))
			case 2:
				w.remove("fir", n, "")
			case 3:
				by := time.Duration(rapid.IntRange(1, 1500).Draw(r, "ms")) * time.Millisecond
				for _, s := range servers {
					s.move(by)
				}
			case 4:
				one.move(time.Duration(rapid.IntRange(-900, 900).Draw(r, "ms")) * time.Millisecond) // clocks differ
			case 5:
				one.serve()
			default:
				a := one.open()
				if a.Version.Before(last) {
					r.Fatalf("version %s after %s", a.Version, last)
				}
				last = a.Version
				d := a.Since(cursor)
				take(r, held, d)
				same(r, held, a)
				cursor = d.Cursor
				var all []*feed.Answer
				for range 2 {
					for _, s := range servers {
						all = append(all, s.open())
					}
				}
				settled := all[len(servers)-1]
				for i, b := range all {
					if b.Version.Before(last) || i >= len(servers) && (!b.Version.Equal(settled.Version) || b.Tag != settled.Tag || b.Cursor() != settled.Cursor()) {
						r.Fatalf("answer %d is %s %s %s, of %s %s %s", i, b.Version, b.Tag, b.Cursor(), settled.Version, settled.Tag, settled.Cursor())
					}
					last = b.Version
				}
			}
		}
	})
}

// zoneNow is the zone of the feed; ok is false if it has to wait.
func (w *world) zoneNow() (a *feed.Answer, ok bool) {
	w.Helper()
	p := exchange.Principal{Account: "ncb-kh/block", Org: "ncb-kh", Purposes: exchange.Purposes, Action: "block"}
	a, err := w.feeds.OpenNow(w.Context(), p, "f-block", feed.RPZ)
	w.must(err)
	a.Close()
	return a, a.Rewind()
}

// Resolvers ask for the zone from whichever server they know. None takes a zone whose serial it has.
func TestAServerWhoseClockIsBehindServesTheZone(t *testing.T) {
	w := newWorld(t, "")
	w.subscribe("block", "block", empty)
	behind := w.process()
	w.move(5 * time.Minute)
	w.push("fir", indicator(1, domain("a.example.org"), ""))
	w.zoneNow()
	behind.zoneNow()
	behind.move(time.Second)
	a, ok := behind.zoneNow()
	if !ok || !strings.Contains(text(a), "a.example.org") {
		t.Fatal("a second later the zone is not there")
	}
	w.move(time.Second)
	if b, ok := w.zoneNow(); !ok || !b.Version.Equal(a.Version) {
		t.Error("the other server has another version")
	}
	behind.push("fir", indicator(2, domain("b.example.org"), ""))
	behind.zoneNow()
	behind.move(time.Second)
	if b, ok := behind.zoneNow(); !ok || b.Version.Unix() <= a.Version.Unix() || !strings.Contains(text(b), "b.example.org") {
		t.Error("after a push the serial has not grown")
	}
}

// Servers that are asked at the same moment agree on the version too.
func TestNoVersionIsOfTwoLists(t *testing.T) {
	w := newWorld(t, "")
	w.subscribe("block", "block", empty)
	var (
		mu    sync.Mutex // guards tags
		tags  = map[int64]string{}
		ended = make(chan bool)
		group sync.WaitGroup
	)
	p := exchange.Principal{Account: "ncb-kh/block", Org: "ncb-kh", Purposes: exchange.Purposes, Action: "block"}
	for _, s := range []*world{w, w, w.process(), w.process()} {
		group.Go(func() {
			for last := (time.Time{}); ; {
				select {
				case <-ended:
					return
				default:
				}
				a, err := s.feeds.Open(context.Background(), p, "f-block", feed.List)
				if err != nil {
					t.Error(err)
					return
				}
				a.Close()
				mu.Lock()
				if tag := tags[a.Version.UnixMicro()]; tag != "" && tag != a.Tag || a.Version.Before(last) {
					t.Errorf("version %s, after %s, is of %s and %s", a.Version, last, tag, a.Tag)
				}
				tags[a.Version.UnixMicro()] = a.Tag
				mu.Unlock()
				last = a.Version
			}
		})
	}
	for i := range 40 {
		w.push("fir", indicator(i, address(fmt.Sprintf("203.0.114.%d", i)), ""))
		if i%3 == 2 {
			w.remove("fir", i, "")
		}
	}
	close(ended)
	group.Wait()
	if len(tags) < 10 {
		t.Errorf("%d versions only", len(tags))
	}
}

func TestARestartKeepsTagsDatesAndCursors(t *testing.T) {
	w := newWorld(t, "")
	w.subscribe("block", "block", empty)
	w.push("fir", indicator(1, address("203.0.114.1"), ""))
	before, since := w.get("block", "ipv4.txt"), w.since("ipv4.json", "")
	w.move(time.Hour)
	for what, other := range map[string]*world{"another server": w.process(), "after a restart": w} {
		other.serve()
		got := other.get("block", "ipv4.txt", "If-None-Match", before.header.Get("ETag"))
		if got.status != http.StatusNotModified {
			t.Errorf("%s: %d, tag %s and not %s", what, got.status, got.header.Get("ETag"), before.header.Get("ETag"))
		}
		if got = other.get("block", "ipv4.txt", "If-Modified-Since", noon.Add(time.Second).Format(http.TimeFormat)); got.status != http.StatusNotModified {
			t.Errorf("%s: %d by the date, which is %s", what, got.status, got.header.Get("Last-Modified"))
		}
		if c := other.since("ipv4.json", since.Cursor); c.Full || c.values() != nil || c.Cursor != since.Cursor {
			t.Errorf("%s: %+v since %s", what, c, since.Cursor)
		}
	}
	other := w.process()
	other.open()
	w.push("fir", indicator(2, address("203.0.114.2"), ""))
	if c := other.since("ipv4.json", since.Cursor); c.Full || len(c.Add) != 1 {
		t.Errorf("the other server has followed the change: %+v", c)
	}
	w.serve()
	if c := w.since("ipv4.json", since.Cursor); !c.Full || len(c.Add) != 2 {
		t.Errorf("a server that began after the change: %+v", c)
	}
}

// A secondary server that transfers from one server and then from another one holds the zone,
// and is never told an older serial.
func TestEveryServerGivesTheSameZone(t *testing.T) {
	w := newWorld(t, "")
	w.subscribe("block", "block", empty)
	w.push("fir", indicator(1, domain("a.example.org"), ""))
	other := w.process()
	servers, held := []*resolver{w.resolver(), nil}, &copied{}
	other.clock.Store(w.clock.Load())
	servers[1] = other.resolver()
	both := func(by time.Duration) { w.move(by); other.move(by) }
	w.clock.Store(other.clock.Load())
	held.refresh(t, servers[0])
	for i := range 6 {
		w.push("fir", indicator(10+i, domain(fmt.Sprintf("x%d.example.org", i)), ""))
		w.open()
		for _, s := range servers { // each sees the change
			s.soa(zoneName)
		}
		both(2 * time.Second)
		serial := held.soa.Serial
		if whole := held.refresh(t, servers[i%2]); whole || held.soa.Serial <= serial || len(held.names) != 2+i {
			t.Errorf("step %d: whole %t, serial %d after %d, %v", i, whole, held.soa.Serial, serial, held.names)
		}
		if _, other, _ := servers[1-i%2].soa(zoneName); other != held.soa.Serial {
			t.Errorf("step %d: serials %d and %d", i, held.soa.Serial, other)
		}
	}
	serial := held.soa.Serial
	both(time.Hour)
	again := w.process()
	if _, got, _ := again.resolver().soa(zoneName); got != serial {
		t.Errorf("after a restart the serial is %d, and was %d", got, serial)
	}
}

// A store that was restored does not know the versions that subscribers hold, which a secondary
// server of a zone would not leave for an older one.
func TestARestoredStoreGivesNewVersions(t *testing.T) {
	w := newWorld(t, "")
	w.subscribe("block", "block", empty)
	w.push("fir", indicator(1, address("203.0.114.1"), ""))
	w.open()
	w.move(time.Hour)
	w.must(feed.ForgetVersions(t.Context(), w.store))
	w.serve()
	if a := w.open(); !a.Version.Equal(w.now()) {
		t.Errorf("version %s at %s", a.Version, w.now())
	}
}

// The page of a feed tells how many entries came and went on each of the last seven days, also
// after a restart.
func TestThePageTellsTheChangesOfEachDay(t *testing.T) {
	w := newWorld(t, "")
	w.subscribe("block", "block", empty)
	w.open()
	days := func() (list []string) {
		t.Helper()
		page, err := w.feeds.Describe(t.Context(), exchange.Principal{Account: "ncb-kh/block", Org: "ncb-kh", Purposes: exchange.Purposes, Action: "block"}, "f-block")
		w.must(err)
		for _, d := range page.Days {
			list = append(list, fmt.Sprintf("%s +%d -%d", d.Day.Format("02"), d.Added, d.Removed))
		}
		return list
	}
	w.push("fir", indicator(1, address("203.0.114.1"), ""), indicator(2, address("203.0.114.2"), ""))
	w.open()
	w.move(24 * time.Hour)
	w.push("fir", indicator(3, address("203.0.114.3"), ""))
	w.remove("fir", 1, "")
	w.open()
	w.serve()
	w.open()
	w.move(24 * time.Hour)
	today := w.now()
	day := func(ago int) string { return today.AddDate(0, 0, -ago).Format("02") }
	want := []string{day(0) + " +0 -0", day(1) + " +1 -1", day(2) + " +2 -0", day(3) + " +0 -0", day(4) + " +0 -0", day(5) + " +0 -0", day(6) + " +0 -0"}
	if got := days(); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// Whoever has a copy of the store cannot tell by the versions what was listed, and a feed that is
// removed leaves none.
func TestTheVersionsOfAFeedTellNoEntry(t *testing.T) {
	w := newWorld(t, "")
	w.subscribe("block", "block", empty)
	w.push("fir", indicator(1, address("203.0.114.1"), ""))
	tag := w.open().Tag
	content, err := w.store.Document(t.Context(), "feed versions ncb-kh/f-block list")
	w.must(err)
	if !strings.Contains(string(content), "given") || strings.Contains(string(content), tag[:16]) || strings.Contains(string(content), "203.0.114.1") {
		t.Errorf("it is %s of tag %s", content, tag)
	}
	w.must(w.feeds.Forget(t.Context(), exchange.FeedKey("ncb-kh/block", "f-block")))
	if content, err = w.store.Document(t.Context(), "feed versions ncb-kh/f-block list"); err != nil || content != nil {
		t.Errorf("afterwards: %s, %v", content, err)
	}
}

// A product keeps its list if the server cannot write, and later gets what has changed meanwhile.
func TestAChangeThatCannotBeWrittenIsToldLater(t *testing.T) {
	w := newWorld(t, "")
	w.subscribe("block", "block", empty)
	s := w.hookScans(nil)
	w.handle()
	w.push("fir", indicator(1, address("203.0.114.1"), ""))
	cursor := w.get("block", "ipv4.txt?since=").header.Get("X-Feed-Cursor")
	w.push("fir", indicator(2, address("203.0.114.2"), ""))
	w.remove("fir", 1, "")
	failed := errors.New("there is no room")
	s.failed.Store(&failed)
	for range 2 {
		if got := w.get("block", "ipv4.txt"); got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") == "" || strings.Contains(got.body, "room") {
			t.Errorf("%d %v %s", got.status, got.header, got.body)
		}
	}
	s.failed.Store(nil)
	if got := w.get("block", "ipv4.txt?since="+cursor).body; got != "-203.0.114.1\n+203.0.114.2\n" {
		t.Errorf("later: %q", got)
	}
}
