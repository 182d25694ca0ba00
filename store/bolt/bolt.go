// Package bolt keeps a [store.Store] in one bbolt file.
//
// One goroutine writes for all callers. Readers see the last commit and do not wait for
// the next one. The package knows nothing of HTTP, agreements or the rules of STIX: it
// stores bytes, with the handling, identifier and version that callers give with them.
package bolt

import (
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
	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"comity/store"
	"comity/taxii"
	"comity/taxii/audit"
)

// FileName is the name of the file in its folder.
const FileName = "comity.db"

// Store is a store.Store. Make one with [Open].
type Store struct {
	db         *bbolt.DB
	path       string
	file       os.FileInfo // of the file that db has open
	now        func() time.Time
	log        *slog.Logger
	generation atomic.Uint64
	head       atomic.Pointer[audit.Head] // of the audit chain
	commit     func(*bbolt.Tx) error      // tests replace it
	onCommit   atomic.Pointer[func(took time.Duration)]
	codec      *store.OutcomeCodec

	leftOut sync.Map // set of damagedRecord that the log has already

	process process
	queue   queue
	closed  chan struct{} // closed when the writer has ended

	// mu guards the fields below: the state in memory beside the file. Only the writer
	// changes the indexes, so the writer reads them without the lock.
	mu        sync.RWMutex
	published int        // the last transaction whose commit has returned
	committed *sync.Cond // signals that published grew or a commit failed
	indexes   map[uuid.UUID]*idIndex
	states    map[uuid.UUID]store.State // of the collections that were asked for or written to
	statuses  *idIndex                  // nil until needed
	failed    error                     // of the commit that stopped the store; nil while it runs
	full      error                     // of the last commit, if the disk was full
}

var _ store.Store = (*Store)(nil)

// Open opens the store in the folder dir, which must exist, and creates it if there is
// none. If another process has it open, Open waits for up to wait, then returns
// Unavailable. It migrates a file of an older layout, after it has left a copy beside it,
// and returns Conflict for a file of a newer layout.
func Open(dir string, now func() time.Time, log *slog.Logger, wait time.Duration) (*Store, error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true)) // of a page beyond the end of the file
	path := filepath.Join(dir, FileName)
	db, err := openOrRewrite(path, wait, log)
	if err != nil {
		return nil, err
	}
	if err := copyBeforeMigration(db, path, log); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return start(db, path, now, log)
}

// start makes a store of an open file. If that fails, it closes the file.
func start(db *bbolt.DB, path string, now func() time.Time, log *slog.Logger) (*Store, error) {
	file, err := os.Stat(path)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	s := &Store{db: db, path: path, file: file, now: now, log: log, commit: (*bbolt.Tx).Commit, closed: make(chan struct{}), indexes: map[uuid.UUID]*idIndex{}, states: map[uuid.UUID]store.State{}}
	s.committed = sync.NewCond(s.mu.RLocker())
	s.queue.wake = make(chan struct{}, 1)
	if s.codec, err = store.NewOutcomeCodec(); err == nil {
		err = s.prepare(path)
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	go s.write()
	return s, nil
}

// prepare migrates the file to the present layout and reads the state that is kept in
// memory.
func (s *Store) prepare(path string) (err error) {
	defer recovered(s.db, &err)
	if err := migrate(s.db, path, s.commit); err != nil {
		return err
	}
	return s.db.View(func(tx *bbolt.Tx) error {
		s.readMeta(tx)
		return nil
	})
}

// readMeta reads the state in memory that every commit brings up to date.
func (s *Store) readMeta(tx *bbolt.Tx) {
	meta := tx.Bucket(bucketMeta)
	head := parseChainHead(meta.Get(keyChain))
	s.head.Store(&head)
	s.generation.Store(number(meta.Get(keyGeneration)))
	s.published = tx.ID()
}

// view runs f in a read transaction on the last commit. bbolt shows a commit before its
// last page is on the disk: then view waits until the commit has returned, and fails if
// the commit failed, since the disk may not have it. bbolt panics where the file is
// damaged; view returns an error instead.
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
	defer recovered(s.db, &err)
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true)) // of a page beyond the end of the file
	return f(tx)
}

// recovered turns a panic into an error. A panic in bbolt, or a fault in the memory that
// the file is mapped to, means that the file is damaged. Any other panic is a mistake in
// this program, and its error has the stack. db is the open file, nil if it is not known.
func recovered(db *bbolt.DB, err *error) {
	r := recover()
	if r == nil {
		return
	}
	if fault, ok := r.(interface{ Addr() uintptr }); ok {
		page := "a page"
		if db != nil {
			if file := db.Info(); fault.Addr() >= file.Data {
				page = fmt.Sprintf("page %d", (fault.Addr()-file.Data)/uintptr(file.PageSize))
			}
		}
		*err = store.Damaged("%s cannot be read", page)
		return
	}
	if strings.HasPrefix(panicOrigin(), "go.etcd.io/bbolt") {
		*err = store.Damaged("%v", r)
		return
	}
	*err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
}

// panicOrigin returns the name of the function that panicked. It must be called while the
// deferred functions of the panic run.
func panicOrigin() string {
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

// stopped turns bbolt's error of a closed file into Unavailable.
func stopped(err error) error {
	if errors.Is(err, berrors.ErrDatabaseNotOpen) {
		return errClosed
	}
	return err
}

var errClosed error = taxii.Errorf(taxii.Unavailable, "the store is closed")

// Close lets the writer finish the jobs of its queue, waits for readers and closes the
// file. Other methods return Unavailable afterwards.
func (s *Store) Close() error {
	s.queue.close()
	<-s.closed
	return s.db.Close()
}
