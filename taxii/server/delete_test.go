package server_test

import (
	"slices"
	"strings"
	"testing"
)

func TestDeleteTakesAwayEveryVersion(t *testing.T) {
	w := newWorld(t)
	c := w.collection("sharing.reports")
	vendor := w.as("vendor/feed")
	vendor.push(c, indicator(1, 0), indicator(1, 1), old(1, 2), indicator(2, 0))
	one := c + "objects/" + id("indicator", 1) + "/"
	if a := vendor.delete(one).want(200); string(a.body) != "{}" {
		t.Errorf("%s", a)
	}
	vendor.get(one).refused(404)
	vendor.get(one + "?match[version]=all").refused(404)
	vendor.get(one + "versions/").refused(404)
	if got := vendor.ids(c, "match[version]=all&match[spec_version]=2.0,2.1"); !slices.Equal(got, []string{id("indicator", 2) + " " + stamp(0)}) {
		t.Errorf("objects %q", got)
	}
	if got := vendor.manifest(c, "match[version]=all&match[spec_version]=2.0,2.1"); len(got) != 1 {
		t.Errorf("manifest %+v", got)
	}
	vendor.delete(one).refused(404)
	vendor.delete(c + "objects/" + id("indicator", 9) + "/").refused(404)
	vendor.delete(c + "objects/nonsense/").refused(404)
}

func TestDeleteOfSomeVersions(t *testing.T) {
	tests := []struct {
		query string
		left  []int // of 1, 2, 3
	}{
		{"match[version]=" + stamp(2), []int{1, 3}},
		{"match[version]=2020-01-01T00:00:02Z", []int{1, 3}},
		{"match%5Bversion%5D=first", []int{2, 3}},
		{"match[version]=last", []int{1, 2}},
		{"match[version]=first,last", []int{2}},
		{"match[version]=" + stamp(1) + "," + stamp(2), []int{3}},
		{"match[version]=first," + stamp(2), []int{3}},
		{"match[spec_version]=2.0", []int{1, 2, 3}},
		{"match[spec_version]=2.1&match[version]=last", []int{1, 2}},
	}
	for _, tt := range tests {
		t.Run(tt.query, func(t *testing.T) {
			w := newWorld(t)
			c := w.collection("sharing.reports")
			vendor := w.as("vendor/feed")
			vendor.push(c, indicator(1, 1), indicator(1, 2), indicator(1, 3))
			if strings.Contains(tt.query, "spec_version") {
				vendor.push(c, old(1, 4))
			}
			vendor.delete(c + "objects/" + id("indicator", 1) + "/?" + tt.query).want(200)
			if got := versionsOf(vendor, c, "match[version]=all"); !slices.Equal(got, tt.left) {
				t.Errorf("%v left, want %v", got, tt.left)
			}
			if len(tt.left) > 0 { // the one before is the last now
				if got := versionsOf(vendor, c, ""); !slices.Equal(got, tt.left[len(tt.left)-1:]) {
					t.Errorf("the last is %v, want %v", got, tt.left[len(tt.left)-1:])
				}
			}
		})
	}
	w := newWorld(t)
	c := w.collection("sharing.reports")
	vendor := w.as("vendor/feed")
	vendor.push(c, indicator(1, 1), indicator(1, 2))
	vendor.delete(c + "objects/" + id("indicator", 1) + "/?match[version]=all").want(200)
	vendor.get(c + "objects/" + id("indicator", 1) + "/").refused(404)
}

func TestDeleteThatNamesWhatIsNotThereDeletesNothing(t *testing.T) {
	w := newWorld(t)
	c := w.collection("sharing.reports")
	vendor := w.as("vendor/feed")
	vendor.push(c, indicator(1, 1), indicator(1, 2))
	one := c + "objects/" + id("indicator", 1) + "/"
	for _, query := range []string{"match[version]=" + stamp(7), "match[version]=" + stamp(1) + "," + stamp(7), "match[spec_version]=2.0", "match[spec_version]=9.9"} {
		vendor.delete(one + "?" + query).refused(404)
	}
	for _, query := range []string{
		"match[version]=newest", "match[version]=", "match[version]=all,first", "match[version]=last&match[version]=last", "match[version]=last;x", "match[version]=first,first",
		"added_after=2026-03-01T12:00:00Z", "match[id]=" + id("indicator", 1), "match[type]=indicator", "limit=1", "next=AAAA", "match[versoin]=first", "version=first", "x", "match[spec_version]=",
	} {
		vendor.delete(one + "?" + query).refused(400)
	}
	if got := versionsOf(vendor, c, "match[version]=all"); !slices.Equal(got, []int{1, 2}) {
		t.Errorf("%v left", got)
	}
}

func TestDeletedObjectCanBeAddedAgain(t *testing.T) {
	w := newWorld(t)
	c := w.collection("sharing.reports")
	vendor, soc := w.as("vendor/feed"), w.as("bureau/soc")
	vendor.push(c, indicator(1, 0), address(1), indicator(2, 0))
	before := vendor.manifest(c, "")
	last := soc.get(c + "objects/").last()
	vendor.delete(c + "objects/" + id("indicator", 1) + "/").want(200)
	vendor.delete(c + "objects/" + id("ipv4-addr", 1) + "/").want(200)
	if got := soc.ids(c, "added_after="+last); len(got) != 0 {
		t.Errorf("a deletion shows as %q", got)
	}
	status := vendor.push(c, indicator(1, 0), address(1, `"x_other":1`))
	if status.SuccessCount != 2 || status.Successes[0].Message != "" || status.Successes[1].Message != "" {
		t.Errorf("%+v", status)
	}
	if got := soc.ids(c, "added_after="+last); len(got) != 2 {
		t.Errorf("added again: %q", got)
	}
	for _, record := range vendor.manifest(c, "match[id]="+id("indicator", 1)) {
		if record.DateAdded <= before[2].DateAdded {
			t.Errorf("added again at %s, the last before was %s", record.DateAdded, before[2].DateAdded)
		}
	}
}

func TestCollectionsKeepTheirOwnCopyAndDate(t *testing.T) {
	w := newWorld(t)
	reports, ledger := w.collection("sharing.reports"), w.collection("sharing.ledger")
	vendor := w.as("vendor/feed")
	vendor.push(reports, indicator(1, 0))
	w.clock.move(3600 * 1e9)
	vendor.push(ledger, indicator(1, 0))
	a, b := vendor.manifest(reports, "")[0], vendor.manifest(ledger, "")[0]
	if !strings.HasPrefix(a.DateAdded, "2026-03-01T12:") || !strings.HasPrefix(b.DateAdded, "2026-03-01T13:") {
		t.Errorf("added %s and %s", a.DateAdded, b.DateAdded)
	}
	vendor.delete(reports + "objects/" + id("indicator", 1) + "/").want(200)
	vendor.get(ledger + "objects/" + id("indicator", 1) + "/").want(200)
}

// A deletion on the condition of a tag does not happen: the tags are weak ones,
// which say nothing of what may be overwritten.
func TestDeleteKeepsToIfMatch(t *testing.T) {
	w := newWorld(t)
	c := w.collection("sharing.reports")
	vendor := w.as("vendor/feed")
	vendor.push(c, indicator(1, 0))
	one := c + "objects/" + id("indicator", 1) + "/"
	for _, tag := range []string{`"other"`, vendor.get(one).header.Get("ETag")} {
		vendor.delete(one, header{"If-Match", tag}).refused(412)
		vendor.get(one).want(200)
	}
	vendor.delete(c+"objects/"+id("indicator", 9)+"/", header{"If-Match", `"other"`}).refused(404)
	vendor.delete(one, header{"If-Match", "*"}).want(200)
	vendor.get(one).refused(404)
}
