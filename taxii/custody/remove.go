package custody

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"time"

	"comity/stix"
	"comity/store"
	"comity/taxii"
	"comity/taxii/audit"
	"comity/taxii/exchange"
)

// atOnce is how many records one transaction removes.
const atOnce = 4000

// gathered is what is to be removed from one collection.
type gathered struct {
	dates    []time.Time
	digests  [][32]byte                    // of the content of each record
	handling map[stix.ID]exchange.Handling // the strictest of each object
}

func (g *gathered) add(o *stix.Object, d store.Detail) {
	if g.handling == nil {
		g.handling = map[stix.ID]exchange.Handling{}
	}
	h := g.handling[o.ID]
	g.handling[o.ID] = exchange.Handling{TLP: max(h.TLP, d.Handling.TLP), Barred: h.Barred | d.Handling.Barred}
	g.dates = append(g.dates, d.DateAdded)
	g.digests = append(g.digests, sha256.Sum256(stix.Canonical(o.Raw)))
}

// each reads the records of a collection that match, in either specification
// version, past their retention or not.
func (s *Service) each(ctx context.Context, c *exchange.Collection, m taxii.Match, f func(*stix.Object, store.Detail)) error {
	q := store.Query{Match: m, Limit: atOnce, MaxBytes: 16 << 20, Detail: true}
	if q.Specs == nil {
		q.Specs = []string{"2.0", "2.1"}
	}
	for {
		page, err := s.store.Scan(ctx, exchange.Operator(c.ID), q)
		if err != nil {
			return err
		}
		for i := range page.Len() {
			o, err := stix.NewObject(page.Object(i))
			if err != nil {
				return err
			}
			f(&o, page.Details[i])
		}
		if !page.More {
			return nil
		}
		q.After = page.Last
	}
}

// all matches every version of everything, or of some objects.
func all(ids ...stix.ID) taxii.Match {
	m := taxii.Match{Versions: taxii.Versioning{All: true}}
	for _, id := range ids {
		m.IDs = append(m.IDs, string(id))
	}
	return m
}

// remove takes records away, in as many transactions as it needs. A kill leaves
// the rest to the next try.
func (s *Service) remove(ctx context.Context, c *exchange.Collection, g *gathered, bar store.Block, entry audit.Entry) error {
	for from := 0; from < len(g.dates); from += atOnce {
		to := min(from+atOnce, len(g.dates))
		e := entry
		e.Subjects = nil
		for _, d := range g.digests[from:min(to, from+audit.MaxSubjects)] {
			e.Subjects = append(e.Subjects, audit.Subject{Digest: hex.EncodeToString(d[:])})
		}
		e.Digest = audit.DigestAll(slices.Clone(g.digests[from:to]))
		if _, err := s.store.Remove(ctx, c.ID, g.dates[from:to], bar, e); err != nil {
			return err
		}
	}
	return nil
}
