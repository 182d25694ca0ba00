//go:build unix

package bolt

import (
	"fmt"
	"os"
	"syscall"
)

// keepOwner gives the file at path the owner and the group that like has. Only root can
// give a file to another owner.
func keepOwner(path string, like os.FileInfo) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	is, want := info.Sys().(*syscall.Stat_t), like.Sys().(*syscall.Stat_t)
	if is.Uid == want.Uid && is.Gid == want.Gid {
		return nil
	}
	if err := os.Chown(path, int(want.Uid), int(want.Gid)); err != nil {
		return fmt.Errorf("give %s to the owner of %s: %w", path, like.Name(), err)
	}
	return nil
}
