package bolt

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"go.etcd.io/bbolt"

	"comity/stix"
	"comity/store"
	"comity/taxii"
	"comity/taxii/audit"
)

// maxRemove is how many records one call may remove.
const maxRemove = 4000

// Remove implements store.Store.
func (s *Store) Remove(ctx context.Context, id uuid.UUID, dates []time.Time, block store.Block, entry audit.Entry) (n int, err error) {
	if len(dates) > maxRemove {
		return 0, taxii.Errorf(taxii.Invalid, "%d records cannot be removed at once, at most %d", len(dates), maxRemove)
	}
	entry.Collection = id.String()
	err = s.do(ctx, &job{objects: len(dates), run: func(w *writeTx) (err error) {
		n = 0
		if w.tx.Bucket(collectionName(id)) == nil {
			return nil
		}
		e, err := w.collection(id) // writes nothing, since the collection exists
		if err != nil {
			return err
		}
		list, keys, err := e.findRemovals(dates, block)
		if err != nil || len(list) == 0 {
			return err
		}
		if n, err = w.remove(e, list, entry); err != nil {
			return err
		}
		return w.block(block, keys)
	}})
	if err != nil {
		return 0, err
	}
	return n, nil
}

// findRemovals finds the records that are still there, and the keys that block their
// content.
func (c *collectionTx) findRemovals(dates []time.Time, block store.Block) (list []removal, keys [][]byte, err error) {
	at, named := map[stix.Key]int{}, map[time.Time]bool{}
	for _, t := range dates {
		if named[t.UTC()] {
			continue
		}
		named[t.UTC()] = true
		r, _, err := c.record(store.DateOf(t))
		if err != nil {
			return nil, nil, err
		}
		if r == nil {
			continue
		}
		id, err := r.id()
		if err != nil {
			return nil, nil, err
		}
		key, v := id.Key(), r.version(store.DateOf(t))
		i, ok := at[key]
		if !ok {
			i, at[key] = len(list), len(list)
			d := removal{id: id}
			if err := c.findVersions(&d, key); err != nil {
				return nil, nil, err
			}
			list = append(list, d)
		}
		list[i].removed = append(list[i].removed, v)
		if block.Reason != "" {
			keys = append(keys, store.BlockKey(block.Origin, stix.Canonical(r.json())))
		}
	}
	return list, keys, nil
}

// removal has the versions of one id, and which of them to remove.
type removal struct {
	id           stix.ID
	indexed      store.Date
	all, removed []store.Version
}

// findVersions looks up all versions of an id. It leaves d empty if there is none.
func (c *collectionTx) findVersions(d *removal, key stix.Key) (err error) {
	if d.indexed, err = c.indexed(key); err != nil || d.indexed == 0 {
		return err
	}
	r, _, err := c.record(d.indexed)
	if err != nil || r == nil {
		return cmp.Or(err, store.Damaged("the record added %s is gone", d.indexed.Time()))
	}
	d.all, err = c.versions(key, d.indexed, r)
	return err
}

// remove deletes records and adds the entry that says why. It returns their number.
func (w *writeTx) remove(e *collectionTx, list []removal, entry audit.Entry) (n int, err error) {
	w.writes++
	first, last := never, store.Date(0)
	for _, d := range list {
		if err := e.removeVersions(d, w.now); err != nil {
			return 0, err
		}
		for _, v := range d.removed {
			first, last = min(first, v.Date), max(last, v.Date)
		}
		n += len(d.removed)
	}
	entry.Count, entry.From, entry.To = n, first.Pointer(), last.Pointer()
	return n, w.appendAudit(entry)
}

// removeVersions deletes versions of one id. The newest version that is left goes into
// live and keeps its date.
func (c *collectionTx) removeVersions(d removal, now time.Time) error {
	c.past = true
	key := d.id.Key()
	if c.typeEntry(d.id.Type()) == nil {
		return store.Damaged("types lacks %s", d.id.Type())
	}
	removed := make(map[store.Date]bool, len(d.removed))
	for _, v := range d.removed {
		removed[v.Date] = true
	}
	left := slices.DeleteFunc(slices.Clone(d.all), func(v store.Version) bool { return removed[v.Date] })
	newest := store.Date(0)
	if len(left) > 0 {
		newest = slices.MaxFunc(left, store.Version.Compare).Date
	}
	mixed := store.AnyDiffer(d.all)
	stillMixed := len(left) > 1 && store.AnyDiffer(left)
	for _, v := range d.removed {
		if err := c.removeVersion(key, v, len(d.all) > 1, mixed); err != nil {
			return err
		}
		next := store.Date(0)
		if v.Date == d.indexed && newest != 0 {
			next = newest
		}
		if err := c.del.Put(dateKey(v.Date), tombstone(now, key, v, next)); err != nil {
			return err
		}
		if v.Date == d.indexed {
			c.setIndexed(key, d.indexed, next)
		}
	}
	for _, v := range left {
		if mixed && !stillMixed {
			if err := c.mixed.Delete(dateKey(v.Date)); err != nil {
				return err
			}
		}
		if len(left) == 1 {
			if err := c.ver.Delete(verKey(key, v)); err != nil {
				return err
			}
		}
		if v.Date == newest {
			if err := c.promote(v.Date, len(left) > 1); err != nil {
				return err
			}
		}
	}
	return nil
}

// removeVersion deletes one version from live or hist.
func (c *collectionTx) removeVersion(key stix.Key, v store.Version, multi, mixed bool) error {
	r, live, err := c.record(v.Date)
	if err != nil {
		return err
	}
	switch {
	case r == nil:
		return store.Damaged("the record added %s is gone", v.Date.Time())
	case live:
		err = c.dropLive(v.Date, r)
	default:
		err = c.dropHist(v.Date)
	}
	c.countEnds(v.Handling, -1)
	if err == nil && multi {
		err = c.ver.Delete(verKey(key, v))
	}
	if err == nil && mixed {
		err = c.mixed.Delete(dateKey(v.Date))
	}
	return err
}

// promote puts the newest version that is left into live, with the right multi flag.
func (c *collectionTx) promote(d store.Date, multi bool) error {
	r, live, err := c.record(d)
	if err != nil {
		return err
	}
	switch {
	case r == nil:
		return store.Damaged("the record added %s is gone", d.Time())
	case live && r.is(flagMulti) == multi:
		return nil
	}
	r = r.withMulti(multi)
	if live {
		return c.live.Put(dateKey(d), r)
	}
	return cmp.Or(c.dropHist(d), c.putLive(d, r))
}

// block blocks the content with those keys from being pushed again. An object can be
// blocked for several reasons. Unblock ends one of them.
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

// blocklist is the blocked content, as of one transaction.
type blocklist struct{ content, identity *bbolt.Bucket }

// blocklistOf returns nil if nothing is blocked.
func blocklistOf(tx *bbolt.Tx) *blocklist {
	root := tx.Bucket(bucketBlocklist)
	if k, _ := root.Bucket(bucketContent).Cursor().First(); k == nil {
		return nil
	}
	return &blocklist{root.Bucket(bucketContent), root.Bucket(bucketIdentity)}
}

// blocks tells whether an object that writer pushes is blocked: as content of the writer
// itself, or as content of the creator that the object names. The same content from
// another organisation is not blocked.
func (b *blocklist) blocks(writer string, o *stix.Object) bool {
	content := stix.Canonical(o.Raw)
	if has(b.content, store.BlockKey(writer, content)) {
		return true
	}
	if o.Creator == "" {
		return false
	}
	prefix := identityKey(string(o.Creator), "")
	cursor := b.identity.Cursor()
	for k, origin := cursor.Seek(prefix); bytes.HasPrefix(k, prefix); k, origin = cursor.Next() {
		if has(b.content, store.BlockKey(string(origin), content)) {
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
		return cmp.Or(
			w.unblock(root.Bucket(bucketContent), func(k []byte) bool { return string(k[16:]) == reason }),
			w.unblock(root.Bucket(bucketIdentity), func(k []byte) bool { _, of, _ := strings.Cut(string(k), "\x00"); return of == reason }),
		)
	}})
}

// unblock deletes the matching keys of a bucket.
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
