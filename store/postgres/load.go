package postgres

import (
	"bytes"
	"context"
	"iter"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"comity/stix"
	"comity/store"
	"comity/taxii"
)

// Load implements store.Loader.
func (s *Store) Load(ctx context.Context, items iter.Seq2[*store.DumpItem, error]) error {
	var full, serving bool
	if err := s.pool.QueryRow(ctx, `SELECT EXISTS (SELECT FROM collection) OR EXISTS (SELECT FROM directory) OR EXISTS (SELECT FROM link) OR EXISTS (SELECT FROM entry),
		EXISTS (SELECT FROM process WHERE joined IS NOT NULL AND NOT ended)`).Scan(&full, &serving); err != nil {
		return failure(err)
	}
	if full {
		return taxii.Errorf(taxii.Conflict, "the database is not empty: load into a new one")
	}
	if serving {
		return taxii.Errorf(taxii.Conflict, "a server uses the database: end it first")
	}
	l := &loader{Store: s, ctx: ctx}
	for item, err := range items {
		if err == nil {
			err = l.add(item)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// loader is one run of Load. It writes many items in one transaction.
type loader struct {
	*Store
	ctx        context.Context
	begin      *store.DumpBegin
	directory  []store.DumpRecord
	collection *store.DumpCollection
	n          int32  // of the collection
	rows       []*row // of the collection, which wait to be written
	waiting    pgx.Batch
	size       int   // bytes of what waits
	last       int64 // time of the last link, in µs since 1970
}

// The limits of one transaction.
const (
	loadItems = 2000
	loadBytes = 4 << 20
)

// add takes in one item. An item is valid only until add returns.
func (l *loader) add(item *store.DumpItem) error {
	switch {
	case item.Object != nil && l.collection == nil, item.Begin == nil && l.begin == nil:
		return taxii.Errorf(taxii.Invalid, "the dump is not in order")
	case item.Object == nil && l.collection != nil:
		if err := l.endCollection(); err != nil {
			return err
		}
	}
	switch {
	case item.Begin != nil:
		l.begin = item.Begin
		return nil
	case item.Directory != nil:
		l.directory = append(l.directory, store.DumpRecord{Name: item.Directory.Name, Content: bytes.Clone(item.Directory.Content)})
		return nil
	case item.Collection != nil:
		c := *item.Collection
		n, err := l.number(l.ctx, c.ID, true)
		l.collection, l.n = &c, n
		return failure(err)
	case item.Object != nil:
		return l.addObject(item.Object)
	case item.Link != nil:
		return l.addLink(item.Link)
	case item.End != nil:
		return l.end()
	}
	return l.addRow(item)
}

func (l *loader) addObject(d *store.DumpObject) error {
	o, err := stix.NewObject(bytes.Clone(d.Object))
	if err != nil {
		return &taxii.Error{Code: taxii.Invalid, Msg: "the dump has an object that cannot be read", Err: err}
	}
	r := newRow(&store.Item{Object: o, Handling: d.Handling})
	r.Version = r.AddedAt(d.Added)
	l.rows = append(l.rows, r)
	if l.size += len(r.json); len(l.rows) == loadItems || l.size >= loadBytes {
		return l.writeObjects()
	}
	return nil
}

// writeObjects writes the objects that wait, with the dates that they had.
func (l *loader) writeObjects() error {
	err := l.write(l.ctx, func(tx *writeTx) error {
		c, err := tx.lock(l.collection.ID, l.n, nil, func(c *collectionTx, q *pgx.Batch) { c.queueVersions(q, keysOfRows(l.rows)) })
		if err != nil {
			return err
		}
		for _, r := range l.rows {
			if r.Date%1000 != 0 || r.Date <= c.head.last {
				return taxii.Errorf(taxii.Invalid, "the dump has an object added %s that is not in order", taxii.FormatTime(r.Date.Time()))
			}
			c.head.last = r.Date
			c.add(r)
		}
		c.head.past = 0 // endCollection sets it
		return c.save()
	})
	l.rows, l.size = nil, 0
	return err
}

// endCollection writes the rest of the objects, and the numbers of the collection.
func (l *loader) endCollection() error {
	if err := l.writeObjects(); err != nil {
		return err
	}
	l.waiting.Queue(`UPDATE collection SET last = greatest(last, $2), past = $3 WHERE n = $1`, l.n, int64(l.collection.Last), int64(l.collection.Past))
	l.collection = nil
	return l.send()
}

func (l *loader) addLink(d *store.DumpLink) error {
	link, e, err := d.Link()
	if err != nil {
		return &taxii.Error{Code: taxii.Invalid, Msg: "the dump has a link that cannot be read", Err: err}
	}
	link.Body = bytes.Clone(link.Body)
	l.last = e.Time.UnixMicro()
	queueLink(&l.waiting, link, &e)
	return l.sendIfFull(len(link.Body))
}

// addRow takes in an item that needs no look at others.
func (l *loader) addRow(item *store.DumpItem) error {
	size := 0
	switch {
	case item.Document != nil:
		size = len(item.Document.Content)
		l.waiting.Queue(`INSERT INTO document VALUES ($1, $2)`, item.Document.Name, append([]byte{}, item.Document.Content...))
	case item.Push != nil:
		p := pushStatus{Status: item.Push.Status(), complete: item.Push.Complete}
		l.waiting.Queue(`INSERT INTO push (`+pushColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`, p.args()...)
		for n, frame := range item.Push.Parts {
			size += len(frame)
			l.waiting.Queue(`INSERT INTO part VALUES ($1, $2, $3)`, p.ID, n, bytes.Clone(frame))
		}
	case item.Content != nil:
		l.waiting.Queue(`INSERT INTO blocked_content VALUES ($1, $2)`, bytes.Clone(item.Content.Key), item.Content.Reason)
	case item.Identity != nil:
		l.waiting.Queue(`INSERT INTO blocked_identity VALUES ($1, $2, $3)`, item.Identity.Identity, item.Identity.Reason, item.Identity.Origin)
	case item.Quarantined != nil:
		q, err := store.ReadQuarantined(item.Quarantined.Number, item.Quarantined.Note, nil)
		if err != nil {
			return &taxii.Error{Code: taxii.Invalid, Msg: "the dump has an object in quarantine that cannot be read", Err: err}
		}
		size = len(item.Quarantined.Object)
		l.waiting.Queue(`INSERT INTO quarantine OVERRIDING SYSTEM VALUE VALUES ($1, $2, $3, $4)`, int64(q.Number), q.Collection, bytes.Clone(item.Quarantined.Note), bytes.Clone(item.Quarantined.Object))
	case item.Quota != nil:
		q := item.Quota
		l.waiting.Queue(`INSERT INTO quota VALUES ($1, $2, to_date($3, 'YYYYMMDD'), $4)`, q.Agreement, q.Org, q.Day, q.Pushes)
	default:
		return taxii.Errorf(taxii.Invalid, "the dump has an item that this version of comity does not know")
	}
	return l.sendIfFull(size)
}

// sendIfFull sends what waits if that is enough for a transaction.
func (l *loader) sendIfFull(size int) error {
	if l.size += size; l.waiting.Len() < loadItems && l.size < loadBytes {
		return nil
	}
	return l.send()
}

// send sends what waits in a transaction.
func (l *loader) send() error {
	err := l.write(l.ctx, func(tx *writeTx) error {
		tx.batch.QueuedQueries = append(tx.batch.QueuedQueries, l.waiting.QueuedQueries...)
		return tx.begin(&pgx.Batch{})
	})
	l.waiting, l.size = pgx.Batch{}, 0
	return err
}

// end writes the directory and the numbers of the store.
func (l *loader) end() error {
	head, err := l.begin.ChainHead()
	if err != nil {
		return &taxii.Error{Code: taxii.Invalid, Msg: "the dump has no head of the audit chain", Err: err}
	}
	seal, err := l.begin.ReadSeal()
	if err != nil {
		return err
	}
	for _, r := range l.directory {
		l.waiting.Queue(`INSERT INTO directory VALUES ($1, $2)`, r.Name, r.Content)
	}
	l.waiting.Queue(`UPDATE meta SET generation = $1, sealed = $2, seal = $3`, int64(l.begin.Generation), int64(seal.Number), l.begin.Seal)
	l.waiting.Queue(`UPDATE chain SET number = $1, hash = $2, open = $3, time = $4`, int64(head.Number), head.Hash[:], head.Open, l.last)
	if head.Open { // a server ran when the dump was made: its last deliveries are not in the dump
		l.waiting.Queue(`INSERT INTO process (id, joined, address, version, settings, backend, heard, ended) VALUES ($1, $2, '', '', '{}', '', $2, true)`,
			uuid.New(), time.UnixMicro(l.last).UTC())
	}
	if l.begin.Quarantine > 0 {
		l.waiting.Queue(`SELECT setval('quarantine_number_seq', $1)`, int64(l.begin.Quarantine))
	}
	if err := l.send(); err != nil {
		return err
	}
	return l.catchUp(l.ctx)
}
