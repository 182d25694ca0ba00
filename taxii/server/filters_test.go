package server_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"comity/taxii"
)

// stocked is an exchange whose sharing.reports holds three indicators, an
// address and a marking, and the dates they were added at.
func stocked(t *testing.T) (vendor *client, c string, dates []string) {
	w := newWorld(t)
	vendor, c = w.as("vendor/feed"), w.collection("sharing.reports")
	vendor.push(c, indicator(1, 0), address(1), indicator(2, 3))
	w.clock.move(time.Hour)
	vendor.push(c, statement(1), indicator(3, 0))
	for _, record := range vendor.manifest(c, "") {
		dates = append(dates, record.DateAdded)
	}
	return vendor, c, dates
}

// at is an instant so much later than one that the server gave.
func at(t *testing.T, date string, later time.Duration) string {
	t.Helper()
	instant, err := time.Parse(taxii.TimeFormat, date)
	if err != nil {
		t.Fatal(err)
	}
	return taxii.FormatTime(instant.Add(later))
}

func TestAddedAfterIsExclusiveToTheMicrosecond(t *testing.T) {
	vendor, c, dates := stocked(t)
	for i, date := range dates {
		if got := len(vendor.ids(c, "added_after="+date)); got != len(dates)-i-1 {
			t.Errorf("after entry %d: %d objects, want %d", i, got, len(dates)-i-1)
		}
		if got := len(vendor.ids(c, "added_after="+at(t, date, -time.Microsecond))); got != len(dates)-i {
			t.Errorf("before entry %d: %d objects, want %d", i, got, len(dates)-i)
		}
	}
	// It is about adding: the objects say they are of 2020.
	if got := len(vendor.ids(c, "added_after=2021-01-01T00:00:00Z")); got != len(dates) {
		t.Errorf("%d objects, want %d", got, len(dates))
	}
}

func TestAddedAfterIsReadInManySpellings(t *testing.T) {
	vendor, c, dates := stocked(t)
	half := dates[2] // 12:00:00.126
	if half != "2026-03-01T12:00:00.126000Z" {
		t.Fatalf("the third entry was added %s", half)
	}
	for _, spelling := range []string{
		"2026-03-01T12:00:00.126Z", "2026-03-01T12:00:00.1260Z", "2026-03-01T12:00:00.126000Z", "2026-03-01T12:00:00.126000000Z", "2026-03-01T12:00:00.1260009Z",
		"2026-03-01T12:00:00.126%2B00:00", "2026-03-01T12:00:00.126+00:00", "2026-03-01T20:00:00.126%2B08:00", "2026-03-01T20:00:00.126+08:00", "2026-03-01T07:00:00.126-05:00",
		"2026-03-01T12%3A00%3A00.126Z", "2026-03-01T12:00:01Z", "2026-03-01T12:00:01.0Z",
	} {
		if got := len(vendor.get(c + "objects/?added_after=" + spelling).want(200).objects()); got != 2 {
			t.Errorf("added_after=%s: %d objects, want 2", spelling, got)
		}
	}
	for _, long := range []string{"1970-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "1969-12-31T23:59:59.9Z"} {
		if got := len(vendor.get(c + "objects/?added_after=" + long).want(200).objects()); got != 5 {
			t.Errorf("added_after=%s: %d objects, want 5", long, got)
		}
	}
	for _, future := range []string{"2100-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"} {
		if a := vendor.get(c + "objects/?added_after=" + future).want(200); string(a.body) != "{}" {
			t.Errorf("%s", a)
		}
	}
}

func TestMalformedTimesAre400(t *testing.T) {
	vendor, c, _ := stocked(t)
	for _, value := range []string{
		"yesterday", "2026-13-01T00:00:00Z", "2026-02-30T00:00:00Z", "1488326400", "2026-03-01T12:00:00", "2026-03-01", "", "2026-03-01T25:00:00Z", "2026-03-01T12:00:00.Z",
		"2026-03-01%2012:00:00Z", "20260301T120000Z", "2026-03-01T12:00:00Z,2026-03-01T12:00:00Z", "null", "%00", "2026-03-01T12:00:00z%00", "2026-03-01T12:00Z",
		"-1", "2026-03-01T12:00:00.1234567890123456789X", "2026-03-01T12:00:00%2B0800",
	} {
		for _, list := range lists(c) {
			vendor.get(list + "?added_after=" + value).refused(400)
		}
	}
	vendor.get(c + "objects/?added_after=2026-03-01T12:00:00Z&added_after=2026-03-01T12:00:00Z").refused(400)
}

func TestMatchTypeAndID(t *testing.T) {
	vendor, c, dates := stocked(t)
	tests := []struct {
		query string
		want  []int // places in dates
	}{
		{"match[type]=indicator", []int{0, 2, 4}},
		{"match[type]=indicator,ipv4-addr", []int{0, 1, 2, 4}},
		{"match%5Btype%5D=indicator%2Cipv4-addr", []int{0, 1, 2, 4}},
		{"match%5btype%5d=ipv4-addr", []int{1}},
		{"match[type]=tool", nil},
		{"match[type]=x-nobody-knows", nil},
		{"match[type]=tool,marking-definition", []int{3}},
		{"match[id]=" + id("indicator", 2), []int{2}},
		{"match[id]=" + id("indicator", 3) + "," + id("indicator", 1) + "," + id("indicator", 77), []int{0, 4}},
		{"match[id]=" + id("indicator", 77), nil},
		{"match[id]=nonsense", nil},
		{"match[id]=" + id("ipv4-addr", 1) + "&match[type]=indicator", nil},
		{"match[id]=" + id("ipv4-addr", 1) + "," + id("indicator", 2) + "&match[type]=indicator", []int{2}},
		{"match[type]=indicator&added_after=" + dates[0], []int{2, 4}},
		{"match[type]=indicator&added_after=" + dates[0] + "&limit=1", []int{2}},
		{"match[type]=indicator&match[spec_version]=2.1&match[version]=last", []int{0, 2, 4}},
		{"match[unknown]=x&something=else&match[type]=ipv4-addr", []int{1}},
		{"something=a&something=b", []int{0, 1, 2, 3, 4}},
		{"", []int{0, 1, 2, 3, 4}},
	}
	whole := decode[taxii.Manifest](vendor.get(c + "manifest/")).Objects
	for _, tt := range tests {
		var want, objects, records []string
		for _, place := range tt.want {
			want = append(want, whole[place].ID)
		}
		for _, name := range vendor.get(c + "objects/?" + tt.query).want(200).ids() {
			objects = append(objects, strings.Fields(name)[0])
		}
		for _, record := range decode[taxii.Manifest](vendor.get(c + "manifest/?" + tt.query).want(200)).Objects {
			records = append(records, record.ID)
		}
		if !slices.Equal(objects, want) || !slices.Equal(records, want) {
			t.Errorf("%s: objects %q, manifest %q, want %q", tt.query, objects, records, want)
		}
	}
}

func TestNoTypeOfSTIXIsAnError(t *testing.T) {
	vendor, c, _ := stocked(t)
	types := strings.Fields(`attack-pattern campaign course-of-action grouping identity incident indicator infrastructure intrusion-set location malware
		malware-analysis note observed-data opinion report threat-actor tool vulnerability relationship sighting artifact autonomous-system directory domain-name
		email-addr email-message file ipv4-addr ipv6-addr mac-addr mutex network-traffic process software url user-account windows-registry-key x509-certificate
		language-content marking-definition extension-definition`)
	if len(types) != 42 {
		t.Fatalf("%d types", len(types))
	}
	for _, typeName := range types {
		vendor.get(c + "objects/?match[type]=" + typeName).want(200)
		vendor.get(c + "manifest/?match[type]=" + typeName).want(200)
	}
	vendor.get(c + "objects/?match[type]=" + strings.Join(types, ",")).want(200)
}

func TestLongListsOfIDs(t *testing.T) {
	vendor, c, _ := stocked(t)
	var ids []string
	for n := range 400 {
		ids = append(ids, id("indicator", 1000-n))
	}
	ids = append(ids, id("indicator", 3), id("indicator", 1))
	if got := vendor.get(c + "objects/?match[id]=" + strings.Join(ids, ",")).want(200).ids(); len(got) != 2 {
		t.Errorf("%q", got)
	}
}

// A malformed parameter is never ignored: the answer would hold more than the client
// asked for.
func TestMalformedQueriesAre400(t *testing.T) {
	vendor, c, _ := stocked(t)
	for _, query := range []string{
		"match[type]=", "match[id]=", "match[version]=", "match[spec_version]=", "match[type]=a,", "match[id]=,a", "match[type]=a,,b",
		"match[type]=a&match[type]=b", "match[id]=a&match[id]=a", "match[type]=indicator;limit=1", "a;b", "%zz=1", "match[type]=%f", "limit=1&limit=1", "next=",
	} {
		for _, list := range []string{c + "objects/", c + "manifest/"} {
			vendor.get(list + "?" + query).refused(400)
		}
	}
}

func TestLimits(t *testing.T) {
	w := newWorld(t, func(w *world) { w.config.DefaultLimit, w.config.MaxLimit = 4, 6 })
	vendor, c := w.as("vendor/feed"), w.collection("sharing.reports")
	var versions []string
	for v := range 10 {
		versions = append(versions, indicator(1, v))
	}
	vendor.push(c, versions...)
	count := func(a *answer) int { e := a.want(200).envelope(); return len(e.Objects) + len(e.Versions) }
	for _, list := range lists(c) {
		for _, value := range []string{"0", "-1", "abc", "1.5", "1e3", "0x10", "", "%2B5", "%205", "5%20", "00", "١", "--1", "-0", "-99999999999999999999999"} {
			vendor.get(list + "?limit=" + value).refused(400)
		}
		vendor.get(list + "?limit=1&limit=1").refused(400)
		for value, want := range map[string]int{
			"": 4, "limit=1": 1, "limit=3": 3, "limit=5": 5, "limit=6": 6, "limit=7": 6, "limit=9999": 6, "limit=2147483647": 6,
			"limit=18446744073709551616": 6, "limit=99999999999999999999999999999999": 6, "limit=0005": 5,
		} {
			a := vendor.get(list + "?match[version]=all&" + value)
			if got := count(a); got != want {
				t.Errorf("%s: %d entries, want %d", a.request, got, want)
			}
			if e := a.envelope(); !e.More || e.Next == "" {
				t.Errorf("%s: more %t, next %q", a.request, e.More, e.Next)
			}
		}
	}
	if fmt.Sprint(len(vendor.ids(c, "match[version]=all"))) != "10" {
		t.Error("a walk without limit does not find everything")
	}
}
