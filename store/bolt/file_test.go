package bolt_test

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"comity/store"
	"comity/store/bolt"
	"comity/taxii"
)

// errFull is the error of a write to a full disk, errDisk that of a disk that fails.
var (
	errFull = &os.PathError{Op: "write", Path: bolt.FileName, Err: syscall.ENOSPC}
	errDisk = &os.PathError{Op: "write", Path: bolt.FileName, Err: syscall.EIO}
)

// After a commit to a full disk, the store knows which objects it has and which can be
// added, whether or not the commit was written. The store is not ready until a commit has
// succeeded.
func TestFullDisk(t *testing.T) {
	for name, fail := range map[string]func(commit func() error) error{
		"before": func(func() error) error { return errFull },
		"after":  func(commit func() error) error { return errors.Join(commit(), errFull) },
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, t.TempDir())
			defer s.Close()
			mustPush(t, s, indicator(1, 1), indicator(2, 1))
			s.FailCommits(fail)
			if _, err := push(t.Context(), s, indicator(1, 2), indicator(3, 1)); !errors.Is(err, errFull) || taxii.CodeOf(err) != taxii.Unavailable {
				t.Errorf("got %v", err)
			}
			if err := s.Ready(t.Context()); taxii.CodeOf(err) != taxii.Unavailable {
				t.Errorf("it is ready: %v", err)
			}
			if _, err := remove(t.Context(), s, store.Query{Match: taxii.Match{IDs: []string{string(indicator(2, 1).Object.ID)}, Versions: taxii.Versioning{All: true}}}); !errors.Is(err, errFull) {
				t.Errorf("got %v", err)
			}
			s.FailCommits(func(commit func() error) error { return commit() })
			mustPush(t, s, indicator(1, 2), indicator(2, 1), indicator(3, 1), indicator(4, 1))
			if n := count(t, s); n != 5 {
				t.Errorf("%d records", n)
			}
			if err := s.Ready(t.Context()); err != nil {
				t.Error(err)
			}
			check(t, s)
		})
	}
}

// The store stops at the first write or sync that fails, since a later sync may succeed
// although pages are lost. It shows nothing of the failed commit. The next start writes
// every acknowledged push into a new file.
func TestFailedSync(t *testing.T) {
	for name, fail := range map[string]func(commit func() error) error{
		"before the meta is written": func(func() error) error { return errDisk },
		"after the meta is written":  func(commit func() error) error { return errors.Join(commit(), syscall.EIO) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := open(t, dir)
			mustPush(t, s, indicator(1, 1), indicator(2, 1))
			old := stat(t, dir)
			s.FailCommits(fail)
			if _, err := push(t.Context(), s, indicator(3, 1)); !errors.Is(err, syscall.EIO) || taxii.CodeOf(err) != taxii.Unavailable {
				t.Errorf("got %v", err)
			}
			s.FailCommits(func(commit func() error) error { return commit() })
			if _, err := push(t.Context(), s, indicator(4, 1)); taxii.CodeOf(err) != taxii.Unavailable {
				t.Errorf("it goes on: %v", err)
			}
			if err := s.Ready(t.Context()); taxii.CodeOf(err) != taxii.Unavailable {
				t.Errorf("it is ready: %v", err)
			}
			if page, err := s.Scan(t.Context(), grant, store.Query{Limit: 10}); err == nil && page.Len() != 2 || err != nil && taxii.CodeOf(err) != taxii.Unavailable {
				t.Errorf("%d objects, %v", page.Len(), err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			s = open(t, dir)
			if os.SameFile(old, stat(t, dir)) {
				t.Error("the old file is used again")
			}
			mustPush(t, s, indicator(1, 1), indicator(2, 1), indicator(3, 1))
			if n := count(t, s); n != 3 {
				t.Errorf("%d records", n)
			}
			check(t, s)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			old = stat(t, dir)
			if err := open(t, dir).Close(); err != nil || !os.SameFile(old, stat(t, dir)) {
				t.Errorf("it is written into a new file once more: %v", err)
			}
		})
	}
}

// stat returns the FileInfo of the file of the store in dir.
func stat(t *testing.T, dir string) os.FileInfo {
	t.Helper()
	info, err := os.Stat(filepath.Join(dir, bolt.FileName))
	if err != nil {
		t.Fatal(err)
	}
	return info
}

// A store whose file was moved or deleted refuses pushes, since they would be lost.
func TestMovedFileTakesNothing(t *testing.T) {
	for name, move := range map[string]func(dir string) error{
		"file removed": func(dir string) error { return os.Remove(filepath.Join(dir, bolt.FileName)) },
		"file replaced": func(dir string) error {
			path := filepath.Join(dir, bolt.FileName)
			return errors.Join(os.Rename(path, path+".old"), os.WriteFile(path, nil, 0o600))
		},
		"folder moved":    func(dir string) error { return os.Rename(dir, dir+".old") },
		"folder replaced": func(dir string) error { return errors.Join(os.Rename(dir, dir+".old"), os.Mkdir(dir, 0o700)) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "data")
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			s := open(t, dir)
			defer s.Close()
			mustPush(t, s, indicator(1, 1))
			if err := move(dir); err != nil {
				t.Fatal(err)
			}
			if err := s.Ready(t.Context()); taxii.CodeOf(err) != taxii.Unavailable {
				t.Errorf("it is ready: %v", err)
			}
			if _, err := push(t.Context(), s, indicator(2, 1)); taxii.CodeOf(err) != taxii.Unavailable {
				t.Errorf("got %v", err)
			}
		})
	}
}
