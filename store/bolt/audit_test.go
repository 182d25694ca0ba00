package bolt_test

import (
	"crypto/ed25519"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"comity/store"
	"comity/store/bolt"
	"comity/taxii/audit"
)

// If the deletion of archived entries is interrupted, the seal stays and the store has no
// fault. The next archiving deletes the rest.
func TestAnInterruptedArchivingIsCompletedByTheNext(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	for range 10 {
		if err := s.Record(t.Context(), audit.Entry{Act: audit.Notice}); err != nil {
			t.Fatal(err)
		}
	}
	commits := 0
	s.FailCommits(func(commit func() error) error {
		if commits++; commits == 2 {
			return errFull
		}
		return commit()
	})
	if err := archive(t, s, 4); !errors.Is(err, errFull) {
		t.Fatalf("got %v", err)
	}
	if seal, err := s.Seal(t.Context()); err != nil || seal.Number != 4 {
		t.Errorf("the seal is %v, %v", seal, err)
	}
	check(t, s)
	if err := archive(t, s, 6); err != nil {
		t.Fatal(err)
	}
	check(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	db, err := bbolt.Open(filepath.Join(dir, bolt.FileName), 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.View(func(tx *bbolt.Tx) error {
		if n := tx.Bucket([]byte("links")).Stats().KeyN; n != 4+2 {
			t.Errorf("%d entries are in the file, want the four after the seal and the two of the archivings", n)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

// Archiving entries that all stay commits the seal and nothing more.
func TestArchivingCommitsNothingWhereNothingIsDropped(t *testing.T) {
	s := open(t, t.TempDir())
	defer s.Close()
	mustPush(t, s, indicator(1, 1))
	page, err := s.Scan(t.Context(), grant, store.Query{Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Record(t.Context(), audit.Entry{Act: audit.Delivery, Account: "org/b", Collection: collection.String(), From: &page.First, To: &page.Last}); err != nil {
		t.Fatal(err)
	}
	if err := archive(t, s, 1); err != nil { // the push
		t.Fatal(err)
	}
	commits := 0
	s.FailCommits(func(commit func() error) error { commits++; return commit() })
	if err := archive(t, s, 2); err != nil || commits != 1 {
		t.Errorf("%d commits, %v", commits, err)
	}
	check(t, s)
}

// archive archives the entries up to number n.
func archive(t *testing.T, s *bolt.Store, n uint64) error {
	t.Helper()
	links, err := s.Entries(t.Context(), n-1, 1)
	if err != nil || len(links) != 1 {
		t.Fatalf("entry %d: %v, %v", n, links, err)
	}
	seal := audit.Sign(ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)), "centre", audit.Head{Number: n, Hash: links[0].Hash}, time.Now())
	return s.Archive(t.Context(), seal, audit.Entry{Act: audit.Archive})
}
