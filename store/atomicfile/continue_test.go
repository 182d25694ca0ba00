package atomicfile_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"comity/store/atomicfile"
)

// A file goes on behind what is known to be in it: what a killed run left is cut off.
func TestContinueCutsOffWhatAKilledRunLeft(t *testing.T) {
	path := filepath.Join(t.TempDir(), "feed")
	add := func(size int64, text string) {
		t.Helper()
		f, err := atomicfile.Continue(path, size, 0o644)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteString(text); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	add(0, "one\ntwo\nthr")
	add(8, "three\n")
	want(t, path, "one\ntwo\nthree\n", 0o644)
	if _, err := atomicfile.Continue(path, 99, 0o644); err == nil {
		t.Error("a file that is shorter than it was is continued")
	}
	want(t, path, "one\ntwo\nthree\n", 0o644)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := atomicfile.Continue(path, 8, 0o644); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that is gone: %v", err)
	}
}
