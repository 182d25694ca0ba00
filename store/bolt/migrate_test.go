package bolt_test

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.etcd.io/bbolt"

	"comity/store"
	"comity/store/bolt"
	"comity/taxii"
	"comity/taxii/exchange"
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

// Open migrates a store of layout 5 with all its content. It leaves a copy of the old file
// beside it, and makes the copy only once.
func TestOpenMigratesAnOlderLayout(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, bolt.FileName)
	unpack(t, "layout5.db", path)
	if err := bolt.Compact(t.Context(), dir, 0, nil); taxii.CodeOf(err) != taxii.Conflict {
		t.Errorf("Compact: %v", err)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	s := reopened(t, dir)
	mustHoldLayout5(t, s)
	copied := path + ".layout5"
	mustHave := func(want []string) {
		t.Helper()
		after, err := os.ReadFile(copied)
		if err != nil || !slices.Equal(dump(t, after), want) {
			t.Errorf("the copy is not the file as it was: %v", err)
		}
	}
	mustHave(dump(t, before))
	// The present version goes on with it, and does not migrate it again.
	mustPush(t, s, indicator(1, 5), indicator(1000, 1))
	if err := errors.Join(s.Close(), os.Remove(copied)); err != nil {
		t.Fatal(err)
	}
	s = reopened(t, dir)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(copied); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a second copy: %v", err)
	}
	if err := bolt.Compact(t.Context(), dir, 0, nil); err != nil {
		t.Error(err)
	}
	if err := reopened(t, dir).Close(); err != nil {
		t.Error(err)
	}
}

// A record that was damaged before a migration is found after it.
func TestMigrationHidesNoDamage(t *testing.T) {
	dir := t.TempDir()
	unpack(t, "layout5.db", filepath.Join(dir, bolt.FileName))
	update(t, dir, func(tx *bbolt.Tx) error {
		live := tx.Bucket(append([]byte("c"), collection[:]...)).Bucket([]byte("live"))
		date, large := live.Cursor().Last()
		if len(large) < 20_000 {
			t.Fatalf("the last record has %d bytes", len(large))
		}
		return live.Put(date, bytes.Replace(large, []byte("'1111"), []byte("'1112"), 1))
	})
	s := open(t, dir)
	defer s.Close()
	if faults := faultsOf(t, s); len(faults) == 0 || !strings.Contains(faults[0], "checksum") {
		t.Errorf("got %q", faults)
	}
}

// If the disk fails during a migration, the next start writes the store into a new file
// before it goes on.
func TestAFailedMigrationIsRepeatedInANewFile(t *testing.T) {
	for name, fail := range map[string]func(commit func() error) error{
		"before the meta is written": func(func() error) error { return errDisk },
		"after the meta is written":  func(commit func() error) error { return errors.Join(commit(), syscall.EIO) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, bolt.FileName)
			unpack(t, "layout5.db", path)
			old := stat(t, dir)
			if err := bolt.Migrate(path, fail); !errors.Is(err, syscall.EIO) {
				t.Fatalf("got %v", err)
			}
			s := reopened(t, dir)
			defer s.Close()
			if os.SameFile(old, stat(t, dir)) {
				t.Error("the old file is used again")
			}
			mustHoldLayout5(t, s)
		})
	}
}

// A migration that cannot copy the old file leaves no part of a copy.
func TestAFailedCopyIsRemoved(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, bolt.FileName)
	unpack(t, "layout5.db", path)
	if err := os.Mkdir(path+".layout5", 0o700); err != nil {
		t.Fatal(err)
	}
	if s, err := bolt.Open(dir, time.Now, discard, 0); err == nil {
		t.Fatal("it was opened", s.Close())
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != 2 {
		t.Errorf("%v, %v", files, err)
	}
}

// A backup of layout 5 can be restored.
func TestRestoreMigratesAnOlderLayout(t *testing.T) {
	from, dir := filepath.Join(t.TempDir(), "backup"), t.TempDir()
	unpack(t, "layout5.db", from)
	if err := bolt.Restore(t.Context(), from, dir); err != nil {
		t.Fatal(err)
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != 1 {
		t.Errorf("%v, %v", files, err)
	}
	s := reopened(t, dir)
	defer s.Close()
	mustHoldLayout5(t, s)
}

// A store that an earlier build of the present layout wrote is read as it is: what it has
// is complete, and its layout is not changed. layout7.db.gz is a backup by the commands of
// an operator: two organisations under one agreement, of which acme pushed an address and
// two versions of an indicator in two pushes, and soc-sg read them.
func TestOpenReadsWhatEarlierBuildsOfThisLayoutWrote(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, bolt.FileName)
	unpack(t, "layout7.db", path)
	s := reopened(t, dir)
	defer s.Close()
	if files, err := os.ReadDir(dir); err != nil || len(files) != 1 {
		t.Errorf("Open left %v, %v", files, err)
	}
	if faults := faultsOf(t, s); len(faults) > 0 {
		t.Errorf("faults: %q", faults)
	}
	directory, _, err := s.Directory(t.Context())
	if err != nil || directory.Centre.ID != "igci" || directory.Agreements["dea-acme"] == nil || directory.Accounts["soc-sg/siem"] == nil {
		t.Errorf("directory: %+v, %v", directory, err)
	}
	inbound := exchange.Operator(uuid.MustParse("8fb54f56-b697-4c65-8eb6-2b77e2f8e901")) // dea-acme.inbound
	page, err := s.Scan(t.Context(), inbound, store.Query{Limit: 100})
	if err != nil || page.Len() != 2 {
		t.Errorf("%d objects, %v", page.Len(), err)
	}
	all, err := s.Manifest(t.Context(), inbound, store.Query{Limit: 100, Match: taxii.Match{Versions: taxii.Versioning{All: true}}})
	if err != nil || len(all.Records) != 3 {
		t.Errorf("versions: %+v, %v", all.Records, err)
	}
	links, err := s.Entries(t.Context(), 0, 100)
	if err != nil || len(links) != 10 {
		t.Fatalf("%d audit entries, %v", len(links), err)
	}
	push, err := links[8].Entry()
	if err != nil {
		t.Fatal(err)
	}
	if status, err := s.Status(t.Context(), "acme/feed", uuid.MustParse(push.Text)); err != nil || status.Successes != 2 || status.Stored != 1 {
		t.Errorf("status: %+v, %v", status, err)
	}
}

// mustHoldLayout5 fails the test unless the store holds what layout5.db does: of ten
// indicators, of which the first had a second version, one was deleted, and the one
// added first of those left was withdrawn; an object in quarantine, and a delivery; and
// one more indicator, of 20 KB.
func mustHoldLayout5(t *testing.T, s *bolt.Store) {
	t.Helper()
	page, err := s.Scan(t.Context(), grant, store.Query{Limit: 100})
	if err != nil || page.Len() != 9 {
		t.Errorf("%d objects, %v", page.Len(), err)
	}
	if n := count(t, s); n != 10 {
		t.Errorf("%d records", n)
	}
	kept, err := s.Quarantined(t.Context(), 0, 9)
	if err != nil || len(kept) != 1 || kept[0].ID != "indicator--x" {
		t.Errorf("in quarantine: %+v, %v", kept, err)
	}
	links, err := s.Entries(t.Context(), 0, 100)
	if err != nil || len(links) != 6 {
		t.Fatalf("%d audit entries, %v", len(links), err)
	}
	push, err := links[0].Entry()
	if err != nil {
		t.Fatal(err)
	}
	if status, err := s.Status(t.Context(), "org/a", uuid.MustParse(push.Text)); err != nil || status.Stored != 10 {
		t.Errorf("status: %+v, %v", status, err)
	}
	holders, err := s.Holders(t.Context(), collection, []time.Time{page.First}, 0)
	if err != nil || len(holders) != 1 || holders[0].Account != "org/b" {
		t.Errorf("holders: %+v, %v", holders, err)
	}
	directory, _, err := s.Directory(t.Context())
	if err != nil || directory.Centre.ID != "fix" {
		t.Errorf("directory: %+v, %v", directory, err)
	}
}

// Open refuses a store whose last pushes are still in the journal of an earlier version,
// and changes no file.
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
	// If bbolt cannot read the file, the journal may have the missing pages.
	if err := os.WriteFile(path, bytes.Repeat([]byte("torn"), 8192), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := bolt.Open(dir, time.Now, discard, 0); taxii.CodeOf(err) != taxii.Conflict {
		t.Errorf("with a torn file: %v", err)
	}
}

// readFiles returns the content of all files of a folder.
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

// Open deletes a journal whose commits are all in the store's file.
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

// Restore deletes the journal of a removed store, which does not belong to the new one.
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

// Open refuses a layout that it does not know. For a newer one it names the version that
// reads it.
func TestOpenRefusesAnotherLayout(t *testing.T) {
	for name, test := range map[string]struct {
		layout uint64
		want   string
	}{
		"older": {2, "from before the first release"},
		"newer": {99, "which comity v9.1.0 wrote"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := open(t, dir).Close(); err != nil {
				t.Fatal(err)
			}
			update(t, dir, func(tx *bbolt.Tx) error {
				meta := tx.Bucket([]byte("meta"))
				return errors.Join(meta.Put([]byte("format"), binary.BigEndian.AppendUint64(nil, test.layout)), meta.Put([]byte("writer"), []byte("v9.1.0")))
			})
			if _, err := bolt.Open(dir, time.Now, discard, 0); taxii.CodeOf(err) != taxii.Conflict || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
}

// Up to layout 5 the decisions of persons about an operation were in the directory. Open
// moves them to a document, and leaves the rest of the agreement as it was.
func TestOpenMovesTheProgressOfOperationsOutOfTheDirectory(t *testing.T) {
	const (
		versions = `"id":"op-x","versions":[{"file":"op-x.toml","source":"a = \"b\"","digest":"d","deposited":"2026-01-02T03:04:05Z"}],"told":"in force"`
		progress = `{"draft":{"by":"igci/ana","at":"2026-01-02T03:04:05Z","digest":"d"},"notes":{"CAR-1":[{"author":"igci/ana","text":"\u003cb\u003e"}]}}`
	)
	dir := t.TempDir()
	unpack(t, "layout5.db", filepath.Join(dir, bolt.FileName))
	update(t, dir, func(tx *bbolt.Tx) error {
		directory := tx.Bucket([]byte("directory"))
		for name, record := range map[string]string{"op-x": `{` + versions + `,"progress":` + progress + `}`, "dea-y": `{"id":"dea-y","versions":[]}`} {
			if err := directory.Put([]byte("agreement/"+name), []byte(record)); err != nil {
				return err
			}
		}
		return nil
	})
	for range 2 { // once only: the second opening finds the present layout
		s := open(t, dir)
		if got, err := s.Document(t.Context(), "operation/op-x"); err != nil || string(got) != progress {
			t.Errorf("progress of op-x: %s, %v", got, err)
		}
		if got, err := s.Document(t.Context(), "operation/dea-y"); err != nil || got != nil {
			t.Errorf("progress of dea-y: %s, %v", got, err)
		}
		d, _, err := s.Directory(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if a := d.Agreements["op-x"]; a == nil || len(a.Versions) != 1 || a.Versions[0].Source != "a = \"b\"" || a.Versions[0].Deposited.Year() != 2026 {
			t.Errorf("op-x: %+v", a)
		}
		if a := d.Agreements["dea-y"]; a == nil || a.ID != "dea-y" {
			t.Errorf("dea-y: %+v", a)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
