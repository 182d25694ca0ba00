package bolt_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/bbolt"

	"comity/store"
	"comity/store/bolt"
	"comity/taxii"
)

// If the power fails during a commit, the disk may have any of the pages written since the
// last sync, whole or in part. The store then has every acknowledged push, and all of the
// commit or nothing.
func TestPowerLoss(t *testing.T) {
	const sector = 512 // bytes that a disk writes whole
	random := rand.New(rand.NewPCG(1, 2))
	dir := t.TempDir()
	path := filepath.Join(dir, bolt.FileName)
	s := open(t, dir)
	defer s.Close()
	mustPush(t, s, items(0, 40)...)
	read := func() []byte {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	// mixed is a file of which some sectors from one offset to another are as they
	// were before.
	mixed := func(before, after []byte, from, to int) []byte {
		file := bytes.Clone(after)
		for at := from; at < min(to, len(before)); at += sector {
			if random.IntN(2) == 0 {
				copy(file[at:at+sector], before[at:])
			}
		}
		return file
	}
	const metas = 2 * bolt.PageSize
	var lost [][]byte
	s.FailCommits(func(commit func() error) error {
		before := read()
		err := commit()
		after := read()
		// First the pages go to the disk, then one of the two metas.
		pages := mixed(before, after, metas, len(before))
		copy(pages[:metas], before)
		lost = append(lost, pages, mixed(before, after, 0, metas))
		return err
	})
	next := 100
	for range 25 {
		before := dump(t, read())
		switch random.IntN(4) {
		case 0:
			mustPush(t, s, indicator(random.IntN(next), 1+random.IntN(9)))
		case 1:
			q := store.Query{}
			q.IDs = []string{string(indicator(random.IntN(40), 1).Object.ID)}
			if _, err := remove(t.Context(), s, q); err != nil && taxii.CodeOf(err) != taxii.NotFound {
				t.Fatal(err)
			}
		default:
			n := 1 + random.IntN(300)
			mustPush(t, s, items(next, n)...)
			next += n
		}
		after := dump(t, read())
		for _, file := range lost {
			if found := recovered(t, file); !slices.Equal(found, before) && !slices.Equal(found, after) {
				t.Fatalf("the store holds neither what it did before nor what it does now:\n%s", cmp.Diff(after, found))
			}
		}
		if found := recovered(t, read()); !slices.Equal(found, after) {
			t.Fatalf("the store does not hold what was acknowledged:\n%s", cmp.Diff(after, found))
		}
		lost = nil
	}
}

// The last commit of a process that was killed may be in memory and not on the disk.
// It is on the disk before a new process commits anything.
func TestOpenBringsTheLastCommitToTheDisk(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	mustPush(t, s, items(0, 40)...)
	path := filepath.Join(dir, bolt.FileName)
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	mustPush(t, s, indicator(100, 1))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	after, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Run("what is not on the disk", func(t *testing.T) {
		disk := &lossyDisk{memory: bytes.Clone(after), disk: bytes.Clone(after)}
		copy(disk.disk, before[:2*bolt.PageSize])
		if err := bolt.RewriteMetas(disk, bolt.PageSize); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(disk.disk, after) || !bytes.Equal(disk.memory, after) {
			t.Error("the disk does not hold the last commit")
		}
	})
	t.Run("at each start", func(t *testing.T) {
		past := time.Now().Add(-time.Hour)
		if err := os.Chtimes(path, past, past); err != nil {
			t.Fatal(err)
		}
		s := open(t, dir)
		defer s.Close()
		if info, err := os.Stat(path); err != nil || !info.ModTime().After(past) {
			t.Errorf("nothing was written: %v", err)
		}
	})
}

// lossyDisk is a file of which the disk has only the writes before the last sync.
type lossyDisk struct {
	memory, disk []byte
	from, to     int // written since the last sync
}

func (f *lossyDisk) ReadAt(p []byte, at int64) (int, error) { return copy(p, f.memory[at:]), nil }

func (f *lossyDisk) WriteAt(p []byte, at int64) (int, error) {
	f.from, f.to = int(at), int(at)+len(p)
	return copy(f.memory[at:], p), nil
}

func (f *lossyDisk) Sync() error {
	copy(f.disk[f.from:f.to], f.memory[f.from:])
	f.from, f.to = 0, 0
	return nil
}

// recovered returns the content of a store opened on a file, which must have no fault.
func recovered(t *testing.T, file []byte) []string {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, bolt.FileName)
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	s := open(t, dir)
	check(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	after, err := os.ReadFile(path)
	if err := errors.Join(err, os.Remove(path)); err != nil {
		t.Fatal(err)
	}
	return dump(t, after)
}

// dump returns all entries of a file, in order, as bbolt reads it.
func dump(t *testing.T, file []byte) (lines []string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), bolt.FileName)
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	var walk func(path string, b *bbolt.Bucket) error
	walk = func(path string, b *bbolt.Bucket) error {
		lines = append(lines, fmt.Sprintf("%s: %d", path, b.Sequence()))
		return b.ForEach(func(k, v []byte) error {
			if v == nil {
				return walk(fmt.Sprintf("%s/%x", path, k), b.Bucket(k))
			}
			lines = append(lines, fmt.Sprintf("%s/%x=%x", path, k, v))
			return nil
		})
	}
	err = db.View(func(tx *bbolt.Tx) error {
		return tx.ForEach(func(name []byte, b *bbolt.Bucket) error { return walk(string(name), b) })
	})
	if err := errors.Join(err, db.Close(), os.Remove(path)); err != nil {
		t.Fatal(err)
	}
	return lines
}
