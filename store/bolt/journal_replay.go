package bolt

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"hash/fnv"
	"io"
	"os"
	"path/filepath"

	"go.etcd.io/bbolt"

	"comity/taxii"
)

// leftover is the journal of a store that was not closed.
type leftover struct {
	life   [16]byte
	metas  [2][]byte // of the base
	base   meta      // the later of them
	root   uint32
	frames [][]byte // the changes of each
	rest   []byte   // what is no frame
}

// last is the last transaction in the journal.
func (l *leftover) last() uint64 { return l.base.tx + uint64(len(l.frames)) }

// parseJournal is nil for a journal that is void, or whose head was cut off: no
// frame of it was acknowledged, and the store's file is whole.
func parseJournal(b []byte) *leftover {
	if len(b) < headLen || string(b[:lifeAt]) != journalMagic ||
		binary.BigEndian.Uint32(b[headLen-4:]) != crc32.Checksum(b[:headLen-4], castagnoli) {
		return nil
	}
	l := &leftover{life: [16]byte(b[lifeAt:]), root: binary.BigEndian.Uint32(b[rootAt:])}
	for slot := range l.metas {
		l.metas[slot] = b[baseAt+slot*metaLen:][:metaLen]
		if m := metaOf(l.metas[slot]); m.valid && m.tx >= l.base.tx {
			l.base = m
		}
	}
	for l.rest = b[headLen:]; ; {
		changes, ok := l.frame(l.rest, l.last()+1)
		if !ok {
			return l
		}
		l.frames, l.rest = append(l.frames, changes), l.rest[frameLen+len(changes):]
	}
}

// frame is the changes in the frame of a transaction at the beginning of b; false
// if it is not there, or not whole.
func (l *leftover) frame(b []byte, tx uint64) (changes []byte, ok bool) {
	if len(b) < frameLen || binary.BigEndian.Uint64(b[8:]) != tx {
		return nil, false
	}
	end := frameLen + int64(binary.BigEndian.Uint32(b[4:]))
	if end > int64(len(b)) || binary.BigEndian.Uint32(b) != frameSum(l.life, b[4:end]) {
		return nil, false
	}
	return b[frameLen:end], true
}

// harmed says that not all frames could be read that were acknowledged: behind what
// is none there is another, or the file has a meta of a later commit, which did not
// begin before that frame was on the disk.
func (l *leftover) harmed(file uint64) bool {
	next := l.last() + 1
	if file > next {
		return true
	}
	for b := l.rest; len(b) >= frameLen; b = b[1:] {
		if tx := binary.BigEndian.Uint64(b[8:]); tx > next && tx <= next+maxFrames {
			if _, ok := l.frame(b, tx); ok {
				return true
			}
		}
	}
	return false
}

// meta is what the journal has to know of a meta of bbolt.
type meta struct {
	root, tx uint64 // page, transaction
	valid    bool
}

// metaOf reads one in its page: bbolt keeps it in the order of the processor.
//
//	16  magic 4, version 4, page size 4, flags 4, root 16, free list 8, pages 8, transaction 8, checksum 8
func metaOf(page []byte) meta {
	b, order := page[pageHeader:metaLen], binary.NativeEndian
	sum := fnv.New64a()
	_, _ = sum.Write(b[:56])
	m := meta{root: order.Uint64(b[16:]), tx: order.Uint64(b[48:])}
	m.valid = order.Uint32(b) == 0xED0CDAED && order.Uint32(b[4:]) == 2 && order.Uint32(b[8:]) == pageSize && order.Uint64(b[56:]) == sum.Sum64()
	return m
}

func readMeta(f io.ReaderAt, slot int) ([]byte, error) {
	page := make([]byte, metaLen)
	_, err := f.ReadAt(page, int64(slot)*pageSize)
	return page, err
}

// rootSum is the checksum of the page that is the root of a file, in which is what
// tells it from others: see mark.
func rootSum(f io.ReaderAt, m meta) (uint32, error) {
	page := make([]byte, pageSize)
	_, err := f.ReadAt(page, int64(m.root)*pageSize)
	return crc32.Checksum(page, castagnoli), err
}

// restore puts the metas of the base back into a file that is locked and that
// nobody has mapped, if it has a journal: what it returns is then to be replayed.
func restore(f *os.File, path string) (*leftover, error) {
	b, err := os.ReadFile(path + journalName)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	l := parseJournal(b)
	switch {
	case bytes.HasPrefix(b, []byte(journalMagic[:lifeAt-1])) && !bytes.HasPrefix(b, []byte(journalMagic)):
		return nil, taxii.Errorf(taxii.Conflict, "%s is of another version: open and close %s with that one first", path+journalName, path)
	case l == nil:
		return nil, dropJournal(path)
	case !l.owns(f):
		return nil, taxii.Errorf(taxii.Conflict, "%s belongs to another file than %s: bring that file back, or remove the journal and lose the last pushes to it", path+journalName, path)
	case l.harmed(newest(f)):
		return nil, damaged("%s is damaged at transaction %d: restore a backup", path+journalName, l.last()+1)
	}
	for slot, page := range l.metas {
		if _, err := f.WriteAt(page, int64(slot)*pageSize); err != nil {
			return nil, err
		}
	}
	return l, datasync(f)
}

// newest is the last transaction that a file has a meta of; 0 if it has none.
func newest(f *os.File) (tx uint64) {
	for slot := range 2 {
		if page, err := readMeta(f, slot); err == nil {
			if m := metaOf(page); m.valid {
				tx = max(tx, m.tx)
			}
		}
	}
	return tx
}

// owns tells whether a file is the one that the journal belongs to.
func (l *leftover) owns(f *os.File) bool {
	sum, err := rootSum(f, l.base)
	return err == nil && sum == l.root
}

// replay makes the changes of all frames again, for good, and drops the journal.
func (l *leftover) replay(db *bbolt.DB, path string) (err error) {
	defer recovered(&err)
	if len(l.frames) > 0 {
		tx, err := db.Begin(true)
		if err != nil {
			return err
		}
		defer tx.Rollback()
		if uint64(tx.ID()) != l.base.tx+1 {
			return damaged("%s begins with transaction %d, its base is %d", path+journalName, tx.ID(), l.base.tx)
		}
		w := newWriting(tx)
		for i, changes := range l.frames {
			if err := w.repeat(changes); err != nil {
				return fmt.Errorf("transaction %d in %s: %w", l.base.tx+1+uint64(i), path+journalName, err)
			}
		}
		if err := tx.Commit(); err != nil {
			return err
		}
	}
	return dropJournal(path)
}

// dropJournal removes the journal beside a file, and empties it before: the name
// may come back when the power fails.
func dropJournal(path string) error {
	f, err := os.OpenFile(path+journalName, os.O_RDWR, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	err = errors.Join(f.Truncate(0), f.Sync(), f.Close())
	if err == nil {
		err = errors.Join(os.Remove(f.Name()), syncDir(filepath.Dir(path)))
	}
	return err
}
