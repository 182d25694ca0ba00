package feed_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"comity/store"
	"comity/store/bolt"
	"comity/taxii"
	"comity/taxii/audit"
	"comity/taxii/exchange"
	"comity/taxii/feed"
)

// restart begins the feeds anew, as a new process does, and tells whether that scans the
// collections from the beginning.
func (w *world) restart() (scans bool) {
	w.Helper()
	s := &hookedStore{Store: w.store}
	s.set(watchScans(&scans))
	w.feeds = feed.New(s, exchange.NewCurrent(w.store), w.recorder, centreKey, w.config, w.now, w.log())
	w.open()
	s.set(nil)
	return scans
}

// watchScans is a hook that notes whether a collection is scanned from the beginning.
func watchScans(scans *bool) func(*store.Query) error {
	return func(q *store.Query) error {
		*scans = *scans || q.After.IsZero() && q.IDs == nil
		return nil
	}
}

// slowStore ends a request while the request reads the audit chain.
type slowStore struct {
	*hookedStore
	end context.CancelFunc
}

func (s *slowStore) Entries(ctx context.Context, after uint64, n int) ([]audit.Link, error) {
	s.end()
	return s.hookedStore.Entries(ctx, after, n)
}

// On a busy machine it may take longer to read a table than the first request waits.
func TestATableThatOneRequestHasNoTimeForIsReadByTheNext(t *testing.T) {
	w := newWorld(t, "")
	w.subscribe("block", "block", empty)
	w.push("fir", indicator(1, address("203.0.114.1"), ""))
	w.open()
	ctx, end := context.WithCancel(t.Context())
	s, scans := &slowStore{&hookedStore{Store: w.store}, end}, false
	w.feeds = feed.New(s, exchange.NewCurrent(w.store), w.recorder, centreKey, w.config, w.now, w.log())
	if w.tryOpen(ctx) == nil {
		t.Fatal("the request has the time")
	}
	s.set(watchScans(&scans))
	if w.open(); scans {
		t.Error("the collection is scanned from the beginning")
	}
}

// lateStore answers after the request has ended.
type lateStore struct{ *hookedStore }

func (s *lateStore) Document(ctx context.Context, name string) ([]byte, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// A client that asks while the store is busy is told to come again, and the operator is told of no
// failure.
func TestARequestThatTheStoreHasNoTimeForComesAgain(t *testing.T) {
	w := newWorld(t, "")
	w.subscribe("block", "block", empty)
	w.feeds = feed.New(&lateStore{&hookedStore{Store: w.store}}, exchange.NewCurrent(w.store), w.recorder, centreKey, w.config, w.now, w.log())
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := w.tryOpen(ctx); taxii.CodeOf(err) != taxii.Unavailable {
		t.Errorf("%v, want one that says when to come again", err)
	}
}

// tables are the files of the indexes.
func (w *world) tables() []string {
	return slices.DeleteFunc(w.files(), func(name string) bool { return strings.HasPrefix(filepath.Base(name), "list-") })
}

// files are the files of what feeds keep.
func (w *world) files() (names []string) {
	w.Helper()
	files, err := os.ReadDir(w.config.Dir)
	if !errors.Is(err, fs.ErrNotExist) {
		w.must(err)
	}
	for _, f := range files {
		names = append(names, filepath.Join(w.config.Dir, f.Name()))
	}
	return names
}

// A feed of millions of entries would be unavailable for half a minute otherwise.
func TestAFeedIsThereAtOnceAfterARestart(t *testing.T) {
	w := newWorld(t, "")
	w.subscribe("block", "block", empty)
	w.push("fir", indicator(1, address("203.0.114.1"), ""), indicator(2, "[ipv4-addr:value = '203.0.114.1' OR ipv4-addr:value = '203.0.114.2']", ""), indicator(3, "[a:b = 1]", ""))
	w.open()
	w.push("fir", indicator(4, address("203.0.114.4"), ""))
	w.remove("fir", 2, "")
	if w.restart() {
		t.Error("it scans a collection that it knows")
	}
	if got := text(w.open()); !strings.Contains(got, "203.0.114.4") || strings.Contains(got, "203.0.114.2") || strings.Contains(got, "00000002") {
		t.Errorf("after a push and a removal: %s", got)
	}
	for _, name := range w.tables() {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
}

// write has the process write its files, as it does twice a second and at its end.
func (w *world) write() {
	w.Helper()
	w.must(w.feeds.CatchUp(w.Context()))
	w.must(w.feeds.WriteTables(w.Context()))
}

// Subscribers of a list of a million entries wait for the server after each upgrade otherwise.
func TestAListIsNotWorkedOutAnewAfterARestart(t *testing.T) {
	w := newWorld(t, "")
	w.subscribe("block", "block", "never_block = [\"203.0.114.3\"]\n"+empty)
	w.push("fir", indicator(1, address("203.0.114.1"), ""), indicator(2, address("203.0.114.2"), ""), indicator(3, address("203.0.114.3"), ""))
	resumes := func(when string, want bool) {
		t.Helper()
		w.restart()
		if got := w.open().Resumed(); got != want {
			t.Errorf("%s: the list is worked out anew: %t", when, !got)
		}
		compare(t, w)
	}
	before := w.open()
	w.write()
	resumes("at once", true)
	if a := w.open(); text(a) != text(before) || a.Tag != before.Tag || !a.Version.Equal(before.Version) {
		t.Errorf("%s of %s, and before the restart %s of %s", text(a), a.Version, text(before), before.Version)
	}
	w.push("elm", indicator(4, address("203.0.114.4"), ""))
	resumes("killed after a push", true)
	w.move(2 * time.Hour)
	resumes("much later", false)
	w.write()
	resumes("then", true)
	w.subscribe("block", "block", "never_block = [\"203.0.114.2\"]\n"+empty)
	resumes("asked another question", false)
}

// While a collection is scanned for the first time, a new version may be removed before its page
// is, and then the server is killed.
func TestARemovalBetweenTwoPagesIsNotForgottenByARestart(t *testing.T) {
	w := newWorld(t, "")
	w.subscribe("block", "block", empty)
	w.push("fir", indicatorAt(1, address("203.0.114.1"), "2026-05-01T00:00:00.000Z", ""))
	w.push("fir", indicator(2, address("203.0.114.2"), ""), indicator(3, address("203.0.114.3"), ""))
	w.push("fir", indicatorAt(1, address("203.0.114.4"), "2026-05-02T00:00:00.000Z", ""))
	s := &hookedStore{Store: w.store}
	removed := false
	s.set(func(q *store.Query) error {
		switch q.Limit = 1; {
		case q.After.IsZero():
		case !removed:
			w.erase("fir", audit.Deletion, 2)
			removed = true
		case q.After.Before(noon):
			return errors.New("it is killed")
		}
		return nil
	})
	w.feeds = feed.New(s, exchange.NewCurrent(w.store), w.recorder, centreKey, w.config, w.now, w.log())
	if err := w.tryOpen(w.Context()); err == nil || !removed {
		t.Fatalf("%v, removed %t", err, removed)
	}
	w.serve()
	w.lists("block", "ipv4.txt", "203.0.114.1", "203.0.114.2", "203.0.114.3")
}

// Whatever became of its files, a feed lists what it should.
func TestADamagedTableIsMadeAnew(t *testing.T) {
	w := newWorld(t, "")
	w.subscribe("block", "block", empty)
	w.push("fir", indicator(1, address("203.0.114.1"), ""), indicator(2, address("203.0.114.2"), ""))
	w.push("elm", indicator(3, address("203.0.114.3"), ""))
	want := text(w.open())
	names := w.tables()
	if len(names) != 2 {
		t.Fatalf("%d files", len(names))
	}
	for _, name := range names {
		whole, err := os.ReadFile(name)
		w.must(err)
		try := func(what string, content []byte) {
			t.Helper()
			w.must(os.WriteFile(name, content, 0o600))
			if !w.restart() {
				t.Errorf("%s: it is used", what)
			}
			if got := text(w.open()); got != want {
				t.Errorf("%s: %s, want %s", what, got, want)
			}
		}
		for i := 0; i < len(whole); i += 41 {
			try(fmt.Sprint("cut at ", i), whole[:i])
			flipped := bytes.Clone(whole)
			flipped[i] ^= 4
			try(fmt.Sprint("changed at ", i), flipped)
		}
		try("longer", append(bytes.Clone(whole), 0))
		other, err := os.ReadFile(names[0])
		w.must(err)
		if name != names[0] {
			try("of another collection", other)
		}
		w.must(os.WriteFile(name, whole, 0o600))
	}
	if w.restart() {
		t.Error("a whole table is not used")
	}
}

// A new version of the server may read indicators, or write tables, in another way, also if
// nothing in it tells its version.
func TestATableOfAnotherProgramIsNotUsed(t *testing.T) {
	if file := os.Getenv("COMITY_PROGRAM"); file != "" {
		if err := os.WriteFile(file, []byte(feed.Program()), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	dir := t.TempDir()
	content, err := os.ReadFile(os.Args[0])
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "other"), append(content, 0), 0o700)
	}
	if err != nil {
		t.Fatal(err)
	}
	program := func(name string) string {
		t.Helper()
		c := exec.Command(name, "-test.run=^TestATableOfAnotherProgramIsNotUsed$")
		c.Env = append(os.Environ(), "COMITY_PROGRAM="+filepath.Join(dir, "program"))
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		content, err := os.ReadFile(filepath.Join(dir, "program"))
		if err != nil {
			t.Fatal(err)
		}
		return string(content)
	}
	if got := program(os.Args[0]); got != feed.Program() {
		t.Errorf("the same program is %q and %q", got, feed.Program())
	}
	if got := program(filepath.Join(dir, "other")); got == feed.Program() {
		t.Errorf("another program is %q too", got)
	}
}

// After a backup is restored, the tables are of a store that is no more.
func TestATableOfAnotherStoreIsNotUsed(t *testing.T) {
	w := newWorld(t, "")
	w.subscribe("block", "block", empty)
	var backup bytes.Buffer
	_, err := w.store.Backup(w.Context(), &backup)
	w.must(err)
	w.push("fir", indicator(1, address("203.0.114.1"), ""))
	w.open()
	w.must(w.store.Close())
	w.must(os.WriteFile(filepath.Join(w.dir, bolt.FileName), backup.Bytes(), 0o600))
	if w.store, err = bolt.Open(w.dir, w.now, w.log(), 0); err != nil {
		t.Fatal(err)
	}
	w.move(time.Second)
	w.push("fir", indicator(2, address("203.0.114.2"), ""))
	w.serve()
	w.lists("block", "ipv4.txt", "203.0.114.2")
}

// Without the entries that follow, nobody knows what a table has that was withdrawn since.
func TestATableOlderThanTheAuditChainIsRemoved(t *testing.T) {
	w := newWorld(t, "")
	w.subscribe("block", "block", empty)
	w.push("fir", indicator(1, address("203.0.114.1"), ""))
	w.open()
	w.erase("fir", audit.Withdrawal, 0)
	head, err := w.store.ChainHead(w.Context())
	w.must(err)
	w.must(w.store.Archive(w.Context(), audit.Sign(centreKey, "igci", head, w.now()), audit.Entry{Act: audit.Archive}))
	w.must(feed.RemoveErased(w.Context(), w.store, w.config.Dir))
	if names := w.tables(); names != nil {
		t.Errorf("%v are left", names)
	}
}

func TestNoFileHoldsWhatIsWithdrawnOrPurged(t *testing.T) {
	for _, act := range []audit.Act{audit.Withdrawal, audit.Purge} {
		w := newWorld(t, "")
		w.config.Dir = filepath.Join(w.dir, "feeds [1]") // a pattern would match other names
		w.serve()
		w.subscribe("block", "block", empty)
		w.push("fir", indicator(1, address("203.0.114.1"), ""), indicator(2, "[domain-name:value = 'gone.example.org']", ""))
		holds := func() bool {
			for _, name := range w.files() {
				content, err := os.ReadFile(name)
				w.must(err)
				if bytes.Contains(content, []byte("gone.example.org")) {
					return true
				}
			}
			return false
		}
		w.open()
		if !holds() {
			t.Fatal("no file holds what is there")
		}
		w.erase("fir", act, 1)
		w.catchUp()
		w.must(w.feeds.WriteTables(w.Context()))
		if holds() {
			t.Errorf("%s: a file holds it", act)
		}
		w.erase("fir", act, 0)
		w.must(feed.RemoveErased(w.Context(), w.store, w.config.Dir))
		if n := len(w.tables()); n != 1 {
			t.Errorf("%s: without a server, %d files are left", act, n)
		}
	}
}

func TestTheTablesOfAFeedGoWithIt(t *testing.T) {
	w := newWorld(t, "")
	w.subscribe("block", "block", empty)
	w.push("fir", indicator(1, address("203.0.114.1"), ""))
	w.catchUp()
	w.must(os.WriteFile(filepath.Join(w.config.Dir, "old.new"), nil, 0o600))
	w.catchUp()
	if n := len(w.tables()); n != 2 {
		t.Errorf("%d files of two collections", n)
	}
	w.write()
	w.amend(func(d *exchange.Directory) error { delete(d.Feeds, "ncb-kh/f-block"); return nil })
	w.catchUp()
	if names := w.files(); names != nil {
		t.Errorf("%v are left", names)
	}
}

// A feed whose index cannot be written is unavailable, and later it is there.
func TestAFullDiskTakesNoEntryAway(t *testing.T) {
	w := newWorld(t, "")
	w.config.Dir = filepath.Join(w.dir, "file", "feeds")
	w.must(os.WriteFile(filepath.Join(w.dir, "file"), nil, 0o600)) // in the place of a folder
	w.subscribe("block", "block", empty)
	w.push("fir", indicator(1, address("203.0.114.1"), ""))
	w.serve()
	if err := w.tryOpen(w.Context()); err == nil {
		t.Error("no failure")
	}
	w.must(os.Remove(filepath.Join(w.dir, "file")))
	w.lists("block", "ipv4.txt", "203.0.114.1")
}

// The store needs the room that a table would have taken.
func TestATableThatCannotBeWrittenTakesNoRoom(t *testing.T) {
	w := newWorld(t, "")
	w.subscribe("block", "block", empty)
	w.push("fir", indicator(1, address("203.0.114.1"), ""))
	w.open()
	for _, name := range w.tables() {
		w.must(os.Remove(name))
		w.must(os.MkdirAll(filepath.Join(name, "in its place"), 0o700))
	}
	w.serve()
	if err := w.tryOpen(w.Context()); err == nil {
		t.Error("no failure")
	}
	for _, name := range w.tables() {
		if strings.HasSuffix(name, ".new") {
			t.Errorf("%s is left", name)
		}
	}
}

// One indicator may stand for thousands of values, and each has what the indicator says of it.
func TestAnIndicatorThatWouldFillTheDiskIsLeftOut(t *testing.T) {
	w := newWorld(t, "")
	w.subscribe("block", "block", empty)
	var tests []string
	for i := range 5000 {
		tests = append(tests, fmt.Sprintf("ipv4-addr:value = '203.0.%d.%d'", i/250, i%250+1))
	}
	pattern := "[" + strings.Join(tests, " OR ") + "]"
	w.push("fir", indicator(1, pattern, ""), indicator(2, pattern, `,"name":"`+strings.Repeat("x", 10_000)+`"`))
	a := w.open()
	if a.Entries.Len() != 5000 || a.LeftOut["too-large"] != 1 {
		t.Errorf("%d entries, left out %v", a.Entries.Len(), a.LeftOut)
	}
	size := int64(0)
	for _, name := range w.tables() {
		info, err := os.Stat(name)
		w.must(err)
		size += info.Size()
	}
	if size > 8<<20 {
		t.Errorf("the tables have %d bytes", size)
	}
}
