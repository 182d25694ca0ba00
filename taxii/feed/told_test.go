package feed

import (
	"fmt"
	"slices"
	"testing"
	"time"

	stixfeed "comity/stix/feed"
)

// MISP keeps what no file names as deleted. However many attributes leave at once, it deletes
// as many of them as a feed may name.
func TestManyAttributesThatLeaveAtOnceAreNamedAsDeleted(t *testing.T) {
	now := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	var entries []*stixfeed.Entry
	for i := range maxRemoved + 2 {
		entries = append(entries, &stixfeed.Entry{Value: stixfeed.Value{Kind: stixfeed.Domain, Text: fmt.Sprintf("h%d.example.org", i)}, From: now})
	}
	d, m := &told{Days: map[string]*toldDay{}}, &stixfeed.MISP{}
	d.update(m, slices.Values(entries), now, false)
	named := func(at time.Time) int {
		t.Helper()
		if !d.update(m, slices.Values(entries[:0]), at, false) || len(d.events()) != 1 {
			t.Fatalf("%d events", len(d.events()))
		}
		return len(slices.Collect(d.attributes(m, now.Truncate(24*time.Hour), &EntryList{})))
	}
	if n := named(now.Add(time.Hour)); n != maxRemoved {
		t.Errorf("%d attributes", n)
	}
	if n := named(now.Add(time.Hour + removedFor)); n != 0 {
		t.Errorf("30 days later: %d attributes", n)
	}
}
