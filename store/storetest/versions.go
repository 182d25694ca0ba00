package storetest

import (
	"fmt"
	"time"

	"comity/stix"
	"comity/store"
	"comity/taxii"
)

// queryVersions returns a query for versions. Without specs, the default of the query
// applies.
func queryVersions(v taxii.Versioning, specs ...string) store.Query {
	return store.Query{Match: taxii.Match{Versions: v, Specs: specs}}
}

var versionTests = []test{
	{"first last all instants and lists", func(w *world) {
		w.push(indicator(1, 2), indicator(2, 1))
		w.push(indicator(1, 3))
		w.push(indicator(1, 1)) // late: it is not last
		w.push(address(3, "x"))
		for _, row := range []struct {
			v    taxii.Versioning
			want string
		}{
			{taxii.Versioning{}, "indicator2/2.1/1 indicator1/2.1/3 ipv43"},
			{taxii.Versioning{Last: true}, "indicator2/2.1/1 indicator1/2.1/3 ipv43"},
			{taxii.Versioning{First: true}, "indicator2/2.1/1 indicator1/2.1/1 ipv43"},
			{taxii.Versioning{All: true}, "indicator1/2.1/2 indicator2/2.1/1 indicator1/2.1/3 indicator1/2.1/1 ipv43"},
			{taxii.Versioning{First: true, Last: true}, "indicator2/2.1/1 indicator1/2.1/3 indicator1/2.1/1 ipv43"},
			{taxii.Versioning{At: []time.Time{dayTime(2)}}, "indicator1/2.1/2"},
			{taxii.Versioning{At: []time.Time{dayTime(1)}}, "indicator2/2.1/1 indicator1/2.1/1"},
			{taxii.Versioning{At: []time.Time{dayTime(2).In(time.FixedZone("", 3600)), dayTime(3)}}, "indicator1/2.1/2 indicator1/2.1/3"},
			{taxii.Versioning{First: true, Last: true, At: []time.Time{dayTime(2)}}, "indicator1/2.1/2 indicator2/2.1/1 indicator1/2.1/3 indicator1/2.1/1 ipv43"},
			{taxii.Versioning{At: []time.Time{dayTime(9)}}, ""},
			{taxii.Versioning{At: []time.Time{dayTime(2).Add(1)}}, ""},
		} {
			w.want(w.reader, queryVersions(row.v), row.want)
			w.want(w.reader, withIDs(queryVersions(row.v), idOf("indicator", 1), idOf("indicator", 2), idOf("ipv4-addr", 3)), row.want)
		}
	}},
	{"a cyber-observable is found by its date", func(w *world) {
		w.push(address(1, "x"), address(2, "y"))
		at := w.manifest(w.reader, store.Query{}).Records[1]
		parsed, err := taxii.ParseTime(at.Version)
		if err != nil || !parsed.Equal(at.DateAdded) {
			w.Fatalf("%+v, %v", at, err)
		}
		w.want(w.reader, queryVersions(taxii.Versioning{At: []time.Time{parsed}}), "ipv42")
		w.want(w.reader, withIDs(queryVersions(taxii.Versioning{At: []time.Time{parsed}}), idOf("ipv4-addr", 1)), "")
	}},
	{"without modified created is the version", func(w *world) {
		id := idOf("marking-definition", 1)
		w.push(item(`{"type":"marking-definition","spec_version":"2.1","id":"`+id+`","created":"`+day(3)+`"}`, stix.Clear))
		if r := w.manifest(w.reader, store.Query{}).Records[0]; r.Version != day(3) {
			w.Errorf("%+v", r)
		}
		w.want(w.reader, queryVersions(taxii.Versioning{At: []time.Time{dayTime(3)}}), "marking-definition1/2.1/3")
	}},
	{"a poll gets a new version without the old one", func(w *world) {
		w.push(indicator(1, 1), indicator(2, 1))
		last := w.scan(w.reader, store.Query{}).Last
		w.push(indicator(1, 2))
		w.want(w.reader, store.Query{After: last}, "indicator1/2.1/2")
		w.want(w.reader, store.Query{}, "indicator2/2.1/1 indicator1/2.1/2")
	}},
	{"a query for all versions gets an older version that came late", func(w *world) {
		w.push(indicator(1, 2))
		last := w.scan(w.reader, store.Query{}).Last
		w.push(indicator(1, 1))
		w.want(w.reader, store.Query{After: last}, "")
		q := allVersions()
		q.After = last
		w.want(w.reader, q, "indicator1/2.1/1")
	}},
	{"after does not decide which version is the last", func(w *world) {
		w.push(indicator(1, 3))
		last := w.scan(w.reader, store.Query{}).Last
		w.push(indicator(1, 2), indicator(1, 1))
		w.want(w.reader, store.Query{After: last}, "")
		w.want(w.reader, store.Query{After: last, Match: taxii.Match{Versions: taxii.Versioning{First: true}}}, "indicator1/2.1/1")
	}},
	{"the newest specification version is the default", func(w *world) {
		w.push(versioned("indicator", 1, "2.1", 1, stix.Amber), versioned("indicator", 1, "2.0", 2, stix.Amber)) // 2.0 is later
		w.push(versioned("malware", 2, "2.0", 1, stix.Amber))
		w.want(w.reader, store.Query{}, "indicator1/2.1/1 malware2/2.0/1")
		w.want(w.reader, queryVersions(taxii.Versioning{All: true}), "indicator1/2.1/1 malware2/2.0/1")
		for _, row := range []struct {
			specs []string
			want  string
		}{
			{[]string{"2.0"}, "indicator1/2.0/2 malware2/2.0/1"},
			{[]string{"2.1"}, "indicator1/2.1/1"},
			{[]string{"2.0", "2.1"}, "indicator1/2.0/2 malware2/2.0/1"},
			{[]string{"2.1", "2.0", "7.0"}, "indicator1/2.0/2 malware2/2.0/1"},
			{[]string{"7.0"}, ""},
		} {
			w.want(w.reader, queryVersions(taxii.Versioning{}, row.specs...), row.want)
			w.want(w.reader, withIDs(queryVersions(taxii.Versioning{}, row.specs...), idOf("indicator", 1), idOf("malware", 2)), row.want)
		}
		w.want(w.reader, allVersions(), "indicator1/2.1/1 indicator1/2.0/2 malware2/2.0/1")
	}},
	{"last is the latest of the specification versions asked for", func(w *world) {
		for n, spec := range []string{"2.0", "2.0", "2.1", "2.1"} {
			w.push(versioned("indicator", 1, spec, n+1, stix.Amber))
		}
		w.want(w.reader, queryVersions(taxii.Versioning{}, "2.0"), "indicator1/2.0/2")
		w.want(w.reader, queryVersions(taxii.Versioning{First: true}, "2.1"), "indicator1/2.1/3")
		w.want(w.reader, queryVersions(taxii.Versioning{First: true}), "indicator1/2.1/3")
		w.want(w.reader, queryVersions(taxii.Versioning{First: true, Last: true}, "2.0", "2.1"), "indicator1/2.0/1 indicator1/2.1/4")
	}},
	{"one instant in both specification versions is two records", func(w *world) {
		w.push(versioned("indicator", 1, "2.0", 1, stix.Amber), versioned("indicator", 1, "2.1", 1, stix.Amber))
		w.want(w.reader, store.Query{}, "indicator1/2.1/1")
		w.want(w.reader, queryVersions(taxii.Versioning{}, "2.0", "2.1"), "indicator1/2.0/1 indicator1/2.1/1")
	}},
	{"a version equal to the date of a record without a version", func(w *world) {
		id := idOf("x-both", 1)
		w.push(item(`{"type":"x-both","spec_version":"2.1","id":"`+id+`"}`, stix.Amber))
		at := w.manifest(w.reader, store.Query{}).Records[0].Version
		w.push(item(fmt.Sprintf(`{"type":"x-both","spec_version":"2.1","id":%q,"created":%q,"modified":%q}`, id, at, at), stix.Amber))
		if n := w.scan(w.reader, store.Query{}).Len(); n != 2 {
			w.Errorf("%d entries", n)
		}
		w.mustCheck()
	}},
	{"versions before 1970 and finer than microseconds are in order", func(w *world) {
		make := func(modified string) store.Item {
			return item(fmt.Sprintf(`{"type":"indicator","spec_version":"2.1","id":%q,"created":%q,"modified":%q}`, idOf("indicator", 1), modified, modified), stix.Amber)
		}
		w.push(make("0001-01-01T00:00:00Z"), make("1970-01-01T00:00:00.000000001Z"), make("1969-12-31T23:59:59.999999999Z"), make("9999-12-31T23:59:59.999999999Z"))
		for _, row := range []struct {
			v    taxii.Versioning
			want string
		}{
			{taxii.Versioning{First: true}, "0001-01-01T00:00:00Z"},
			{taxii.Versioning{Last: true}, "9999-12-31T23:59:59.999999999Z"},
			{taxii.Versioning{At: []time.Time{time.Unix(0, 1)}}, "1970-01-01T00:00:00.000000001Z"},
			{taxii.Versioning{At: []time.Time{time.Unix(0, -1)}}, "1969-12-31T23:59:59.999999999Z"},
		} {
			if m := w.manifest(w.reader, queryVersions(row.v)); len(m.Records) != 1 || m.Records[0].Version != row.want {
				w.Errorf("%+v gives %+v", row.v, m.Records)
			}
		}
		w.mustCheck()
	}},
}
