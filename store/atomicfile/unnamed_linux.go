package atomicfile

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// openUnnamed opens a new file of that folder that has no name, so that nothing is left of it
// if the process is killed. It returns nil where that is not possible.
func openUnnamed(folder string) *os.File {
	f, err := os.OpenFile(folder, unix.O_TMPFILE|os.O_RDWR, 0o600)
	if err != nil {
		return nil
	}
	if _, err := os.Stat(descriptor(f)); err != nil { // without /proc it can get no name
		f.Close()
		return nil
	}
	return f
}

// nameUnnamed gives the file its first name.
func nameUnnamed(f *os.File, path string) error {
	if err := unix.Linkat(unix.AT_FDCWD, descriptor(f), unix.AT_FDCWD, path, unix.AT_SYMLINK_FOLLOW); err != nil {
		return &os.LinkError{Op: "link", Old: f.Name(), New: path, Err: err}
	}
	return nil
}

func descriptor(f *os.File) string { return fmt.Sprintf("/proc/self/fd/%d", f.Fd()) }
