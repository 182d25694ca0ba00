package postgres

import (
	"cmp"
	"context"
	"io"

	"github.com/jackc/pgx/v5"

	"comity/store"
)

// Backup implements store.Store. It writes a dump, which every engine can load.
func (s *Store) Backup(ctx context.Context, w io.Writer) (int64, error) {
	return store.WriteDump(ctx, w, s)
}

// Dump implements store.Dumper.
func (s *Store) Dump(ctx context.Context, f func(*store.DumpItem) error) error {
	var stopped error // the error of f, which is not one of the database
	err := s.readSealed(ctx, func(tx pgx.Tx) error {
		d := &dump{ctx: ctx, tx: tx, f: func(item *store.DumpItem) error {
			stopped = f(item)
			return stopped
		}}
		for _, part := range []func() error{d.begin, d.directory, d.documents, d.collections, d.pushes, d.links, d.blocklist, d.quarantine, d.quota} {
			if err := part(); err != nil {
				return err
			}
		}
		return nil
	})
	return cmp.Or(stopped, err)
}

// dump is one run of Dump.
type dump struct {
	ctx context.Context
	tx  pgx.Tx
	f   func(*store.DumpItem) error
}

// each calls f for each row of a query, after it was read into the columns.
func (d *dump) each(sql string, args, columns []any, f func() error) error {
	rows, err := d.tx.Query(d.ctx, sql, args...)
	if err != nil {
		return err
	}
	_, err = pgx.ForEachRow(rows, columns, f)
	return err
}

func (d *dump) begin() error {
	b := &store.DumpBegin{Format: store.DumpFormat}
	if err := d.tx.QueryRow(d.ctx, `SELECT m.generation, m.seal, c.number, c.hash, c.open FROM meta m, chain c`).
		Scan(&b.Generation, &b.Seal, &b.Head, &b.Hash, &b.Open); err != nil {
		return err
	}
	if err := d.tx.QueryRow(d.ctx, `SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM quarantine_number_seq`).Scan(&b.Quarantine); err != nil {
		return err
	}
	return d.f(&store.DumpItem{Begin: b})
}

func (d *dump) directory() error {
	var r store.DumpRecord
	return d.each(`SELECT name, record FROM directory ORDER BY name`, nil, []any{&r.Name, &r.Content}, func() error { return d.f(&store.DumpItem{Directory: &r}) })
}

func (d *dump) documents() error {
	var r store.DumpRecord
	return d.each(`SELECT name, content FROM document ORDER BY name`, nil, []any{&r.Name, &r.Content}, func() error { return d.f(&store.DumpItem{Document: &r}) })
}

// collections dumps the collections to which anything was ever added.
func (d *dump) collections() error {
	type numbered struct {
		n int32
		store.DumpCollection
	}
	var list []numbered
	var c numbered
	var last int64
	if err := d.each(`SELECT n, id, last, past FROM collection WHERE last > 0 ORDER BY id`, nil, []any{&c.n, &c.ID, &last, &c.Past}, func() error {
		c.Last = store.Date(last)
		list = append(list, c)
		return nil
	}); err != nil {
		return err
	}
	for _, c := range list {
		if err := cmp.Or(d.f(&store.DumpItem{Collection: &c.DumpCollection}), d.objects(c.n)); err != nil {
			return err
		}
	}
	return nil
}

func (d *dump) objects(n int32) error {
	rows, err := d.tx.Query(d.ctx, `SELECT `+columns+`, true FROM live WHERE collection = $1 UNION ALL SELECT `+columns+`, false FROM hist WHERE collection = $1 ORDER BY added`, n)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		r, err := scanRow(rows)
		if err != nil {
			return err
		}
		if err := d.f(&store.DumpItem{Object: &store.DumpObject{Added: r.Date, Handling: r.Handling, Object: r.json}}); err != nil {
			return err
		}
	}
	return rows.Err()
}

func (d *dump) pushes() error {
	rows, err := d.tx.Query(d.ctx, `SELECT `+pushColumns+`, (SELECT coalesce(array_agg(frame ORDER BY n), '{}') FROM part WHERE push = id) FROM push ORDER BY requested, id`)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var p pushStatus
		var frames [][]byte
		if err := p.scan(rows, &frames); err != nil {
			return err
		}
		if err := d.f(&store.DumpItem{Push: store.NewDumpPush(p.Status, p.complete, frames)}); err != nil {
			return err
		}
	}
	return rows.Err()
}

func (d *dump) links() error {
	var l store.DumpLink
	return d.each(`SELECT number, hash, body FROM link ORDER BY number`, nil, []any{&l.Number, &l.Hash, &l.Body}, func() error { return d.f(&store.DumpItem{Link: &l}) })
}

func (d *dump) blocklist() error {
	var b store.DumpBlocked
	if err := d.each(`SELECT digest, reason FROM blocked_content ORDER BY digest, reason`, nil, []any{&b.Key, &b.Reason}, func() error { return d.f(&store.DumpItem{Content: &b}) }); err != nil {
		return err
	}
	b.Key = nil
	return d.each(`SELECT identity, reason, origin FROM blocked_identity ORDER BY identity, reason`, nil, []any{&b.Identity, &b.Reason, &b.Origin},
		func() error { return d.f(&store.DumpItem{Identity: &b}) })
}

func (d *dump) quarantine() error {
	var q store.DumpQuarantined
	return d.each(`SELECT number, note, object FROM quarantine ORDER BY number`, nil, []any{&q.Number, &q.Note, &q.Object}, func() error { return d.f(&store.DumpItem{Quarantined: &q}) })
}

func (d *dump) quota() error {
	var q store.DumpQuota
	return d.each(`SELECT agreement, org, to_char(day, 'YYYYMMDD'), n FROM quota ORDER BY agreement, org, day`, nil, []any{&q.Agreement, &q.Org, &q.Day, &q.Pushes},
		func() error { return d.f(&store.DumpItem{Quota: &q}) })
}
