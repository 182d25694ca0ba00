package bolt

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"os"
	"path/filepath"
	"sync/atomic"

	"go.etcd.io/bbolt"
)

// The journal makes a small commit durable with one sync of a few hundred octets
// in a row, where bbolt needs two syncs of pages here and there. It is a file
// beside the store's:
//
//	0    magic 8, life 16 at random    of this use of the journal: from base to the next
//	24   base                          the two metas of the store's file, 80 each, as bbolt has
//	                                   them: those of the last commit that was durable there
//	184  checksum 4                    of the page that is its root: no other file has the same
//	188  checksum 4                    of all before
//	192  frames                        one for each commit since
//
//	frame: checksum 4 of life and the rest, length of changes 4, transaction 8, changes
//
// A small commit writes its frame, and while that is on its way to the disk, bbolt
// commits without a sync. Once the frame is there, the commit is acknowledged, and
// shown to readers: those that were faster wait. Where there are readers, bbolt commits
// when the frame is there, so that they do not. When the journal is full, what
// bbolt holds is made durable, and the next life begins in the place of the last
// one. Before a commit that is not small, which bbolt makes durable, the journal is
// made void; Close removes it.
//
// So a journal with a head holds all that the base lacks. When the power fails,
// any of the pages that bbolt wrote since may be on the disk, and any not, the
// metas as well. bbolt writes no page that the last commit, or one that somebody
// still reads, needs; so a read transaction on the base, kept open as long as the
// journal is its, saves all pages of the base but the two metas, and those are in
// the journal. The next Open puts them back and makes the changes of all frames
// again (see journal_replay.go). A frame that was cut off was never acknowledged.
//
// A sync that failed may have lost what it was for, and the next one would not
// tell. If the journal's fails, the store's file is made durable instead. If that
// fails, or the journal cannot be made void, only the next Open can tell what is
// on the disk: until then the store does nothing more.
const journalMagic = "comityj2"

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
	// maxJournal is how long it gets, and maxFrames how many commits it holds: the
	// pages of the base are not used again before the next.
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
	margin int64                 // of fits; a test can take it away
	file   *os.File              // nil until needed
	store  *os.File              // to read the metas of, and to sync; opened with file
	commit func(*bbolt.Tx) error // a test can let it fail; sync alike
	sync   func(*os.File) error

	life   [16]byte
	base   *bbolt.Tx // reads the base; nil while the journal is void
	frames int
	end    int64 // of the last frame
	room   int64 // length of the file
	buf    []byte
	list   []byte // of changes, to use again

	read  atomic.Bool // somebody has read since the last commit
	whole bool        // what bbolt holds is durable, or in the journal
	lost  error       // a sync failed for good: what bbolt holds may be neither
}

func newJournal(db *bbolt.DB, path string, mapped int64) *journal {
	return &journal{db: db, path: path + journalName, mapped: mapped, margin: 64 << 20, commit: (*bbolt.Tx).Commit, sync: datasync}
}

// save commits a transaction for good.
func (j *journal) save(w *writing) error {
	if cap(w.list) > 0 {
		j.list = w.list
	}
	// That there is no room for the journal is no reason to fail.
	if j.takes(w) && j.append(w) == nil {
		return j.commitBeside(w)
	}
	if err := j.rest(); err != nil {
		return err
	}
	j.db.NoSync, j.whole = false, false
	err := j.commit(w.Tx)
	j.whole = err == nil
	return err
}

// commitBeside lets bbolt commit while the last frame is on its way to the disk, unless
// somebody has read since the last commit. With more to write than fits was told, bbolt
// fails where it would map the file anew.
func (j *journal) commitBeside(w *writing) error {
	var synced error
	read := j.read.Swap(false)
	if read { // who reads would wait for a slow disk
		synced = j.sync(j.file)
	}
	j.db.NoSync, j.db.MaxSize = true, int(j.mapping(w))+j.db.AllocSize-1
	err := j.attempt(w.Tx)
	j.db.MaxSize, j.whole = 0, err == nil
	if !read {
		synced = j.sync(j.file)
	}
	if err == nil && synced == nil {
		return nil
	}
	// Either the journal has something that bbolt does not hold, or it lacks
	// something. Nobody may see that before it is durable.
	return firstOf(j.rest(), err)
}

// attempt is a commit that does not panic.
func (j *journal) attempt(tx *bbolt.Tx) (err error) {
	defer recovered(&err)
	return j.commit(tx)
}

// takes tells whether a transaction is one for the journal.
func (j *journal) takes(w *writing) bool {
	return journaled && j.whole && !w.long() && j.fits(w)
}

// full tells whether the journal has no place for another frame.
func (j *journal) full(w *writing) bool {
	return j.frames >= maxFrames || j.end+frameLen+w.bytes > maxJournal
}

// fits tells whether bbolt can write a transaction without mapping the file
// anew: for that it would wait for the end of all that is read, and so of base.
func (j *journal) fits(w *writing) bool {
	const perChange = 8 * pageSize // a page for each level of a tree; in margin are the list of free ones, and large leaves
	return w.Size()+int64(w.n)*perChange+2*w.bytes+j.margin < j.mapping(w)
}

// mapping is how much of the file is mapped at least.
func (j *journal) mapping(w *writing) int64 { return mapSize(max(j.mapped, w.Size())) }

// mapSize is how much bbolt maps of a file of that size.
func mapSize(size int64) int64 {
	for n := int64(32 << 10); n <= 1<<30; n *= 2 {
		if size <= n {
			return n
		}
	}
	return (size + 1<<30 - 1) >> 30 << 30
}

// append writes the frame of a transaction, without waiting for it to be on the
// disk. If it fails, something of it may be there.
func (j *journal) append(w *writing) error {
	if j.base == nil || j.full(w) {
		if err := j.begin(w.ID() - 1); err != nil {
			return err
		}
	}
	b := appendFrame(j.buf[:0], j.life, w.ID(), w.list)
	j.buf = b
	for j.room < j.end+int64(len(b)) {
		if _, err := j.file.WriteAt(make([]byte, journalStep), j.room); err != nil {
			return err
		}
		j.room += journalStep
	}
	if _, err := j.file.WriteAt(b, j.end); err != nil {
		return err
	}
	startSync(j.file, j.end, len(b))
	j.frames++
	j.end += int64(len(b))
	return nil
}

// begin begins a life of the journal, in the place of the last one. Its base is
// the last transaction. The one under way writes none of the pages of the base
// before: that was read when it began.
func (j *journal) begin(base int) error {
	if j.file == nil {
		if err := j.open(); err != nil {
			return err
		}
	}
	if j.base != nil {
		if err := j.settle(); err != nil {
			return err
		}
	}
	head, err := j.head(base)
	if err != nil {
		return err
	}
	tx, err := j.db.Begin(false)
	if err != nil {
		return err
	}
	j.leave()
	j.base = tx
	return j.write(head)
}

// write puts a head into its place, for good.
func (j *journal) write(head []byte) error {
	if _, err := j.file.WriteAt(head, 0); err != nil {
		return err
	}
	j.frames, j.end, j.room = 0, headLen, max(j.room, headLen)
	return j.sync(j.file)
}

// settle makes durable what bbolt holds, without a commit.
func (j *journal) settle() error {
	if j.lost == nil {
		j.lost = j.sync(j.store)
	}
	return j.lost
}

// rest makes durable what bbolt holds, and the journal void.
func (j *journal) rest() error {
	if j.base == nil {
		return nil
	}
	if err := j.settle(); err != nil {
		return err
	}
	if j.lost = j.write(make([]byte, headLen)); j.lost != nil {
		return j.lost
	}
	j.leave()
	return nil
}

// leave lets the pages of the base be written again.
func (j *journal) leave() {
	if j.base != nil {
		_ = j.base.Rollback() // it only reads
		j.base = nil
	}
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

// head is that of a new life, whose base is the last transaction.
func (j *journal) head(base int) ([]byte, error) {
	_, _ = rand.Read(j.life[:]) // never fails
	b := append(append(make([]byte, 0, headLen), journalMagic...), j.life[:]...)
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
