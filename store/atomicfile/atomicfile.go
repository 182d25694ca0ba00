// Package atomicfile writes files that are there whole or not at all. What has
// returned without an error is there after a loss of power too. A process that is killed
// meanwhile leaves nothing on most file systems of Linux, and elsewhere a file .new-*.
package atomicfile

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// Create writes a new file with those permissions. fs.ErrExist if there is one of
// that name, also one made meanwhile. An error of write is returned as it is.
func Create(path string, mode fs.FileMode, write func(io.Writer) error) error {
	if err := checkVacant(path); err != nil {
		return err
	}
	return put(path, mode, write, link)
}

// Replace is Create that takes the place of a file that is there.
func Replace(path string, mode fs.FileMode, write func(io.Writer) error) error {
	return put(path, mode, write, Rename)
}

// checkVacant returns fs.ErrExist if there is a file of that name.
func checkVacant(path string) error {
	_, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = &fs.PathError{Op: "create", Path: path, Err: syscall.EEXIST}
	}
	return err
}

// put writes a file without a name, or under a name of its own where that is not possible.
// Then place gives it its name.
func put(path string, mode fs.FileMode, write func(io.Writer) error, place func(fresh, path string) error) error {
	folder := filepath.Dir(path)
	fresh := filepath.Join(folder, ".new-"+rand.Text())
	defer os.Remove(fresh) // it may have its name already
	var err error
	f := openUnnamed(folder)
	unnamed := f != nil
	if !unnamed {
		if f, err = os.OpenFile(fresh, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600); err != nil {
			return err
		}
	}
	if err := write(f); err != nil {
		return errors.Join(err, f.Close())
	}
	err = errors.Join(f.Chmod(mode), f.Sync())
	if err == nil && unnamed {
		err = nameUnnamed(f, fresh)
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return place(fresh, path)
}

// link is Rename that replaces no file. A file system without hard links leaves a moment
// between the check for a file and the rename.
func link(fresh, path string) error {
	err := os.Link(fresh, path)
	if err == nil {
		return errors.Join(os.Remove(fresh), SyncFolder(filepath.Dir(path)))
	}
	if err := checkVacant(path); err != nil {
		return err
	}
	if errors.Is(err, syscall.EPERM) || errors.Is(err, errors.ErrUnsupported) {
		return Rename(fresh, path)
	}
	return err
}

// Rename moves a file, whose content is on the disk already, into its place in the
// same folder.
func Rename(fresh, path string) error {
	if err := os.Rename(fresh, path); err != nil {
		return err
	}
	return SyncFolder(filepath.Dir(path))
}

// SyncFolder brings the names in a folder to the disk.
func SyncFolder(name string) error {
	folder, err := os.Open(name)
	if err != nil {
		return err
	}
	if err := errors.Join(folder.Sync(), folder.Close()); err != nil {
		return fmt.Errorf("folder %s: %w", name, err)
	}
	return nil
}
