package bolt

import (
	"errors"

	"github.com/google/uuid"
	"go.etcd.io/bbolt"
)

// FailCommits makes every commit call f, which may call commit.
func (s *Store) FailCommits(f func(commit func() error) error) {
	s.commit = func(tx *bbolt.Tx) error { return f(tx.Commit) }
}

const (
	PageSize    = pageSize
	JournalName = journalSuffix
)

// RewriteMetas is called by Open before the first transaction.
var RewriteMetas = rewriteMetas

// Migrate brings the file at path to the present layout. Every commit calls f, which may
// call commit.
func Migrate(path string, f func(commit func() error) error) error {
	db, err := openFile(path, 0)
	if err != nil {
		return err
	}
	return errors.Join(migrate(db, path, func(tx *bbolt.Tx) error { return f(tx.Commit) }), db.Close())
}

// Index is an index without a store.
type Index = idIndex

var NewIndex = newIDIndex

func (x *Index) Put(key [16]byte, number uint64)               { x.put(key, number) }
func (x *Index) Replace(key [16]byte, from, to uint64)         { x.replace(key, from, to) }
func (x *Index) Candidates(key [16]byte) (candidates []uint64) { return x.candidates(nil, key) }
func (x *Index) Fits(n int) bool                               { return x.fits(n) }

// LiveValue returns the n-th value in live of the only collection.
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
