package bolt

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"comity/store/atomicfile"
	"comity/taxii"
)

// Backup writes a consistent copy of the file.
func (s *Store) Backup(ctx context.Context, w io.Writer) (n int64, err error) {
	out := &backupWriter{ctx: ctx, w: w}
	err = s.view(func(tx *bbolt.Tx) error {
		n, err = tx.WriteTo(out)
		return cmp.Or(out.err, err)
	})
	return n, err
}

// backupWriter ends with its context, and keeps the error that bbolt would
// only print.
type backupWriter struct {
	ctx context.Context
	w   io.Writer
	err error
}

func (b *backupWriter) Write(p []byte) (n int, err error) {
	if b.err = b.ctx.Err(); b.err == nil {
		n, b.err = b.w.Write(p)
	}
	return n, b.err
}

// Restore copies a backup into the folder dir, which must exist and have no
// store yet: that is Conflict. The copy takes its place only once Check has read
// it without finding a fault; Invalid if the file is no backup, or damaged.
func Restore(ctx context.Context, from, dir string) (err error) {
	path := filepath.Join(dir, FileName)
	if err := vacant(path); err != nil {
		return err
	}
	fresh := path + unfinished
	defer func() {
		if err != nil {
			_ = os.Remove(fresh) // it may not be there
		}
	}()
	if err := copyFile(ctx, from, fresh); err != nil {
		return fmt.Errorf("restore %s: %w", from, err)
	}
	if err := examine(ctx, from, fresh); err != nil {
		return err
	}
	if err := vacant(path); err != nil {
		return err
	}
	if err := unmark(path); err != nil {
		return err
	}
	if err := os.Remove(path + journalName); err != nil && !errors.Is(err, os.ErrNotExist) { // of a store that was removed
		return err
	}
	return atomicfile.Rename(fresh, path)
}

// vacant is Conflict if a store is there.
func vacant(path string) error {
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		return &taxii.Error{Code: taxii.Conflict, Msg: path + " is there already: restore into a folder without one", Err: err}
	}
	return nil
}

func copyFile(ctx context.Context, from, to string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	if _, err := io.Copy(&backupWriter{ctx: ctx, w: out}, in); err != nil {
		return err
	}
	return out.Sync()
}

// examine is Invalid if the copy at path is not a store without faults.
func examine(ctx context.Context, from, path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	switch size := info.Size(); {
	case size == 0: // would be made a store
		return taxii.Errorf(taxii.Invalid, "%s is empty", from)
	case size < 2*pageSize: // the first two pages say what the file is
		return taxii.Errorf(taxii.Invalid, "%s is no backup, or cut off", from)
	}
	// A file that was cut off lacks pages, to read which is a fault.
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	s, err := openCopy(path)
	var damage *taxii.Error
	if errors.Is(err, berrors.ErrInvalid) || errors.Is(err, berrors.ErrChecksum) || errors.Is(err, berrors.ErrVersionMismatch) ||
		errors.As(err, &damage) && damage.Code == taxii.Internal {
		return &taxii.Error{Code: taxii.Invalid, Msg: from + " is no backup, or damaged", Err: err}
	}
	if err != nil {
		return err
	}
	first := ""
	err = s.whole(info.Size())
	if err == nil {
		err = s.Check(ctx, nil, func(fault string) {
			if first == "" {
				first = fault
			}
		})
	}
	if err := errors.Join(err, s.Close()); err != nil {
		return err
	}
	if first != "" {
		return taxii.Errorf(taxii.Invalid, "%s is damaged: %s", from, first)
	}
	return nil
}

// openCopy opens a store of which another copy exists.
func openCopy(path string) (*Store, error) {
	db, err := openFile(path, 0)
	if err != nil {
		return nil, err
	}
	return start(db, path, time.Now, slog.New(slog.DiscardHandler))
}

// whole is Invalid if the file is shorter than what it says it holds.
func (s *Store) whole(size int64) error {
	return s.view(func(tx *bbolt.Tx) error {
		if tx.Size() > size {
			return taxii.Errorf(taxii.Invalid, "the backup is cut off: it has %d bytes of %d", size, tx.Size())
		}
		return nil
	})
}
