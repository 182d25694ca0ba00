package postgres_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"comity/stix"
	"comity/store"
	"comity/taxii/exchange"
)

const megabyte = 1 << 20

// largeObjects are n indicators of a megabyte each.
func largeObjects(t *testing.T, n int, description string) (items []store.Item) {
	t.Helper()
	for i := range n {
		o, err := stix.NewObject(fmt.Appendf(nil, `{"type":"indicator","spec_version":"2.1","id":"indicator--%08x-2a4f-4c59-9d1e-000000000001","created":"2026-01-01T00:00:00Z","modified":"2026-01-01T00:00:00Z","description":"%s%s"}`,
			i, description, strings.Repeat("x", megabyte)))
		if err != nil {
			t.Fatal(err)
		}
		items = append(items, store.Item{Object: o, Handling: exchange.Handling{TLP: stix.Green}})
	}
	return items
}

func appendItems(t *testing.T, s store.Store, items []store.Item) store.Status {
	t.Helper()
	sub := store.Submission{ID: uuid.New(), Collection: grant.ID(), Requested: time.Now()}
	status, _, err := s.Append(t.Context(), grant, store.Part{Submission: sub, Last: true, Items: items})
	if err != nil {
		t.Fatal(err)
	}
	return status
}

// A page that is full of large objects does not read those behind it, except for the first
// one of a collection, which shows that it has large ones.
func TestPageReadsNoLargeObjectsBehindIt(t *testing.T) {
	through := relayTo(t, database(t, t.TempDir()))
	s := openStore(t, through.dsn)
	const n = 16
	appendItems(t, s, largeObjects(t, n, ""))
	for _, all := range []bool{true, false} {
		q := store.Query{Limit: 1000, MaxBytes: 2*megabyte + megabyte/2}
		q.Versions.All = all
		got := 0
		for more := true; more; {
			before := through.sent.Load()
			page, err := s.Scan(t.Context(), grant, q)
			if err != nil {
				t.Fatal(err)
			}
			if read := through.sent.Load() - before; read > 4*megabyte && (all || got > 0) {
				t.Errorf("all versions %t: a page behind %d objects reads %d bytes", all, got, read)
			}
			got += page.Len()
			q.After, more = page.Last, page.More
		}
		if got != n {
			t.Errorf("all versions %t: got %d objects", all, got)
		}
	}
}

// A push is compared with large objects that the collection has as with small ones.
func TestPushMeetsLargeObjects(t *testing.T) {
	s := openStore(t, database(t, t.TempDir()))
	const n = 3
	appendItems(t, s, largeObjects(t, n, ""))
	if status := appendItems(t, s, largeObjects(t, n, "")); status.Successes != n || status.Stored != 0 {
		t.Errorf("the same again: %+v", status.Counts)
	}
	if status := appendItems(t, s, largeObjects(t, n, "other")); status.Failures != n {
		t.Errorf("with other content: %+v", status.Counts)
	}
}
