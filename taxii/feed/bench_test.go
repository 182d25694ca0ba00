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
	x := newIndex(nil)
	x.records = map[stix.ID]*record{}
	for i := range 1_000_000 {
		r := benchRecord(i, 0, now)
		x.records[r.ID] = r
	}
	def, err := ParseDefinition("f.toml", []byte("format = \"feed/1\"\nid = \"f\"\naccount = \"a/b\"\nuse = \"block\"\ncollections = [\"*\"]\n"))
	if err != nil {
		b.Fatal(err)
	}
	l := newListing(def, []*part{{index: x, position: -1}}, nil)
	return x, l, now
}

func benchRecord(i, version int, now time.Time) *record {
	text := fmt.Sprintf("%d.%d.%d.%d", 20+i>>18, i>>12&63, i>>6&63, i&63+version)
	return &record{added: int64(i + version<<30), Indicator: stixfeed.Indicator{
		ID: stix.ID(fmt.Sprintf("indicator--%08x-0000-4000-8000-000000000000", i)), Name: "n", Confidence: 50,
		From: now.Add(-time.Hour), Until: now.Add(time.Hour), Modified: now.Add(-time.Hour), Values: []stixfeed.Value{{Kind: stixfeed.IPv4, Text: text}},
	}}
}

// BenchmarkFirstAnswer is the time of the first answer of a feed of a million entries, its index
// being there.
func BenchmarkFirstAnswer(b *testing.B) {
	_, l, now := newBenchListing(b)
	for b.Loop() {
		l.values = nil
		l.update(now)
	}
	b.ReportMetric(float64(len(l.entries)), "entries")
}

// BenchmarkAnswerAfterAChange is the time from one changed indicator to the list of a million
// entries, written.
func BenchmarkAnswerAfterAChange(b *testing.B) {
	x, l, now := newBenchListing(b)
	l.update(now)
	format, kinds, _ := stixfeed.Find("ipv4.txt")
	var out bytes.Buffer
	for i := 0; b.Loop(); i++ {
		r := benchRecord(i*7919%1_000_000, 1+i&1, now)
		x.replace(r.ID, r)
		l.update(now)
		out.Reset()
		f := file{format: format, kinds: kinds}
		if _, err := format.Write(&out, &stixfeed.Header{Kinds: kinds}, f.entries(&Answer{Entries: l.entries, Definition: l.def})); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(out.Len()), "bytes")
}
