package bolt

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"time"

	"go.etcd.io/bbolt"

	"comity/store/atomicfile"
	"comity/taxii"
)

// Compact writes the store in dir into a new file and puts it in the place of the old
// one. The new file is no longer than the old one, has the same owner and mode, and has
// no byte of removed records. If another process has the store open, Compact waits for
// up to wait, then returns Unavailable. It calls progress, unless it is nil, with the
// bytes copied so far and an estimate of the total. If the process is killed, either the
// old file or the new one is in place. Compact returns Conflict for a file of an older
// layout.
func Compact(ctx context.Context, dir string, wait time.Duration, progress func(done, total int64)) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true)) // of a page beyond the end of the file
	path := filepath.Join(dir, FileName)
	if _, err := os.Stat(path); err != nil {
		return &taxii.Error{Code: taxii.NotFound, Msg: "there is no store in " + dir, Err: err}
	}
	old, err := openFile(path, wait)
	if err != nil {
		return err
	}
	// The old file stays locked until the new one is in its place: a process that waits
	// for the lock then opens the new one.
	defer func() { err = errors.Join(err, old.Close()) }()
	if err := cmp.Or(ctx.Err(), checkLayout(old, path)); err != nil {
		return err
	}
	return rewrite(ctx, old, path, progress)
}

// rewrite replaces the file at path, which old has open, with a compact copy.
func rewrite(ctx context.Context, old *bbolt.DB, path string, progress func(done, total int64)) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	fresh := path + unfinishedSuffix
	err = compactInto(ctx, old, fresh, path, progress)
	if err == nil {
		err = cmp.Or(os.Chmod(fresh, info.Mode().Perm()), keepOwner(fresh, info))
	}
	if err != nil {
		return errors.Join(fmt.Errorf("compact %s: %w", path, err), os.Remove(fresh))
	}
	if err := atomicfile.Rename(fresh, path); err != nil {
		return err
	}
	return removeMark(path)
}

// checkLayout returns Conflict unless the file has the present layout.
func checkLayout(db *bbolt.DB, path string) error {
	layout, err := layoutOf(db, path)
	if err == nil && layout != format {
		err = taxii.Errorf(taxii.Conflict, "%s has layout %d: run comity check first, which brings it to layout %d", path, layout, format)
	}
	return err
}

func compactInto(ctx context.Context, old *bbolt.DB, fresh, path string, progress func(done, total int64)) (err error) {
	db, err := bbolt.Open(fresh, 0o600, &bbolt.Options{FreelistType: bbolt.FreelistMapType, PageSize: pageSize, NoSync: true, NoStatistics: true})
	if err != nil {
		return err
	}
	var size int64
	defer func() {
		if err = errors.Join(err, db.Sync(), db.Close()); err == nil {
			err = os.Truncate(fresh, size) // bbolt has made the file longer than its pages need
		}
	}()
	from, err := old.Begin(false)
	if err != nil {
		return err
	}
	defer from.Rollback()
	defer recovered(old, &err)
	c := &compaction{ctx: ctx, db: db, total: from.Size(), progress: progress}
	if c.tx, err = db.Begin(true); err != nil {
		return err
	}
	defer func() { _ = c.tx.Rollback() }() // nothing to do after the last commit
	if err := from.ForEach(func(name []byte, b *bbolt.Bucket) error { return c.top(name, b) }); err != nil {
		return err
	}
	c.done = c.total
	c.report()
	if err := c.tx.Commit(); err != nil {
		return err
	}
	return db.View(func(tx *bbolt.Tx) error { size = tx.Size(); return nil })
}

// compaction is one run of Compact.
type compaction struct {
	ctx         context.Context
	db          *bbolt.DB
	tx          *bbolt.Tx // into db
	size        int       // bytes written in tx
	done, total int64
	progress    func(done, total int64)
}

// copyBytes is how many bytes one transaction copies. bbolt holds them in memory.
const copyBytes = 16 << 20

func (c *compaction) report() {
	if c.progress != nil {
		c.progress(min(c.done, c.total), c.total)
	}
}

// put writes one entry. Once a transaction has copyBytes, it begins another.
func (c *compaction) put(path [][]byte, k, v []byte) error {
	if c.size > copyBytes {
		if err := cmp.Or(c.ctx.Err(), c.tx.Commit()); err != nil {
			return err
		}
		var err error
		if c.tx, err = c.db.Begin(true); err != nil {
			return err
		}
		c.size = 0
		c.report()
	}
	b, err := c.bucket(path)
	if err != nil {
		return err
	}
	n := len(k) + len(v)
	c.size, c.done = c.size+n, c.done+int64(n)
	return b.Put(k, v)
}

// bucket returns the copy of a bucket, and creates it if there is none. It fills pages
// to at least 90 percent.
func (c *compaction) bucket(path [][]byte) (*bbolt.Bucket, error) {
	b, err := makeBucket(c.tx, path)
	if err != nil {
		return nil, err
	}
	b.FillPercent = 0.9
	for _, name := range path {
		b.FillPercent = max(b.FillPercent, fill(name))
	}
	return b, nil
}

// copy copies a bucket and everything in it.
func (c *compaction) copy(path [][]byte, from *bbolt.Bucket) error {
	to, err := c.bucket(path)
	if err != nil {
		return err
	}
	if err := to.SetSequence(from.Sequence()); err != nil {
		return err
	}
	return forEach(from, func(k, v []byte) error {
		if v == nil {
			return c.copy(below(path, k), from.Bucket(k))
		}
		return c.put(path, k, v)
	})
}

// below returns the path of a bucket inside the bucket of that path.
func below(path [][]byte, name []byte) [][]byte { return append(slices.Clip(path), name) }

// top copies a top-level bucket.
func (c *compaction) top(name []byte, from *bbolt.Bucket) error {
	if isCollection(name) {
		return c.collection([][]byte{name}, from)
	}
	return c.copy([][]byte{name}, from)
}

// collection copies a collection without a trace of removed records: no tombstones, no
// types without records, and a run that names only the records that are there. The
// counters of dates and type numbers stay, so that none is given twice.
func (c *compaction) collection(path [][]byte, from *bbolt.Bucket) error {
	return forEach(from, func(k, v []byte) error {
		if v != nil {
			return c.put(path, k, v)
		}
		sub := below(path, k)
		switch string(k) {
		case string(bucketDel):
			_, err := c.bucket(sub)
			return err
		case string(bucketRun):
			return c.run(sub, from)
		case string(bucketTypes):
			return c.types(sub, from)
		}
		return c.copy(sub, from.Bucket(k))
	})
}

func (c *compaction) types(path [][]byte, from *bbolt.Bucket) error {
	if _, err := c.bucket(path); err != nil {
		return err
	}
	old := &collection{root: from}
	return forEach(from.Bucket(bucketTypes), func(name, v []byte) error {
		if t, ok := old.typeOf(string(name)); ok && t.live == 0 {
			return nil // a superseded record has a newer version in live
		}
		return c.put(path, name, v)
	})
}

// run writes a new run of the records in live and hist. The index will have, for each
// id, the record in live.
func (c *compaction) run(path [][]byte, from *bbolt.Bucket) error {
	if _, err := c.bucket(path); err != nil {
		return err
	}
	live, err := newDateCursor(from.Bucket(bucketLive), 0)
	if err != nil {
		return err
	}
	hist, err := newDateCursor(from.Bucket(bucketHist), 0)
	if err != nil {
		return err
	}
	var run []runEntry
	for live.date != never || hist.date != never {
		next, known := &live, false
		if hist.date < live.date {
			next, known = &hist, true
		}
		r := record(next.value)
		if _, err := r.verify(next.date); err != nil {
			return err
		}
		key, err := r.key()
		if err != nil {
			return err
		}
		run = append(run, runEntry{key, next.date, known})
		if err := next.next(); err != nil {
			return err
		}
		for end := live.date == never && hist.date == never; len(run) == runLen || end && len(run) > 0; {
			k, piece, others := packRun(run)
			if err := c.put(path, k, piece); err != nil {
				return err
			}
			run = append(run[:0], others...)
		}
	}
	return nil
}
