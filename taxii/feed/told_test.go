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
	events, changed := d.update(m, slices.Values(entries[:0]), now.Add(time.Hour), false)
	if !changed || len(events) != 1 || len(events[0].Attributes) != maxRemoved {
		t.Fatalf("changed %t, %d events, the first with %d attributes", changed, len(events), len(events[0].Attributes))
	}
	if events, changed = d.update(m, slices.Values(entries[:0]), now.Add(time.Hour+removedFor), false); !changed || len(events[0].Attributes) != 0 {
		t.Errorf("30 days later: changed %t, %d attributes", changed, len(events[0].Attributes))
	}
}
