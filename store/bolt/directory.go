package bolt

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"go.etcd.io/bbolt"

	"comity/taxii"
	"comity/taxii/audit"
	"comity/taxii/exchange"
)

// Generation implements store.Store. It does not read the file: no other process can
// change it.
func (s *Store) Generation(context.Context) (uint64, error) { return s.generation.Load(), nil }

// Directory implements store.Store.
func (s *Store) Directory(context.Context) (d *exchange.Directory, generation uint64, err error) {
	_, d, generation, err = s.directory()
	return d, generation, err
}

// directory returns the directory and the records that it was read from.
func (s *Store) directory() (records map[string][]byte, d *exchange.Directory, generation uint64, err error) {
	err = s.view(func(tx *bbolt.Tx) error {
		records, d, generation, err = directoryOf(tx)
		return err
	})
	return records, d, generation, err
}

func directoryOf(tx *bbolt.Tx) (records map[string][]byte, d *exchange.Directory, generation uint64, err error) {
	records, generation = map[string][]byte{}, number(tx.Bucket(bucketMeta).Get(keyGeneration))
	if err := tx.Bucket(bucketDirectory).ForEach(func(k, v []byte) error {
		records[string(k)] = bytes.Clone(v)
		return nil
	}); err != nil {
		return nil, nil, 0, err
	}
	d = &exchange.Directory{
		Organisations: map[string]*exchange.Organisation{},
		Accounts:      map[string]*exchange.Account{},
		Tokens:        map[string]*exchange.Token{},
		Agreements:    map[string]*exchange.Deposit{},
		Shut:          map[string]time.Time{},
		Feeds:         map[string]*exchange.Feed{},
	}
	for name, record := range records {
		kind, id, _ := strings.Cut(name, "/")
		switch kind {
		case "centre":
			err = json.Unmarshal(record, &d.Centre)
		case "organisation":
			err = unmarshalInto(d.Organisations, id, record)
		case "account":
			err = unmarshalInto(d.Accounts, id, record)
		case "token":
			err = unmarshalInto(d.Tokens, id, record)
		case "agreement":
			err = unmarshalInto(d.Agreements, id, record)
		case "feed":
			err = unmarshalInto(d.Feeds, id, record)
		case "shut":
			var since time.Time
			err = json.Unmarshal(record, &since)
			d.Shut[id] = since
		}
		if err != nil {
			return nil, nil, 0, damaged("%s in the directory: %w", name, err)
		}
	}
	return records, d, generation, nil
}

// shutPrefix begins the names of the records of shut collections.
const shutPrefix = "shut/"

// checkOpen returns NotFound if the directory has shut the collection. It is called in
// the transaction, since a grant may be older than the withdrawal that shut it.
func checkOpen(tx *bbolt.Tx, id uuid.UUID) error {
	if tx.Bucket(bucketDirectory).Get([]byte(shutPrefix+id.String())) != nil {
		return taxii.Errorf(taxii.NotFound, "there is no such collection, or not for you")
	}
	return nil
}

// checkCaller returns Unauthorized if the account, token or organisation of the caller
// may no longer be used. It is called in the transaction, since the grant is older. A
// caller that the directory does not have is the operator.
func checkCaller(tx *bbolt.Tx, caller exchange.Principal, now time.Time) error {
	var (
		account      exchange.Account
		organisation exchange.Organisation
		token        exchange.Token
	)
	for name, v := range map[string]any{
		"account/" + caller.Account: &account, "organisation/" + caller.Org: &organisation, "token/" + caller.Token: &token,
	} {
		if record := tx.Bucket(bucketDirectory).Get([]byte(name)); record != nil {
			if err := json.Unmarshal(record, v); err != nil {
				return damaged("%s in the directory: %w", name, err)
			}
		}
	}
	if !account.Usable(now) || !token.Usable(now) || organisation.Suspended {
		return taxii.Errorf(taxii.Unauthorized, "these credentials open nothing here")
	}
	return nil
}

func unmarshalInto[T any](into map[string]*T, id string, record []byte) error {
	v := new(T)
	into[id] = v
	return json.Unmarshal(record, v)
}

// directoryRecords returns the records that a directory is stored in.
func directoryRecords(d *exchange.Directory) (map[string][]byte, error) {
	records := map[string][]byte{}
	var errs []error
	put := func(name string, v any) {
		b, err := json.Marshal(v)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
		}
		records[name] = b
	}
	if d.Centre != (exchange.Centre{}) {
		put("centre", d.Centre)
	}
	for id, v := range d.Organisations {
		put("organisation/"+id, v)
	}
	for id, v := range d.Accounts {
		put("account/"+id, v)
	}
	for id, v := range d.Tokens {
		put("token/"+id, v)
	}
	for id, v := range d.Agreements {
		put("agreement/"+id, v)
	}
	for key, v := range d.Feeds {
		put("feed/"+key, v)
	}
	for id, since := range d.Shut {
		put(shutPrefix+id, since)
	}
	return records, errors.Join(errs...)
}

// errStale says that somebody else amended the directory or document meanwhile.
var errStale = errors.New("the directory has changed")

// Amend implements store.Store. change runs on the caller's goroutine, so it may use the
// store. If another Amend commits first, change runs again on the new directory.
func (s *Store) Amend(ctx context.Context, change func(*exchange.Directory) ([]audit.Entry, error)) error {
	for {
		before, d, generation, err := s.directory()
		if err != nil {
			return err
		}
		entries, err := change(d)
		if err != nil {
			return err
		}
		after, err := directoryRecords(d)
		if err != nil {
			return err
		}
		if err := nameChanged(entries, before, after); err != nil {
			return err
		}
		err = s.do(ctx, &job{run: func(w *writeTx) error { return w.amend(before, after, generation, entries) }})
		if err != errStale {
			return err
		}
	}
}

// nameChanged names the records that differ in the entries: an agreement in the entry that
// is about it, since each entry is exported to the parties of its agreement only, and
// everything else in the first entry. The record of the centre is not named.
func nameChanged(entries []audit.Entry, before, after map[string][]byte) error {
	if len(entries) == 0 {
		return nil
	}
	all := maps.Clone(before)
	maps.Copy(all, after)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		kind, id, named := strings.Cut(name, "/")
		if !named || bytes.Equal(before[name], after[name]) {
			continue
		}
		s, err := audit.SubjectOf(name, after[name])
		if err != nil {
			return err
		}
		e := &entries[0]
		if kind == "agreement" {
			if i := slices.IndexFunc(entries, func(e audit.Entry) bool { return e.Agreement == id }); i > 0 {
				e = &entries[i]
			}
		}
		e.Subjects = append(e.Subjects, s)
	}
	return nil
}

// amend writes the entries and the records that differ. If the directory has another
// generation by now, it writes nothing and returns errStale.
func (w *writeTx) amend(before, after map[string][]byte, generation uint64, entries []audit.Entry) error {
	meta, directory := w.bucket(bucketMeta), w.bucket(bucketDirectory)
	if number(meta.Get(keyGeneration)) != generation {
		return errStale
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

// amendDocument writes the entries and the content. If the document no longer has the
// old content, it writes nothing and returns errStale.
func (w *writeTx) amendDocument(name string, old, content []byte, entries []audit.Entry) error {
	documents, key := w.tx.Bucket(bucketDocuments), []byte(name)
	found := documents.Get(key)
	if !bytes.Equal(found, old) || (found == nil) != (old == nil) {
		return errStale
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
