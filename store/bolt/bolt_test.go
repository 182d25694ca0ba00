package bolt_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"comity/store"
	"comity/store/bolt"
	"comity/store/storetest"
	"comity/taxii"
	"comity/taxii/exchange"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T, dir string, now func() time.Time) store.Store {
		s, err := bolt.Open(dir, now, discard, 0)
		if err != nil {
			t.Fatal(err)
		}
		return s
	})
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

func TestOpenNeedsTheFolder(t *testing.T) {
	if _, err := bolt.Open(filepath.Join(t.TempDir(), "no"), time.Now, discard, 0); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

// A panic of this program is not reported as a damaged file, so that no operator restores
// a backup because of it. Its error has the stack.
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
