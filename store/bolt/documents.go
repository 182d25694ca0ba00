package bolt

import (
	"bytes"
	"context"

	"go.etcd.io/bbolt"

	"comity/taxii/audit"
)

// Document implements store.Store.
func (s *Store) Document(_ context.Context, name string) (content []byte, err error) {
	err = s.view(func(tx *bbolt.Tx) error {
		content = bytes.Clone(tx.Bucket(bucketDocuments).Get([]byte(name)))
		return nil
	})
	return content, err
}

// AmendDocument implements store.Store. change runs on the caller's goroutine, so it
// may use the store; if another AmendDocument came in between, it is run again on the
// content that that one left.
func (s *Store) AmendDocument(ctx context.Context, name string, change func(old []byte) ([]byte, []audit.Entry, error)) error {
	for {
		old, err := s.Document(ctx, name)
		if err != nil {
			return err
		}
		content, entries, err := change(bytes.Clone(old))
		if err != nil {
			return err
		}
		err = s.do(ctx, &job{run: func(w *writeTx) error { return w.amendDocument(name, old, content, entries) }})
		if err != errStale {
			return err
		}
	}
}

// amendDocument writes the entries and the content, if the document still has the
// old one.
func (w *writeTx) amendDocument(name string, old, content []byte, entries []audit.Entry) error {
	documents, key := w.tx.Bucket(bucketDocuments), []byte(name)
	found := documents.Get(key)
	if !bytes.Equal(found, old) || (found == nil) != (old == nil) {
		return errStale
	}
	if !bytes.Equal(content, old) || (content == nil) != (old == nil) {
		w.writes++
		err := documents.Delete(key)
		if content != nil {
			err = documents.Put(key, content)
		}
		if err != nil {
			return err
		}
	}
	return w.appendAudit(entries...)
}
