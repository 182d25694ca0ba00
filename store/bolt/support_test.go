package bolt_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.etcd.io/bbolt"

	"comity/stix"
	"comity/store"
	"comity/store/bolt"
	"comity/taxii/audit"
	"comity/taxii/exchange"
)

// discard is a logger that logs nothing.
var discard = slog.New(slog.DiscardHandler)

// collection is the collection of these tests, and grant the grant of the operator on it.
var (
	collection = uuid.MustParse("5a1b0c1e-7a52-4f6c-9d83-1f2e3d4c5b6a")
	grant      = exchange.Operator(collection)
)

func open(t testing.TB, dir string) *bolt.Store {
	t.Helper()
	s, err := bolt.Open(dir, time.Now, discard, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// indicatorText returns a realistic indicator of some 700 bytes.
func indicatorText(n, version int) string {
	return fmt.Sprintf(`{"type":"indicator","spec_version":"2.1","id":"indicator--%08x-2a4f-4c59-9d1e-%012x","created_by_ref":"identity--f431f809-377b-45e0-aa1c-6a4751cae5ff",`+
		`"created":"2026-01-01T00:00:00.000Z","modified":"2026-01-01T00:00:00.%06dZ","name":"Command and control server %d of a banking trojan",`+
		`"description":"Seen by sensors in three networks between the first and the second week of January; answers on a port that the family is known for.",`+
		`"indicator_types":["malicious-activity"],"pattern":"[ipv4-addr:value = '198.51.%d.%d' AND network-traffic:dst_port = 443]","pattern_type":"stix","pattern_version":"2.1",`+
		`"valid_from":"2026-01-01T00:00:00Z","valid_until":"2026-07-01T00:00:00Z","object_marking_refs":["marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421"]}`,
		n, n, version, n, n>>8&255, n&255)
}

func indicator(n, version int) store.Item { return item(indicatorText(n, version)) }

func item(text string) store.Item {
	o, err := stix.NewObject([]byte(text))
	if err != nil {
		panic(err)
	}
	return store.Item{Object: o, Handling: exchange.Handling{TLP: stix.Amber}}
}

// push appends items in one part.
func push(ctx context.Context, s *bolt.Store, items ...store.Item) (store.Submission, error) {
	sub := store.Submission{ID: uuid.New(), Collection: collection, Requested: time.Now()}
	_, _, err := s.Append(ctx, grant, store.Part{Submission: sub, Last: true, Items: items})
	return sub, err
}

func mustPush(t testing.TB, s *bolt.Store, items ...store.Item) {
	t.Helper()
	if _, err := push(t.Context(), s, items...); err != nil {
		t.Fatal(err)
	}
}

// remove deletes the objects that q selects, as a party does with its own objects.
func remove(ctx context.Context, s *bolt.Store, q store.Query) (int, error) {
	var dates []time.Time
	if err := store.EachToDelete(ctx, s, exchange.Operator(collection), q, func(_ *stix.Object, d store.Detail) error {
		dates = append(dates, d.DateAdded)
		return nil
	}); err != nil {
		return 0, err
	}
	return s.Remove(ctx, collection, dates, store.Block{}, audit.Entry{Act: audit.Deletion})
}

// check fails the test for every fault.
func check(t testing.TB, s *bolt.Store) {
	t.Helper()
	if err := s.Check(t.Context(), nil, func(fault string) { t.Error(fault) }); err != nil {
		t.Error(err)
	}
}

func count(t testing.TB, s *bolt.Store) int64 {
	t.Helper()
	n, err := s.Count(t.Context(), collection)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// items returns n indicators, from number first on.
func items(first, n int) []store.Item {
	list := make([]store.Item, n)
	for i := range list {
		list[i] = indicator(first+i, 1)
	}
	return list
}

// update changes the file of the store in dir behind its back.
func update(t *testing.T, dir string, change func(*bbolt.Tx) error) {
	t.Helper()
	db, err := bbolt.Open(filepath.Join(dir, bolt.FileName), 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(db.Update(change), db.Close()); err != nil {
		t.Fatal(err)
	}
}
