package feed

import (
	"context"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"testing"
	"time"

	"comity/stix"
	stixfeed "comity/stix/feed"
	"comity/store"
	"comity/taxii/exchange"
)

// emptyStore has no object.
type emptyStore struct{ Store }

func (emptyStore) Scan(context.Context, exchange.Grant, store.Query) (*store.Page, error) {
	return &store.Page{}, nil
}

// newIndicators is an index of indicators, whose values value names, in a table.
func newIndicators(t *testing.T, n int, value func(i int) string) (*index, []*record) {
	t.Helper()
	x := &index{now: time.Now, store: emptyStore{}}
	var all []row
	records := make([]*record, n)
	for i := range records {
		r := newRecord(&stixfeed.Indicator{
			ID: stix.ID(fmt.Sprintf("indicator--%08x-0000-4000-8000-000000000000", i)), Values: []stixfeed.Value{{Kind: stixfeed.IPv4, Text: value(i)}},
		}, "")
		r.added, records[i] = int64(i+1), r
		for row := range r.rows() {
			all = append(all, row)
		}
	}
	table, err := writeTable("", "", tableHeader{}, rows{changed: sorted(all)}.all())
	if err != nil {
		t.Fatal(err)
	}
	x.rows.table = table
	return x, records
}

// Sinkholes and shared hosts have thousands of indicators of several vendors.
func TestAChangeOfOneIndicatorWritesNoOther(t *testing.T) {
	x, records := newIndicators(t, 10_000, func(int) string { return "203.0.114.1" })
	changed := *records[5000]
	changed.added = 20_000
	x.replace([]*record{&changed}, []string{records[7000].id})
	if x.changed > 1000 {
		t.Errorf("%d bytes of rows have changed", x.changed)
	}
	if n := len(x.rows.claims(rowKey(changed.values[0]), 0)); n != 9999 {
		t.Errorf("the address has %d indicators", n)
	}
}

// A feed may have millions of indicators, and its subscribers wait meanwhile.
func TestARemovalReadsNoMoreThanWhatIsRemoved(t *testing.T) {
	x, records := newIndicators(t, 100_000, func(i int) string { return fmt.Sprintf("203.%d.%d.%d", i>>16, i>>8&255, i&255) })
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	err := x.drop(t.Context(), exchange.Grant{}, span{time.UnixMicro(500), time.UnixMicro(501)})
	runtime.ReadMemStats(&after)
	if err != nil || x.record(records[499].id) != nil || x.record(records[500].id) != nil || x.record(records[501].id) == nil {
		t.Fatalf("%v: other indicators are left", err)
	}
	if read := after.TotalAlloc - before.TotalAlloc; read > uint64(x.rows.table.size/4) {
		t.Errorf("it reads about %d bytes of %d", read, x.rows.table.size)
	}
}

// The parts of a long list are worked out at the same time.
func TestALongListIsTheSameWhicheverPartsItIsMadeOf(t *testing.T) {
	x, records := newIndicators(t, 40_000, func(i int) string { return fmt.Sprintf("203.%d.%d.%d", i>>15, i>>8&127, i>>1&127) })
	x.replace(nil, []string{records[20_000].id})
	def, err := ParseDefinition("f.toml", []byte("format = \"feed/1\"\nid = \"f\"\naccount = \"a/b\"\nuse = \"block\"\ncollections = [\"*\"]\nnever_block = [\"203.0.50.0/24\"]\n"))
	if err != nil {
		t.Fatal(err)
	}
	l := newListing(question{def, make([]terms, 1)}, []*part{{index: x, now: x.content}}, nil)
	now := time.UnixMicro(noTime).Add(time.Hour)
	whole := l.evaluate(valueRow, "", now)
	bounds := l.snapshot(now).split(5)
	if len(bounds) != 6 {
		t.Fatalf("%d bounds", len(bounds))
	}
	next := l.snapshot(now)
	l.leftOut, l.horizon = map[stixfeed.Reason]int{}, now.Add(horizon)
	for i, from := range bounds[:5] {
		l.merge(l.evaluate(from, bounds[i+1], now), next)
	}
	if n := next.Len(); n == 0 || l.sum != whole.sum || next.counts != whole.entries.counts || !slices.Equal(next.never, whole.entries.never) ||
		!maps.Equal(l.leftOut, whole.leftOut) || l.parts[0].selected != whole.parts[0].selected || len(next.never) == 0 {
		t.Errorf("%d entries of %d, left out %v, %v", n, whole.entries.Len(), l.leftOut, whole.leftOut)
	}
}
