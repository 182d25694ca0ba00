package server_test

import (
	"slices"
	"strings"
	"testing"
)

// versionsOf gives the versions of indicator 1 by their number, in the order
// of the answer.
func versionsOf(c *client, collection, query string) []int {
	c.w.t.Helper()
	var got []int
	for _, name := range c.get(collection + "objects/?match[id]=" + id("indicator", 1) + "&" + query).want(200).ids() {
		for v := range 100 {
			if name == id("indicator", 1)+" "+stamp(v) {
				got = append(got, v)
			}
		}
	}
	return got
}

func TestMatchVersion(t *testing.T) {
	w := newWorld(t)
	c := w.collection("sharing.reports")
	vendor := w.as("vendor/feed")
	vendor.push(c, indicator(1, 3), indicator(1, 5))
	vendor.push(c, indicator(1, 1), indicator(1, 4)) // late
	tests := []struct {
		version string
		want    []int
	}{
		{"", []int{5}},
		{"last", []int{5}},
		{"first", []int{1}},
		{"all", []int{3, 5, 1, 4}},
		{"first,last", []int{5, 1}},
		{"last,first", []int{5, 1}},
		{stamp(4), []int{4}},
		{stamp(4) + "," + stamp(3), []int{3, 4}},
		{"first," + stamp(4) + ",last", []int{5, 1, 4}},
		{stamp(5) + ",last", []int{5}},
		{"2020-01-01T00:00:04Z", []int{4}},
		{"2020-01-01T00:00:04.0Z", []int{4}},
		{"2020-01-01T00:00:04.000000Z", []int{4}},
		{"2020-01-01T00:00:04.000000000Z", []int{4}},
		{stamp(2), nil},
		{stamp(2) + ",first", []int{1}},
		{"2020-01-01T00:00:04.000001Z", nil},
	}
	for _, tt := range tests {
		query := ""
		if tt.version != "" {
			query = "match[version]=" + tt.version
		}
		if got := versionsOf(vendor, c, query); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, want %v", query, got, tt.want)
		}
	}
	for _, malformed := range []string{"newest", "all,last", "first,all", "last,last", stamp(1) + "," + stamp(1), "LAST", "2020", "2020-01-01", "last,", "x,last", "2020-02-30T00:00:00Z"} {
		vendor.get(c + "objects/?match[version]=" + malformed).refused(400)
		vendor.get(c + "objects/" + id("indicator", 1) + "/?match[version]=" + malformed).refused(400)
	}
}

func TestSpellingOfAnInstantDoesNotMatter(t *testing.T) {
	w := newWorld(t)
	c := w.collection("sharing.reports")
	vendor := w.as("vendor/feed")
	short := strings.Replace(indicator(1, 4), stamp(4), "2020-01-01T00:00:04.0000Z", 1)
	exact := strings.Replace(indicator(2, 4), stamp(4), "2020-01-01T00:00:04.123456Z", 1)
	vendor.push(c, short, exact)
	for version, want := range map[string][]string{
		"2020-01-01T00:00:04Z": {short}, "2020-01-01T00:00:04.000Z": {short}, "2020-01-01T00:00:04.000000Z": {short},
		"2020-01-01T00:00:04.123456Z": {exact}, "2020-01-01T00:00:04.123Z": nil, "2020-01-01T00:00:04.123456000Z": {exact},
	} {
		if got := vendor.objects(c, "match[version]="+version); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", version, got, want)
		}
	}
}

func TestOnlyVersionIsFirstAndLast(t *testing.T) {
	w := newWorld(t)
	c := w.collection("sharing.reports")
	vendor := w.as("vendor/feed")
	vendor.push(c, indicator(1, 3), statement(1), address(1))
	for _, version := range []string{"first", "last", "all", "first,last"} {
		if got := vendor.ids(c, "match[version]="+version); len(got) != 3 {
			t.Errorf("%s: %q", version, got)
		}
	}
}

func TestCreatedIsTheVersionOfWhatIsNeverModified(t *testing.T) {
	w := newWorld(t)
	c := w.collection("sharing.reports")
	vendor := w.as("vendor/feed")
	vendor.push(c, statement(7))
	if got := vendor.manifest(c, "")[0].Version; got != stamp(7) {
		t.Errorf("version %q, want %q", got, stamp(7))
	}
	if got := vendor.ids(c, "match[version]="+stamp(7)); len(got) != 1 {
		t.Errorf("%q", got)
	}
}

// An observable has one version for ever: the time it was added.
func TestVersionOfAnObservableIsItsDateAdded(t *testing.T) {
	w := newWorld(t)
	c := w.collection("sharing.reports")
	vendor := w.as("vendor/feed")
	status := vendor.push(c, address(1))
	record := vendor.manifest(c, "")[0]
	if record.Version != record.DateAdded || status.Successes[0].Version != record.Version {
		t.Errorf("manifest %+v, status %+v", record, status.Successes[0])
	}
	one := c + "objects/" + id("ipv4-addr", 1) + "/"
	if got := vendor.get(one + "versions/").want(200).envelope().Versions; !slices.Equal(got, []string{record.Version}) {
		t.Errorf("versions %q, want %q", got, record.Version)
	}
	for _, version := range []string{"first", "last", "all", record.Version} {
		if got := vendor.get(one + "?match[version]=" + version).want(200).objects(); len(got) != 1 {
			t.Errorf("%s: %q", version, got)
		}
	}
	w.clock.move(1e9)
	vendor.push(c, address(1))
	if again := vendor.manifest(c, ""); !slices.Equal(again, []manifestRecord{record}) {
		t.Errorf("%+v, before %+v", again, record)
	}
}

func TestPollerGetsANewVersionWithoutTheOld(t *testing.T) {
	w := newWorld(t)
	c := w.collection("sharing.reports")
	vendor, soc := w.as("vendor/feed"), w.as("bureau/soc")
	vendor.push(c, indicator(1, 0), indicator(2, 0))
	last := soc.get(c + "objects/").last()
	vendor.push(c, indicator(1, 1))
	if got := soc.ids(c, "added_after="+last); !slices.Equal(got, []string{id("indicator", 1) + " " + stamp(1)}) {
		t.Errorf("%q", got)
	}
	// A poll from before its arrival also gets the new version alone.
	if got := soc.ids(c, ""); !slices.Equal(got, []string{id("indicator", 2) + " " + stamp(0), id("indicator", 1) + " " + stamp(1)}) {
		t.Errorf("%q", got)
	}
	// An older version that arrives late is no news.
	last = soc.get(c + "objects/").last()
	vendor.push(c, indicator(2, 0), indicator(1, 0))
	if got := soc.ids(c, "added_after="+last); len(got) != 0 {
		t.Errorf("%q", got)
	}
	// A revocation is a version like any other.
	vendor.push(c, indicator(1, 2, `"revoked":true`))
	if got := soc.objects(c, "added_after="+last); len(got) != 1 || got[0] != indicator(1, 2, `"revoked":true`) {
		t.Errorf("%q", got)
	}
}
