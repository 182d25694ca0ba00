package bolt_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"comity/store/bolt"
	"comity/taxii"
)

// unpack writes a file of testdata, which an earlier version made, to a path.
func unpack(t *testing.T, name, to string) {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", name+".gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// A store whose last pushes are still in the journal of an earlier version is not
// opened without them, and not touched.
func TestOpenRefusesAJournalWithCommits(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, bolt.FileName)
	unpack(t, "layout5-open.db", path)
	unpack(t, "layout5-open.db.journal", path+bolt.JournalName)
	before := readFiles(t, dir)
	_, err := bolt.Open(dir, time.Now, discard, 0)
	if taxii.CodeOf(err) != taxii.Conflict || !strings.Contains(err.Error(), "comity check") {
		t.Errorf("Open: %v", err)
	}
	if err := bolt.Compact(t.Context(), dir, 0, nil); taxii.CodeOf(err) != taxii.Conflict {
		t.Errorf("Compact: %v", err)
	}
	if !bytes.Equal(before, readFiles(t, dir)) {
		t.Error("it was touched")
	}
	// A file that bbolt cannot read may be what the journal would mend.
	if err := os.WriteFile(path, bytes.Repeat([]byte("torn"), 8192), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := bolt.Open(dir, time.Now, discard, 0); taxii.CodeOf(err) != taxii.Conflict {
		t.Errorf("with a torn file: %v", err)
	}
}

// readFiles is the content of all files of a folder.
func readFiles(t *testing.T, dir string) (all []byte) {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		b, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		all = append(append(all, f.Name()...), b...)
	}
	return all
}

// A journal whose commits are all in the store's file is dropped.
func TestOpenDropsAJournalWithoutCommits(t *testing.T) {
	for name, journal := range map[string][]byte{"empty": {}, "cut off": make([]byte, 3), "void": append(make([]byte, 192), "the frames of an earlier use"...)} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, bolt.FileName)
			s := open(t, dir)
			mustPush(t, s, indicator(1, 1))
			if err := errors.Join(s.Close(), os.WriteFile(path+bolt.JournalName, journal, 0o600)); err != nil {
				t.Fatal(err)
			}
			s = reopened(t, dir)
			defer s.Close()
			if n := count(t, s); n != 1 {
				t.Errorf("%d records", n)
			}
			if _, err := os.Stat(path + bolt.JournalName); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the journal: %v", err)
			}
		})
	}
}

// The journal of a store that was removed is none of the one that is restored.
func TestRestoreDropsTheJournal(t *testing.T) {
	from, want := backup(t)
	dir := t.TempDir()
	unpack(t, "layout5-open.db.journal", filepath.Join(dir, bolt.FileName+bolt.JournalName))
	if err := bolt.Restore(t.Context(), from, dir); err != nil {
		t.Fatal(err)
	}
	s := reopened(t, dir)
	defer s.Close()
	if contents(t, s) != want {
		t.Error("it does not show the same as the backup")
	}
}
