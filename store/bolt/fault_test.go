package bolt_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"comity/stix"
	"comity/store"
	"comity/store/bolt"
	"comity/taxii"
	"comity/taxii/agreement"
	"comity/taxii/audit"
	"comity/taxii/exchange"
)

// errFull is the error of a write on a full disk, errDisk that of a disk that fails.
var (
	errFull = &os.PathError{Op: "write", Path: bolt.FileName, Err: syscall.ENOSPC}
	errDisk = &os.PathError{Op: "write", Path: bolt.FileName, Err: syscall.EIO}
)

// A commit for which there is no room, whether it was written before that was known or
// not, leaves the store right: what is there is known, what is not can be added. The
// store is not ready until a commit has found room again.
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

// The first write or sync that fails is the last: after it a disk may say that it has
// what it has not. The store stops, and shows nothing of the commit that failed. The
// next start writes all that was acknowledged into a new file.
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

// stat describes the file of the store in dir.
func stat(t *testing.T, dir string) os.FileInfo {
	t.Helper()
	info, err := os.Stat(filepath.Join(dir, bolt.FileName))
	if err != nil {
		t.Fatal(err)
	}
	return info
}

// A store whose file is no longer under its name takes nothing that would be lost.
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

// One push that cannot be committed does not take those beside it down.
func TestFailureOfOne(t *testing.T) {
	s := open(t, t.TempDir())
	defer s.Close()
	hold := make(chan struct{})
	batches := 0
	s.FailCommits(func(commit func() error) error {
		if batches++; batches == 1 {
			<-hold // until the others have queued up
		}
		if batches == 2 {
			return errFull
		}
		return commit()
	})
	var wg sync.WaitGroup
	for n := range 20 {
		wg.Go(func() {
			if _, err := push(t.Context(), s, indicator(n, 1)); err != nil {
				t.Error(err)
			}
		})
	}
	time.Sleep(50 * time.Millisecond)
	close(hold)
	wg.Wait()
	if n := count(t, s); n != 20 {
		t.Errorf("%d records", n)
	}
	check(t, s)
}

// A byte that flips is reported by Check. Pages leave that record out and say so in the
// log, once: whoever polls gets past it.
func TestDamage(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	for n := range 200 {
		mustPush(t, s, indicator(n, 1), indicator(n, 2))
	}
	value, err := s.LiveValue(77)
	if err := errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, bolt.FileName)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	good = good[:(len(bytes.TrimRight(good, "\x00"))+bolt.PageSize-1)/bolt.PageSize*bolt.PageSize]
	at := bytes.Index(good, value)
	for _, row := range []struct {
		name   string
		offset int
	}{{"checksum", 0}, {"type", 5}, {"flags", 6}, {"label", 7}, {"position", 14}, {"object", 300}} {
		t.Run(row.name, func(t *testing.T) {
			bad := bytes.Clone(good)
			bad[at+row.offset] ^= 4
			if err := os.WriteFile(path, bad, 0o600); err != nil {
				t.Fatal(err)
			}
			var log bytes.Buffer
			s, err := bolt.Open(dir, time.Now, slog.New(slog.NewTextHandler(&log, nil)), time.Second)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			faults := 0
			if err := s.Check(t.Context(), nil, func(string) { faults++ }); err != nil || faults == 0 {
				t.Errorf("check: %d faults, %v", faults, err)
			}
			named := store.Query{Limit: 1000}
			named.IDs = []string{string(indicator(76, 1).Object.ID), string(indicator(77, 1).Object.ID)}
			for _, row := range []struct {
				query store.Query
				want  int
			}{{store.Query{Limit: 1000}, 199}, {store.Query{Limit: 1000, Match: taxii.Match{Versions: taxii.Versioning{All: true}}}, 399}, {named, 1}} {
				page, err := s.Scan(t.Context(), grant, row.query)
				if err != nil {
					t.Fatal(err)
				}
				if page.Len() != row.want {
					t.Errorf("scan: %d objects, want %d", page.Len(), row.want)
				}
			}
			if n := strings.Count(log.String(), "a damaged record is left out"); n != 1 {
				t.Errorf("the log has %d lines of it:\n%s", n, log.String())
			}
			if _, err := push(t.Context(), s, indicator(500, 1)); err != nil {
				t.Errorf("the rest cannot be used: %v", err)
			}
		})
	}
}

// A line of the audit record that was altered, dropped or added by hand is
// reported, by its number.
func TestDamagedChain(t *testing.T) {
	for name, row := range map[string]struct {
		harm func(links *bbolt.Bucket) error
		want string
	}{
		"altered": {func(links *bbolt.Bucket) error {
			v := bytes.Replace(links.Get(key(3)), []byte(`"count":1`), []byte(`"count":2`), 1)
			return links.Put(key(3), v)
		}, "entry 3"},
		"dropped": {func(links *bbolt.Bucket) error { return links.Delete(key(2)) }, "entry 2 is missing"},
		"cut":     {func(links *bbolt.Bucket) error { return links.Delete(key(5)) }, "ends at line 4"},
		"added":   {func(links *bbolt.Bucket) error { return links.Put(key(6), links.Get(key(5))) }, "entry 6"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := open(t, dir)
			for n := range 5 {
				mustPush(t, s, indicator(n, 1))
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			db, err := bbolt.Open(filepath.Join(dir, bolt.FileName), 0o600, nil)
			if err != nil {
				t.Fatal(err)
			}
			err = db.Update(func(tx *bbolt.Tx) error {
				return row.harm(tx.Bucket([]byte("links")))
			})
			if err := errors.Join(err, db.Close()); err != nil {
				t.Fatal(err)
			}
			s = open(t, dir)
			defer s.Close()
			var faults []string
			if err := s.Check(t.Context(), nil, func(fault string) { faults = append(faults, fault) }); err != nil {
				t.Fatal(err)
			}
			if len(faults) != 1 || !strings.Contains(faults[0], row.want) {
				t.Errorf("got %q, want %q", faults, row.want)
			}
		})
	}
}

func key(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

// A page full of noise may be anything, but no panic.
func TestNoise(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	for n := range 100 {
		mustPush(t, s, indicator(n, 1), indicator(n, 2))
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(filepath.Join(dir, bolt.FileName))
	if err != nil {
		t.Fatal(err)
	}
	used := len(bytes.TrimRight(good, "\x00")) / bolt.PageSize
	for page := 2; page < used; page += 1 + used/60 {
		bad := bytes.Clone(good[:(used+1)*bolt.PageSize])
		for i := page * bolt.PageSize; i < page*bolt.PageSize+64; i++ {
			bad[i] ^= 0x5a
		}
		dir := t.TempDir() // the lock of a file that cannot be opened stays
		if err := os.WriteFile(filepath.Join(dir, bolt.FileName), bad, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := bolt.Open(dir, time.Now, discard, 0)
		if err != nil {
			continue
		}
		_ = s.Check(t.Context(), nil, func(string) {})
		for _, q := range []store.Query{{Limit: 1000}, {Limit: 1000, Match: taxii.Match{Versions: taxii.Versioning{All: true}}}} {
			_, _ = s.Scan(t.Context(), grant, q)
			_, _ = s.Manifest(t.Context(), grant, q)
		}
		_, _ = push(t.Context(), s, indicator(50, 3))
		_, _ = s.Backup(t.Context(), io.Discard)
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestOpenTwiceIsUnavailable(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	defer s.Close()
	_, err := bolt.Open(dir, time.Now, discard, 0)
	if taxii.CodeOf(err) != taxii.Unavailable {
		t.Errorf("got %v", err)
	}
}

func TestOpenWaitsForTheOther(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	time.AfterFunc(100*time.Millisecond, func() { _ = s.Close() })
	other, err := bolt.Open(dir, time.Now, discard, 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	_ = other.Close()
}

func TestOpenRefusesAnotherLayout(t *testing.T) {
	for name, layout := range map[string]uint64{"older": 2, "newer": 99} {
		t.Run(name, func(t *testing.T) { refusesLayout(t, layout) })
	}
}

func refusesLayout(t *testing.T, layout uint64) {
	dir := t.TempDir()
	if err := open(t, dir).Close(); err != nil {
		t.Fatal(err)
	}
	db, err := bbolt.Open(filepath.Join(dir, bolt.FileName), 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		return tx.Bucket([]byte("meta")).Put([]byte("format"), binary.BigEndian.AppendUint64(nil, layout))
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := bolt.Open(dir, time.Now, discard, 0); taxii.CodeOf(err) != taxii.Conflict {
		t.Errorf("got %v", err)
	}
}

func TestOpenNeedsTheFolder(t *testing.T) {
	if _, err := bolt.Open(filepath.Join(t.TempDir(), "no"), time.Now, discard, 0); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

// What a scan shows is found by its id, too, even while the commit that added
// it has yet to reach the index.
func TestIndexIsNeverBehind(t *testing.T) {
	s := open(t, t.TempDir())
	defer s.Close()
	mustPush(t, s, indicator(0, 1))
	if _, err := s.Has(t.Context(), grant, indicator(0, 1).Object.ID); err != nil {
		t.Fatal(err)
	}
	committed := make(chan struct{})
	s.FailCommits(func(commit func() error) error {
		err := commit()
		close(committed)
		time.Sleep(50 * time.Millisecond)
		return err
	})
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := push(t.Context(), s, indicator(1, 1)); err != nil {
			t.Error(err)
		}
	})
	<-committed
	page, err := s.Scan(t.Context(), grant, store.Query{Limit: 10})
	if err != nil || page.Len() != 2 {
		t.Errorf("the scan gives %d, %v", page.Len(), err)
	}
	if seen, err := s.Has(t.Context(), grant, indicator(1, 1).Object.ID); !seen || err != nil {
		t.Errorf("the index gives %v, %v", seen, err)
	}
	wg.Wait()
}

// A commit is shown once it has returned, and not while its last page is on the way
// to the disk. What is known beside the file does not wait.
func TestReadersWaitForTheDisk(t *testing.T) {
	s := open(t, t.TempDir())
	defer s.Close()
	mustPush(t, s, indicator(0, 1))
	before, err := s.State(t.Context(), collection)
	if err != nil {
		t.Fatal(err)
	}
	written, synced := make(chan struct{}), make(chan struct{})
	s.FailCommits(func(commit func() error) error {
		err := commit()
		close(written)
		<-synced
		return err
	})
	pushed, counted := make(chan error, 1), make(chan int64, 1)
	go func() { _, err := push(context.Background(), s, indicator(1, 1)); pushed <- err }()
	<-written
	go func() { n, _ := s.Count(context.Background(), collection); counted <- n }()
	if now, err := s.State(t.Context(), collection); err != nil || now != before {
		t.Errorf("state %v, %v, want %v", now, err, before)
	}
	select {
	case n := <-counted:
		t.Errorf("%d objects were shown", n)
		counted <- n
	case <-time.After(50 * time.Millisecond):
	}
	close(synced)
	if err, n := <-pushed, <-counted; err != nil || n != 2 {
		t.Errorf("%v, %d objects", err, n)
	}
}

// Who polls while a commit is under way gets the older version, however long the
// commit takes, and is found when that version is recalled.
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

// A check reads beside those who push, and ends with its caller.
func TestACheckHoldsUpNobodyAndCanBeEnded(t *testing.T) {
	s := open(t, t.TempDir())
	defer s.Close()
	for n := range 20 {
		mustPush(t, s, items(n*100, 100)...)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if err := s.Check(ctx, func(int64) { // after the first thousand records
		mustPush(t, s, indicator(5000, 1))
		cancel()
	}, func(fault string) { t.Error(fault) }); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if n := count(t, s); n != 2001 {
		t.Errorf("%d records", n)
	}
}

// A mistake in this program is told apart from a damaged file, so nobody restores a
// backup for it; its error has the stack.
func TestPanicOfTheProgramIsNoDamage(t *testing.T) {
	s := open(t, t.TempDir())
	defer s.Close()
	var nothing *exchange.Directory
	for _, mistake := range []func(){func() { panic("mistake") }, func() { nothing.Centre.ID = "x" }, func() { _ = make([]int, 1)[len(t.Name())] }} {
		s.FailCommits(func(func() error) error {
			mistake()
			return nil
		})
		_, err := push(t.Context(), s, indicator(1, 1))
		if err == nil || strings.Contains(err.Error(), "damaged") || !strings.Contains(err.Error(), "TestPanicOfTheProgramIsNoDamage") {
			t.Errorf("got %v, want a panic with its stack", err)
		}
	}
	s.FailCommits(func(commit func() error) error { return commit() })
	if _, err := push(t.Context(), s, indicator(1, 1)); err != nil {
		t.Errorf("after the panics: %v", err)
	}
}

// A file in which the text of an agreement was edited gives no grants by that text, and
// Check says so; it also says what the directory holds that cannot be read.
func TestEditedAgreementIsFound(t *testing.T) {
	source, err := os.ReadFile("../../testdata/agreements/dea-2017-panw.toml")
	if err != nil {
		t.Fatal(err)
	}
	text, problems := agreement.Parse("a.toml", source)
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	edited := bytes.Replace(source, []byte(text.Title), []byte("Another title"), 1)
	other, problems := agreement.Parse("a.toml", edited)
	if err := problems.Err(); err != nil || other.Digest() == text.Digest() {
		t.Fatal("the edit changes nothing", err)
	}
	for name, row := range map[string]struct {
		source []byte
		digest string
		want   string
	}{
		"as deposited":    {source, text.Digest(), ""},
		"text edited":     {edited, text.Digest(), "another digest"},
		"and digest, too": {edited, other.Digest(), "audit record"},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, t.TempDir())
			defer s.Close()
			if err := s.Amend(t.Context(), func(d *exchange.Directory) ([]audit.Entry, error) {
				d.Agreements[text.ID] = &exchange.Deposit{ID: text.ID, Versions: []exchange.Version{{File: "a.toml", Source: string(row.source), Digest: row.digest}}}
				return []audit.Entry{{Act: audit.Directory, Agreement: text.ID, Digest: text.Digest()}}, nil
			}); err != nil {
				t.Fatal(err)
			}
			var faults []string
			if err := s.Check(t.Context(), nil, func(fault string) { faults = append(faults, fault) }); err != nil {
				t.Fatal(err)
			}
			if row.want == "" && len(faults) > 0 || row.want != "" && (len(faults) != 1 || !strings.Contains(faults[0], row.want)) {
				t.Errorf("got %q, want %q", faults, row.want)
			}
			d, _, err := s.Directory(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := exchange.NewPolicy(d); (err != nil) != (name == "text edited") {
				t.Errorf("policy: %v", err)
			}
		})
	}
}

// A page that the file no longer has is an error of those who read it, and does not end
// the process.
func TestMissingPageIsAnError(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	mustPush(t, s, items(0, 200)...)
	if err := os.Truncate(filepath.Join(dir, bolt.FileName), 2*bolt.PageSize); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Scan(t.Context(), grant, store.Query{Limit: 1000}); taxii.CodeOf(err) != taxii.Internal {
		t.Errorf("got %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
