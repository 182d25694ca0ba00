package bolt

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
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

// create makes the buckets that are always there.
func create(tx *bbolt.Tx) error {
	for _, path := range [][][]byte{
		{bucketMeta}, {bucketDirectory}, {bucketHeads}, {bucketParts}, {bucketLinks}, {bucketDelivered},
		{bucketBlocklist}, {bucketBlocklist, bucketContent}, {bucketBlocklist, bucketIdentity},
		{bucketQuarantine}, {bucketQuota}, {bucketDocuments},
	} {
		if _, err := makeBucket(tx, path); err != nil {
			return err
		}
	}
	return tx.Bucket(bucketMeta).Put(keyFormat, binary.BigEndian.AppendUint64(nil, format))
}

// makeBucket is the bucket of that path, made if there is none.
func makeBucket(tx *bbolt.Tx, path [][]byte) (b *bbolt.Bucket, err error) {
	b, err = tx.CreateBucketIfNotExists(path[0])
	for _, name := range path[1:] {
		if err != nil {
			return nil, err
		}
		b, err = b.CreateBucketIfNotExists(name)
	}
	return b, err
}

// number reads a counter; 0 if there is none.
func number(b []byte) uint64 {
	if len(b) != 8 {
		return 0
	}
	return binary.BigEndian.Uint64(b)
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

// errOvertaken says that the index is ahead of the transaction.
var errOvertaken = errors.New("overtaken")

// find runs f on the last commit, with the numbers that each key may have in
// an index of the very same state; without one, each has none. pick names the
// index, build makes it.
func (s *Store) find(ctx context.Context, keys [][16]byte, pick func() *idIndex, build func(*writeTx) error, f func(*bbolt.Tx, [][]uint64) error) error {
	for {
		missing := false
		err := s.view(func(tx *bbolt.Tx) error {
			s.mu.RLock()
			x, overtaken := pick(), s.published > tx.ID()
			if missing = x == nil; missing || overtaken {
				s.mu.RUnlock()
				return errOvertaken
			}
			found := make([][]uint64, len(keys))
			for i, key := range keys {
				found[i] = x.candidates(nil, key)
			}
			s.mu.RUnlock()
			return f(tx, found)
		})
		if err != errOvertaken {
			return err
		}
		if missing {
			if err := s.do(ctx, &job{run: build}); err != nil {
				return err
			}
		}
	}
}

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

// Close lets the writer finish what was handed in, waits for readers and
// releases the file. Later calls of other methods return Unavailable.
func (s *Store) Close() error {
	s.queue.close()
	<-s.closed
	return s.db.Close()
}
