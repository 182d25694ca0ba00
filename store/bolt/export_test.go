package bolt

import (
	"encoding/binary"
	"hash/crc32"
	"os"

	"github.com/google/uuid"
	"go.etcd.io/bbolt"
)

// FailCommits lets every commit go through f, which calls commit or not.
func (s *Store) FailCommits(f func(commit func() error) error) {
	s.journal.commit = func(tx *bbolt.Tx) error { return f(tx.Commit) }
}

// FailSyncs lets every sync of the journal, and of the store's file where bbolt
// does not do it, go through f, which calls sync or not.
func (s *Store) FailSyncs(f func(ofJournal bool, sync func() error) error) {
	s.journal.sync = func(file *os.File) error {
		return f(file == s.journal.file, func() error { return datasync(file) })
	}
}

// Synced tells whether the commit that is under way is made durable by bbolt.
func (s *Store) Synced() bool { return !s.db.NoSync }

// Stopped tells whether a sync failed for good.
func (s *Store) Stopped() bool { return s.await(0) != nil }

// Trust lets the first commits go through the journal, too.
func (s *Store) Trust() { s.journal.whole = true }

// FillJournal has the journal believe that it holds as many commits as it may.
func (s *Store) FillJournal() { s.journal.frames = maxFrames }

// Misjudge has the journal believe that whatever a transaction writes fits into what
// is mapped.
func (s *Store) Misjudge() { s.journal.margin = -1 << 40 }

// EndMap has the journal believe that no more of the file is mapped than it holds.
func (s *Store) EndMap() { s.journal.mapped = 0 }

const (
	JournalName = journalName
	Journaled   = journaled
	HeadLen     = headLen
	FrameLen    = frameLen
	MaxFrames   = maxFrames
	PageSize    = pageSize
)

// Replay reads a journal and makes its changes in a transaction of db, which is
// rolled back.
func Replay(db *bbolt.DB, journal []byte) error {
	l := parseJournal(journal)
	if l == nil {
		return nil
	}
	tx, err := db.Begin(true)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	w := newWriting(tx)
	for _, f := range l.frames {
		if err := w.repeat(f); err != nil {
			return err
		}
	}
	return nil
}

// SealJournal puts right the checksums of a journal of one frame.
func SealJournal(changes []byte) []byte {
	b := append(make([]byte, 0, headLen), journalMagic...)
	b = b[:headLen-4]
	b = binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
	return appendFrame(b, [16]byte{}, 1, changes)
}

// Index is an index by itself.
type Index = index

var NewIndex = newIndex

func (x *Index) Put(key [16]byte, number uint64)               { x.put(key, number) }
func (x *Index) Replace(key [16]byte, from, to uint64)         { x.replace(key, from, to) }
func (x *Index) Candidates(key [16]byte) (candidates []uint64) { return x.candidates(nil, key) }
func (x *Index) Fits(n int) bool                               { return x.fits(n) }

// LiveValue is the n-th value in live of the only collection there is.
func (s *Store) LiveValue(n int) (value []byte, err error) {
	err = s.db.View(func(tx *bbolt.Tx) error {
		return eachCollection(tx, func(_ uuid.UUID, root *bbolt.Bucket) error {
			c := root.Bucket(bucketLive).Cursor()
			_, v := c.First()
			for range n {
				_, v = c.Next()
			}
			value = append([]byte(nil), v...)
			return nil
		})
	})
	return value, err
}
