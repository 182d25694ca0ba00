package server_test

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"comity/taxii"
)

var timestamp = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$`)

// lists are the four list endpoints, about indicator 1.
func lists(c string) []string {
	one := c + "objects/" + id("indicator", 1) + "/"
	return []string{c + "objects/", c + "manifest/", one, one + "versions/"}
}

func TestEnvelopeIsNoBundle(t *testing.T) {
	w := newWorld(t)
	c := w.collection("sharing.reports")
	vendor := w.as("vendor/feed")
	vendor.push(c, indicators(1, 3)...)
	a := vendor.get(c + "objects/?limit=2").want(200)
	e := a.envelope() // fails on unknown members
	if len(e.Objects) != 2 || !e.More || e.Next == "" || e.Versions != nil {
		t.Errorf("%s", a)
	}
	if a = vendor.get(c + "objects/"); strings.Contains(string(a.body), `"next"`) || a.envelope().More {
		t.Errorf("the last page: %s", a)
	}
}

func TestOrderIsThatOfAdding(t *testing.T) {
	w := newWorld(t)
	c := w.collection("sharing.reports")
	vendor := w.as("vendor/feed")
	vendor.push(c, indicator(5, 9), indicator(3, 1))
	w.clock.move(time.Second)
	vendor.push(c, indicator(4, 0), address(1))
	w.clock.move(time.Second)
	vendor.push(c, indicator(1, 3))
	want := []string{id("indicator", 5), id("indicator", 3), id("indicator", 4), id("ipv4-addr", 1), id("indicator", 1)}
	var fromManifest []string
	last := ""
	for _, record := range vendor.manifest(c, "") {
		fromManifest = append(fromManifest, record.ID)
		if record.DateAdded <= last {
			t.Errorf("%s behind %s", record.DateAdded, last)
		}
		last = record.DateAdded
	}
	var fromObjects []string
	for _, name := range vendor.ids(c, "") {
		fromObjects = append(fromObjects, strings.Fields(name)[0])
	}
	if !slices.Equal(fromManifest, want) || !slices.Equal(fromObjects, want) {
		t.Errorf("manifest %q\nobjects  %q\nwant     %q", fromManifest, fromObjects, want)
	}
}

func TestDateHeadersAreThoseOfTheEntriesOnThePage(t *testing.T) {
	w := newWorld(t)
	c := w.collection("sharing.reports")
	vendor := w.as("vendor/feed")
	vendor.push(c, indicator(1, 0), indicator(1, 1), indicator(1, 2), indicator(1, 3), indicator(1, 4))
	var dates []string
	for _, record := range vendor.manifest(c, "match[version]=all") {
		dates = append(dates, record.DateAdded)
	}
	for _, list := range lists(c) {
		pages := vendor.walk(list, "limit=2&match[version]=all")
		if len(pages) != 3 {
			t.Fatalf("%s: %d pages, want 3", list, len(pages))
		}
		for i, page := range pages {
			first, last := dates[2*i], dates[min(2*i+1, len(dates)-1)]
			if page.first() != first || page.last() != last {
				t.Errorf("%s: %s to %s, want %s to %s", page.request, page.first(), page.last(), first, last)
			}
			if !timestamp.MatchString(page.first()) || !strings.HasSuffix(page.first(), "000Z") {
				t.Errorf("%s: %q is no whole millisecond", page.request, page.first())
			}
		}
	}
}

func TestEmptyResultIsEmptyBraces(t *testing.T) {
	w := newWorld(t)
	c := w.collection("sharing.reports")
	soc := w.as("bureau/soc")
	check := func(path, last string) {
		t.Helper()
		a := soc.get(path).want(200)
		if string(a.body) != "{}" || a.header["X-Taxii-Date-Added-First"] != nil || a.last() != last {
			t.Errorf("%s, Last %q, First %q, want Last %q", a, a.last(), a.first(), last)
		}
	}
	check(c+"objects/", "")
	check(c+"manifest/", "")
	w.as("vendor/feed").push(c, indicator(1, 0))
	for _, list := range lists(c) {
		check(list+"?match[spec_version]=2.0", "")
		check(list+"?added_after=2100-01-01T00:00:00Z", "2100-01-01T00:00:00.000000Z")
		check(list+"?added_after=2100-01-01T00:00:00.5%2B01:00", "2099-12-31T23:00:00.500000Z")
	}
}

// Some products break on {}: their accounts get an empty list spelled out.
func TestAccountsMadeForFragileClientsGetAnEmptyList(t *testing.T) {
	w := newWorld(t)
	c := w.collection("sharing.reports")
	for account, want := range map[string]string{
		"bureau/elastic": `{"more":false,"objects":[]}`, "bureau/xsoar": `{"more":false,"objects":[]}`, "bureau/opencti": `{"more":false,"objects":[]}`, "bureau/misp": `{}`, "bureau/soc": `{}`,
	} {
		for _, path := range []string{c + "objects/", c + "manifest/", c + "objects/?added_after=2100-01-01T00:00:00Z"} {
			if a := w.as(account).get(path).want(200); string(a.body) != want {
				t.Errorf("%s as %s, want %s", a, account, want)
			}
		}
	}
}

func TestObjectIsAnEnvelope(t *testing.T) {
	w := newWorld(t)
	c := w.collection("sharing.reports")
	vendor := w.as("vendor/feed")
	vendor.push(c, indicator(1, 0), indicator(2, 0), indicator(1, 1))
	one := c + "objects/" + id("indicator", 1) + "/"
	if got := vendor.get(one).want(200).ids(); !slices.Equal(got, []string{id("indicator", 1) + " " + stamp(1)}) {
		t.Errorf("%q", got)
	}
	for _, unknown := range []string{id("indicator", 9), id("malware", 1), "x", "%00", "%ff", strings.Repeat("x", 3000)} {
		vendor.get(c + "objects/" + unknown + "/").refused(404)
		vendor.get(c + "objects/" + unknown + "/versions/").refused(404)
	}
	// It is there, but the filters leave nothing.
	for _, query := range []string{"added_after=2100-01-01T00:00:00Z", "match[spec_version]=2.0", "match[version]=" + stamp(7)} {
		if a := vendor.get(one + "?" + query).want(200); string(a.body) != "{}" {
			t.Errorf("%s", a)
		}
	}
	// match[id] and match[type] are not for this endpoint, so they are ignored.
	if got := vendor.get(one + "?match[type]=tool&match[id]=" + id("indicator", 2)).want(200).ids(); len(got) != 1 {
		t.Errorf("%q", got)
	}
}

func TestFiltersOfAnObject(t *testing.T) {
	w := newWorld(t)
	c := w.collection("sharing.reports")
	vendor := w.as("vendor/feed")
	vendor.push(c, indicator(1, 1), old(1, 0), indicator(1, 2), indicator(2, 0), indicator(1, 3))
	one := c + "objects/" + id("indicator", 1) + "/"
	all := vendor.get(one + "?match[version]=all")
	tests := []struct {
		query string
		want  []int
	}{
		{"match[version]=first", []int{1}},
		{"match[version]=all", []int{1, 2, 3}},
		{"match[version]=" + stamp(2), []int{2}},
		{"match[version]=all&match[spec_version]=2.0", []int{0}},
		{"match[version]=all&match[spec_version]=2.0,2.1", []int{1, 0, 2, 3}},
		{"match[version]=all&added_after=" + all.first(), []int{2, 3}},
		{"match[version]=all&limit=2", []int{1, 2}},
	}
	for _, tt := range tests {
		var want []string
		for _, v := range tt.want {
			want = append(want, id("indicator", 1)+" "+stamp(v))
		}
		if got := vendor.get(one + "?" + tt.query).want(200).ids(); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", tt.query, got, want)
		}
	}
	if pages := vendor.walk(one, "match[version]=all&limit=1"); len(pages) != 3 {
		t.Errorf("%d pages, want 3", len(pages))
	}
}

func TestDateOfAnswersIsTheClockOfTheExchange(t *testing.T) {
	w := newWorld(t)
	c := w.collection("sharing.reports")
	vendor := w.as("vendor/feed")
	for _, a := range []*answer{vendor.get("/taxii2/"), vendor.get(c + "objects/"), vendor.get("/nothing/"), w.nobody().get(c)} {
		if got, want := a.header["Date"], noon.Format(http.TimeFormat); len(got) != 1 || got[0] != want {
			t.Errorf("%s: Date %q, want %q", a.request, got, want)
		}
	}
	vendor.push(c, indicator(1, 0))
	added, err := time.Parse(taxii.TimeFormat, vendor.manifest(c, "")[0].DateAdded)
	if err != nil || added.Sub(noon).Abs() > time.Second {
		t.Errorf("added %s, the clock is %s", added, noon)
	}
}

func TestDateAddedGrowsWhateverTheClockDoes(t *testing.T) {
	w := newWorld(t)
	c := w.collection("sharing.reports")
	vendor := w.as("vendor/feed")
	vendor.push(c, indicator(1, 0))
	w.clock.move(-time.Hour)
	vendor.push(c, indicator(2, 0))
	vendor.delete(c + "objects/" + id("indicator", 2) + "/").want(200)
	w.restart()
	vendor = w.as("vendor/feed")
	vendor.push(c, indicator(3, 0))
	vendor.push(c, indicator(2, 0))
	var got []string
	last := ""
	for _, record := range vendor.manifest(c, "") {
		got = append(got, record.ID)
		if record.DateAdded <= last {
			t.Errorf("%s at %s, behind %s", record.ID, record.DateAdded, last)
		}
		last = record.DateAdded
	}
	if want := []string{id("indicator", 1), id("indicator", 3), id("indicator", 2)}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
