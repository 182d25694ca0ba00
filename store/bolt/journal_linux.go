package bolt

import (
	"errors"
	"os"
	"time"

	berrors "go.etcd.io/bbolt/errors"
	"golang.org/x/sys/unix"
)

// journaled says that small commits go through the journal.
const journaled = true

// datasync waits until what was written is on the disk, and what is needed to
// read it.
func datasync(f *os.File) error {
	for {
		if err := unix.Fdatasync(int(f.Fd())); err != unix.EINTR {
			return err
		}
	}
}

// startSync has what was written there begin its way to the disk: a sync then waits
// for less. It is only a hint.
func startSync(f *os.File, at int64, n int) {
	_ = unix.SyncFileRange(int(f.Fd()), at, int64(n), unix.SYNC_FILE_RANGE_WRITE)
}

// flock takes the lock that bbolt takes, on the file it takes it on: to it, the
// lock is its own. It waits for up to wait.
func flock(f *os.File, wait time.Duration) error {
	const pause = 50 * time.Millisecond
	for end := time.Now().Add(wait - pause); ; time.Sleep(pause) {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return err
		}
		if time.Now().After(end) {
			return berrors.ErrTimeout
		}
	}
}
