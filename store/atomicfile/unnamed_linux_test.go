package atomicfile_test

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"comity/store/atomicfile"
)

// A file has no name before it is whole, so that a kill leaves nothing behind, if the file
// system can have such files.
func TestAKillWhileAFileIsWrittenLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	f, err := os.OpenFile(dir, unix.O_TMPFILE|os.O_RDWR, 0o600)
	named := err != nil
	f.Close()
	if err := atomicfile.Replace(filepath.Join(dir, "state"), 0o600, func(io.Writer) error {
		files, err := os.ReadDir(dir)
		if len(files) > 0 && !named {
			t.Errorf("%v are there before the file is whole", files)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != 1 {
		t.Errorf("%v, %v", files, err)
	}
}
