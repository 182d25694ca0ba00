package server_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
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

// countingStore counts the pages that are read from it.
type countingStore struct {
	store.Store
	scans atomic.Int32
}

func (s *countingStore) Scan(ctx context.Context, g exchange.Grant, q store.Query) (*store.Page, error) {
	s.scans.Add(1)
	return s.Store.Scan(ctx, g, q)
}

func (s *countingStore) changes(w *world) {
	w.faults = func(inner store.Store) store.Store { s.Store = inner; return s }
}

// decompressed is the body of an answer.
func (a *answer) decompressed() string {
	a.t.Helper()
	if a.header.Get("Content-Encoding") != "gzip" {
		return string(a.body)
	}
	z, err := gzip.NewReader(bytes.NewReader(a.body))
	if err != nil {
		a.t.Fatal(err)
	}
	body, err := io.ReadAll(z)
	if err != nil {
		a.t.Fatal(err)
	}
	return string(body)
}

// A page that was asked for before is answered from memory, the same to the last
// byte, plain and compressed; a push behind a full page does not change it.
func TestPageAskedAgainIsNotReadAgain(t *testing.T) {
	var s countingStore
	w := newWorld(t, s.changes)
	c := w.collection("sharing.reports")
	vendor, soc, other := w.as("vendor/feed"), w.as("bureau/soc"), w.as("bureau/misp")
	vendor.push(c, indicators(1, 30)...)
	packed, asIs := header{"Accept-Encoding", "gzip"}, header{"Accept-Encoding", ""}
	for _, accept := range []header{asIs, packed} {
		for _, query := range []string{"limit=20", "limit=20&match[type]=indicator", "added_after=2100-01-01T00:00:00Z"} {
			first := soc.get(c+"objects/?"+query, accept).want(200)
			soc.get(c+"objects/?"+query, accept).want(200)
			before := s.scans.Load()
			vendor.push(c, indicators(int(before)*100, 3)...)
			for _, reader := range []*client{soc, other, soc} {
				got := reader.get(c+"objects/?"+query, accept).want(200)
				for _, name := range []string{"Content-Encoding", "ETag", "X-TAXII-Date-Added-First", "X-TAXII-Date-Added-Last"} {
					if got.header.Get(name) != first.header.Get(name) {
						t.Errorf("%s: %s is %q, was %q", got.request, name, got.header.Get(name), first.header.Get(name))
					}
				}
				if got.decompressed() != first.decompressed() {
					t.Errorf("%s, first %s", got, first)
				}
			}
			again := s.scans.Load() - before
			if full := first.last() != "" && first.first() != ""; full && again != 0 || !full && again != 1 {
				t.Errorf("%s: read %d times", first.request, again)
			}
		}
	}
}

// A client that has the page already gets 304, without a read of the objects; a client
// with another tag gets the page. A 304 is recorded as a delivery, since it confirms the
// objects to a client that guesses the tag.
func TestWhoHasThePageIsToldSo(t *testing.T) {
	var s countingStore
	w := newWorld(t, heldWorld, s.changes)
	c := w.collection("held.in")
	vendor, soc := w.as("vendor/feed"), w.as("bureau/soc")
	vendor.push(c, indicators(1, 3)...)
	for _, target := range []string{c + "objects/", c + "objects/?limit=2", c + "objects/" + id("indicator", 1) + "/", c + "objects/?match[type]=malware"} {
		page := soc.get(target).want(200)
		tag := page.header.Get("ETag")
		reads := s.scans.Load()
		for _, given := range []string{tag, "*", `"other", ` + tag, tag[len("W/"):]} {
			for _, method := range []string{"GET", "HEAD"} {
				got := soc.do(method, target, nil, header{"If-None-Match", given}).want(304)
				if len(got.body) > 0 || got.header.Get("ETag") != tag || got.last() != page.last() || got.header.Get("Vary") != page.header.Get("Vary") || got.header.Get("Content-Length") != "" {
					t.Errorf("%s %v, the page %v", got, got.header, page.header)
				}
			}
		}
		if s.scans.Load() != reads {
			t.Errorf("%s: objects were read", target)
		}
		for _, given := range []string{`W/"other"`, tag + "x", tag[:len(tag)-1], ""} {
			if got := soc.get(target, header{"If-None-Match", given}).want(200); !bytes.Equal(got.body, page.body) {
				t.Errorf("%s, was %s", got, page)
			}
		}
		if got := soc.get(target, header{"If-None-Match", tag}, header{"Accept-Encoding", "gzip"}); got.status != 304 {
			t.Errorf("%s: the tag says what there is, however it is packed", got)
		}
	}
	// A first request with the tag of another client confirms the objects of the page.
	tag := soc.get(c + "objects/").header.Get("ETag")
	w.as("partner/feed").get(c+"objects/", header{"If-None-Match", tag}).want(304)
	if on := w.entries(audit.Delivery); on[len(on)-1].Account != "partner/feed" {
		t.Errorf("%+v", on[len(on)-1])
	}
	w.restart()
	if got := w.as("bureau/soc").get(c + "objects/").header.Get("ETag"); got != tag {
		t.Errorf("after a restart the tag is %s, was %s", got, tag)
	}
}

// A page that was asked for shows what happened since, at once: it is what a
// server without a memory of pages would answer.
func TestPageAskedAgainShowsWhatChanged(t *testing.T) {
	for name, change := range map[string]func(w *world, c string){
		"a deletion": func(w *world, c string) {
			w.as("vendor/feed").delete(c + "objects/" + id("indicator", 1) + "/").want(200)
		},
		"a new version":  func(w *world, c string) { w.as("vendor/feed").push(c, indicator(1, 9)) },
		"a higher label": func(w *world, c string) { w.as("vendor/feed").push(c, indicator(1, 9, marked(red))) },
		"an older one":   func(w *world, c string) { w.as("vendor/feed").push(c, indicator(2, 0)) },
		"an expiry":      func(w *world, _ string) { w.clock.move(20 * time.Hour) },
		"one added":      func(w *world, c string) { w.as("vendor/feed").push(c, indicator(7, 0)) },
		"a suspension": func(w *world, _ string) {
			w.amend(func(d *exchange.Directory) error { d.Organisations["bureau"].Suspended = true; return nil })
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, guardedWorld)
			c := w.collection("guarded.in")
			w.as("vendor/feed").push(c, indicator(1, 0, valid(noon.Add(-10*time.Hour))), indicator(2, 1), indicator(3, 0, marked(green)))
			kept, twin := direct{w, w.server.Config.Handler}, w.forgetful()
			target := c + "objects/?match[version]=all"
			before := map[string]string{}
			accounts := []string{"bureau/soc", "bureau/chief", "vendor/feed", "team/soc"}
			for range 3 {
				for _, account := range accounts {
					before[account] = kept.ask(account, "GET", target).fingerprint()
				}
			}
			change(w, c)
			changed := 0
			for _, account := range accounts {
				got, want := kept.ask(account, "GET", target).fingerprint(), twin.ask(account, "GET", target).fingerprint()
				if got != want {
					t.Errorf("%s gets\n%s\nin place of\n%s", account, got, want)
				}
				if got != before[account] {
					changed++
				}
			}
			if changed == 0 {
				t.Error("nobody sees a change")
			}
		})
	}
}

// direct asks a server without a network between.
type direct struct {
	w       *world
	handler http.Handler
}

// forgetful is a server of the same exchange without a page cache.
func (w *world) forgetful() direct {
	recorder, custody, counts := w.recorder, w.custody, w.counts
	w.config.PageCache = -1
	f := direct{w, w.handler()}
	w.config.PageCache, w.recorder, w.custody, w.counts = 0, recorder, custody, counts
	return f
}

func (f direct) ask(account, method, target string, headers ...header) *answer {
	r := httptest.NewRequest(method, target, nil)
	r.Header.Set("Accept", taxii.MediaType)
	r.Header.Set("Authorization", "Bearer "+tokenOf(account))
	for _, h := range headers {
		r.Header.Set(h.name, h.value)
	}
	out := httptest.NewRecorder()
	f.handler.ServeHTTP(out, r)
	return &answer{t: f.w.t, request: method + " " + target, status: out.Code, header: out.Header(), body: out.Body.Bytes()}
}

// crewWorld is the guarded world with another team, which gets other types.
func crewWorld(w *world) {
	guardedWorld(w)
	guard := w.admit
	w.admit = func(d *exchange.Directory) error {
		letter := strings.NewReplacer("guarded-letter", "crew-letter", `["team"]`, `["crew"]`, `"identity"`, `"ipv4-addr"`).Replace(guardedLetter)
		return errors.Join(guard(d), enrol(d, map[string]string{"crew": "soc"}, exchange.Account{Org: "crew", Name: "soc"}), deposit(d, letter))
	}
}

// Callers share a page only if they may see the same of it and asked the same.
func TestPageCacheTellsCallersApart(t *testing.T) {
	w := newWorld(t, crewWorld)
	c, other := w.collection("guarded.in"), w.collection("guarded.in2")
	w.as("vendor/feed").push(c, indicator(1, 0), indicator(2, 0, marked(red)), indicator(3, 0, marked(amberStrict)), address(1, marked(green)),
		indicator(4, 0, markedAs("green", "pap:red")), indicator(1, 1), indicator(2, 1, marked(green)))
	w.as("rival/feed").push(other, append(indicators(1, 6), indicator(1, 1))...)
	kept, twin := direct{w, w.server.Config.Handler}, w.forgetful()
	for range 3 {
		for _, query := range []string{"", "?match[version]=all", "?limit=1", "?match[type]=malware", "?match[id]=" + id("indicator", 1), "?match[type]=ipv4-addr"} {
			for _, list := range []string{c + "objects/", c + "objects/" + id("indicator", 1) + "/", c + "objects/" + id("indicator", 2) + "/", other + "objects/"} {
				for _, account := range append(readers, "vendor/feed", "bureau/chief", "bureau/elastic", "crew/soc", "igci/desk") {
					got, want := kept.ask(account, "GET", list+query), twin.ask(account, "GET", list+query)
					if got.fingerprint() != want.fingerprint() {
						t.Errorf("%s gets %s\nin place of %s", account, got, want)
					}
				}
			}
		}
	}
}

// After any pushes, deletions, new labels and expiries, a server with the cache gives
// the same answers as one without.
func TestPageCacheChangesNoAnswer(t *testing.T) {
	accounts := []string{"vendor/feed", "bureau/soc", "bureau/firewall", "bureau/chief", "team/soc", "igci/desk"}
	labels := []string{"clear", "green", "amber", "amber+strict", "red"}
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t, guardedWorld)
		c := w.collection("guarded.in")
		kept, twin := direct{w, w.server.Config.Handler}, w.forgetful()
		targets := []string{
			c + "objects/", c + "objects/?limit=1", c + "objects/?limit=2", c + "objects/?match[version]=all&limit=3", c + "objects/?match[type]=ipv4-addr",
			c + "objects/?match[id]=" + id("indicator", 1) + "," + id("indicator", 2), c + "objects/" + id("indicator", 1) + "/",
			c + "objects/" + id("indicator", 1) + "/?match[version]=all", c + "objects/?match[spec_version]=2.0", c + "objects/?added_after=" + stamp(0),
		}
		tags := []string{`"none"`}
		draw := func() string {
			extra := []string{markedAs(rapid.SampledFrom(labels).Draw(rt, "label"))}
			if rapid.Bool().Draw(rt, "for search alone") {
				extra = []string{markedAs("green", "pap:red")}
			}
			if rapid.Bool().Draw(rt, "ends") {
				extra = append(extra, valid(w.clock.now().Add(-time.Duration(rapid.IntRange(19, 23).Draw(rt, "hours"))*time.Hour)))
			}
			n, v := rapid.IntRange(1, 6).Draw(rt, "number"), rapid.IntRange(0, 5).Draw(rt, "version")
			switch rapid.IntRange(0, 4).Draw(rt, "kind") {
			case 0:
				return address(n, extra[0])
			case 1:
				return old(n, v, extra...)
			}
			return indicator(n, v, extra...)
		}
		rt.Repeat(map[string]func(*rapid.T){
			"push": func(*rapid.T) { w.as("vendor/feed").do("POST", c+"objects/", envelopeOf(draw(), draw())).want(202) },
			"delete": func(*rapid.T) {
				w.as("vendor/feed").delete(c + "objects/" + id("indicator", rapid.IntRange(1, 3).Draw(rt, "n")) + "/")
			},
			"later": func(*rapid.T) { w.clock.move(time.Duration(rapid.IntRange(-1, 90).Draw(rt, "minutes")) * time.Minute) },
			"ask": func(*rapid.T) {
				account, target := rapid.SampledFrom(accounts).Draw(rt, "account"), rapid.SampledFrom(targets).Draw(rt, "target")
				headers := []header{{"Accept-Encoding", rapid.SampledFrom([]string{"", "gzip"}).Draw(rt, "encoding")}}
				if rapid.Bool().Draw(rt, "conditional") {
					headers = append(headers, header{"If-None-Match", rapid.SampledFrom(tags).Draw(rt, "tag")})
				}
				for range rapid.IntRange(1, 3).Draw(rt, "times") {
					got, want := kept.ask(account, "GET", target, headers...), twin.ask(account, "GET", target, headers...)
					got.body, want.body = []byte(got.decompressed()), []byte(want.decompressed())
					got.header.Del("Content-Length") // the bodies are compressed at different levels
					want.header.Del("Content-Length")
					if got.fingerprint() != want.fingerprint() {
						rt.Fatalf("%s gets\n%s\nin place of\n%s", account, got.fingerprint(), want.fingerprint())
					}
					if tag := got.header.Get("ETag"); tag != "" && !slices.Contains(tags, tag) {
						tags = append(tags, tag)
					}
				}
			},
		})
		w.close()
		w.store.Close()
	})
}

// The cache is bounded; what was asked for last stays.
func TestPageCacheIsBounded(t *testing.T) {
	const room = 100_000
	c := server.NewPageCache(room)
	c.Put(-1, 1)()
	for n := range 1000 {
		c.Put(n%70, n%7*1000)()
		c.Has(-1)
		if counted, kept := c.Used(); counted != kept || kept > room {
			t.Fatalf("%d bytes counted, %d kept", counted, kept)
		}
	}
	if !c.Has(-1) || !c.Has(999%70) || c.Has(1000%70) {
		t.Error("it is not the page asked for last that stays")
	}
	_, before := c.Used()
	c.Put(1000, room/4)()
	if _, kept := c.Used(); c.Has(1000) || kept != before {
		t.Errorf("a page too large to be kept leaves %d bytes of %d", kept, before)
	}
}

// Pages that slow clients take count until they are sent, also after newer ones
// have taken their place.
func TestPagesInUseCountInTheCache(t *testing.T) {
	const room = 100_000
	c := server.NewPageCache(room)
	var releases []func()
	for n := range 100 {
		releases = append(releases, c.Put(n%10, 9000))
		if counted, _ := c.Used(); counted > room {
			t.Fatalf("%d bytes in a room of %d", counted, room)
		}
	}
	for _, release := range releases {
		release()
	}
	if counted, kept := c.Used(); counted != kept {
		t.Errorf("%d bytes counted after all are sent, %d kept", counted, kept)
	}
	for n := range 10 {
		c.Put(n, 5000)()
	}
	if !c.Has(9) {
		t.Error("nothing new is kept after all are sent")
	}
}

// Many at once, over a cache that holds little: everybody gets what it may see.
func TestPageCacheIsSharedByMany(t *testing.T) {
	w := newWorld(t, guardedWorld, func(w *world) { w.config.PageCache = 64 << 10 })
	c := w.collection("guarded.in")
	vendor := w.as("vendor/feed")
	for n := range 40 {
		vendor.push(c, indicator(2*n, 0, marked(green)), indicator(2*n+1, 0, marked(red)))
	}
	var wg sync.WaitGroup
	for account, step := range map[string]int{"bureau/soc": 2, "bureau/chief": 1, "team/soc": 2} {
		for range 3 {
			wg.Go(func() {
				reader := w.as(account)
				for round := range 10 {
					pages := reader.walk(c+"objects/", fmt.Sprintf("limit=%d", 3+round%4))
					next := 0
					for _, page := range pages {
						for _, got := range page.ids() {
							if want := names([]string{indicator(next, 0)})[0]; got != want && next < 80 {
								t.Errorf("%s gets %s, want %s", account, got, want)
								return
							}
							next += step
						}
					}
				}
			})
		}
	}
	wg.Go(func() {
		for n := range 20 {
			vendor.push(c, indicator(100+2*n, 0, marked(green)))
		}
	})
	wg.Wait()
}

// A page that is pushed out of the cache while a slow client takes it arrives whole, and
// what comes in its place does not show in it.
func TestPageThatGoesWhileItIsSentArrivesWhole(t *testing.T) {
	w := newWorld(t, func(w *world) { w.config.PageCache = 24 << 20 })
	c := w.collection("sharing.reports")
	vendor := w.as("vendor/feed")
	filler := `"description":"` + strings.Repeat("seen by several sensors ", 40) + `"`
	for from := 1; from < 4000; from += 1000 {
		var some []string
		for i := range 1000 {
			some = append(some, indicator(from+i, 0, filler))
		}
		vendor.push(c, some...)
	}
	dates := vendor.manifest(c, "limit=20")
	page := func(i int) string { return c + "objects/?limit=3900&added_after=" + dates[i].DateAdded }
	want := string(vendor.get(page(0)).want(200).body)
	vendor.get(page(0)).want(200) // from now on it is kept

	slow, err := http.NewRequest("GET", w.server.URL+page(0), nil)
	if err != nil {
		t.Fatal(err)
	}
	slow.Header.Set("Authorization", "Bearer "+vendor.token)
	line := &http.Transport{DisableCompression: true, DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := (&net.Dialer{}).DialContext(ctx, network, address)
		if err == nil {
			err = c.(*net.TCPConn).SetReadBuffer(64 << 10)
		}
		return c, err
	}}
	defer line.CloseIdleConnections()
	response, err := line.RoundTrip(slow)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	for i := range 10 {
		vendor.get(page(1 + i)).want(200)
		vendor.get(page(1 + i)).want(200)
	}
	got, err := io.ReadAll(response.Body)
	if err != nil || string(got) != want {
		t.Errorf("%d bytes and %v, want the page of %d bytes", len(got), err, len(want))
	}
	if again := string(vendor.get(page(0)).want(200).body); again != want {
		t.Error("asked again, it is another page")
	}
}

// gatedStore gives pages that were read one by one, and tells of each.
type gatedStore struct {
	store.Store
	entered chan string // accounts
	pass    chan struct{}
}

func (s *gatedStore) Scan(ctx context.Context, g exchange.Grant, q store.Query) (*store.Page, error) {
	page, err := s.Store.Scan(ctx, g, q)
	s.entered <- g.Principal().Account
	<-s.pass
	return page, err
}

// Callers who ask for the same page at once get it from one read of the store, and
// each is on record; a push that ends before a caller asks is in the page.
func TestPageAskedByManyAtOnceIsReadOnce(t *testing.T) {
	s := &gatedStore{entered: make(chan string, 100), pass: make(chan struct{}, 100)}
	w := newWorld(t, heldWorld, func(w *world) { w.faults = func(inner store.Store) store.Store { s.Store = inner; return s } })
	c := w.collection("held.in")
	vendor := w.as("vendor/feed")
	vendor.push(c, indicators(1, 5)...)
	accounts := []string{"bureau/soc", "bureau/second", "bureau/soc"}
	got := make(chan *answer)
	ask := func() {
		for _, account := range accounts {
			go func() { got <- w.as(account).get(c + "objects/?limit=5") }()
		}
	}
	ask()
	<-s.entered
	time.Sleep(50 * time.Millisecond) // until the others wait
	s.pass <- struct{}{}
	for range accounts {
		if a := <-got; len(a.want(200).objects()) != 5 {
			t.Errorf("%s", a)
		}
	}
	if n := len(s.entered); n > 0 {
		t.Errorf("read %d times more", n)
	}
	readers := map[string]bool{}
	for _, e := range w.entries(audit.Delivery) {
		readers[e.Account] = true
	}
	if len(readers) != 2 {
		t.Errorf("on record: %v", readers)
	}

	// A read that began before a push does not answer requests that came after the push.
	slow := make(chan *answer)
	target := c + "objects/?limit=50"
	go func() { slow <- w.as("bureau/soc").get(target) }()
	<-s.entered
	vendor.push(c, indicator(9, 0))
	late := make(chan *answer)
	go func() { late <- w.as("bureau/second").get(target) }()
	time.Sleep(50 * time.Millisecond)
	for range 2 {
		s.pass <- struct{}{}
	}
	(<-slow).want(200)
	if a := <-late; len(a.want(200).objects()) != 6 {
		t.Errorf("%s, want the object that was pushed before", a)
	}
}
