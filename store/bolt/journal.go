package bolt

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"

	"go.etcd.io/bbolt"
)

// The journal makes a small commit durable with one sync of a few hundred octets
// in a row, where bbolt needs two syncs of pages here and there. It is a file
// beside the store's:
//
//	0    magic 8, life 16 at random    of this use of the journal: from base to checkpoint
//	24   base                          the two metas of the store's file, 80 each, as bbolt has
//	                                   them: those of the last commit that bbolt made durable
//	184  checksum 4                    of the page that is its root: no other file has the same
//	188  checksum 4                    of all before
//	192  frames                        one for each commit since
//
//	frame: checksum 4 of life and the rest, length of changes 4, transaction 8, changes
//
// A small commit writes its frame and waits until that is on the disk. Only then
// does bbolt commit, without a sync: readers see it, and acknowledged it may be.
// A commit that is not small, or finds the journal full, is one that bbolt makes
// durable: a checkpoint. It leaves the journal as it is, behind the store's file,
// until the next small commit begins another life in its place. Close leaves no
// journal.
//
// When the power fails, any of the pages that bbolt wrote since the base may be
// on the disk, and any not. bbolt writes no page that the last commit, or one
// that somebody still reads, needs; so a read transaction on the base, kept open
// as long as the journal is its, saves all pages of the base but the two metas,
// and those are in the journal. The next Open puts them back and makes the
// changes of all frames again (see journal_replay.go). A frame that was cut off
// was never acknowledged.
//
// Whether the store's file is ahead of the journal its metas tell: a commit that
// went through the journal has a frame on the disk before it has a meta, one
// that did not has a meta only when all its pages are on the disk. So a file
// whose newest meta is of a later transaction than the last frame is whole.
const journalMagic = "comityj1"

// journalName ends the name of the journal.
const journalName = ".journal"

const (
	pageHeader = 16              // before the meta, in its page
	metaLen    = pageHeader + 64 // of what is kept of it
	lifeAt     = 8
	baseAt     = lifeAt + 16
	rootAt     = baseAt + 2*metaLen
	headLen    = rootAt + 4 + 4
	frameLen   = 4 + 4 + 8 // without its changes
)

const (
	// maxJournal is how long it gets, and maxFrames how many commits it holds:
	// pages they free are not used again before the checkpoint.
	maxJournal = 4 << 20
	maxFrames  = 24
	// journalStep is how much is made ready at a time: to write what is there
	// already is cheaper than to make the file longer.
	journalStep = 64 << 10
)

// journal is the journal of an open store. Only the writer uses it, and Close
// after the writer has ended.
type journal struct {
	db     *bbolt.DB
	path   string
	mapped int64                 // how much of the file bbolt had mapped at first
	file   *os.File              // nil until needed
	store  *os.File              // to read the metas of; opened with file
	commit func(*bbolt.Tx) error // a test can let it fail; sync alike
	sync   func(*os.File) error

	life   [16]byte
	base   *bbolt.Tx // reads the base; nil while the journal has none
	frames int
	start  int64 // of the last frame
	end    int64 // and after it
	room   int64 // length of the file
	last   int   // transaction of the last frame
	buf    []byte
	list   []byte // of changes, to use again

	doubt bool // whether the transaction of the last frame happened
	whole bool // what bbolt holds is durable, or in the journal
}

func newJournal(db *bbolt.DB, path string, mapped int64) *journal {
	return &journal{db: db, path: path + journalName, mapped: mapped, commit: (*bbolt.Tx).Commit, sync: datasync}
}

// begin readies the journal for the transaction that begins.
func (j *journal) begin(w *writing) error {
	w.list = j.list[:0]
	if j.doubt && j.last == w.ID() { // it did not happen
		return j.drop()
	}
	j.doubt = false
	return nil
}

// drop takes the last frame back: bbolt did not commit it, or it may not be whole.
func (j *journal) drop() error {
	if j.frames--; j.frames == 0 {
		// The head may not be whole, either. bbolt has made the base durable.
		if err := j.void(); err != nil {
			j.frames++
			return err
		}
		j.doubt = false
		return nil
	}
	if err := j.write(make([]byte, frameLen), j.start); err != nil {
		j.frames++
		return fmt.Errorf("the journal: %w", err)
	}
	j.doubt, j.end = false, j.start
	return nil
}

// save commits a transaction for good.
func (j *journal) save(w *writing) error {
	if cap(w.list) > 0 {
		j.list = w.list
	}
	if j.takes(w) {
		err := j.append(w)
		if err == nil {
			j.db.NoSync = true
			err = j.commit(w.Tx)
			j.doubt = err != nil
			return err
		}
		if j.doubt { // no room for the journal is no reason to fail
			if err := errors.Join(err, j.drop()); j.doubt {
				return err
			}
		}
	}
	return j.checkpoint(w)
}

// takes tells whether a transaction is one for the journal.
func (j *journal) takes(w *writing) bool {
	return journaled && j.whole && !w.long() && j.fits(w) &&
		(j.base == nil || j.frames < maxFrames && j.end+frameLen+w.bytes <= maxJournal)
}

// fits tells whether bbolt can write a transaction without mapping the file
// anew: for that it would wait for the end of all that is read, and so of base.
func (j *journal) fits(w *writing) bool {
	const perChange, always = 8 * pageSize, 64 << 20 // a page for each level of a tree, and the list of free ones
	return w.Size()+int64(w.n)*perChange+2*w.bytes+always < mapSize(max(j.mapped, w.Size()))
}

// mapSize is how much bbolt maps of a file of that size.
func mapSize(size int64) int64 {
	for n := int64(32 << 10); n <= 1<<30; n *= 2 {
		if size <= n {
			return n
		}
	}
	return (size + 1<<30 - 1) >> 30 << 30
}

// checkpoint is a commit that bbolt makes durable.
func (j *journal) checkpoint(w *writing) error {
	if j.base != nil && !j.fits(w) {
		if err := j.rest(); err != nil {
			return err
		}
	}
	j.db.NoSync, j.whole = false, false
	if err := j.commit(w.Tx); err != nil {
		return err
	}
	j.whole = true
	j.leave()
	return nil
}

// leave ends a life of the journal: the store's file is ahead of it.
func (j *journal) leave() {
	if j.base != nil {
		_ = j.base.Rollback() // it only reads
		j.base = nil
	}
	j.frames = 0
}

// rest makes durable what bbolt holds, without a commit, and empties the journal.
func (j *journal) rest() error {
	if j.base == nil {
		return nil
	}
	if err := j.db.Sync(); err != nil {
		return err
	}
	return j.void()
}

// void empties the journal, and ends its life.
func (j *journal) void() error {
	if err := j.write(make([]byte, headLen), 0); err != nil {
		return fmt.Errorf("the journal: %w", err)
	}
	j.leave()
	return nil
}

// close ends the journal. If what bbolt holds cannot be made durable, it stays.
func (j *journal) close() error {
	err := j.rest()
	j.leave()
	if j.file != nil {
		err = errors.Join(err, j.store.Close(), j.file.Close())
		if j.file = nil; err == nil {
			err = os.Remove(j.path)
		}
	}
	return err
}

// append writes the frame of a transaction, after the head if it is the first.
// doubt says whether an error may have left something of it.
func (j *journal) append(w *writing) error {
	if j.file == nil {
		if err := j.open(); err != nil {
			return err
		}
	}
	b, at := j.buf[:0], j.end
	if j.base == nil {
		var err error
		if b, err = j.head(b, w.ID()-1); err != nil {
			return err
		}
		if j.base, err = j.db.Begin(false); err != nil {
			return err
		}
		at = 0
	}
	j.start = at + int64(len(b))
	b = appendFrame(b, j.life, w.ID(), w.list)
	j.buf, j.end = b, at+int64(len(b))
	for j.room < j.end {
		if _, err := j.file.WriteAt(make([]byte, journalStep), j.room); err != nil {
			j.end = at
			if j.frames == 0 {
				j.leave()
			}
			return err
		}
		j.room += journalStep
	}
	j.frames++
	j.last, j.doubt = w.ID(), true
	return j.write(b, at)
}

func (j *journal) write(b []byte, at int64) error {
	if _, err := j.file.WriteAt(b, at); err != nil {
		return err
	}
	return j.sync(j.file)
}

// open makes the file.
func (j *journal) open() (err error) {
	if j.store, err = os.Open(j.db.Path()); err != nil {
		return err
	}
	f, err := os.OpenFile(j.path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err == nil {
		if err = syncDir(filepath.Dir(j.path)); err == nil {
			j.file = f
			return nil
		}
		_ = f.Close()
	}
	return errors.Join(err, j.store.Close())
}

// head begins a life, whose base is the last transaction.
func (j *journal) head(b []byte, base int) ([]byte, error) {
	_, _ = rand.Read(j.life[:]) // never fails
	b = append(append(b, journalMagic...), j.life[:]...)
	var of meta
	for slot := range 2 {
		page, err := readMeta(j.store, slot)
		if err != nil {
			return nil, err
		}
		if b = append(b, page...); slot == base%2 {
			of = metaOf(page)
		}
	}
	if !of.valid || of.tx != uint64(base) {
		return nil, damaged("the meta of transaction %d is not where bbolt keeps it", base)
	}
	root, err := rootSum(j.store, of)
	if err != nil {
		return nil, err
	}
	b = binary.BigEndian.AppendUint32(b, root)
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli)), nil
}

func appendFrame(b []byte, life [16]byte, tx int, changes []byte) []byte {
	start := len(b)
	b = binary.BigEndian.AppendUint32(append(b, 0, 0, 0, 0), uint32(len(changes)))
	b = append(binary.BigEndian.AppendUint64(b, uint64(tx)), changes...)
	binary.BigEndian.PutUint32(b[start:], frameSum(life, b[start+4:]))
	return b
}

func frameSum(life [16]byte, b []byte) uint32 {
	return crc32.Update(crc32.Checksum(life[:], castagnoli), castagnoli, b)
}
