package feed_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"comity/taxii/exchange"
)

// changes is an answer to ?since=.
type changes struct {
	Full        bool
	Add, Remove []struct {
		Kind, Value string
		Indicators  []string
	}
	Cursor string
}

// since asks for what changed in a file since a cursor.
func (w *world) since(file, cursor string) (c changes) {
	w.Helper()
	got := w.get("block", file+"?since="+url.QueryEscape(cursor))
	if got.status != http.StatusOK || json.Unmarshal([]byte(got.body), &c) != nil {
		w.Fatalf("%s since %q: %d %s", file, cursor, got.status, got.body)
	}
	return c
}

// values are the values that came and those that left, with the signs of the text form.
func (c changes) values() (list []string) {
	for _, e := range c.Remove {
		list = append(list, "-"+e.Value)
	}
	for _, e := range c.Add {
		list = append(list, "+"+e.Value)
	}
	return list
}

func TestAScriptCanAskWhatHasChanged(t *testing.T) {
	w := newWorld(t, "")
	w.subscribe("block", "block", "")
	w.push("fir", indicator(1, address("203.0.114.1"), ""), indicator(2, address("203.0.114.2"), ""), indicator(3, "[domain-name:value = 'bad.example.org']", ""))
	first := w.since("ipv4.json", "")
	if want := []string{"+203.0.114.1", "+203.0.114.2"}; !first.Full || !slices.Equal(first.values(), want) {
		t.Errorf("at first: %+v, want %v", first, want)
	}
	if c := w.since("ipv4.json", first.Cursor); c.Full || c.values() != nil || c.Cursor != first.Cursor {
		t.Errorf("without a change: %+v", c)
	}
	w.remove("fir", 1, "")
	w.push("fir", indicator(4, address("203.0.114.4"), ""), indicator(5, "[domain-name:value = 'worse.example.org']", ""))
	c := w.since("ipv4.json", first.Cursor)
	if want := []string{"-203.0.114.1", "+203.0.114.4"}; c.Full || !slices.Equal(c.values(), want) || len(c.Add[0].Indicators) != 1 || c.Remove[0].Kind != "ipv4" {
		t.Errorf("after changes: %+v, want %v", c, want)
	}
	got := w.get("block", "ipv4.txt?since="+url.QueryEscape(first.Cursor))
	if got.body != "-203.0.114.1\n+203.0.114.4\n" || got.header.Get("X-Feed-Full") != "false" || got.header.Get("X-Feed-Cursor") != c.Cursor {
		t.Errorf("as text: %q %v", got.body, got.header)
	}
	if c := w.since("all.json", "of somebody else"); !c.Full || len(c.Add) != 4 {
		t.Errorf("an unknown cursor: %+v", c)
	}
}

// What is listed behind a network is named when it comes and when it goes, although the
// list itself leaves it out.
func TestChangesAreThoseOfTheEntriesNotOfTheMergedList(t *testing.T) {
	w := newWorld(t, "")
	w.subscribe("block", "block", "[entries]\nmax = 1\n")
	w.push("fir", indicator(1, address("203.0.114.0/24"), ""), indicator(2, address("203.0.114.2"), ""))
	w.lists("block", "ipv4.txt", "203.0.114.0/24")
	first := w.since("ipv4.json", "")
	if want := []string{"+203.0.114.0/24", "+203.0.114.2"}; !slices.Equal(first.values(), want) {
		t.Errorf("%v, want %v", first.values(), want)
	}
	w.remove("fir", 1, "")
	if c := w.since("ipv4.json", first.Cursor); !slices.Equal(c.values(), []string{"-203.0.114.0/24"}) {
		t.Errorf("the network left: %v", c.values())
	}
}

func TestChangesAreOnlyOfWholeListsThatCanTellThem(t *testing.T) {
	w := newWorld(t, "")
	w.subscribe("block", "block", "")
	w.push("fir", indicator(1, address("203.0.114.1"), ""))
	for _, file := range []string{"ipv4.csv?since=", "ipv4.txt.md5?since=", "ipv4.txt?since=&n=3", "ipv4.json?since=x&start=1"} {
		if got := w.get("block", file); got.status != http.StatusBadRequest || !strings.Contains(got.body, "since") {
			t.Errorf("%s: %d %q", file, got.status, got.body)
		}
	}
	if got := w.do("GET", "other", "/igci/x-feeds/f-block/ipv4.json?since="); got.status != http.StatusNotFound {
		t.Errorf("of another account: %d", got.status)
	}
	if got := w.do("HEAD", "block", "/igci/x-feeds/f-block/ipv4.json?since="); got.status != http.StatusOK || got.header.Get("X-Feed-Cursor") == "" {
		t.Errorf("HEAD: %d %v", got.status, got.header)
	}
	w.remove("fir", 1, "")
	if got := w.get("block", "ipv4.json?since="); got.status != http.StatusServiceUnavailable {
		t.Errorf("a feed that may not be empty: %d", got.status)
	}
}

// When access ends, those who ask for changes are told to let go of everything.
func TestAtTheEndOfAccessEverythingIsRemoved(t *testing.T) {
	w := newWorld(t, "")
	w.subscribe("block", "block", "")
	w.push("fir", indicator(1, address("203.0.114.1"), ""))
	first := w.since("ipv4.json", "")
	w.suspend()
	if c := w.since("ipv4.json", first.Cursor); c.Full || !slices.Equal(c.values(), []string{"-203.0.114.1"}) {
		t.Errorf("%+v", c)
	}
}

// suspend ends all access under the agreement for the time being.
func (w *world) suspend() {
	w.Helper()
	w.amend(func(d *exchange.Directory) error {
		d.Agreements["pool"].Acts = append(d.Agreements["pool"].Acts, exchange.Act{Kind: exchange.Suspend, At: w.now(), Reason: "a test"})
		return nil
	})
	w.move(time.Second)
}

// Whatever a client sends as a cursor, it gets either all entries, or changes that lead to
// them from some state that the feed had.
func FuzzSince(f *testing.F) {
	w := newWorld(f, "")
	w.subscribe("block", "block", "")
	w.push("fir", indicator(1, address("203.0.114.1"), ""))
	first := w.open()
	w.push("fir", indicator(2, address("203.0.114.2"), ""))
	w.remove("fir", 1, "")
	last := w.open()
	id, _, _ := strings.Cut(first.Cursor(), ".")
	for _, seed := range []string{"", ".", first.Cursor(), last.Cursor(), id + ".-1", id + ".99999999999999999999", id + ".1.1", id + ".+1", id + ".01", "\x00", id} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, cursor string) {
		d := last.Since(cursor)
		if d.Cursor != last.Cursor() {
			t.Errorf("%q leads to %q", cursor, d.Cursor)
		}
		if !d.Full && !strings.HasPrefix(cursor, id+".") {
			t.Errorf("%q is no cursor of this feed, and gives changes", cursor)
		}
		if d.Full && len(added(d)) != 1 || len(added(d))+len(d.Remove) > 2 {
			t.Errorf("%q gives %+v", cursor, d)
		}
	})
}
