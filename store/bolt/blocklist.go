package bolt

import (
	"bytes"
	"context"
	"slices"
	"strings"

	"go.etcd.io/bbolt"

	"comity/stix"
	"comity/store"
)

// block keeps content with those keys from coming back. One object can be blocked for
// several reasons, each of which is ended by itself.
func (w *writeTx) block(block store.Block, keys [][]byte) error {
	if block.Reason == "" {
		return nil
	}
	root := w.bucket(bucketBlocklist)
	slices.SortFunc(keys, bytes.Compare)
	content := root.Bucket(bucketContent)
	for _, key := range keys {
		if err := content.Put(append(key, block.Reason...), nil); err != nil {
			return err
		}
	}
	if block.Identity == "" {
		return nil
	}
	return root.Bucket(bucketIdentity).Put(identityKey(block.Identity, block.Reason), []byte(block.Origin))
}

// blocklist is the content that is kept out, as of one transaction.
type blocklist struct{ content, identity *bbolt.Bucket }

// blocklistOf is nil if it is empty.
func blocklistOf(tx *bbolt.Tx) *blocklist {
	root := tx.Bucket(bucketBlocklist)
	if k, _ := root.Bucket(bucketContent).Cursor().First(); k == nil {
		return nil
	}
	return &blocklist{root.Bucket(bucketContent), root.Bucket(bucketIdentity)}
}

// blocks tells whether an object that writer pushes is blocked: as its own, or as one of
// the creator that it names. The same object, said by others for themselves, is not.
func (b *blocklist) blocks(writer string, o *stix.Object) bool {
	content := stix.Canonical(o.Raw)
	if has(b.content, blockKey(writer, content)) {
		return true
	}
	if o.Creator == "" {
		return false
	}
	prefix := identityKey(string(o.Creator), "")
	cursor := b.identity.Cursor()
	for k, origin := cursor.Seek(prefix); bytes.HasPrefix(k, prefix); k, origin = cursor.Next() {
		if has(b.content, blockKey(string(origin), content)) {
			return true
		}
	}
	return false
}

func has(b *bbolt.Bucket, prefix []byte) bool {
	k, _ := b.Cursor().Seek(prefix)
	return bytes.HasPrefix(k, prefix)
}

// Unblock implements store.Store.
func (s *Store) Unblock(ctx context.Context, reason string) error {
	return s.do(ctx, &job{objects: exclusive, run: func(w *writeTx) error {
		root := w.bucket(bucketBlocklist)
		return firstOf(
			w.unblock(root.Bucket(bucketContent), func(k []byte) bool { return string(k[16:]) == reason }),
			w.unblock(root.Bucket(bucketIdentity), func(k []byte) bool { _, of, _ := strings.Cut(string(k), "\x00"); return of == reason }),
		)
	}})
}

// unblock deletes the keys that match.
func (w *writeTx) unblock(bucket *bbolt.Bucket, match func([]byte) bool) error {
	var keys [][]byte
	if err := bucket.ForEach(func(k, _ []byte) error {
		if match(k) {
			keys = append(keys, bytes.Clone(k))
		}
		return nil
	}); err != nil {
		return err
	}
	for _, k := range keys {
		w.writes++
		if err := bucket.Delete(k); err != nil {
			return err
		}
	}
	return nil
}
