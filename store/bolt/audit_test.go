package bolt_test

import (
	"crypto/ed25519"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"comity/store/bolt"
	"comity/taxii/audit"
)

// If the deletion of archived entries is interrupted, the seal stays and the store has no
// fault. The next archiving deletes the rest.
func TestAnInterruptedArchivingIsCompletedByTheNext(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	archive := func(n uint64) error {
		links, err := s.Entries(t.Context(), n-1, 1)
		if err != nil || len(links) != 1 {
			t.Fatalf("entry %d: %v, %v", n, links, err)
		}
		seal := audit.Sign(ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)), "centre", audit.Head{Number: n, Hash: links[0].Hash}, time.Now())
		return s.Archive(t.Context(), seal, audit.Entry{Act: audit.Archive})
	}
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
	if err := archive(4); !errors.Is(err, errFull) {
		t.Fatalf("got %v", err)
	}
	if seal, err := s.Seal(t.Context()); err != nil || seal.Number != 4 {
		t.Errorf("the seal is %v, %v", seal, err)
	}
	check(t, s)
	if err := archive(6); err != nil {
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
