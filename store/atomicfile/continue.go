package atomicfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Continue opens a file to write behind its first size bytes, and makes it if size is 0 and
// there is none. What follows these bytes, a run that was killed has left: it is cut off. A
// file that is shorter is an error. The caller syncs the file.
func Continue(path string, size int64, mode fs.FileMode) (*os.File, error) {
	flags := os.O_WRONLY
	if size == 0 {
		flags |= os.O_CREATE
	}
	f, err := os.OpenFile(path, flags, mode)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	switch {
	case err != nil:
	case info.Size() < size:
		err = fmt.Errorf("%s has %d bytes, and had %d", path, info.Size(), size)
	default:
		err = f.Truncate(size)
	}
	if err == nil {
		_, err = f.Seek(size, 0)
	}
	if err == nil {
		err = SyncFolder(filepath.Dir(path))
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
