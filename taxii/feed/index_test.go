package feed

import (
	"context"
	"fmt"
	"runtime"
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
