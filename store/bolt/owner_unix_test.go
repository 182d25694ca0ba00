//go:build unix

package bolt_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"comity/store/bolt"
)

// A store that root compacts or restores can still be opened by the user of the server.
func TestTheStoreKeepsItsOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give a file to another user")
	}
	const user, group = 4711, 4712
	want := func(dir string, mode os.FileMode) {
		t.Helper()
		info := stat(t, dir)
		if owner := info.Sys().(*syscall.Stat_t); owner.Uid != user || owner.Gid != group || info.Mode() != mode {
			t.Errorf("owner %d, group %d, mode %v", owner.Uid, owner.Gid, info.Mode())
		}
	}
	dir := t.TempDir()
	path := filepath.Join(dir, bolt.FileName)
	for _, err := range []error{open(t, dir).Close(), os.Chown(path, user, group), os.Chmod(path, 0o640), bolt.Compact(t.Context(), dir, 0, nil)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	want(dir, 0o640)

	other := t.TempDir()
	for _, err := range []error{os.Chown(other, user, group), bolt.Restore(t.Context(), path, other)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	want(other, 0o600)
}
