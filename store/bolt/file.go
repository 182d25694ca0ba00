package bolt

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

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
