package feed_test

import (
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"comity/taxii/audit"
	"comity/taxii/exchange"
)

// Several products keep only the date of the list they have, in whole seconds. So two
// contents never have the same date.
func TestNoChangeIsMissedByADate(t *testing.T) {
	w := newWorld(t, "")
	w.subscribe("block", "block", empty)
	held := w.get("block", "ipv4.txt") // what a product that asks with If-Modified-Since holds
	refresh := func() {
		t.Helper()
		got := w.get("block", "ipv4.txt", "If-Modified-Since", held.header.Get("Last-Modified"))
		if got.status == http.StatusNotModified {
			got = held
		}
		if want := w.get("block", "ipv4.txt"); got.body != want.body {
			t.Fatalf("at %s: it keeps %q, the list is %q", w.now(), got.body, want.body)
		}
		held = got
	}
	steps := []time.Duration{0, 100 * time.Millisecond, 900 * time.Millisecond, 999 * time.Millisecond, time.Millisecond, time.Second, 3 * time.Second}
	for i := range 40 {
		if i%3 != 0 {
			w.push("fir", indicator(i, address("203.0.114."+string(rune('0'+i%10))), ""))
		}
		refresh()
		w.move(steps[i%len(steps)])
		refresh()
	}
	w.move(2 * time.Second)
	refresh()
	if got := w.get("block", "ipv4.txt", "If-Modified-Since", held.header.Get("Last-Modified")); got.status != http.StatusNotModified {
		t.Errorf("an unchanged list: %d", got.status)
	}
}

// freshclam keeps the time of its own download rather than the date of the list, and drops
// an answer whose date is not later.
func TestAProductMayDateItsCopyByItsOwnClock(t *testing.T) {
	w := newWorld(t, "")
	w.subscribe("block", "block", empty)
	w.move(time.Second)
	w.get("block", "ipv4.txt")
	downloaded := w.now().Truncate(time.Second)
	w.push("fir", indicator(1, address("203.0.114.1"), ""))
	w.move(time.Second)
	got := w.get("block", "ipv4.txt", "If-Modified-Since", downloaded.Format(http.TimeFormat))
	if at, err := http.ParseTime(got.header.Get("Last-Modified")); got.status != http.StatusOK || err != nil || !at.After(downloaded) {
		t.Errorf("a list that changed in the second %s, after its download: %d, of %s", downloaded, got.status, at)
	}
}

func TestTheDateOfAListNeverGoesBack(t *testing.T) {
	w := newWorld(t, "")
	w.subscribe("block", "block", empty)
	last := time.Time{}
	check := func(what string) {
		t.Helper()
		at, err := http.ParseTime(w.get("block", "ipv4.txt").header.Get("Last-Modified"))
		w.must(err)
		if at.Before(last) || at.After(w.now()) {
			t.Errorf("%s: %s after %s, now %s", what, at, last, w.now())
		}
		last = at
	}
	check("at first")
	w.push("fir", indicator(1, address("203.0.114.1"), ""))
	check("after a push")
	w.move(5 * time.Second)
	check("later")
	w.remove("fir", 1, "")
	w.move(5 * time.Second)
	check("after a removal")
	w.serve()
	check("after a restart")
}

func TestATagIsTheSameForTheSameEntries(t *testing.T) {
	w := newWorld(t, "")
	w.subscribe("block", "block", empty)
	w.push("fir", indicator(1, address("203.0.114.1"), ""), indicator(2, address("203.0.114.2"), ""))
	tag := w.get("block", "ipv4.txt").header.Get("ETag")
	if got := w.get("block", "ipv4.txt", "If-None-Match", `"x", W/`+tag); got.status != http.StatusNotModified || got.body != "" {
		t.Errorf("the same list: %d", got.status)
	}
	w.push("elm", indicator(3, address("203.0.114.3"), ""))
	w.move(time.Second)
	if got := w.get("block", "ipv4.txt", "If-None-Match", tag, "If-Modified-Since", w.now().Format(http.TimeFormat)); got.status != http.StatusOK {
		t.Errorf("another list: %d", got.status)
	}
	w.remove("elm", 3, "")
	w.serve()
	if got := w.get("block", "ipv4.txt", "If-None-Match", tag); got.status != http.StatusNotModified {
		t.Errorf("the list of before, after a restart: %d, tag %s and not %s", got.status, got.header.Get("ETag"), tag)
	}
	if w.get("block", "ipv4.json").header.Get("ETag") == tag || w.get("block", "ipv4.txt?n=1").header.Get("ETag") == tag {
		t.Error("another file has the same tag")
	}
}

func TestHEADHasTheHeadersOfGET(t *testing.T) {
	w := newWorld(t, "")
	w.subscribe("block", "block", "")
	w.push("fir", indicator(1, address("203.0.114.1"), ""))
	for _, file := range []string{"ipv4.txt", "ipv4.txt.md5", "all.json"} {
		path := "/igci/x-feeds/f-block/" + file
		got, head := w.do("GET", "block", path), w.do("HEAD", "block", path)
		for _, h := range []http.Header{got.header, head.header} {
			h.Del("Date")
		}
		if head.status != http.StatusOK || head.body != "" || len(got.header) != len(head.header) {
			t.Errorf("%s: %d %q", file, head.status, head.body)
		}
		for name := range got.header {
			if got.header.Get(name) != head.header.Get(name) {
				t.Errorf("%s: %s is %q for HEAD, %q for GET", file, name, head.header.Get(name), got.header.Get(name))
			}
		}
		if got := w.do("HEAD", "block", path, "If-None-Match", got.header.Get("ETag")); got.status != http.StatusNotModified {
			t.Errorf("%s: HEAD of what is known: %d", file, got.status)
		}
	}
}

func TestChecksumsAreThoseOfTheFile(t *testing.T) {
	w := newWorld(t, "")
	w.subscribe("block", "block", "")
	w.push("fir", indicator(1, address("203.0.114.1"), ""))
	body := []byte(w.get("block", "ipv4.txt").body)
	five, two := md5.Sum(body), sha256.Sum256(body)
	if got := w.get("block", "ipv4.txt.md5").body; got != hex.EncodeToString(five[:])+"\n" {
		t.Errorf("MD5 %q", got)
	}
	if got := w.get("block", "ipv4.txt.sha256").body; got != hex.EncodeToString(two[:])+"\n" {
		t.Errorf("SHA-256 %q", got)
	}
}

func TestGzipIsSentOnlyToThoseThatNameIt(t *testing.T) {
	w := newWorld(t, "")
	w.subscribe("block", "block", "")
	w.push("fir", indicator(1, address("203.0.114.1"), ""))
	plain := w.get("block", "ipv4.txt", "Accept-Encoding", "*")
	packed := w.get("block", "ipv4.txt", "Accept-Encoding", "gzip, br")
	if plain.header.Get("Content-Encoding") != "" || packed.header.Get("Content-Encoding") != "gzip" || !strings.HasPrefix(packed.body, "\x1f\x8b") {
		t.Errorf("codings %q and %q", plain.header.Get("Content-Encoding"), packed.header.Get("Content-Encoding"))
	}
	if got := w.get("block", "ipv4.txt", "Accept-Encoding", "br, gzip;q=0"); got.header.Get("Content-Encoding") != "" {
		t.Error("gzip is sent to one that refuses it")
	}
	if plain.header.Get("ETag") == packed.header.Get("ETag") {
		t.Error("both have the same tag")
	}
}

// A script checks the list that it got, and suricata-update fetches the list whose checksum it
// got. What left must be gone from the next list all the same.
func TestAClientGetsTheChecksumOfTheListThatItGot(t *testing.T) {
	md5Of := func(body string) string { return fmt.Sprintf("%x\n", md5.Sum([]byte(body))) }
	for _, file := range []string{"ipv4.txt", "ipv4.nft"} {
		w := newWorld(t, "")
		w.subscribe("block", "block", empty)
		w.push("fir", indicator(1, address("203.0.114.1"), ""))
		list := w.get("block", file)
		w.push("fir", indicator(2, address("203.0.114.2"), ""))
		w.move(pinned)
		w.catchUp()
		sum := w.get("block", file+".md5")
		if sum.body != md5Of(list.body) {
			t.Errorf("%s: the checksum is of another list", file)
		}
		w.push("fir", indicator(3, address("203.0.114.3"), ""))
		if got := w.get("block", file); got.body != list.body || got.header.Get("ETag") != list.header.Get("ETag") {
			t.Errorf("%s: after its checksum the list is %s", file, got.body)
		}
		newest := w.get("block", file)
		if strings.Count(newest.body, "203.0.114.") != 3 {
			t.Errorf("%s: the next list is %s", file, newest.body)
		}
		w.remove("fir", 3, "")
		if got := w.get("block", file+".md5"); got.body == md5Of(newest.body) {
			t.Errorf("%s: the checksum is of a list that has what was removed", file)
		}
		w.push("fir", indicator(4, address("203.0.114.4"), ""))
		w.move(pinned + time.Second)
		if got := w.get("block", file); !strings.Contains(got.body, "203.0.114.4") {
			t.Errorf("%s: later the list is %s", file, got.body)
		}
	}
}

// pinned is how long a list and its checksum are of one version.
const pinned = time.Minute

func TestAPartOfAListCanBeAskedFor(t *testing.T) {
	w := newWorld(t, "")
	w.subscribe("block", "block", "")
	w.push("fir", indicator(1, address("203.0.114.1"), ""), indicator(2, address("203.0.114.2"), ""), indicator(3, address("203.0.114.3"), ""),
		indicator(4, "[domain-name:value = 'a.example.org']", ""))
	w.lists("block", "ipv4.txt?n=2", "203.0.114.1", "203.0.114.2")
	w.lists("block", "ipv4.txt?start=2&n=2", "203.0.114.3")
	w.lists("block", "ipv4.txt?start=3")
	w.lists("block", "domain.txt?start=0&n=1", "a.example.org")
}

// Two exchanges, of which one also has objects that the account may not see: every byte and
// every header of its feeds is equal.
func TestHiddenObjectsChangeNoByte(t *testing.T) {
	red := `,"object_marking_refs":["marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1"]`
	papRed := `,"object_marking_refs":["marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb","marking-definition--740d36e5-7714-4c30-961a-3ae632ceee0e"]`
	plain, hiding := newWorld(t, ""), newWorld(t, "")
	compare := func(step string) { t.Helper(); plain.compare(hiding, "block", step) }
	both := func(do func(*world)) { do(plain); do(hiding) }
	both(func(w *world) { w.subscribe("block", "block", empty) })
	hiding.push("fir", indicator(90, address("203.0.114.90"), red), indicator(91, address("203.0.114.91"), papRed))
	both(func(w *world) { w.move(3 * time.Second) })
	compare("at first")
	streams := map[*world]*subscription{plain: plain.stream("block", ""), hiding: hiding.stream("block", "")}
	told := func(events ...string) { both(func(w *world) { w.catchUp(); streams[w].wants(events...) }) }
	told("reset")
	both(func(w *world) {
		w.push("fir", indicator(1, address("203.0.114.1"), ""), indicator(2, "[domain-name:value = 'a.example.org']", ""))
	})
	compare("after a push")
	told("add 203.0.114.1", "add a.example.org")
	both(func(w *world) { w.move(3 * time.Second) })
	hiding.push("elm", indicator(92, address("203.0.114.1"), red), indicator(93, address("203.0.114.1"), `,"indicator_types":["benign"]`+red))
	compare("after a hidden push of the same value")
	hiding.remove("fir", 90, "")
	both(func(w *world) { w.move(2 * time.Second) })
	compare("after a hidden removal")
	both(func(w *world) { w.catchUp(); w.remove("fir", 1, "") })
	compare("after a removal")
	told("remove 203.0.114.1")
	both(func(w *world) { w.move(2 * time.Second) })
	hiding.erase("fir", audit.Withdrawal, 0)
	compare("after a hidden withdrawal")
	if got, want := streams[hiding].got, streams[plain].got; !slices.Equal(got, want) {
		t.Errorf("the stream tells %+v, and %+v without hidden objects", got, want)
	}
}

// compare compares every file of the feed of an account with that of another exchange.
func (w *world) compare(other *world, account, step string) {
	w.Helper()
	files := []string{"", "ipv4.txt.md5", "ipv4.txt?comments=1", "all.json?since=", "domain.txt?since=", "misp/hashes.csv", "v1/decisions/stream?startup=true", "v1/decisions/stream"}
	for _, f := range w.page(account).Files {
		_, file, _ := strings.Cut(f.URL, "/x-feeds/f-"+account+"/")
		files = append(files, file)
	}
	other.misp(account)
	for _, e := range w.misp(account) {
		files = append(files, "misp/"+e.UUID+".json")
	}
	for _, file := range files {
		a, b := w.withoutFailures(account, file), other.withoutFailures(account, file)
		for _, h := range []http.Header{a.header, b.header} {
			h.Del("Date")
		}
		if a.status != b.status || a.body != b.body || !equalHeaders(a.header, b.header) {
			w.Errorf("%s, %s:\n%d %v %q\n%d %v %q", step, file, a.status, a.header, a.body, b.status, b.header, b.body)
		}
	}
}

// withoutFailures gets a file of the feed of an account. The page counts the requests that were
// refused since the machine was too busy, which this leaves out.
func (w *world) withoutFailures(account, file string) answer {
	got := w.get(account, file)
	got.body = failures.ReplaceAllString(got.body, "")
	return got
}

var failures = regexp.MustCompile(`"failures":\{[^}]*\},?`)

// letter is one by which ncb-kh lets a team of its country read what it reads itself in pool.
const letter = `
format = "exchange-agreement/1"
kind = "reader-letter"
id = "letter"
version = 1
title = "Letter"
article = [{ n = "1", heading = "Reader", binding = true, text = "The team reads the collections of the pool in 2026, up to TLP:AMBER." }]
[term]
article = "1"
effective = 2026-01-01T00:00:00Z
expires = 2027-01-01T00:00:00Z
[[party]]
article = "1"
org = "ncb-kh"
role = "bureau"
kind = "national-bureau"
[[participant]]
article = "1"
role = "reader"
kind = "soc"
orgs = ["soc-kh"]
under = "pool"
[purpose]
article = "1"
categories = ["cybercrime"]
[[flow]]
article = "1"
name = "intel"
from = ["ncb-kh"]
to = ["each"]
[handling]
article = "1"
tlp_max = { intel = "amber" }
`

// A bureau lets a team of its country read by a letter. AMBER+STRICT stays with the bureau, and
// no byte, count, serial, tag or date of a feed of the team tells that there is any.
func TestAFeedByALetterEndsAtAmber(t *testing.T) {
	amber := `,"object_marking_refs":["marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421"]`
	strict := `,"object_marking_refs":["marking-definition--939a9414-2ddd-4d32-a0cd-375ea402b003"]`
	plain, hiding := newWorld(t, ""), newWorld(t, "")
	both := func(do func(*world)) { do(plain); do(hiding) }
	both(func(w *world) {
		w.amend(func(d *exchange.Directory) error {
			d.Organisations["soc-kh"] = &exchange.Organisation{ID: "soc-kh", Kind: "soc", Name: "The team", Country: "KH", Parent: "ncb-kh", Added: noon}
			w.account(d, "soc-kh", "team", "block")
			return nil
		})
		w.deposit(letter)
		w.subscribe("block", "block", empty)
		source := strings.NewReplacer("f-block", "f-team", "ncb-kh/block", "soc-kh/team").Replace(w.source("block"))
		w.amend(func(d *exchange.Directory) error {
			return d.PutFeed(exchange.Feed{ID: "f-team", Account: "soc-kh/team", Use: "block", Source: source, Added: noon}, true)
		})
		w.push("fir", indicator(1, address("203.0.114.1"), amber), indicator(2, address("203.0.114.2"), ""))
	})
	compare := func(step string) { t.Helper(); plain.compare(hiding, "team", step) }
	hiding.push("fir", indicator(3, address("203.0.114.3"), strict), indicator(4, address("203.0.114.2"), strict+`,"indicator_types":["benign"]`))
	compare("at first")
	both(func(w *world) { w.lists("team", "ipv4.txt", "203.0.114.1", "203.0.114.2") })
	hiding.lists("block", "ipv4.txt", "203.0.114.1", "203.0.114.3")
	both(func(w *world) { w.move(3 * time.Second) })
	hiding.remove("fir", 3, "")
	compare("after a hidden removal")
	hiding.push("elm", indicator(5, address("203.0.114.5"), strict))
	both(func(w *world) { w.push("elm", indicator(6, address("203.0.114.6"), amber)); w.move(3 * time.Second) })
	compare("after pushes")
	hiding.move(pinned + time.Second)
	hiding.lists("team", "ipv4.txt", "203.0.114.1", "203.0.114.2", "203.0.114.6")
}

// source is the file of the feed of an account of the bureau.
func (w *world) source(account string) string {
	w.Helper()
	d, _, err := w.store.Directory(w.Context())
	w.must(err)
	return d.Feeds["ncb-kh/f-"+account].Source
}

func equalHeaders(a, b http.Header) bool {
	if len(a) != len(b) {
		return false
	}
	for name := range a {
		if strings.Join(a[name], "\n") != strings.Join(b[name], "\n") {
			return false
		}
	}
	return true
}
