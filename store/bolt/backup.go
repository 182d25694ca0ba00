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

// backupWriter fails once its context has ended. It keeps its error, which bbolt would
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

// Restore copies a backup into the folder dir, which must exist. As root it gives the
// store to the owner of the folder. It returns Conflict if the folder has a store, and
// Invalid if the file is not a backup or is damaged. The copy becomes the store only
// after Check has read it without finding a fault.
func Restore(ctx context.Context, from, dir string) (err error) {
	path := filepath.Join(dir, FileName)
	if err := checkVacant(path); err != nil {
		return err
	}
	fresh := path + unfinishedSuffix
	defer func() {
		if err != nil {
			_ = os.Remove(fresh) // it may not be there
		}
	}()
	if err := copyFile(ctx, from, fresh); err != nil {
		return fmt.Errorf("restore %s: %w", from, err)
	}
	if err := checkCopy(ctx, from, fresh); err != nil {
		return err
	}
	if err := checkVacant(path); err != nil {
		return err
	}
	if os.Geteuid() == 0 {
		folder, err := os.Stat(dir)
		if err == nil {
			err = keepOwner(fresh, folder)
		}
		if err != nil {
			return err
		}
	}
	if err := removeMark(path); err != nil {
		return err
	}
	if err := os.Remove(path + journalSuffix); err != nil && !errors.Is(err, os.ErrNotExist) { // a store that was removed may have left it
		return err
	}
	return atomicfile.Rename(fresh, path)
}

// checkVacant returns Conflict if there is a file at path.
func checkVacant(path string) error {
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

// CheckBackup returns Invalid unless the backup at path is a store without faults. It reads it
// whole, and does not change it.
func CheckBackup(ctx context.Context, path string) error { return checkCopy(ctx, path, path) }

// checkCopy returns Invalid unless the copy at path is a store without faults.
func checkCopy(ctx context.Context, from, path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	switch size := info.Size(); {
	case size == 0: // bbolt would make a new store of it
		return taxii.Errorf(taxii.Invalid, "%s is empty", from)
	case size < 2*pageSize: // the first two pages say what the file is
		return taxii.Errorf(taxii.Invalid, "%s is no backup, or cut off", from)
	}
	// A file that was cut off lacks pages. Reading one is a memory fault.
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
	note := func(fault string) { first = cmp.Or(first, fault) }
	err = s.checkLength(info.Size())
	if err == nil {
		err = s.Check(ctx, nil, note)
	}
	if err == nil && first == "" {
		err = s.view(func(tx *bbolt.Tx) error { checkFreeList(tx, note); return nil })
	}
	if err := errors.Join(err, s.Close()); err != nil {
		return err
	}
	if first != "" {
		return taxii.Errorf(taxii.Invalid, "%s is damaged: %s", from, first)
	}
	return nil
}

// openCopy opens a store to check it. It copies nothing before a migration, since the
// backup stays.
func openCopy(path string) (*Store, error) {
	db, err := openFile(path, 0)
	if err != nil {
		return nil, err
	}
	return start(db, path, time.Now, slog.New(slog.DiscardHandler))
}

// checkLength returns Invalid if the file is shorter than its own pages say.
func (s *Store) checkLength(size int64) error {
	return s.view(func(tx *bbolt.Tx) error {
		if tx.Size() > size {
			return taxii.Errorf(taxii.Invalid, "the backup is cut off: it has %d bytes of %d", size, tx.Size())
		}
		return nil
	})
}
