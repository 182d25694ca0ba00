package bolt

import (
	"bytes"
	"context"
	"encoding/binary"

	"go.etcd.io/bbolt"

	"comity/store"
	"comity/taxii/audit"
	"comity/taxii/exchange"
)

// Generation implements store.Store. It does not read the file: no other process can
// change it.
func (s *Store) Generation(context.Context) (uint64, error) { return s.generation.Load(), nil }

// Directory implements store.Store.
func (s *Store) Directory(context.Context) (*exchange.Directory, uint64, error) {
	records, generation, err := s.records()
	if err != nil {
		return nil, 0, err
	}
	d, err := store.ReadDirectory(records)
	return d, generation, err
}

// records returns the records of the directory, and its generation.
func (s *Store) records() (records map[string][]byte, generation uint64, err error) {
	err = s.view(func(tx *bbolt.Tx) error {
		generation = number(tx.Bucket(bucketMeta).Get(keyGeneration))
		records, err = recordsOf(tx)
		return err
	})
	return records, generation, err
}

func recordsOf(tx *bbolt.Tx) (map[string][]byte, error) {
	records := map[string][]byte{}
	return records, tx.Bucket(bucketDirectory).ForEach(func(k, v []byte) error {
		records[string(k)] = bytes.Clone(v)
		return nil
	})
}

// directoryRecord returns how store.CheckOpen and store.CheckCaller read a record.
func directoryRecord(tx *bbolt.Tx) func(name string) []byte {
	return func(name string) []byte { return tx.Bucket(bucketDirectory).Get([]byte(name)) }
}

// Amend implements store.Store. change runs on the caller's goroutine, so it may use the
// store. If another Amend commits first, change runs again on the new directory.
func (s *Store) Amend(ctx context.Context, change func(*exchange.Directory) ([]audit.Entry, error)) error {
	return store.Amend(s.records, change, func(before, after map[string][]byte, generation uint64, entries []audit.Entry) error {
		return s.do(ctx, &job{run: func(w *writeTx) error { return w.amend(before, after, generation, entries) }})
	})
}

// amend writes the entries and the records that differ. If the directory has another
// generation by now, it writes nothing and returns store.ErrStale.
func (w *writeTx) amend(before, after map[string][]byte, generation uint64, entries []audit.Entry) error {
	meta, directory := w.bucket(bucketMeta), w.bucket(bucketDirectory)
	if number(meta.Get(keyGeneration)) != generation {
		return store.ErrStale
	}
	changed := false
	for name, record := range after {
		if bytes.Equal(before[name], record) {
			continue
		}
		changed = true
		w.writes++
		if err := directory.Put([]byte(name), record); err != nil {
			return err
		}
	}
	for name := range before {
		if after[name] != nil {
			continue
		}
		changed = true
		w.writes++
		if err := directory.Delete([]byte(name)); err != nil {
			return err
		}
	}
	if changed {
		w.writes++
		w.generation = generation + 1
		if err := meta.Put(keyGeneration, binary.BigEndian.AppendUint64(nil, generation+1)); err != nil {
			return err
		}
	}
	return w.appendAudit(entries...)
}

// Document implements store.Store.
func (s *Store) Document(_ context.Context, name string) (content []byte, err error) {
	err = s.view(func(tx *bbolt.Tx) error {
		content = bytes.Clone(tx.Bucket(bucketDocuments).Get([]byte(name)))
		return nil
	})
	return content, err
}

// AmendDocument implements store.Store. change runs on the caller's goroutine, so it may
// use the store. If another AmendDocument of that name commits first, change runs again
// on the new content.
func (s *Store) AmendDocument(ctx context.Context, name string, change func(old []byte) ([]byte, []audit.Entry, error)) error {
	read := func() ([]byte, error) { return s.Document(ctx, name) }
	return store.AmendDocument(read, change, func(old, content []byte, entries []audit.Entry) error {
		return s.do(ctx, &job{run: func(w *writeTx) error { return w.amendDocument(name, old, content, entries) }})
	})
}

// amendDocument writes the entries and the content. If the document no longer has the
// old content, it writes nothing and returns store.ErrStale.
func (w *writeTx) amendDocument(name string, old, content []byte, entries []audit.Entry) error {
	documents, key := w.tx.Bucket(bucketDocuments), []byte(name)
	found := documents.Get(key)
	if !bytes.Equal(found, old) || (found == nil) != (old == nil) {
		return store.ErrStale
	}
	if !bytes.Equal(content, old) || (content == nil) != (old == nil) {
		w.writes++
		var err error
		if content == nil {
			err = documents.Delete(key)
		} else {
			err = documents.Put(key, content)
		}
		if err != nil {
			return err
		}
	}
	return w.appendAudit(entries...)
}
