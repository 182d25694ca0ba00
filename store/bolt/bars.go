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

// bar keeps what has those keys from coming back. One thing can be barred for
// several reasons, each of which is lifted by itself.
func (b *batch) bar(bar store.Bar, keys [][]byte) error {
	if bar.Reason == "" {
		return nil
	}
	root := b.bucket(bucketBars)
	slices.SortFunc(keys, bytes.Compare)
	barred := root.Bucket(bucketContent)
	for _, key := range keys {
		if err := barred.Put(append(key, bar.Reason...), nil); err != nil {
			return err
		}
	}
	if bar.Identity == "" {
		return nil
	}
	return root.Bucket(bucketIdentity).Put(identityKey(bar.Identity, bar.Reason), []byte(bar.Origin))
}

// bars is what is barred, as of one transaction.
type bars struct{ content, identity *bbolt.Bucket }

// bars is nil if nothing is barred at all.
func (b *batch) bars() *bars {
	root := b.bucket(bucketBars)
	if k, _ := root.Bucket(bucketContent).Cursor().First(); k == nil {
		return nil
	}
	return &bars{root.Bucket(bucketContent), root.Bucket(bucketIdentity)}
}

// hold tells whether what writer pushes is barred: as its own, or as that of
// the creator it names. What others say of the same thing by themselves is not.
func (b *bars) hold(writer string, o *stix.Object) bool {
	content := stix.Canonical(o.Raw)
	if has(b.content, barKey(writer, content)) {
		return true
	}
	if o.Creator == "" {
		return false
	}
	prefix := identityKey(string(o.Creator), "")
	cursor := b.identity.Cursor()
	for k, origin := cursor.Seek(prefix); bytes.HasPrefix(k, prefix); k, origin = cursor.Next() {
		if has(b.content, barKey(string(origin), content)) {
			return true
		}
	}
	return false
}

func has(b *bbolt.Bucket, prefix []byte) bool {
	k, _ := b.Cursor().Seek(prefix)
	return bytes.HasPrefix(k, prefix)
}

// LiftBars implements store.Store.
func (s *Store) LiftBars(ctx context.Context, reason string) error {
	return s.do(ctx, &job{objects: alone, run: func(b *batch) error {
		root := b.bucket(bucketBars)
		return firstOf(
			b.lift(root.Bucket(bucketContent), func(k []byte) bool { return string(k[16:]) == reason }),
			b.lift(root.Bucket(bucketIdentity), func(k []byte) bool { _, of, _ := strings.Cut(string(k), "\x00"); return of == reason }),
		)
	}})
}

// lift deletes the keys that match.
func (b *batch) lift(bucket *bbolt.Bucket, match func([]byte) bool) error {
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
		b.writes++
		if err := bucket.Delete(k); err != nil {
			return err
		}
	}
	return nil
}
