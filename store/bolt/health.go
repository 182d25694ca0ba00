package bolt

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"

	"comity/store/atomicfile"
	"comity/taxii"
)

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
