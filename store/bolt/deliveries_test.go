package bolt_test

import (
	"bytes"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"comity/stix"
	"comity/store"
	"comity/store/bolt"
	"comity/taxii"
	"comity/taxii/audit"
	"comity/taxii/exchange"
)

// An account that polls during a commit gets the older version, however long the commit
// takes. It is among the holders when that version is recalled.
func TestHoldersAreFoundHoweverLongACommitTakes(t *testing.T) {
	var now atomic.Int64
	now.Store(time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC).UnixMicro())
	clock := func() time.Time { return time.UnixMicro(now.Load()) }
	s, err := bolt.Open(t.TempDir(), clock, discard, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	mustPush(t, s, indicator(1, 1), indicator(2, 1))
	polled := func(account string) {
		page, err := s.Scan(t.Context(), grant, store.Query{Limit: 10})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Record(t.Context(), audit.Entry{
			Act: audit.Delivery, Account: account, Collection: collection.String(), From: &page.First, To: &page.Last, HighWater: &page.HighWater,
			View: &exchange.View{Reads: true, Ceiling: stix.Red, At: uint32(clock().Unix())},
		}); err != nil {
			t.Fatal(err)
		}
	}
	var early *store.Page
	s.FailCommits(func(commit func() error) error {
		now.Add(5 * time.Second.Microseconds())
		if early, err = s.Scan(t.Context(), grant, store.Query{Limit: 10}); err != nil {
			t.Error(err)
		}
		now.Add(5 * time.Second.Microseconds())
		return commit()
	})
	mustPush(t, s, indicator(1, 2))
	s.FailCommits(func(commit func() error) error { return commit() })
	if err := s.Record(t.Context(), audit.Entry{
		Act: audit.Delivery, Account: "early", Collection: collection.String(), From: &early.First, To: &early.Last, HighWater: &early.HighWater,
		View: &exchange.View{Reads: true, Ceiling: stix.Red, At: uint32(clock().Unix()) - 5},
	}); err != nil {
		t.Fatal(err)
	}
	polled("late")
	all := store.Query{Limit: 10, Match: taxii.Match{IDs: []string{string(indicator(1, 1).Object.ID)}, Versions: taxii.Versioning{All: true}}}
	page, err := s.Scan(t.Context(), grant, all)
	if err != nil || page.Len() != 2 {
		t.Fatal(page.Len(), err)
	}
	for i, want := range []string{"early", "late"} {
		holders, err := s.Holders(t.Context(), collection, []time.Time{time.UnixMicro(page.Added[i])}, 0)
		if err != nil || len(holders) != 1 || holders[0].Account != want {
			t.Errorf("version %d: %+v, %v; want %s", i+1, holders, err, want)
		}
	}
}

// A damaged entry of the index of deliveries is an error, wherever it sorts.
func TestADamagedDeliveryIsAnError(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	mustPush(t, s, indicator(1, 1))
	page, err := s.Scan(t.Context(), grant, store.Query{Limit: 1})
	if err := errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
	for name, key := range map[string][]byte{"last": bytes.Repeat([]byte{0xff}, 17), "class": append([]byte{65}, make([]byte, 16)...), "cut off": make([]byte, 16)} {
		update(t, dir, func(tx *bbolt.Tx) error {
			delivered := tx.Bucket([]byte("delivered"))
			if err := delivered.DeleteBucket(collection[:]); err != nil && !errors.Is(err, berrors.ErrBucketNotFound) {
				return err
			}
			b, err := delivered.CreateBucket(collection[:])
			if err != nil {
				return err
			}
			return b.Put(key, make([]byte, 8))
		})
		s := open(t, dir)
		if holders, err := s.Holders(t.Context(), collection, []time.Time{page.First}, 0); taxii.CodeOf(err) != taxii.Internal {
			t.Errorf("%s: %v, %v", name, holders, err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
