package postgres

import (
	"bytes"
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"comity/store"
	"comity/taxii/audit"
	"comity/taxii/exchange"
)

// Generation implements store.Store.
func (s *Store) Generation(ctx context.Context) (generation uint64, err error) {
	err = s.known(ctx, func(p *progress) { generation = p.generation })
	return generation, err
}

// Directory implements store.Store.
func (s *Store) Directory(ctx context.Context) (*exchange.Directory, uint64, error) {
	records, generation, err := s.records(ctx, s.pool)
	if err == nil {
		err = s.reach(ctx, progress{generation: generation})
	}
	if err != nil {
		return nil, 0, err
	}
	d, err := store.ReadDirectory(records)
	return d, generation, err
}

// records reads the records of the directory, and its generation.
func (s *Store) records(ctx context.Context, from querier) (records map[string][]byte, generation uint64, err error) {
	rows, err := from.Query(ctx, `SELECT m.generation, d.name, d.record FROM meta m LEFT JOIN directory d ON true`)
	if err != nil {
		return nil, 0, failure(err)
	}
	records = map[string][]byte{}
	var name *string
	var record []byte
	_, err = pgx.ForEachRow(rows, []any{&generation, &name, &record}, func() error {
		if name != nil {
			records[*name] = bytes.Clone(record)
		}
		return nil
	})
	return records, generation, failure(err)
}

// Amend implements store.Store. change runs outside of the transaction, so it may use the
// store. If another Amend commits first, change runs again on the new directory.
//
// It returns when every process knows the new directory, or answers nothing more.
func (s *Store) Amend(ctx context.Context, change func(*exchange.Directory) ([]audit.Entry, error)) error {
	var written uint64 // the new generation; 0: nothing has changed
	read := func() (map[string][]byte, uint64, error) { return s.records(ctx, s.pool) }
	err := store.Amend(read, change, func(before, after map[string][]byte, generation uint64, entries []audit.Entry) error {
		return s.write(ctx, func(tx *writeTx) (err error) {
			written, err = tx.amend(before, after, generation, entries)
			return err
		})
	})
	if err == nil && written != 0 {
		s.awaitGeneration(context.WithoutCancel(ctx), written)
	}
	return err
}

// awaitGeneration waits until all other processes know a generation that was committed. If
// one does not say so, or the database does not, awaitGeneration waits until what that
// process knew before is too old to be answered.
func (s *Store) awaitGeneration(ctx context.Context, generation uint64) {
	ctx, cancel := context.WithTimeout(ctx, processValid+processValid/20) // clocks may run at different speeds
	defer cancel()
	_ = poll(ctx, watchInterval/2, func() (bool, error) { // it ends without an error, or with ctx
		waiting := true
		err := s.pool.QueryRow(ctx, `SELECT EXISTS (SELECT FROM process WHERE id <> $1 AND generation < $2 AND NOT ended)`, s.processID(), int64(generation)).Scan(&waiting)
		return err == nil && !waiting, nil
	})
}

// amend writes the entries and the records that differ. If the directory has another
// generation by now, it writes nothing and returns store.ErrStale. written is the new
// generation; 0 if no record differs.
func (tx *writeTx) amend(before, after map[string][]byte, generation uint64, entries []audit.Entry) (written uint64, err error) {
	var now uint64
	q := &pgx.Batch{}
	q.Queue(`SELECT pg_advisory_xact_lock($1)`, int64(directoryKey))
	q.Queue(`SELECT generation FROM meta FOR UPDATE`).QueryRow(func(r pgx.Row) error { return r.Scan(&now) })
	if err := tx.begin(q); err != nil {
		return 0, err
	}
	if now != generation {
		return 0, store.ErrStale
	}
	for name, record := range after {
		if !bytes.Equal(before[name], record) {
			tx.batch.Queue(`INSERT INTO directory VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET record = $2`, name, record)
		}
	}
	for name := range before {
		if after[name] == nil {
			tx.batch.Queue(`DELETE FROM directory WHERE name = $1`, name)
		}
	}
	if tx.batch.Len() > 0 {
		written = generation + 1
		tx.batch.Queue(`UPDATE meta SET generation = $1`, written)
		tx.after = append(tx.after, func() { tx.learn(&progress{generation: written}) })
	}
	return written, tx.record(entries...)
}

// Document implements store.Store. Content that this process has neither written nor shown
// before waits until the standby has it.
func (s *Store) Document(ctx context.Context, name string) ([]byte, error) {
	content, writer, err := s.document(ctx, name)
	if known, _ := s.documents.Load(name); err != nil || content == nil || known == writer {
		return content, err
	}
	if err := s.awaitStandby(ctx); err != nil {
		return nil, err
	}
	s.documents.Store(name, writer)
	return content, nil
}

// document reads a document, which the standby may lack, and the id of the transaction that
// has written it.
func (s *Store) document(ctx context.Context, name string) (content []byte, writer uint32, err error) {
	err = s.pool.QueryRow(ctx, `SELECT content, xmin FROM document WHERE name = $1`, name).Scan(&content, &writer)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, 0, nil
	}
	return content, writer, failure(err)
}

// AmendDocument implements store.Store. change runs outside of the transaction, so it may
// use the store. If another AmendDocument of that name commits first, change runs again on
// the new content.
func (s *Store) AmendDocument(ctx context.Context, name string, change func(old []byte) ([]byte, []audit.Entry, error)) error {
	read := func() ([]byte, error) { // the standby gets it before what is written now
		content, _, err := s.document(ctx, name)
		return content, err
	}
	return store.AmendDocument(read, change, func(old, content []byte, entries []audit.Entry) error {
		return s.write(ctx, func(tx *writeTx) error { return tx.amendDocument(name, old, content, entries) })
	})
}

// amendDocument writes the entries and the content. If the document no longer has the old
// content, it writes nothing and returns store.ErrStale.
func (tx *writeTx) amendDocument(name string, old, content []byte, entries []audit.Entry) error {
	sql, args := `SELECT true WHERE NOT EXISTS (SELECT FROM document WHERE name = $1)`, []any{name}
	switch {
	case old == nil && content != nil:
		sql, args = `INSERT INTO document VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING true`, append(args, content)
	case old != nil && content == nil:
		sql, args = `DELETE FROM document WHERE name = $1 AND content = $2 RETURNING true`, append(args, old)
	case old != nil:
		sql, args = `UPDATE document SET content = $3 WHERE name = $1 AND content = $2 RETURNING true`, append(args, old, content)
	}
	found, err := tx.beginWith(sql, args...)
	if err == nil && !found {
		err = store.ErrStale
	}
	if err != nil {
		return err
	}
	tx.after = append(tx.after, func() { tx.documents.Store(name, uint32(tx.xid)) })
	return tx.record(entries...)
}
