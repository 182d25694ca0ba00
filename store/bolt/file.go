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

	"comity/store"
	"comity/store/atomicfile"
	"comity/taxii"
)

// mmapReserve is how many bytes of address space are mapped beyond the end of the file.
// Until the file has grown by that much, its growth does not wait for readers.
const mmapReserve = 4 << 30

// growth is how many bytes a file of that size grows by at a time, since each growth costs
// a sync. The new part counts in the length of the file, but takes no room on the disk
// until it is written.
func growth(size int64) int { return int(min(max(size/32, 4<<20), 64<<20)) }

// pageSize is the page size of the file. A record does not cross pages, so the end of each
// page is unused, on average half a record. Pages of twice the size would waste half as
// much, but each commit would write more, since it writes whole pages.
const pageSize = 8192

// unfinishedSuffix ends the name of a file that Compact or Restore has not finished.
const unfinishedSuffix = ".new"

// openFile opens and locks the file. It deletes the unfinished file of a killed Compact,
// which may hold records that were removed since. If another process has the file open,
// it waits for up to wait, then returns Unavailable.
func openFile(path string, wait time.Duration) (*bbolt.DB, error) {
	options := &bbolt.Options{
		Timeout:         max(wait, time.Millisecond), // bbolt waits for ever on 0
		FreelistType:    bbolt.FreelistMapType,
		PageSize:        pageSize,
		InitialMmapSize: mmapReserve,
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
	// The journal comes before the error of bbolt: it may have the pages that bbolt lacks.
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
	if err := os.Remove(path + unfinishedSuffix); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// openOrRewrite opens the file as openFile does. If the file is marked as failed, it first
// writes the store into a new file, since the disk may lack pages of the old one. These
// pages may still be in memory; if they are lost, the rewrite fails.
func openOrRewrite(path string, wait time.Duration, log *slog.Logger) (*bbolt.DB, error) {
	db, err := openFile(path, wait)
	if err != nil {
		return nil, err
	}
	cause, err := os.ReadFile(path + failedSuffix)
	if errors.Is(err, os.ErrNotExist) {
		return db, nil
	}
	if err == nil {
		_, err = layoutOf(db, path)
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

// lock calls bbolt.Open and returns an error where bbolt panics on a damaged file, or
// faults on one that was cut off. Such a file stays mapped and locked until the process
// ends. While lock waits, Compact may replace the file: then lock opens the new one.
func lock(path string, options *bbolt.Options) (db *bbolt.DB, err error) {
	defer recovered(nil, &err)
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	for {
		var locked *os.File
		options.OpenFile = func(name string, flag int, mode os.FileMode) (*os.File, error) {
			f, err := os.OpenFile(name, flag, mode)
			if locked == nil && err == nil { // bbolt keeps the first file that it opens
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

// metaFile has the methods of a file that rewriteMetas uses.
type metaFile interface {
	io.ReaderAt
	io.WriterAt
	Sync() error
}

// rewriteMetas writes the two meta pages, from which bbolt starts, again as they are read,
// and syncs the file. A process that was killed between the write and the sync of a meta
// page leaves a page that is in memory, but may not be on the disk. Without the sync, the
// next commit could overwrite pages of an older commit while the disk has only that one.
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

// failedSuffix ends the name of the file that marks a store whose file could not be
// written or synced. It says when, and what the error was.
const failedSuffix = ".failed"

// minFree is how much room on the disk, in bytes, the store needs to be ready.
const minFree = 16 << 20

// Ready implements store.Store. It writes nothing: it looks at the result of the last
// commit, the free room on the disk and the place of the file.
func (s *Store) Ready(ctx context.Context) error {
	s.mu.RLock()
	err := cmp.Or(s.failed, s.full)
	s.mu.RUnlock()
	if s.queue.isClosed() {
		return errClosed
	}
	if err := cmp.Or(ctx.Err(), err, s.inPlace()); err != nil {
		return err
	}
	if free, err := atomicfile.Free(s.path); err == nil && free < minFree {
		return diskFullError(nil)
	}
	return nil
}

// Stats implements store.Store.
func (s *Store) Stats() store.Stats {
	stats := store.Stats{Bytes: -1, Free: -1, Waiting: s.queue.len()}
	if there, err := os.Stat(s.path); err == nil {
		stats.Bytes = there.Size()
	}
	if free, err := atomicfile.Free(s.path); err == nil {
		stats.Free = free
	}
	return stats
}

// OnCommit implements store.Store.
func (s *Store) OnCommit(f func(took time.Duration)) { s.onCommit.Store(&f) }

// inPlace returns Unavailable if path no longer names the open file. A commit to a deleted
// file would be lost when the file is closed.
func (s *Store) inPlace() error {
	there, err := os.Stat(s.path)
	if err == nil && os.SameFile(s.file, there) {
		return nil
	}
	return &taxii.Error{Code: taxii.Unavailable, Msg: "the file of the store was moved, removed or replaced", Err: err}
}

// diskFullError is the error of a commit that found no room on the disk.
func diskFullError(err error) error {
	return &taxii.Error{Code: taxii.Unavailable, Msg: "the disk of the server is full", Err: err, RetryAfter: time.Minute}
}

// isDiskFull tells whether a write failed because the disk is full. Such a write does
// no harm: bbolt writes these pages again before it uses them. A sync that fails for lack
// of room is a failure like any other.
func isDiskFull(err error) bool {
	var failed *fs.PathError
	return errors.As(err, &failed) && failed.Op == "write" && (errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT))
}

// commitFailed turns the error of a commit into the error for its callers. After any error
// but a full disk the store stops. The reason is that the system may mark pages as written
// that it could not write: a second sync would succeed, and the pages would be found
// missing only when they are read from the disk again.
func (s *Store) commitFailed(err error) error {
	if isDiskFull(err) {
		s.dropCaches()
		err = diskFullError(err)
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
	s.committed.Broadcast() // readers must not wait for this commit
	s.mu.Unlock()
	s.log.Error("the store has stopped: its file could not be written. Restart the server, which writes all that was acknowledged into a new file first", "file", s.path, "error", err)
	if err := markFailed(s.path, err); err != nil {
		s.log.Error("the file cannot be marked: stop the server and run comity compact before it starts again", "file", s.path, "error", err)
	}
	return stop
}

// markFailed marks the file, so that the next start writes the store into a new one.
func markFailed(path string, cause error) error {
	return atomicfile.Replace(path+failedSuffix, 0o600, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "%s %v\n", taxii.FormatTime(time.Now()), cause)
		return err
	})
}

// removeMark removes the mark of markFailed, if there is one.
func removeMark(path string) error {
	if err := os.Remove(path + failedSuffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
