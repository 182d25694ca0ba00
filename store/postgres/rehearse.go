package postgres

import (
	"cmp"
	"context"
	"iter"
	"strings"

	"github.com/jackc/pgx/v5"

	"comity/stix"
	"comity/store"
	"comity/taxii/exchange"
)

// rehearsed is what a rehearsal keeps of an object that it would have added, in the place
// of its JSON.
type rehearsed struct {
	digest  [16]byte // of the canonical content
	lineage stix.Lineage
}

// Rehearse implements store.Store. Its statements lock nothing: what is committed between
// two of them may or may not count. The versions that the parts before a part would have
// added are kept in memory without their JSON.
func (s *Store) Rehearse(ctx context.Context, g exchange.Grant, parts iter.Seq2[store.Part, error]) (store.Status, func(n int) (store.Outcomes, error), error) {
	r := &rehearsal{added: map[stix.Key][]*row{}}
	return store.Rehearse(g, parts, s.codec, func(items []store.Item) (store.Tally, error) { return s.rehearse(ctx, r, g, items) })
}

// rehearsal has the versions that a push would add to a collection.
type rehearsal struct {
	added map[stix.Key][]*row
	last  store.Date // the last date that was given
}

// rehearse rehearses one part.
func (s *Store) rehearse(ctx context.Context, r *rehearsal, g exchange.Grant, items []store.Item) (tally store.Tally, err error) {
	n, err := s.number(ctx, g.ID(), false)
	if err != nil {
		return tally, failure(err)
	}
	err = s.write(ctx, func(tx *writeTx) error {
		c := &collectionTx{writeTx: tx, id: g.ID(), n: n, ids: map[stix.Key][]*row{}, due: map[int64]int64{}}
		check := access{records: map[string][]byte{}}
		q := &pgx.Batch{}
		q.Queue(`SELECT `+headColumns+` FROM collection WHERE n = $1`, n).Query(func(rows pgx.Rows) error {
			for rows.Next() {
				if err := c.head.scan(rows); err != nil {
					return err
				}
			}
			return rows.Err()
		})
		check.queue(q, []string{store.ShutName(g.ID())})
		c.queueVersions(q, keysOf(items))
		if err := cmp.Or(tx.send(q), store.CheckOpen(g.ID(), check.record)); err != nil {
			return err
		}
		for _, key := range keysOf(items) {
			c.ids[key] = append(c.ids[key], r.added[key]...)
		}
		c.sortVersions()
		c.head.last = max(c.head.last, r.last)
		if tally, err = c.append(g, items, check.blocks); err != nil {
			return err
		}
		r.keep(c)
		return nil
	})
	return tally, err
}

// keep keeps what the last part would have added.
func (r *rehearsal) keep(c *collectionTx) {
	r.last = c.head.last
	for key, group := range c.ids {
		for _, v := range group {
			if v.fresh && v.past == nil {
				lineage := stix.LineageOf(v.json)
				lineage.Creator = strings.Clone(lineage.Creator)
				v.past, v.json, v.kind = &rehearsed{store.DigestOf(v.json), lineage}, nil, ""
				r.added[key] = append(r.added[key], v)
			}
		}
	}
}
