// Package bolt keeps a [store.Store] in one bbolt file.
//
// One goroutine writes, for everybody who waits; readers see the last commit, and do
// not wait for the one that is under way. Nothing here knows HTTP, agreements or the rules of
// STIX: it stores bytes under what exchange.Grant and stix.Object say of them.
package bolt

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/klauspost/compress/zstd"
	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"comity/store"
	"comity/taxii"
)

// FileName is the name of the file in its folder.
const FileName = "comity.db"

// Store is a store.Store. Make one with [Open].
type Store struct {
	db         *bbolt.DB
	path       string
	file       os.FileInfo // of what db has open
	now        func() time.Time
	log        *slog.Logger
	generation atomic.Uint64
	commit     func(*bbolt.Tx) error // a test can let it fail
	zip        *zstd.Encoder         // of statuses
	unzip      *zstd.Decoder

	leftOut sync.Map // damagedRecord: those that are in the log

	queue  queue
	closed chan struct{} // once the writer has ended

	// mu guards what readers look up beside the file: the indexes and the states of
	// collections, and the transaction they are of. The writer alone changes the
	// indexes, so it reads them without.
	mu        sync.RWMutex
	published int        // the last transaction whose commit has returned
	committed *sync.Cond // published grew
	indexes   map[uuid.UUID]*idIndex
	states    map[uuid.UUID]store.State // of those that were asked for or written to
	statuses  *idIndex                  // nil until needed
	failed    error                     // the first commit that failed, after which there is none; nil: none did
	full      error                     // of the last commit, if there was no room for it
}

var _ store.Store = (*Store)(nil)

// Open opens the store in the folder dir, which must exist, and makes it if
// there is none. If another process has it open, it waits for up to wait, then
// returns Unavailable. A file of an older layout is brought to the present one, and
// a copy of it as it was left beside it; one of a newer layout is Conflict.
func Open(dir string, now func() time.Time, log *slog.Logger, wait time.Duration) (*Store, error) {
	path := filepath.Join(dir, FileName)
	db, err := openSound(path, wait, log)
	if err != nil {
		return nil, err
	}
	if err := copyBeforeMigration(db, path, log); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return start(db, path, now, log)
}

// start makes a store of an open file, which it closes if that fails.
func start(db *bbolt.DB, path string, now func() time.Time, log *slog.Logger) (*Store, error) {
	file, err := os.Stat(path)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	s := &Store{db: db, path: path, file: file, now: now, log: log, commit: (*bbolt.Tx).Commit, closed: make(chan struct{}), indexes: map[uuid.UUID]*idIndex{}, states: map[uuid.UUID]store.State{}}
	s.committed = sync.NewCond(s.mu.RLocker())
	s.queue.wake = make(chan struct{}, 1)
	if err := cmp.Or(s.packing(), s.prepare(path)); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	go s.write()
	return s, nil
}

// packing makes what packs statuses. What they repeat, they repeat at once: a
// small window saves memory.
func (s *Store) packing() (err error) {
	s.zip, err = zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(64<<10))
	if err == nil {
		s.unzip, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1))
	}
	return err
}

// prepare brings the file to the present layout and reads what is kept beside it.
func (s *Store) prepare(path string) (err error) {
	defer recovered(&err)
	if err := migrate(s.db, path); err != nil {
		return err
	}
	return s.db.View(func(tx *bbolt.Tx) error {
		s.published = tx.ID()
		s.generation.Store(number(tx.Bucket(bucketMeta).Get(keyGeneration)))
		return nil
	})
}

// view runs f on the last commit. bbolt shows a commit while its last page is on
// the way to the disk: then view waits until the commit has returned, and fails if that
// commit did, since nobody can say whether the disk has it. bbolt panics
// where the file is damaged; that becomes an error.
func (s *Store) view(f func(*bbolt.Tx) error) (err error) {
	tx, err := s.db.Begin(false)
	if err != nil {
		return stopped(err)
	}
	defer tx.Rollback()
	s.mu.RLock()
	for s.published < tx.ID() && s.failed == nil {
		s.committed.Wait()
	}
	failed := s.failed
	if s.published >= tx.ID() {
		failed = nil
	}
	s.mu.RUnlock()
	if failed != nil {
		return failed
	}
	defer recovered(&err)
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true)) // of a page beyond the end of the file
	return f(tx)
}

// recovered turns a panic into an error. One of bbolt, or a fault of the memory that
// the file is mapped to, means that the file is damaged; any other is a mistake in
// this program, and its error has the stack.
func recovered(err *error) {
	r := recover()
	if r == nil {
		return
	}
	if _, fault := r.(interface{ Addr() uintptr }); fault || strings.HasPrefix(panicked(), "go.etcd.io/bbolt") {
		*err = damaged("%v", r)
		return
	}
	*err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
}

// panicked names the function that panicked; a deferred function of it is running.
func panicked() string {
	pcs := make([]uintptr, 64)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(0, pcs)])
	for panicking, more := false, true; more; {
		var frame runtime.Frame
		frame, more = frames.Next()
		inRuntime := strings.HasPrefix(frame.Function, "runtime.")
		if panicking && !inRuntime {
			return frame.Function
		}
		panicking = panicking || frame.Function == "runtime.gopanic"
	}
	return ""
}

// stopped turns the error of a closed file into what a caller can act on.
func stopped(err error) error {
	if errors.Is(err, berrors.ErrDatabaseNotOpen) {
		return errClosed
	}
	return err
}

var errClosed error = taxii.Errorf(taxii.Unavailable, "the store is closed")

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// Close lets the writer finish what was handed in, waits for readers and
// releases the file. Later calls of other methods return Unavailable.
func (s *Store) Close() error {
	s.queue.close()
	<-s.closed
	return s.db.Close()
}
