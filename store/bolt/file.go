package bolt

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"comity/store/atomicfile"
	"comity/taxii"
)

// mapAhead is address space kept beyond the file: while it lasts, growing the
// file does not wait for readers.
const mapAhead = 4 << 30

// growth is how much a file of that size grows at a time: each costs a sync. The
// new part takes no room on the disk until it is written, but is part of its
// length.
func growth(size int64) int { return int(min(max(size/32, 4<<20), 64<<20)) }

// pageSize is that of the file. A record is in one page, with those beside it, and
// what is left at the end of a page is lost: on average half a record. Twice the
// size loses half as much, and costs each commit more, which writes what it changes
// by the page.
const pageSize = 8192

// unfinished ends the name of a file that Compact or Restore has not finished.
const unfinished = ".new"

// openFile opens and locks the file, and drops what a killed Compact left beside
// it: that may hold what was removed since. If another process has it open, it
// waits for up to wait, then returns Unavailable.
func openFile(path string, wait time.Duration) (*bbolt.DB, error) {
	options := &bbolt.Options{
		Timeout:         max(wait, time.Millisecond), // bbolt waits for ever on 0
		FreelistType:    bbolt.FreelistMapType,
		PageSize:        pageSize,
		InitialMmapSize: mapAhead,
		NoStatistics:    true,
	}
	if info, err := os.Stat(path); err == nil {
		options.InitialMmapSize += int(info.Size())
	}
	db, err := lock(path, options)
	if errors.Is(err, syscall.ENOMEM) { // address space is limited
		options.InitialMmapSize = 0
		db, err = lock(path, options)
	}
	if errors.Is(err, berrors.ErrTimeout) {
		return nil, &taxii.Error{Code: taxii.Unavailable, Msg: "another process uses " + path, Err: err}
	}
	// What keeps bbolt from opening the file may be what the journal would mend.
	if journal := dropJournal(path); journal != nil {
		if db != nil {
			journal = errors.Join(journal, db.Close())
		}
		return nil, journal
	}
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	db.AllocSize = growth(0)
	if err := os.Remove(path + unfinished); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// openSound is openFile, after it has written a file that is marked into a new one: the
// disk may not have all of the old one, which is still whole in memory or, if that is
// lost, does not pass.
func openSound(path string, wait time.Duration, log *slog.Logger) (*bbolt.DB, error) {
	db, err := openFile(path, wait)
	if err != nil {
		return nil, err
	}
	cause, err := os.ReadFile(path + failedName)
	if errors.Is(err, os.ErrNotExist) {
		return db, nil
	}
	if err == nil {
		log.Warn("the file of the store could not be written: it is written into a new one", "file", path, "error", strings.TrimSpace(string(cause)))
		err = rewrite(context.Background(), db, path, nil)
	}
	if err := errors.Join(err, db.Close()); err != nil {
		return nil, fmt.Errorf("%s could not be written when it was used last (%s), nor into a new file now: restore a backup into an empty folder: %w", path, strings.TrimSpace(string(cause)), err)
	}
	return openFile(path, wait)
}

// lock is bbolt.Open, which panics on a damaged file, and has the processor trap
// on one that was cut off. What it then leaves mapped and locked ends with the
// process. While it waited for the lock, Compact may have put another file into
// the place of the one it opened: then it opens that one.
func lock(path string, options *bbolt.Options) (db *bbolt.DB, err error) {
	defer recovered(&err)
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	for {
		var locked *os.File
		options.OpenFile = func(name string, flag int, mode os.FileMode) (*os.File, error) {
			f, err := os.OpenFile(name, flag, mode)
			if locked == nil && err == nil { // the first is the one that is kept
				locked = f
			}
			return f, err
		}
		if db, err = bbolt.Open(path, 0o600, options); err != nil {
			return nil, err
		}
		mine, err := locked.Stat()
		there, err2 := os.Stat(path)
		switch {
		case err != nil || err2 != nil && !errors.Is(err2, os.ErrNotExist):
			return nil, errors.Join(cmp.Or(err, err2), db.Close())
		case os.SameFile(mine, there):
			if err := rewriteMetas(locked, db.Info().PageSize); err != nil {
				return nil, errors.Join(err, markFailed(path, err), db.Close())
			}
			return db, nil
		}
		if err := db.Close(); err != nil {
			return nil, err
		}
	}
}

// metaFile is what rewriteMetas needs of the file.
type metaFile interface {
	io.ReaderAt
	io.WriterAt
	Sync() error
}

// rewriteMetas writes the two metas, the pages from which bbolt starts, once more as
// they are read, and waits until all of the file is on the disk. A process that was
// killed between the write and the sync of a meta, or whose write failed later, leaves
// a meta that is in memory and may not be on the disk. The next commit would overwrite
// pages of the commit before it, which is the one that the disk still has.
func rewriteMetas(f metaFile, pageSize int) error {
	metas := make([]byte, 2*pageSize)
	if _, err := f.ReadAt(metas, 0); err != nil {
		return err
	}
	if _, err := f.WriteAt(metas, 0); err != nil {
		return err
	}
	return f.Sync()
}

// failedName ends the name of the file that marks a store whose file could not be
// written or synced. It says when, and what the error was.
const failedName = ".failed"

// minFree is how much room on the disk, in bytes, the store needs to be ready.
const minFree = 16 << 20

// Ready implements store.Store. It writes nothing: it knows from the last commit, from
// the room on the disk and from where the file is.
func (s *Store) Ready(ctx context.Context) error {
	s.mu.RLock()
	err := cmp.Or(s.failed, s.full)
	s.mu.RUnlock()
	if s.queue.isClosed() {
		return errClosed
	}
	if err := firstOf(ctx.Err(), err, s.inPlace()); err != nil {
		return err
	}
	if free, err := freeBytes(s.path); err == nil && free < minFree {
		return diskFull(nil)
	}
	return nil
}

// inPlace is Unavailable if the file is no longer under its name: what is written to
// it then is lost when it is closed.
func (s *Store) inPlace() error {
	there, err := os.Stat(s.path)
	if err == nil && os.SameFile(s.file, there) {
		return nil
	}
	return &taxii.Error{Code: taxii.Unavailable, Msg: "the file of the store was moved, removed or replaced", Err: err}
}

// diskFull is the error of a commit that found no room.
func diskFull(err error) error {
	return &taxii.Error{Code: taxii.Unavailable, Msg: "the disk of the server is full", Err: err, RetryAfter: time.Minute}
}

// noRoom tells whether a write failed because the disk is full. Such a write harms
// nothing: bbolt writes these pages again before it uses them. A sync for which there
// is no room is as bad as any that fails.
func noRoom(err error) bool {
	var failed *fs.PathError
	return errors.As(err, &failed) && failed.Op == "write" && (errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT))
}

// commitFailed makes of the error of a commit what its callers get. After anything but
// a full disk the store stops. The system may take pages that it could not write for
// written, and a second sync would say that all is well: they are missing only once
// they are read from the disk again.
func (s *Store) commitFailed(err error) error {
	if noRoom(err) {
		s.forget()
		err = diskFull(err)
		s.mu.Lock()
		first := s.full == nil
		s.full = err
		s.mu.Unlock()
		if first {
			s.log.Error("pushes are refused: the disk is full", "file", s.path, "error", err)
		}
		return err
	}
	stop := &taxii.Error{Code: taxii.Unavailable, Msg: "the store has stopped: its file could not be written", Err: err}
	s.mu.Lock()
	s.failed = stop
	s.committed.Broadcast() // nobody waits for this commit
	s.mu.Unlock()
	s.log.Error("the store has stopped: its file could not be written. Restart the server, which writes all that was acknowledged into a new file first", "file", s.path, "error", err)
	if err := markFailed(s.path, err); err != nil {
		s.log.Error("the file cannot be marked: stop the server and run comity compact before it starts again", "file", s.path, "error", err)
	}
	return stop
}

// markFailed makes the next start write the store into a new file.
func markFailed(path string, cause error) error {
	return atomicfile.Replace(path+failedName, 0o600, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "%s %v\n", taxii.FormatTime(time.Now()), cause)
		return err
	})
}

// unmark removes the mark, if there is one.
func unmark(path string) error {
	if err := os.Remove(path + failedName); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
