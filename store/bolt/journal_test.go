package bolt_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"comity/store"
	"comity/store/bolt"
	"comity/store/storetest"
	"comity/taxii"
)

func needsJournal(t testing.TB) {
	t.Helper()
	if !bolt.Journaled {
		t.Skip("no journal on this system")
	}
}

// image is the two files of a store as they are.
type image struct{ file, journal []byte }

func imageOf(t testing.TB, dir string) (i image) {
	t.Helper()
	var err error
	if i.file, err = os.ReadFile(filepath.Join(dir, bolt.FileName)); err != nil {
		t.Fatal(err)
	}
	i.journal, err = os.ReadFile(filepath.Join(dir, bolt.FileName+bolt.JournalName))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return i
}

// lay puts an image into a new folder.
func (i image) lay(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, bolt.FileName)
	if err := os.WriteFile(path, i.file, 0o600); err != nil {
		t.Fatal(err)
	}
	if i.journal != nil {
		if err := os.WriteFile(path+bolt.JournalName, i.journal, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// dump is all that a file holds, in order, as bbolt reads it; no journal.
func dump(t testing.TB, file []byte) (lines []string) {
	t.Helper()
	db, err := bbolt.Open(filepath.Join(image{file: file}.lay(t), bolt.FileName), 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
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
	if err := db.View(func(tx *bbolt.Tx) error {
		return tx.ForEach(func(name []byte, b *bbolt.Bucket) error { return walk(string(name), b) })
	}); err != nil {
		t.Fatal(err)
	}
	return lines
}

// recovered is what is in a store opened on an image, which has to be sound.
func recovered(t testing.TB, i image) []string {
	t.Helper()
	dir := i.lay(t)
	s := open(t, dir)
	// The context of t may have ended.
	if err := s.Check(context.Background(), nil, func(fault string) { t.Error(fault) }); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	after := imageOf(t, dir)
	if after.journal != nil {
		t.Error("Open and Close left a journal")
	}
	return dump(t, after.file)
}

// replayed is a store that is found again, before it is closed, from its last
// checkpoint and its journal alone.
type replayed struct {
	*bolt.Store
	t   *testing.T
	dir string
}

func (r *replayed) Close() error {
	i := imageOf(r.t, r.dir)
	if err := r.Store.Close(); err != nil {
		return err
	}
	if diff := cmp.Diff(dump(r.t, imageOf(r.t, r.dir).file), recovered(r.t, i)); diff != "" {
		r.t.Errorf("the journal lacks a change, or has one more:\n%s", diff)
	}
	return nil
}

// Whatever a method of the store changes is in the journal: nothing writes past it.
func TestJournalHasAllChanges(t *testing.T) {
	needsJournal(t)
	storetest.Run(t, func(t *testing.T, dir string, now func() time.Time) store.Store {
		s, err := bolt.Open(dir, now, discard, 0)
		if err != nil {
			t.Fatal(err)
		}
		s.Trust()
		return &replayed{s, t, dir}
	})
}

func TestCloseLeavesNoJournal(t *testing.T) {
	needsJournal(t)
	dir := t.TempDir()
	s := open(t, dir)
	mustPush(t, s, indicator(1, 1))
	mustPush(t, s, indicator(2, 1))
	if imageOf(t, dir).journal == nil {
		t.Error("there is no journal while the store is open")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if imageOf(t, dir).journal != nil {
		t.Error("there is a journal")
	}
}

// small is an image of a store with a few commits in its journal, and where the
// frame of each begins; the last is where they end.
func small(t *testing.T) (i image, frames []int) {
	t.Helper()
	needsJournal(t)
	dir := t.TempDir()
	s := open(t, dir)
	for n := range 5 {
		mustPush(t, s, indicator(n, 1))
	}
	i = imageOf(t, dir)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	at := bolt.HeadLen
	for range 4 {
		frames = append(frames, at)
		at += bolt.FrameLen + int(uint32(i.journal[at+4])<<24|uint32(i.journal[at+5])<<16|uint32(i.journal[at+6])<<8|uint32(i.journal[at+7]))
	}
	return i, append(frames, at)
}

// objects is how many objects a store opened on an image holds.
func (i image) objects(t *testing.T) int64 {
	t.Helper()
	s := open(t, i.lay(t))
	defer s.Close()
	check(t, s)
	return count(t, s)
}

// A bit that flips in what was acknowledged is never passed over in silence, but in
// the last frame: that one may have been cut off.
func TestJournalDamage(t *testing.T) {
	good, frames := small(t)
	refused := func(what string, harm func(journal []byte)) {
		t.Helper()
		bad := image{good.file, bytes.Clone(good.journal)}
		harm(bad.journal)
		s, err := bolt.Open(bad.lay(t), time.Now, discard, 0)
		if err == nil {
			_ = s.Close()
		}
		if taxii.CodeOf(err) != taxii.Internal || !strings.Contains(err.Error(), "damaged") {
			t.Fatalf("%s: %v", what, err)
		}
	}
	for at := frames[0]; at < frames[3]; at += 1 + (frames[3]-frames[0])/97 {
		refused(fmt.Sprintf("octet %d of %d", at, frames[3]), func(journal []byte) { journal[at] ^= 16 })
	}
	refused("two frames are gone, and the file has the second commit", func(journal []byte) { clear(journal[frames[2]:]) })
	for at := frames[3]; at < frames[4]; at += 1 + (frames[4]-frames[3])/11 {
		i := image{good.file, bytes.Clone(good.journal)}
		i.journal[at] ^= 16
		if n := i.objects(t); n != 4 {
			t.Errorf("octet %d of the last frame: %d objects, want 4", at-frames[3], n)
		}
	}
}

// A frame that did not get to the disk whole was never acknowledged, and the store
// opens without it.
func TestJournalCutOff(t *testing.T) {
	good, frames := small(t)
	base := image{bytes.Clone(good.file), nil}
	for slot := range 2 { // the power failed before bbolt's metas were written
		copy(base.file[slot*bolt.PageSize:], good.journal[24+slot*80:][:80])
	}
	for _, row := range []struct {
		name string
		to   int
		want int64
	}{
		{"all", frames[4], 5}, {"a few octets", frames[4] - 9, 4}, {"half a frame", (frames[3] + frames[4]) / 2, 4},
		{"all but a few octets", frames[3] + 9, 4}, {"two frames", frames[2], 3}, {"all frames", frames[0], 1}, {"half the head", 100, 1},
	} {
		t.Run(row.name, func(t *testing.T) {
			i := image{base.file, bytes.Clone(good.journal)}
			clear(i.journal[row.to:])
			if n := i.objects(t); n != row.want {
				t.Errorf("%d objects, want %d", n, row.want)
			}
			i.journal = i.journal[:row.to]
			if n := i.objects(t); n != row.want {
				t.Errorf("cut short: %d objects, want %d", n, row.want)
			}
		})
	}
}

// A journal is never replayed onto another file, nor onto an older copy of its own.
func TestJournalOfAnotherFile(t *testing.T) {
	good, _ := small(t)
	dir := t.TempDir()
	s := open(t, dir)
	mustPush(t, s, indicator(9, 1))
	var backup bytes.Buffer
	if _, err := s.Backup(t.Context(), &backup); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for name, file := range map[string][]byte{"another": imageOf(t, dir).file, "a backup": backup.Bytes(), "none": {}} {
		t.Run(name, func(t *testing.T) {
			mustLeaveAlone(t, image{file, good.journal})
		})
	}
}

// A journal of another version is kept for it.
func TestJournalOfAnotherVersion(t *testing.T) {
	i, _ := small(t)
	i.journal[len("comityj")]--
	mustLeaveAlone(t, i)
}

// mustLeaveAlone opens a store whose journal is not for this file, or this program.
func mustLeaveAlone(t *testing.T, i image) {
	t.Helper()
	dir := i.lay(t)
	if _, err := bolt.Open(dir, time.Now, discard, 0); taxii.CodeOf(err) != taxii.Conflict {
		t.Errorf("got %v", err)
	}
	if after := imageOf(t, dir); !bytes.Equal(after.file, i.file) || !bytes.Equal(after.journal, i.journal) {
		t.Error("it was touched")
	}
}

// What the journal does not get to the disk, bbolt does. If that fails, too, what
// was acknowledged is there for the next who opens the store, and for nobody before.
func TestFailedSync(t *testing.T) {
	needsJournal(t)
	for name, fail := range map[string]func(sync func() error) error{
		"before": func(func() error) error { return errDisk },
		"after":  func(sync func() error) error { return errors.Join(sync(), errDisk) },
	} {
		for _, syncs := range []int{1, 2, 3} { // that fail
			for first := range 4 { // that do not
				t.Run(fmt.Sprintf("%s, %d after %d", name, syncs, first), func(t *testing.T) { failedSync(t, fail, first, syncs) })
			}
		}
	}
}

func failedSync(t *testing.T, fail func(sync func() error) error, first, syncs int) {
	dir := t.TempDir()
	s := open(t, dir)
	defer s.Close()
	mustPush(t, s, indicator(0, 1))
	n := 0
	s.FailSyncs(func(_ bool, sync func() error) error {
		if n++; n > first && n <= first+syncs {
			return fail(sync)
		}
		return sync()
	})
	var done []uuid.UUID
	for n := 1; n < 8; n++ {
		sub, err := push(t.Context(), s, indicator(n, 1))
		if err == nil {
			done = append(done, sub.ID)
		} else if !errors.Is(err, errDisk) {
			t.Fatal(err)
		}
		lost := open(t, imageOf(t, dir).lay(t))
		check(t, lost)
		for _, id := range done {
			if _, err := lost.Status(t.Context(), "", id); err != nil {
				t.Errorf("push %d: one that was acknowledged is lost: %v", n, err)
			}
		}
		_ = lost.Close()
	}
	if !s.Stopped() {
		if len(done) != 7 {
			t.Errorf("%d pushes were acknowledged", len(done))
		}
		return
	}
	if syncs == 1 {
		t.Error("the store stopped, and need not")
	}
	mustRefuse(t, s)
}

// mustRefuse fails the test unless the store refuses whatever it is asked for.
func mustRefuse(t *testing.T, s *bolt.Store) {
	t.Helper()
	_, err := s.Scan(t.Context(), grant, store.Query{Limit: 10})
	_, err2 := s.Status(t.Context(), "", uuid.New())
	for _, err := range []error{err, err2, s.Ready(t.Context())} {
		if taxii.CodeOf(err) != taxii.Unavailable {
			t.Errorf("a store that stopped answers with %v", err)
		}
	}
}

// Before a commit that is not small, the file has to be on the disk, and then the
// journal void: if either cannot be, the store stops, and Open finds all.
func TestFailedEndOfTheJournal(t *testing.T) {
	needsJournal(t)
	for name, which := range map[string]bool{"file": false, "journal": true} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := open(t, dir)
			for n := range 3 {
				mustPush(t, s, indicator(n, 1))
			}
			s.FailSyncs(func(ofJournal bool, sync func() error) error {
				if ofJournal == which {
					return errDisk
				}
				return sync()
			})
			if _, err := push(t.Context(), s, items(3, 400)...); !errors.Is(err, errDisk) {
				t.Errorf("got %v", err)
			}
			mustRefuse(t, s)
			if err := s.Close(); !errors.Is(err, errDisk) {
				t.Errorf("Close: %v", err)
			}
			i := imageOf(t, dir)
			if n := i.objects(t); n != 3 {
				t.Errorf("%d objects, want 3", n)
			}
		})
	}
}

// pushHeld pushes an item, and waits until its sync begins, which goes on when it is
// released.
func pushHeld(t *testing.T, s *bolt.Store, i store.Item) (release func(), pushed <-chan error) {
	t.Helper()
	begun, held, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	var first sync.Once
	s.FailSyncs(func(_ bool, sync func() error) error {
		first.Do(func() { close(begun) })
		<-held
		return sync()
	})
	go func() { _, err := push(context.Background(), s, i); done <- err }()
	select {
	case <-begun:
	case <-time.After(10 * time.Second):
		close(held)
		t.Fatal("nothing is synced")
	}
	return func() { close(held) }, done
}

// A commit that is not on the disk yet is not shown; what is known beside the file
// is, and does not wait.
func TestReadersWaitForTheDisk(t *testing.T) {
	needsJournal(t)
	s := open(t, t.TempDir())
	defer s.Close()
	mustPush(t, s, indicator(0, 1))
	mustPush(t, s, indicator(1, 1))
	before, err := s.State(t.Context(), collection)
	if err != nil {
		t.Fatal(err)
	}
	release, pushed := pushHeld(t, s, indicator(2, 1))
	scanned := make(chan int64, 1)
	go func() { n, _ := s.Count(context.Background(), collection); scanned <- n }()
	if now, err := s.State(t.Context(), collection); err != nil || now != before {
		t.Errorf("state %v, %v, want %v", now, err, before)
	}
	select {
	case n := <-scanned:
		t.Errorf("%d objects were shown", n)
		scanned <- n
	case <-time.After(50 * time.Millisecond):
	}
	release()
	if err, n := <-pushed, <-scanned; err != nil || n != 3 {
		t.Errorf("%v, %d objects", err, n)
	}
}

// Where somebody reads between commits, a slow disk holds up nobody but who pushes.
func TestPollersDoNotWaitForTheDisk(t *testing.T) {
	needsJournal(t)
	s := open(t, t.TempDir())
	defer s.Close()
	mustPush(t, s, indicator(0, 1))
	mustPush(t, s, indicator(1, 1))
	count := func() int64 {
		n, err := s.Count(t.Context(), collection)
		if err != nil {
			t.Error(err)
		}
		return n
	}
	count()
	release, pushed := pushHeld(t, s, indicator(2, 1))
	if n := count(); n != 2 {
		t.Errorf("%d objects before the push is on the disk, want 2", n)
	}
	release()
	if err := <-pushed; err != nil || count() != 3 {
		t.Error("the push was not taken:", err)
	}
}

// A commit that writes more than was thought does not have bbolt map the file anew,
// which would wait for the reader that the journal keeps, for ever: it is made again,
// without the journal.
func TestCommitThatWasMisjudgedIsMadeAgain(t *testing.T) {
	needsJournal(t)
	s := open(t, t.TempDir())
	defer s.Close()
	mustPush(t, s, indicator(0, 1))
	s.Trust()
	s.EndMap()
	s.Misjudge()
	refused, journaled := 0, 0
	s.FailCommits(func(commit func() error) error {
		err := commit()
		switch {
		case errors.Is(err, berrors.ErrMaxSizeReached):
			refused++
		case !s.Synced():
			journaled++
		}
		return err
	})
	pad := `{"x_pad":"` + strings.Repeat("x", 100<<10) + `",`
	for n := range 200 { // 20 MB: bbolt maps 8, 16 and 32 MiB
		mustPush(t, s, item(strings.Replace(indicatorText(1+n, 1), "{", pad, 1)))
	}
	if refused == 0 || journaled == 0 {
		t.Errorf("%d commits were refused, %d went through the journal", refused, journaled)
	}
}

// Where bbolt would have to map the file anew, for which it waits until nobody
// reads, the journal ends before, and nothing is lost.
func TestJournalEndsWithTheMap(t *testing.T) {
	needsJournal(t)
	dir := t.TempDir()
	s := open(t, dir)
	defer s.Close()
	for n := range 5 {
		mustPush(t, s, indicator(n, 1))
	}
	s.EndMap()
	var before image
	s.FailCommits(func(commit func() error) error {
		if before = imageOf(t, dir); !s.Synced() {
			t.Error("a commit went through the journal")
		}
		return commit()
	})
	for n := range 3 {
		mustPush(t, s, indicator(5+n, 1))
		if got := before.objects(t); got != int64(5+n) {
			t.Errorf("%d objects before the commit, want %d", got, 5+n)
		}
		if got := imageOf(t, dir).objects(t); got != int64(6+n) {
			t.Errorf("%d objects after it, want %d", got, 6+n)
		}
	}
}

// A store whose process was killed can be compacted, and then holds no journal.
func TestCompactTakesTheJournal(t *testing.T) {
	i, _ := small(t)
	dir := i.lay(t)
	if err := bolt.Compact(t.Context(), dir, 0, nil); err != nil {
		t.Fatal(err)
	}
	after := imageOf(t, dir)
	if after.journal != nil {
		t.Error("the journal is still there")
	}
	if n := after.objects(t); n != 5 {
		t.Errorf("%d objects, want 5", n)
	}
}

// A journal that a file which was removed has left is none of a backup's.
func TestRestoreDropsTheJournal(t *testing.T) {
	i, _ := small(t)
	from := filepath.Join(image{file: i.file}.lay(t), bolt.FileName)
	dir := i.lay(t)
	if err := os.Remove(filepath.Join(dir, bolt.FileName)); err != nil {
		t.Fatal(err)
	}
	if err := bolt.Restore(t.Context(), from, dir); err != nil {
		t.Fatal(err)
	}
	after := imageOf(t, dir)
	if after.journal != nil {
		t.Error("the journal is still there")
	}
	if n := after.objects(t); n != 5 {
		t.Errorf("%d objects, want 5", n)
	}
}

// A journal may hold anything, but never brings the program down.
func FuzzJournal(f *testing.F) {
	db, err := bbolt.Open(filepath.Join(f.TempDir(), "db"), 0o600, &bbolt.Options{NoSync: true})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = db.Close() })
	bucket := "b\x00\x00\x00\x00\x00\x00\x00\x01m"
	for _, changes := range []string{
		bucket + "p\x00\x00\x00\x01\x00\x00\x00\x01k\x00\x00\x00\x01v", bucket + "d\x00\x00\x00\x01\x00\x00\x00\x01k",
		bucket + "s\x00\x00\x00\x01\x00\x00\x00\x08\x00\x00\x00\x00\x00\x00\x00\x07", bucket + "b\x00\x00\x00\x01\x00\x00\x00\x01n",
		"p\x00\x00\x00\x00\x00\x00\x00\x01k\x00\x00\x00\x00", "p\x00\x00\x00\x09", "x\x00\x00\x00\x00", "b\x00\x00\x00\x00\xff\xff\xff\xff",
	} {
		f.Add([]byte(changes))
	}
	f.Fuzz(func(t *testing.T, changes []byte) {
		_ = bolt.Replay(db, changes)
		_ = bolt.Replay(db, bolt.SealJournal(changes))
	})
}
