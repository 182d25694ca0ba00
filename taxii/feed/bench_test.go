package feed

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"comity/stix"
	stixfeed "comity/stix/feed"
)

// newBenchListing has a million addresses, one of each indicator.
func newBenchListing(b *testing.B) (*index, *listing, time.Time) {
	now := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	x := &index{now: time.Now}
	var all []row
	for i := range 1_000_000 {
		for row := range benchRecord(i, 0, now).rows() {
			all = append(all, row)
		}
	}
	t, err := writeTable("", "", tableHeader{}, rows{changed: sorted(all)}.all())
	if err != nil {
		b.Fatal(err)
	}
	x.rows.table = t
	def, err := ParseDefinition("f.toml", []byte("format = \"feed/1\"\nid = \"f\"\naccount = \"a/b\"\nuse = \"block\"\ncollections = [\"*\"]\n"))
	if err != nil {
		b.Fatal(err)
	}
	return x, newListing(question{def, make([]terms, 1)}, []*part{{index: x, now: x.content}}, nil), now
}

func benchRecord(i, version int, now time.Time) *record {
	text := fmt.Sprintf("%d.%d.%d.%d", 20+i>>18, i>>12&63, i>>6&63, i&63+version)
	r := newRecord(&stixfeed.Indicator{
		ID: stix.ID(fmt.Sprintf("indicator--%08x-0000-4000-8000-000000000000", i)), Name: "n", Confidence: 50,
		From: now.Add(-time.Hour), Until: now.Add(2 * time.Hour), Modified: now.Add(-time.Hour), Values: []stixfeed.Value{{Kind: stixfeed.IPv4, Text: text}},
	}, "")
	r.added = int64(i + version<<30)
	return r
}

// BenchmarkAnswerAfterAChange is the time from one changed indicator to the list of a million
// entries, written.
func BenchmarkAnswerAfterAChange(b *testing.B) {
	x, l, now := newBenchListing(b)
	l.update(now)
	format, kinds, _ := stixfeed.Find("ipv4.txt")
	var out bytes.Buffer
	for i := 0; b.Loop(); i++ {
		x.replace([]*record{benchRecord(i*7919%1_000_000, 1+i&1, now)}, nil)
		l.parts[0].now = x.content
		l.update(now)
		out.Reset()
		f := file{format: format, kinds: kinds}
		if _, err := format.Write(&out, &stixfeed.Header{Kinds: kinds}, f.entries(&Answer{Entries: l.entries, Definition: l.def})); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(out.Len()), "bytes")
}
