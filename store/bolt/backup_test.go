package bolt_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"comity/store/bolt"
	"comity/taxii"
)

// backup writes a backup of a store, and returns its path and the contents of the store.
func backup(t *testing.T) (path, want string) {
	t.Helper()
	s := open(t, t.TempDir())
	defer s.Close()
	for n := range 50 {
		mustPush(t, s, indicator(n, 1), indicator(n, 2))
	}
	var copied bytes.Buffer
	if _, err := s.Backup(t.Context(), &copied); err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), "backup")
	if err := os.WriteFile(path, copied.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path, contents(t, s)
}

func TestRestore(t *testing.T) {
	path, want := backup(t)
	dir := t.TempDir()
	if err := bolt.Restore(t.Context(), path, dir); err != nil {
		t.Fatal(err)
	}
	s := reopened(t, dir)
	if contents(t, s) != want {
		t.Error("it does not show the same as the backup")
	}
	mustPush(t, s, indicator(100, 1))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := bolt.Restore(t.Context(), path, dir); taxii.CodeOf(err) != taxii.Conflict {
		t.Errorf("over a store: %v", err)
	}
	if err := bolt.Restore(t.Context(), filepath.Join(dir, "no"), t.TempDir()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("from nothing: %v", err)
	}
}

// A backup that was damaged is not restored.
func TestRestoreRefusesDamage(t *testing.T) {
	path, _ := backup(t)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	// Everywhere: free pages have older copies.
	flipped := bytes.ReplaceAll(good, []byte("banking trojan"), []byte("banking trojaN"))
	for name, bad := range map[string][]byte{
		"empty":    {},
		"noise":    bytes.Repeat([]byte("noise"), 5000),
		"flipped":  flipped,
		"cut off":  good[:len(good)/2],
		"cut more": good[:3*bolt.PageSize],
		"one page": good[:bolt.PageSize],
	} {
		t.Run(name, func(t *testing.T) {
			from, dir := filepath.Join(t.TempDir(), "backup"), t.TempDir()
			if err := os.WriteFile(from, bad, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := bolt.Restore(t.Context(), from, dir); taxii.CodeOf(err) != taxii.Invalid {
				t.Errorf("got %v", err)
			}
			if files, err := os.ReadDir(dir); err != nil || len(files) != 0 {
				t.Errorf("%v, %v", files, err)
			}
		})
	}
}
