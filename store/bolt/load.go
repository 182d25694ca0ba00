package bolt

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"iter"
	"slices"

	"go.etcd.io/bbolt"

	"comity/stix"
	"comity/store"
	"comity/taxii"
)

// Load implements store.Loader.
func (s *Store) Load(ctx context.Context, items iter.Seq2[*store.DumpItem, error]) error {
	if err := s.view(func(tx *bbolt.Tx) error {
		name, _ := tx.Cursor().Seek([]byte{'c'})
		directory, _ := tx.Bucket(bucketDirectory).Cursor().First()
		link, _ := tx.Bucket(bucketLinks).Cursor().First()
		if isCollection(name) || directory != nil || link != nil {
			return taxii.Errorf(taxii.Conflict, "the store is not empty")
		}
		return nil
	}); err != nil {
		return err
	}
	l := &loader{store: s}
	for item, err := range items {
		if err != nil {
			return err
		}
		if err := l.add(ctx, item); err != nil {
			return err
		}
	}
	return nil
}

// loader is one run of Load. It writes many items in one transaction.
type loader struct {
	store      *Store
	begin      *store.DumpBegin
	directory  []store.DumpRecord
	collection *store.DumpCollection
	objects    []store.DumpObject // of the collection, which wait to be written
	waiting    []func(*writeTx) error
	size       int // bytes of what waits
	pushes     uint64
}

// add takes in one item. An item is valid only until add returns.
func (l *loader) add(ctx context.Context, item *store.DumpItem) error {
	switch {
	case item.Object != nil && l.collection == nil, item.Begin == nil && l.begin == nil:
		return taxii.Errorf(taxii.Invalid, "the dump is not in order")
	case item.Object == nil && l.collection != nil:
		if err := l.endCollection(ctx); err != nil {
			return err
		}
	}
	switch {
	case item.Begin != nil:
		l.begin = item.Begin
	case item.Directory != nil:
		l.directory = append(l.directory, store.DumpRecord{Name: item.Directory.Name, Content: bytes.Clone(item.Directory.Content)})
	case item.Collection != nil:
		c := *item.Collection
		l.collection = &c
	case item.Object != nil:
		o := *item.Object
		o.Object = bytes.Clone(o.Object)
		l.objects = append(l.objects, o)
		if l.size += len(o.Object); len(l.objects) == maxObjects || l.size >= maxBytes {
			return l.writeObjects(ctx)
		}
	case item.Push != nil:
		l.pushes++
		n, h := l.pushes, statusHead{item.Push.Status(), item.Push.Complete}
		frames := cloneAll(item.Push.Parts)
		return l.put(ctx, slices.Concat(frames...), func(w *writeTx) error {
			for part, frame := range frames {
				if err := putFrame(w, n, part, frame); err != nil {
					return err
				}
			}
			w.lastStatus, w.statuses[h.ID] = n, n
			return w.bucket(bucketHeads).Put(numberKey(n), appendStatus(nil, h))
		})
	case item.Link != nil:
		link, e, err := item.Link.Link()
		if err != nil {
			return &taxii.Error{Code: taxii.Invalid, Msg: "the dump has a link that cannot be read", Err: err}
		}
		value := append(link.Hash[:], link.Body...)
		return l.put(ctx, value, func(w *writeTx) error {
			return cmp.Or(fileDelivery(w.bucket(bucketDelivered), link.Number, &e), w.bucket(bucketLinks).Put(numberKey(link.Number), value))
		})
	case item.End != nil:
		return l.end(ctx)
	default:
		return l.addValue(ctx, item)
	}
	return nil
}

// addValue takes in an item that is one key and value.
func (l *loader) addValue(ctx context.Context, item *store.DumpItem) error {
	var path [][]byte
	var k, v []byte
	switch {
	case item.Document != nil:
		path, k, v = [][]byte{bucketDocuments}, []byte(item.Document.Name), append([]byte{}, item.Document.Content...)
	case item.Content != nil:
		path, k = [][]byte{bucketBlocklist, bucketContent}, append(bytes.Clone(item.Content.Key), item.Content.Reason...)
	case item.Identity != nil:
		path, k, v = [][]byte{bucketBlocklist, bucketIdentity}, identityKey(item.Identity.Identity, item.Identity.Reason), []byte(item.Identity.Origin)
	case item.Quarantined != nil:
		q := item.Quarantined
		path, k, v = [][]byte{bucketQuarantine}, numberKey(q.Number), slices.Concat(binary.BigEndian.AppendUint32(nil, uint32(len(q.Note))), q.Note, q.Object)
	case item.Quota != nil:
		q := item.Quota
		path, k, v = [][]byte{bucketQuota}, append(quotaPrefix(q.Agreement, q.Org), q.Day...), numberKey(uint64(q.Pushes))
	default:
		return taxii.Errorf(taxii.Invalid, "the dump has an item that this version of comity does not know")
	}
	return l.put(ctx, v, func(w *writeTx) error {
		b := w.bucket(path[0])
		for _, name := range path[1:] {
			b = b.Bucket(name)
		}
		return b.Put(k, v)
	})
}

// put lets f write a value in a later transaction, after what was put before.
func (l *loader) put(ctx context.Context, value []byte, f func(*writeTx) error) error {
	l.waiting = append(l.waiting, f)
	if l.size += len(value); len(l.waiting) < maxObjects && l.size < maxBytes {
		return nil
	}
	return l.write(ctx, nil)
}

// write writes what waits, and last.
func (l *loader) write(ctx context.Context, last func(*writeTx) error) error {
	err := l.store.do(ctx, &job{objects: exclusive, run: func(w *writeTx) error {
		w.writes++
		for _, f := range l.waiting {
			if err := f(w); err != nil {
				return err
			}
		}
		if last != nil {
			return last(w)
		}
		return nil
	}})
	l.waiting, l.size = nil, 0
	return err
}

// writeObjects writes the objects that wait, with the dates that they had.
func (l *loader) writeObjects(ctx context.Context) error {
	items := make([]store.Item, len(l.objects))
	for i, o := range l.objects {
		object, err := stix.NewObject(o.Object)
		if err != nil {
			return &taxii.Error{Code: taxii.Invalid, Msg: "the dump has an object that cannot be read", Err: err}
		}
		items[i] = store.Item{Object: object, Handling: o.Handling}
	}
	dates := make([]store.Date, len(l.objects))
	for i := range l.objects {
		dates[i] = l.objects[i].Added
	}
	err := l.write(ctx, func(w *writeTx) error {
		c, err := w.collection(l.collection.ID)
		if err != nil {
			return err
		}
		drafts, _ := newDrafts(items)
		for i := range items {
			if err := c.load(&items[i], drafts[i], dates[i]); err != nil {
				return err
			}
		}
		return nil
	})
	l.objects = l.objects[:0]
	return err
}

// load adds an object that was added at d before.
func (c *collectionTx) load(item *store.Item, r draft, d store.Date) error {
	o := &item.Object
	if d%1000 != 0 || d <= c.head.last || !c.acceptsType(o.Type) {
		return taxii.Errorf(taxii.Invalid, "the dump has an object added %s that is not in order", taxii.FormatTime(d.Time()))
	}
	at, err := c.indexed(r.key)
	if err != nil {
		return err
	}
	c.head.last = d
	return c.insert(r, at, store.VersionOf(o, item.Handling).AddedAt(d), o)
}

// endCollection writes the rest of the objects, and the numbers of the collection.
func (l *loader) endCollection(ctx context.Context) error {
	if err := l.writeObjects(ctx); err != nil {
		return err
	}
	end := *l.collection
	l.collection = nil
	return l.write(ctx, func(w *writeTx) error {
		c, err := w.collection(end.ID)
		if err != nil {
			return err
		}
		c.head.last = max(c.head.last, end.Last)
		return c.root.SetSequence(end.Past)
	})
}

// end writes the directory and the numbers of the store.
func (l *loader) end(ctx context.Context) error {
	head, err := l.begin.ChainHead()
	if err != nil {
		return &taxii.Error{Code: taxii.Invalid, Msg: "the dump has no head of the audit chain", Err: err}
	}
	if _, err := l.begin.ReadSeal(); err != nil {
		return err
	}
	return l.write(ctx, func(w *writeTx) error {
		meta, directory := w.bucket(bucketMeta), w.bucket(bucketDirectory)
		for _, r := range l.directory {
			if err := directory.Put([]byte(r.Name), r.Content); err != nil {
				return err
			}
		}
		if l.begin.Seal != "" {
			if err := meta.Put(keySeal, []byte(l.begin.Seal)); err != nil {
				return err
			}
		}
		w.chain, w.generation = &head, l.begin.Generation
		return cmp.Or(w.bucket(bucketQuarantine).SetSequence(l.begin.Quarantine), meta.Put(keyGeneration, numberKey(l.begin.Generation)))
	})
}

func cloneAll(list [][]byte) [][]byte {
	copies := make([][]byte, len(list))
	for i, b := range list {
		copies[i] = bytes.Clone(b)
	}
	return copies
}
