package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"comity/stix"
	"comity/store"
	"comity/taxii"
	"comity/taxii/audit"
)

// Check implements store.Store. It reads one state of the database while others write, and
// keeps one row, or the versions of one id, in memory. PostgreSQL has pg_amcheck for its
// own pages and indexes.
func (s *Store) Check(ctx context.Context, progress func(int64), fault func(string)) error {
	return s.readSealed(ctx, func(tx pgx.Tx) error {
		ck := &checker{dump: dump{ctx: ctx, tx: tx}, store: s, progress: progress, fault: fault, recorded: new(audit.Recorded)}
		for _, part := range []func() error{ck.records, ck.groups, ck.counters, ck.due, ck.statuses, ck.chain, ck.directory, ck.quarantine} {
			if err := part(); err != nil {
				return err
			}
		}
		return nil
	})
}

// checker is one run of Check.
type checker struct {
	dump
	store    *Store
	read     int64
	recorded *audit.Recorded // of the directory, by the audit chain; nil: the chain is damaged
	progress func(int64)
	fault    func(string)
}

func (ck *checker) report(format string, args ...any) { ck.fault(fmt.Sprintf(format, args...)) }

// records reads every record and compares its columns with its JSON.
func (ck *checker) records() error {
	for _, table := range []string{"live", "hist"} {
		rows, err := ck.tx.Query(ck.ctx, `SELECT `+columns+`, true FROM `+table)
		if err != nil {
			return err
		}
		for rows.Next() {
			r, damage := scanRow(rows)
			if text := faultOf(&r, damage); text != "" {
				ck.report("the record added %s: %s", taxii.FormatTime(r.Date.Time()), text)
			}
			if ck.read++; ck.progress != nil && ck.read%1000 == 0 {
				ck.progress(ck.read)
			}
		}
		if rows.Close(); rows.Err() != nil {
			return rows.Err()
		}
	}
	if ck.progress != nil {
		ck.progress(ck.read)
	}
	return nil
}

// faultOf describes the fault of one record; "" if it has none.
func faultOf(r *row, damage error) string {
	if damage != nil {
		return "it does not match its checksum"
	}
	o, err := stix.NewObject(r.json)
	if err != nil {
		return err.Error()
	}
	switch {
	case r.Date%1000 != 0:
		return "its date is not a whole millisecond"
	case o.Key() != r.key:
		return "its row is for another id"
	case o.Type != r.kind:
		return "its row has another type"
	case r.Version != store.VersionOf(&o, r.Handling).AddedAt(r.Date):
		return "its row has another version"
	}
	return ""
}

// groups compares the place of the versions of each id that has several. An id with one
// version has it in live, and it is not mixed.
func (ck *checker) groups() error {
	rows, err := ck.tx.Query(ck.ctx, `SELECT `+header+`, true FROM live l WHERE mixed OR EXISTS (SELECT FROM hist h WHERE h.collection = l.collection AND h.key = l.key)
		UNION ALL SELECT `+header+`, false FROM hist ORDER BY collection, key`)
	if err != nil {
		return err
	}
	defer rows.Close()
	var group []*row
	var of [4 + 16]byte // collection and key
	for rows.Next() {
		r, err := scanRow(rows)
		if err != nil {
			return err
		}
		v := rows.RawValues()
		if at := [4 + 16]byte(append(append([]byte(nil), v[2]...), v[9]...)); at != of {
			ck.group(group)
			group, of = nil, at
		}
		group = append(group, &r)
	}
	ck.group(group)
	return rows.Err()
}

func (ck *checker) group(group []*row) {
	sortVersions(group)
	mixed := len(group) > 1 && store.AnyDiffer(versionsOf(group))
	for i, r := range group {
		if r.live != (i == len(group)-1) {
			ck.report("the record added %s is in the wrong one of live and hist", taxii.FormatTime(r.Date.Time()))
		}
		if r.mixed != mixed {
			ck.report("the record added %s is mixed: %v, should be %v", taxii.FormatTime(r.Date.Time()), r.mixed, mixed)
		}
	}
}

// counters compares the counters of the collections with their rows.
func (ck *checker) counters() error {
	var id uuid.UUID
	var text string
	return ck.each(`WITH found AS (
			SELECT collection, count(*) FILTER (WHERE live) AS live, count(*) FILTER (WHERE NOT live) AS hist, count(*) FILTER (WHERE mixed) AS mixed, max(added) AS last
			FROM (SELECT collection, added, mixed, true AS live FROM live UNION ALL SELECT collection, added, mixed, false FROM hist) r GROUP BY collection)
		SELECT coalesce(c.id, '00000000-0000-0000-0000-000000000000'), format('it says %s live, %s superseded, %s mixed and none after %s; there are %s, %s, %s and one at %s',
			c.live, c.hist, c.mixed, c.last, f.live, f.hist, f.mixed, f.last)
		FROM collection c FULL JOIN found f ON f.collection = c.n
		WHERE c.id IS NULL OR c.live <> coalesce(f.live, 0) OR c.hist <> coalesce(f.hist, 0) OR c.mixed <> coalesce(f.mixed, 0) OR c.last < coalesce(f.last, 0)`,
		nil, []any{&id, &text}, func() error {
			ck.report("collection %s: %s", id, text)
			return nil
		})
}

func (ck *checker) due() error {
	var n int32
	var day int64
	return ck.each(`SELECT coalesce(d.collection, f.collection), coalesce(d.day, f.day) FROM due d FULL JOIN (
			SELECT collection, until / 86400 AS day, count(*) AS n FROM (SELECT collection, until FROM live UNION ALL SELECT collection, until FROM hist) r
			WHERE until <> 0 GROUP BY 1, 2) f ON f.collection = d.collection AND f.day = d.day WHERE coalesce(d.n, 0) <> coalesce(f.n, 0)`,
		nil, []any{&n, &day}, func() error {
			ck.report("collection number %d: due does not match the records that end on day %d since 1970", n, day)
			return nil
		})
}

// statuses reads the outcomes of all parts.
func (ck *checker) statuses() error {
	var id *uuid.UUID
	var of uuid.UUID
	var n int
	var frame []byte
	if err := ck.each(`SELECT push.id, part.push, part.n, part.frame FROM part LEFT JOIN push ON push.id = part.push AND part.n < push.parts`,
		nil, []any{&id, &of, &n, &frame}, func() error {
			if _, err := ck.store.codec.Unpack(frame); err != nil || id == nil {
				ck.report("statuses: part %d of %s is damaged, or of none", n, of)
			}
			return nil
		}); err != nil {
		return err
	}
	return ck.each(`SELECT id FROM push WHERE parts <> (SELECT count(*) FROM part WHERE push = id)`, nil, []any{&of}, func() error {
		ck.report("statuses: %s lacks a part", of)
		return nil
	})
}

// chain verifies the audit chain from its first entry, or from the seal, and stops at the
// first bad entry. Then it compares the head with the chain.
func (ck *checker) chain() error {
	seal, err := sealOf(ck.ctx, ck.tx)
	if err != nil {
		return err
	}
	if seal.Number > 0 {
		if err := seal.Check(); err != nil {
			ck.report("audit: the seal: %v", err)
		}
	}
	var head audit.Head
	var last int64
	if err := scanHead(ck.tx.QueryRow(ck.ctx, `SELECT number, hash, open, time FROM chain`), &head, &last); err != nil {
		return err
	}
	begin := seal.Head()
	begin.Open = head.Open // in case no start or stop came after the seal
	verifier := audit.VerifierAfter(begin)
	rows, err := ck.tx.Query(ck.ctx, `SELECT number, hash, body, collection, first, last FROM link ORDER BY number`)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := ck.link(rows, &verifier, seal.Number); err != nil {
			ck.report("audit: %v", err)
			ck.recorded = nil
			return nil
		}
	}
	if head != verifier.Head() {
		ck.report("audit: the chain ends at line %d, but not as the head says, which is of line %d", verifier.Head().Number, head.Number)
	}
	return rows.Err()
}

func (ck *checker) link(rows pgx.Rows, verifier *audit.Verifier, sealed uint64) error {
	var collection *uuid.UUID
	var first, last *int64
	link, err := scanLink(rows, &collection, &first, &last)
	if err != nil {
		return err
	}
	if link.Number > sealed {
		if err := verifier.Next(link); err != nil {
			return err
		}
	}
	e, err := link.Entry()
	if err != nil {
		return err
	}
	ck.recorded.Add(&e)
	if store.IsDelivery(&e) != (collection != nil) || collection != nil && (collection.String() != uuid.MustParse(e.Collection).String() ||
		*first != int64(store.DateOf(*e.From)) || *last != int64(store.DateOf(*e.To))) {
		ck.report("audit: the columns of line %d do not match it", link.Number)
	}
	return nil
}

// directory reads the directory and compares it with the audit chain.
func (ck *checker) directory() error {
	records, _, err := ck.store.records(ck.ctx, ck.tx)
	if err != nil {
		return err
	}
	d, err := store.ReadDirectory(records)
	if err != nil {
		ck.report("directory: %v", errors.Unwrap(err))
		return nil
	}
	seal, err := sealOf(ck.ctx, ck.tx)
	incomplete := seal.Number > 0
	if ck.recorded == nil {
		ck.recorded, incomplete = new(audit.Recorded), true
	}
	for _, fault := range ck.recorded.Faults(d, incomplete) {
		ck.report("directory: %s", fault)
	}
	return err
}

// quarantine reads the objects in quarantine.
func (ck *checker) quarantine() error {
	var q store.DumpQuarantined
	return ck.each(`SELECT number, note, object FROM quarantine`, nil, []any{&q.Number, &q.Note, &q.Object}, func() error {
		if _, err := store.ReadQuarantined(q.Number, q.Note, q.Object); err != nil {
			ck.report("quarantine: number %d is malformed", q.Number)
		}
		return nil
	})
}
