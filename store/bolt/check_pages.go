package bolt

import (
	"bytes"
	"encoding/hex"
	"errors"
	"path/filepath"
	"runtime/debug"
	"slices"
	"time"

	"go.etcd.io/bbolt"

	"comity/store"
)

// CheckFreeList compares the list of free pages of the store in dir with the pages in use.
// Check must have found no fault in the store, since bbolt ends the process where a page
// leads back to itself. If another process has the store open, CheckFreeList waits for up
// to wait, then returns Unavailable.
func CheckFreeList(dir string, wait time.Duration, fault func(string)) error {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true)) // of a page beyond the end of the file
	db, err := openFile(filepath.Join(dir, FileName), wait)
	if err != nil {
		return err
	}
	err = db.View(func(tx *bbolt.Tx) error { checkFreeList(tx, fault); return nil })
	return errors.Join(err, db.Close())
}

// checkFreeList needs a store that nobody writes to. The check of bbolt ends the process
// where a page or the key of a page is damaged, so these are checked first.
func checkFreeList(tx *bbolt.Tx, fault func(string)) {
	if err := checkPages(tx); err != nil {
		fault("pages: " + faultText(err))
		return
	}
	for err := range tx.Check(bbolt.WithKVStringer(keyStart{})) {
		fault("free list: " + err.Error())
	}
}

// checkPages returns an error for the first page whose type or length is wrong, and for
// the first key that a search does not find.
func checkPages(tx *bbolt.Tx) (err error) {
	defer recovered(tx.DB(), &err)
	end := int(tx.Size()) / tx.DB().Info().PageSize
	for id := 2; id < end; id++ { // the first two pages are meta pages
		page, err := tx.Page(id)
		if err != nil {
			return err
		}
		if page.Type == "free" {
			continue
		}
		if !slices.Contains([]string{"branch", "leaf", "freelist"}, page.Type) || page.OverflowCount >= end-id {
			return store.Damaged("page %d has a wrong type or length", id)
		}
		id += page.OverflowCount
	}
	return checkSearch(tx.Cursor().Bucket())
}

// checkSearch searches for each key of a bucket and of the buckets in it.
func checkSearch(b *bbolt.Bucket) error {
	cursor := b.Cursor()
	return forEach(b, func(k, v []byte) error {
		if found, _ := cursor.Seek(k); !bytes.Equal(found, k) {
			return store.Damaged("a search does not find the key %x", k)
		}
		if v == nil {
			return checkSearch(b.Bucket(k))
		}
		return nil
	})
}

// keyStart shows the first bytes of a key, whose length may be damaged.
type keyStart struct{}

func (keyStart) KeyToString(k []byte) string   { return hex.EncodeToString(k[:min(len(k), 40)]) }
func (keyStart) ValueToString(v []byte) string { return keyStart{}.KeyToString(v) }
