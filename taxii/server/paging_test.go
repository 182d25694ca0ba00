package server_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"comity/taxii"
)

func TestWalkGivesEachEntryOnceInTheOrderOfThePush(t *testing.T) {
	w := newWorld(t)
	c := w.collection("sharing.reports")
	vendor := w.as("vendor/feed")
	want := names(indicators(1, 23))
	vendor.push(c, indicators(1, 23)...)
	for _, limit := range []int{1, 2, 7, 22, 23, 24, 1000} {
		pages := vendor.walk(c+"objects/", fmt.Sprint("limit=", limit))
		var got []string
		for i, page := range pages {
			ids := page.ids()
			got = append(got, ids...)
			if e := page.envelope(); len(ids) > limit || len(ids) == 0 || e.More != (i < len(pages)-1) || e.More != (e.Next != "") {
				t.Errorf("limit %d, page %d: %d objects, more %t, next %q", limit, i, len(ids), e.More, e.Next)
			}
		}
		if !slices.Equal(got, want) || len(pages) != (23+limit-1)/limit {
			t.Errorf("limit %d: %d pages, %q", limit, len(pages), got)
		}
	}
}

var nextForm = regexp.MustCompile(`^[A-Za-z0-9_.~-]{1,199}$`)

func TestNextIsShortAndSafeInURLs(t *testing.T) {
	w := newWorld(t)
	c := w.collection("sharing.reports")
	vendor := w.as("vendor/feed")
	vendor.push(c, indicator(1, 0), indicator(1, 1), indicator(1, 2), indicator(2, 0))
	long := id("indicator", 1)
	for n := range 100 {
		long += "," + id("indicator", 100-n)
	}
	for _, query := range []string{"", "match[type]=indicator", "match[version]=all&match[type]=indicator,tool,ipv4-addr&match[spec_version]=2.1", "match[version]=all&match[id]=" + long} {
		for _, list := range lists(c) {
			if e := vendor.get(list + "?limit=1&" + query).want(200).envelope(); e.More && !nextForm.MatchString(e.Next) {
				t.Errorf("%s: next %q", list, e.Next)
			}
		}
	}
}

// Some clients follow with next alone, some repeat the query, some change the
// limit.
func TestNextCarriesTheQuery(t *testing.T) {
	w := newWorld(t)
	c := w.collection("sharing.reports")
	vendor := w.as("vendor/feed")
	vendor.push(c, indicator(1, 0), address(1), indicator(1, 1), address(2), indicator(2, 0), address(3), indicator(3, 0))
	start := vendor.get(c + "objects/").first()
	query := "match[type]=indicator&match[version]=all&added_after=" + start
	want := []string{id("indicator", 1) + " " + stamp(1), id("indicator", 2) + " " + stamp(0), id("indicator", 3) + " " + stamp(0)}
	for name, follow := range map[string]string{"alone": "", "with the query": "&" + query, "with another limit": "&limit=2", "without": "&limit=1"} {
		for _, list := range []string{"objects/", "manifest/"} {
			target := c + list + "?limit=1&" + query
			var got []string
			for target != "" {
				page := vendor.get(target).want(200)
				if list == "objects/" {
					got = append(got, page.ids()...)
				} else {
					for _, record := range decode[taxii.Manifest](page).Objects {
						got = append(got, record.ID+" "+record.Version)
					}
				}
				next := page.envelope().Next
				if target = ""; next != "" {
					target = c + list + "?next=" + next + follow
				}
			}
			// The first indicator's first version was added at start: exclusive.
			if !slices.Equal(got, want) {
				t.Errorf("%s, %s: %q, want %q", list, name, got, want)
			}
		}
	}
}

func TestParametersBesideNextWin(t *testing.T) {
	w := newWorld(t)
	c := w.collection("sharing.reports")
	vendor := w.as("vendor/feed")
	vendor.push(c, indicator(1, 0), address(1), indicator(2, 0), address(2), indicator(3, 0), address(3))
	first := vendor.get(c + "objects/?limit=1&match[type]=indicator")
	next := first.envelope().Next
	if got := vendor.get(c + "objects/?match[type]=ipv4-addr&next=" + next).want(200).ids(); len(got) != 3 || !strings.HasPrefix(got[0], "ipv4-addr") {
		t.Errorf("another filter beside next: %q", got)
	}
	// The position is the later one of next and added_after.
	dates := vendor.manifest(c, "")
	if got := vendor.get(c + "objects/?added_after=" + dates[2].DateAdded + "&next=" + next).want(200).ids(); !slices.Equal(got, []string{id("indicator", 3) + " " + stamp(0)}) {
		t.Errorf("a later added_after beside next: %q", got)
	}
	if got := vendor.get(c + "objects/?added_after=1970-01-01T00:00:00Z&next=" + next).want(200).ids(); len(got) != 2 {
		t.Errorf("an earlier added_after beside next: %q", got)
	}
	if got := vendor.get(c + "objects/?added_after=" + first.last() + "&next=" + next).want(200).ids(); len(got) != 2 {
		t.Errorf("the Last header beside next: %q", got)
	}
}

func TestNextCanBeUsedAgainAtAnyTime(t *testing.T) {
	w := newWorld(t)
	c := w.collection("sharing.reports")
	vendor := w.as("vendor/feed")
	vendor.push(c, indicators(1, 6)...)
	next := vendor.get(c + "objects/?limit=2").envelope().Next
	want := vendor.get(c + "objects/?limit=2&next=" + next).want(200)
	again := func(when string) {
		t.Helper()
		if got := w.as("vendor/feed").get(c + "objects/?limit=2&next=" + next).want(200); string(got.body) != string(want.body) {
			t.Errorf("%s: %s\nwant %s", when, got, want)
		}
	}
	again("at once")
	w.clock.move(1000 * 3600 * 1e9)
	again("weeks later")
	w.restart()
	again("after a restart")
	// It is a position: it outlives the entry it points at, and goes on with
	// what is added later.
	vendor = w.as("vendor/feed")
	end := vendor.get(c + "objects/?limit=5").envelope().Next
	vendor.delete(c + "objects/" + id("indicator", 5) + "/").want(200)
	vendor.delete(c + "objects/" + id("indicator", 6) + "/").want(200)
	vendor.push(c, indicator(7, 0))
	if got := vendor.get(c + "objects/?next=" + end).want(200).ids(); !slices.Equal(got, []string{id("indicator", 7) + " " + stamp(0)}) {
		t.Errorf("%q", got)
	}
}

func TestInventedNextIs400(t *testing.T) {
	w := newWorld(t)
	c := w.collection("sharing.reports")
	vendor := w.as("vendor/feed")
	vendor.push(c, indicator(1, 0), indicator(1, 1), indicator(1, 2))
	next := vendor.get(c + "objects/?limit=1&match[version]=all").envelope().Next
	bent := []byte(next)
	bent[5] ^= 1
	for _, value := range []string{"AAAA", "-1", "0", "1", "null", "%00", next[1:], next[:len(next)-1], next + "A", next + next, next + "%3D", string(bent), strings.Repeat("A", 5000), "..", "%27"} {
		for _, list := range lists(c) {
			vendor.get(list + "?next=" + value).refused(400)
		}
	}
	vendor.get(c + "objects/?next=" + next + "&next=" + next).refused(400)
}

func TestNextOfAnotherCollectionStartsThisOne(t *testing.T) {
	w := newWorld(t)
	reports, ledger := w.collection("sharing.reports"), w.collection("sharing.ledger")
	vendor := w.as("vendor/feed")
	vendor.push(ledger, indicators(11, 3)...)
	w.clock.move(3600 * 1e9)
	vendor.push(reports, indicators(1, 3)...)
	next := vendor.get(reports + "objects/?limit=2").envelope().Next
	if got := vendor.get(ledger + "objects/?next=" + next).want(200).ids(); !slices.Equal(got, names(indicators(11, 3))) {
		t.Errorf("%q", got)
	}
	// It reveals nothing of the other collection to a caller without access to that.
	w.as("rival/feed").get(reports + "objects/?next=" + next).refused(404)
	if a := w.as("rival/feed").get(w.collection("bounded.in") + "objects/?next=" + next).want(200); string(a.body) != "{}" {
		t.Errorf("%s", a)
	}
	// A cursor of one list is good in another of the same collection.
	if got := decode[taxii.Manifest](vendor.get(reports + "manifest/?next=" + next).want(200)).Objects; len(got) != 1 || got[0].ID != id("indicator", 3) {
		t.Errorf("%+v", got)
	}
}

func TestNextCarriesNoRight(t *testing.T) {
	w := newWorld(t)
	c := w.collection("sharing.reports")
	vendor, soc := w.as("vendor/feed"), w.as("bureau/soc")
	vendor.push(c, indicator(1, 0), indicator(2, 0, marked(red)), indicator(3, 0), indicator(4, 0, marked(red)))
	next := vendor.get(c + "objects/?limit=1").envelope().Next
	if got := vendor.get(c + "objects/?next=" + next).want(200).ids(); len(got) != 3 {
		t.Errorf("the vendor: %q", got)
	}
	if got := soc.get(c + "objects/?next=" + next).want(200).ids(); !slices.Equal(got, []string{id("indicator", 3) + " " + stamp(0)}) {
		t.Errorf("another party with the vendor's next: %q", got)
	}
	w.as("stranger/lone").get(c + "objects/?next=" + next).refused(404)
	w.nobody().get(c + "objects/?next=" + next).refused(401)
}

func TestPageEndsWhereTheEntriesEnd(t *testing.T) {
	w := newWorld(t)
	c := w.collection("sharing.reports")
	vendor, soc := w.as("vendor/feed"), w.as("bureau/soc")
	vendor.push(c, indicator(1, 0), address(1), indicator(2, 0), address(2), indicator(3, 0, marked(red)))
	for _, tt := range []struct {
		c     *client
		query string
		want  int
	}{
		{vendor, "limit=5", 5}, {soc, "limit=4", 4}, {soc, "limit=2&match[type]=indicator", 2}, {vendor, "limit=2&match[type]=ipv4-addr", 2}, {soc, "", 4},
	} {
		for _, list := range []string{"objects/", "manifest/"} {
			a := tt.c.get(c + list + "?" + tt.query).want(200)
			if e := a.envelope(); len(e.Objects) != tt.want || e.More || e.Next != "" {
				t.Errorf("%s: %d entries, more %t, next %q, want %d and no more", a.request, len(e.Objects), e.More, e.Next, tt.want)
			}
		}
	}
}

// Filters are applied before the page is cut, so no page is thin while more
// exist.
func TestFilteredPagesAreFull(t *testing.T) {
	w := newWorld(t)
	c := w.collection("sharing.reports")
	vendor, soc := w.as("vendor/feed"), w.as("bureau/soc")
	var list []string
	for n := range 60 {
		label := red
		if n%10 == 0 {
			label = green
		}
		list = append(list, indicator(n, 0, marked(label)), address(n))
	}
	vendor.push(c, list...)
	for _, tt := range []struct {
		c     *client
		query string
		want  int
	}{
		{soc, "match[type]=indicator&limit=4", 6}, {vendor, "match[type]=indicator&limit=7", 60}, {soc, "match[type]=indicator,tool&limit=3", 6},
	} {
		pages := tt.c.walk(c+"objects/", tt.query)
		total := 0
		for i, page := range pages {
			n := len(page.objects())
			total += n
			if i < len(pages)-1 && fmt.Sprint(n) != parameter(tt.query, "limit") {
				t.Errorf("%s: %d objects", page.request, n)
			}
		}
		if total != tt.want {
			t.Errorf("%s: %d objects, want %d", tt.query, total, tt.want)
		}
	}
}

func TestWalkByTheLastHeaderLosesNothing(t *testing.T) {
	w := newWorld(t)
	c := w.collection("sharing.reports")
	vendor := w.as("vendor/feed")
	vendor.push(c, indicators(1, 1000)...)
	for _, limit := range []int{50, 999, 7} {
		var got []string
		after := "1970-01-01T00:00:00Z"
		for {
			page := vendor.get(fmt.Sprintf("%sobjects/?limit=%d&added_after=%s", c, limit, after)).want(200)
			if len(page.envelope().Objects) == 0 {
				break
			}
			got = append(got, page.ids()...)
			after = page.last()
		}
		if !slices.Equal(got, names(indicators(1, 1000))) {
			t.Errorf("limit %d: %d objects", limit, len(got))
		}
	}
}

// Deleting while somebody walks takes away what is deleted and nothing else.
func TestWalkSurvivesDeletions(t *testing.T) {
	w := newWorld(t)
	c := w.collection("sharing.reports")
	vendor := w.as("vendor/feed")
	vendor.push(c, indicators(1, 9)...)
	first := vendor.get(c + "objects/?limit=3")
	for _, n := range []int{1, 3, 5} { // 3 is where next points
		vendor.delete(c + "objects/" + id("indicator", n) + "/").want(200)
	}
	var got []string
	for _, page := range vendor.walk(c+"objects/", "limit=3&next="+first.envelope().Next) {
		got = append(got, page.ids()...)
	}
	var want []string
	for _, n := range []int{4, 6, 7, 8, 9} {
		want = append(want, id("indicator", n)+" "+stamp(0))
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// A version that arrives during the walk comes at its end, and the one it
// supersedes does not come any more, unless it came already.
func TestEntriesAddedDuringAWalkComeAtItsEnd(t *testing.T) {
	w := newWorld(t)
	c := w.collection("sharing.reports")
	vendor := w.as("vendor/feed")
	vendor.push(c, indicators(1, 4)...)
	first := vendor.get(c + "objects/?limit=2")
	vendor.push(c, indicator(9, 0), indicator(3, 1))
	var got []string
	for _, page := range vendor.walk(c+"objects/", "limit=2&next="+first.envelope().Next) {
		got = append(got, page.ids()...)
	}
	want := []string{id("indicator", 4) + " " + stamp(0), id("indicator", 9) + " " + stamp(0), id("indicator", 3) + " " + stamp(1)}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestPollWithTheLastCursorIsEmptyThenNew(t *testing.T) {
	w := newWorld(t)
	c := w.collection("sharing.reports")
	vendor, soc := w.as("vendor/feed"), w.as("bureau/soc")
	vendor.push(c, indicators(1, 3)...)
	last := soc.get(c + "objects/").last()
	for range 3 {
		a := soc.get(c + "objects/?added_after=" + last).want(200)
		if string(a.body) != "{}" || a.last() != last {
			t.Errorf("%s, Last %s, want %s", a, a.last(), last)
		}
	}
	vendor.push(c, indicator(4, 0), indicator(1, 0))
	if got := soc.ids(c, "added_after="+last); !slices.Equal(got, []string{id("indicator", 4) + " " + stamp(0)}) {
		t.Errorf("%q", got)
	}
}

// A page also ends before it grows beyond 16 MiB, but not before its first
// object.
func TestLargeObjectsMakeSmallPages(t *testing.T) {
	w := newWorld(t)
	c := w.collection("sharing.reports")
	vendor := w.as("vendor/feed")
	blob := `"x_blob":"` + strings.Repeat("x", 5<<20) + `"`
	vendor.push(c, indicator(1, 0, blob), indicator(2, 0, blob), indicator(3, 0, blob), indicator(4, 0, blob))
	var counts []int
	for _, page := range vendor.walk(c+"objects/", "") {
		counts = append(counts, len(page.envelope().Objects))
		if len(page.body) > 17<<20 {
			t.Errorf("a page of %d bytes", len(page.body))
		}
	}
	if !slices.Equal(counts, []int{3, 1}) {
		t.Errorf("pages of %v objects", counts)
	}
}

// A query too long to travel in next is repeated beside it; left out, it must
// not turn into a walk over everything.
func TestNextOfALongQueryNeedsTheQuery(t *testing.T) {
	w := newWorld(t)
	c := w.collection("sharing.reports")
	vendor := w.as("vendor/feed")
	vendor.push(c, indicators(1, 30)...)
	var ids []string
	for n := range 20 {
		ids = append(ids, id("indicator", n+1), "tool--"+uuid.NewString())
	}
	query := "match[id]=" + strings.Join(ids, ",")
	next := vendor.get(c + "objects/?limit=5&" + query).envelope().Next
	vendor.get(c + "objects/?next=" + next).refused(400)
	vendor.get(c + "objects/?next=" + next + "&match[id]=" + ids[0]).refused(400)
	if got := vendor.get(c + "objects/?next=" + next + "&" + query).want(200).ids(); len(got) != 15 {
		t.Errorf("%d objects, want 15", len(got))
	}
}
