package bolt_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"comity/store"
	"comity/store/bolt"
	"comity/taxii"
	"comity/taxii/audit"
)

// everything is a query for every version.
var everything = store.Query{Limit: 1 << 20, Match: taxii.Match{Versions: taxii.Versioning{All: true}}}

// contents returns all that a store shows, as one text.
func contents(t testing.TB, s *bolt.Store) string {
	t.Helper()
	page, err := s.Scan(t.Context(), grant, everything)
	if err != nil {
		t.Fatal(err)
	}
	newest, err := s.Manifest(t.Context(), grant, store.Query{Limit: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	head, err := s.ChainHead(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(string(page.Objects), page.First, page.Last, newest.Records, newest.More, newest.HighWater, head)
}

// reopened opens the store in dir again.
func reopened(t testing.TB, dir string) *bolt.Store {
	t.Helper()
	s := open(t, dir)
	check(t, s)
	return s
}

// removeAll removes the objects that a query selects.
func removeAll(t testing.TB, s *bolt.Store, q store.Query) {
	t.Helper()
	m, err := s.Manifest(t.Context(), grant, q)
	if err != nil {
		t.Fatal(err)
	}
	var dates []time.Time
	for _, r := range m.Records {
		dates = append(dates, r.DateAdded)
	}
	n, err := s.Remove(t.Context(), collection, dates, store.Block{Reason: "r", Origin: "o"}, audit.Entry{Act: audit.Withdrawal})
	if err != nil || n != len(dates) || n == 0 {
		t.Fatalf("%d of %d removed, %v", n, len(dates), err)
	}
}

// After a compaction the file has no byte of removed records. All other content is the same.
func TestCompactLeavesNoTrace(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	secret := func(n, version int) store.Item {
		text := strings.ReplaceAll(indicatorText(n, version), "banking trojan", "hidden-value-4711")
		return item(strings.ReplaceAll(text, "indicator", "x-secret-type"))
	}
	for n := range 300 {
		mustPush(t, s, indicator(n, 1), indicator(n+1000, 2), secret(n, 1), indicator(n+1000, 1), secret(n, 2))
	}
	q := everything
	q.Types = []string{"x-secret-type"}
	removeAll(t, s, q)
	q.Types, q.Limit = []string{"indicator"}, 50
	removeAll(t, s, q)
	if err := s.ForgetStatuses(t.Context(), collection); err != nil {
		t.Fatal(err)
	}
	want := contents(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	key := secret(7, 1).Object.ID.Key()
	find := func(text []byte) bool {
		file, err := os.ReadFile(filepath.Join(dir, bolt.FileName))
		if err != nil {
			t.Fatal(err)
		}
		return bytes.Contains(file, text)
	}
	traces := [][]byte{[]byte("hidden-value-4711"), []byte("x-secret-type"), key[:]}
	for _, text := range traces {
		if !find(text) {
			t.Errorf("the test looks for %q in vain even before", text)
		}
	}
	calls, last, total := 0, int64(0), int64(0)
	if err := bolt.Compact(t.Context(), dir, 0, func(done, all int64) {
		if calls++; done < last || done > all {
			t.Errorf("%d of %d bytes after %d", done, all, last)
		}
		last, total = done, all
	}); err != nil || calls == 0 || last != total {
		t.Fatalf("%v; %d of %d bytes in %d calls", err, last, total, calls)
	}
	for _, text := range traces {
		if find(text) {
			t.Errorf("%q is still in the file", text)
		}
	}
	s = reopened(t, dir)
	if got := contents(t, s); got != want {
		t.Error("it does not show the same as before")
	}
	// The index leads to everything, and all that was counted goes on.
	before := count(t, s)
	mustPush(t, s, indicator(200, 1), indicator(200, 2), indicator(1200, 3), indicator(5000, 1))
	if n := count(t, s); n != before+3 {
		t.Errorf("%d records after %d", n, before)
	}
	if _, err := remove(t.Context(), s, store.Query{Match: taxii.Match{IDs: []string{string(indicator(1200, 1).Object.ID)}, Versions: taxii.Versioning{Last: true}}}); err != nil {
		t.Error(err)
	}
	mustPush(t, s, secret(1, 3))
	check(t, s)
	want = contents(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := bolt.Compact(t.Context(), dir, 0, nil); err != nil {
		t.Fatal(err)
	}
	s = reopened(t, dir)
	defer s.Close()
	if got := contents(t, s); got != want {
		t.Error("a second time it does not show the same as before")
	}
}

// A compaction never makes a file longer, however young the store is.
func TestCompactMakesNoStoreLarger(t *testing.T) {
	for _, n := range []int{0, 1, 30, 300, 3000, 13_000, 25_000} {
		dir := t.TempDir()
		s := open(t, dir)
		for at := 0; at < n; at += 4000 {
			mustPush(t, s, items(at, min(4000, n-at))...)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			before := stat(t, dir).Size()
			if err := bolt.Compact(t.Context(), dir, 0, nil); err != nil {
				t.Fatal(err)
			}
			if after := stat(t, dir).Size(); after > before {
				t.Errorf("%d objects: %d bytes after %d", n, after, before)
			}
			s := reopened(t, dir)
			mustPush(t, s, indicator(n, 1))
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// After a compaction, numbers of the quarantine are not given again.
func TestCompactKeepsSequences(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	odd := store.Item{Object: indicator(1, 1).Object, Refused: &store.Refusal{ID: "x", Quarantine: true}}
	mustPush(t, s, odd, odd)
	if err := s.Discard(t.Context(), 2, audit.Entry{Act: audit.Purge}); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.Close(), bolt.Compact(t.Context(), dir, 0, nil)); err != nil {
		t.Fatal(err)
	}
	s = reopened(t, dir)
	defer s.Close()
	mustPush(t, s, odd)
	if list, err := s.Quarantined(t.Context(), 1, 9); err != nil || len(list) != 1 || list[0].Number != 3 {
		t.Errorf("%+v, %v", list, err)
	}
}

func TestCompactNeedsTheStoreAlone(t *testing.T) {
	dir := t.TempDir()
	if err := bolt.Compact(t.Context(), dir, 0, nil); taxii.CodeOf(err) != taxii.NotFound {
		t.Errorf("got %v", err)
	}
	s := open(t, dir)
	if err := bolt.Compact(t.Context(), dir, 0, nil); taxii.CodeOf(err) != taxii.Unavailable {
		t.Errorf("got %v", err)
	}
	mustPush(t, s, items(0, 4000)...)
	want := contents(t, s)
	time.AfterFunc(100*time.Millisecond, func() { _ = s.Close() })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := bolt.Compact(ctx, dir, 10*time.Second, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	s = reopened(t, dir)
	defer s.Close()
	if contents(t, s) != want {
		t.Error("it does not show the same as before")
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != 1 {
		t.Errorf("%v, %v", files, err)
	}
}

// A process that waits for the lock during a compaction gets the new file.
func TestOpenDuringCompactGetsTheNewFile(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	for at := 0; at < 40_000; at += 4000 {
		mustPush(t, s, items(at, 4000)...)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	begun, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		first := true
		ended <- bolt.Compact(context.Background(), dir, 0, func(int64, int64) {
			if first {
				close(begun)
			}
			first = false
		})
	}()
	<-begun
	s, err := bolt.Open(dir, time.Now, discard, 30*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	mustPush(t, s, indicator(50_000, 1))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = reopened(t, dir)
	defer s.Close()
	if n := count(t, s); n != 40_001 {
		t.Errorf("%d records", n)
	}
}

// TestCompactCrash kills a process that compacts, repeatedly.
func TestCompactCrash(t *testing.T) {
	if dir := os.Getenv(crashDir); dir != "" {
		fmt.Println("open")
		for {
			if err := bolt.Compact(context.Background(), dir, 0, nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	rounds := 20
	if testing.Short() {
		rounds = 5
	}
	dir := t.TempDir()
	s := open(t, dir)
	for n := range 20 {
		mustPush(t, s, append(items(n*200, 150), indicator(n, 2))...)
	}
	removeAll(t, s, store.Query{Limit: 100, Match: taxii.Match{Types: []string{"indicator"}}})
	want := contents(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for range rounds {
		cmd := exec.Command(os.Args[0], "-test.run=^TestCompactCrash$")
		cmd.Env = append(os.Environ(), crashDir+"="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := out.Read(make([]byte, 4)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(rand.IntN(60)) * time.Millisecond)
		_ = cmd.Process.Kill()
		if err := cmd.Wait(); cmd.ProcessState.ExitCode() != -1 {
			t.Fatalf("the child was not killed: %v", err)
		}
		s := reopened(t, dir)
		if contents(t, s) != want {
			t.Fatal("it does not show the same as before")
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if files, err := os.ReadDir(dir); err != nil || len(files) != 1 {
			t.Errorf("%v, %v", files, err)
		}
	}
}
