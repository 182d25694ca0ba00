package atomicfile_test

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"comity/store/atomicfile"
)

func says(text string) func(io.Writer) error {
	return func(w io.Writer) error { _, err := io.WriteString(w, text); return err }
}

func TestCreateOverwritesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	if err := atomicfile.Create(path, 0o600, says("first")); err != nil {
		t.Fatal(err)
	}
	if err := atomicfile.Create(path, 0o600, says("second")); !errors.Is(err, fs.ErrExist) {
		t.Errorf("got %v", err)
	}
	want(t, path, "first", 0o600)
}

// A backup takes minutes: another one of the same name may be finished meanwhile.
func TestCreateOverwritesNothingMadeMeanwhile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "backup")
	if err := atomicfile.Create(path, 0o600, func(w io.Writer) error {
		return errors.Join(says("second")(w), os.WriteFile(path, []byte("first"), 0o644))
	}); !errors.Is(err, fs.ErrExist) {
		t.Errorf("got %v", err)
	}
	want(t, path, "first", 0o644)
	if files, err := os.ReadDir(dir); err != nil || len(files) != 1 {
		t.Errorf("%v, %v", files, err)
	}
}

func TestReplaceKeepsTheOldFileUntilTheNewIsWhole(t *testing.T) {
	path := filepath.Join(t.TempDir(), "agreement")
	if err := atomicfile.Replace(path, 0o644, says("old")); err != nil {
		t.Fatal(err)
	}
	failure := errors.New("no room")
	if err := atomicfile.Replace(path, 0o600, func(w io.Writer) error {
		if _, err := io.WriteString(w, "half"); err != nil {
			t.Error(err)
		}
		want(t, path, "old", 0o644)
		return failure
	}); !errors.Is(err, failure) {
		t.Errorf("got %v", err)
	}
	want(t, path, "old", 0o644)
	if err := atomicfile.Replace(path, 0o600, says("new")); err != nil {
		t.Fatal(err)
	}
	want(t, path, "new", 0o600)
}

// want compares content and permissions.
func want(t *testing.T, path, text string, mode fs.FileMode) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil || string(got) != text {
		t.Errorf("%q, %v; want %q", got, err, text)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != mode {
		t.Errorf("%v, %v; want %v", info, err, mode)
	}
}
