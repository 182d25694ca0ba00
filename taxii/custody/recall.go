package custody

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"comity/stix"
	"comity/store"
	"comity/taxii"
	"comity/taxii/audit"
	"comity/taxii/exchange"
)

// Holding is who got an object out of one collection, as the audit record says.
type Holding struct {
	Collection string         `json:"collection"` // alias
	Writer     string         `json:"writer"`
	Holders    []store.Holder `json:"holders"`
}

// Flush brings what was gathered of deliveries and refusals into the audit
// record, so that who reads it finds the last second too.
func (s *Service) Flush(ctx context.Context) error { return s.recorder.Flush(ctx) }

// Scan reads a page for an account outside TAXII, and puts it on record as
// delivered.
func (s *Service) Scan(ctx context.Context, g exchange.Grant, q store.Query) (*store.Page, error) {
	defer s.recorder.Reading()()
	page, err := s.store.Scan(ctx, g, q)
	if err != nil {
		return nil, err
	}
	if err := s.recorder.Deliver(g, q.Match, audit.Page{After: q.After, First: page.First, Last: page.Last, Count: page.Len(), HighWater: page.HighWater}); err != nil {
		return nil, err
	}
	return page, s.Flush(ctx)
}

// Preview tells who holds an object, without telling anybody: each recorded
// query is asked again as of its time.
func (s *Service) Preview(ctx context.Context, id stix.ID) ([]Holding, error) {
	if err := s.Flush(ctx); err != nil {
		return nil, err
	}
	p, _, err := s.policy(ctx)
	if err != nil {
		return nil, err
	}
	list := []Holding{}
	for _, c := range p.Collections(s.now()) {
		var there gathered
		if err := s.each(ctx, c, all(id), there.add); err != nil {
			return nil, err
		}
		if len(there.dates) == 0 {
			continue
		}
		holders, err := s.store.Holders(ctx, c.ID, there.dates)
		if err != nil {
			return nil, err
		}
		list = append(list, Holding{c.Alias, c.Writer, others(holders, c.Writer)})
	}
	return list, nil
}

// others are the holders that the owner did not know already: itself.
func others(holders []store.Holder, owner string) []store.Holder {
	return slices.DeleteFunc(holders, func(h store.Holder) bool { return h.Org == owner })
}

// recalls are the objects that each organisation has to be told of, those that
// are kept alike together: a recall must tell nobody of an object that was hidden
// from it.
type recalls map[string]map[exchange.Handling][]stix.ID

func (r recalls) add(holders []store.Holder, of *gathered) {
	for _, h := range holders {
		for _, id := range h.IDs {
			kept := of.handling[id]
			if kept.TLP < stix.Red {
				kept.TLP = stix.Clear // no notice is less strict than AMBER+STRICT anyway
			}
			if r[h.Org] == nil {
				r[h.Org] = map[exchange.Handling][]stix.ID{}
			}
			r[h.Org][kept] = append(r[h.Org][kept], id)
		}
	}
}

// send tells every organisation which objects it holds were taken back.
func (s *Service) send(ctx context.Context, p *exchange.Policy, r recalls, key, why string) error {
	for _, org := range slices.Sorted(maps.Keys(r)) {
		for kept, ids := range r[org] {
			ids = once(ids) // several accounts may have got it
			if err := s.sendOne(ctx, p, org, kept, ids, key, why); err != nil {
				return fmt.Errorf("recall from %s: %w", org, err)
			}
		}
	}
	return nil
}

// once is the ids in the order they come, each once.
func once(ids []stix.ID) []stix.ID {
	met := map[stix.ID]bool{}
	return slices.DeleteFunc(ids, func(id stix.ID) bool {
		again := met[id]
		met[id] = true
		return again
	})
}

func (s *Service) sendOne(ctx context.Context, p *exchange.Policy, org string, kept exchange.Handling, ids []stix.ID, key, why string) error {
	told, err := s.tell(ctx, p, notice{
		to:       org,
		key:      fmt.Sprintf("recall|%s|%s|%s", key, kept.TLP, kept.Barred),
		subject:  "Recall",
		text:     fmt.Sprintf("%s Please delete the objects named here (%d), and what you derived from them alone.", why, len(ids)),
		label:    "recall",
		about:    ids,
		handling: kept,
	})
	if err != nil {
		return err
	}
	entry := audit.Entry{Act: audit.Notice, Account: "comity", Org: org, Count: len(ids), Text: "recall: " + why, Parties: []string{org}}
	if !told {
		entry.Text += " It has no collection to be told of it in."
	}
	for _, id := range ids[:min(len(ids), audit.MaxSubjects)] {
		entry.Subjects = append(entry.Subjects, audit.Subject{ID: string(id)})
	}
	return s.store.Record(ctx, entry)
}

// Delete takes objects back on behalf of their owner (TAXII 2.1 §5.7): whoever
// got them is told, then they go.
func (s *Service) Delete(ctx context.Context, g exchange.Grant, q store.Query) (n int, err error) {
	return n, s.recorder.Exclusive(ctx, func() error {
		var gone gathered
		met := map[time.Time]bool{}
		if err := s.each(ctx, g.Collection(), q.Match, func(o *stix.Object, d store.Detail) {
			gone.add(o, d)
			met[d.DateAdded], met[o.Version().Time()] = true, true
		}); err != nil {
			return err
		}
		// Where a version is named that is not there, nothing goes, and nobody is told.
		if !slices.ContainsFunc(q.Versions.At, func(t time.Time) bool { return !met[t.UTC()] }) {
			if err := s.recall(ctx, g.Collection(), &gone, "Its sender deleted what you received."); err != nil {
				return err
			}
		}
		n, err = s.store.Delete(ctx, g, q)
		return err
	})
}

// recall tells whoever got records of one collection.
func (s *Service) recall(ctx context.Context, c *exchange.Collection, gone *gathered, why string) error {
	p, _, err := s.policy(ctx)
	if err != nil {
		return err
	}
	holders, err := s.store.Holders(ctx, c.ID, gone.dates)
	if err != nil {
		return err
	}
	r := recalls{}
	r.add(others(holders, c.Writer), gone)
	return s.send(ctx, p, r, c.ID.String()+"|"+audit.DigestAll(slices.Clone(gone.digests))+"|"+taxii.FormatTime(s.now()), why)
}

// Revoked removes, of objects of which a version is there that says they are
// revoked (STIX 2.1 §3.2), the other versions; that one stays, so that pollers
// learn of it. Whoever got another one is told.
func (s *Service) Revoked(ctx context.Context, c *exchange.Collection, ids []stix.ID) error {
	if len(ids) == 0 {
		return nil
	}
	return s.recorder.Exclusive(ctx, func() error {
		revoked := map[stix.ID]bool{}
		if err := s.each(ctx, c, all(ids...), func(o *stix.Object, _ store.Detail) {
			revoked[o.ID] = revoked[o.ID] || o.Revoked
		}); err != nil {
			return err
		}
		var old gathered
		if err := s.each(ctx, c, all(ids...), func(o *stix.Object, d store.Detail) {
			if revoked[o.ID] && !o.Revoked {
				old.add(o, d)
			}
		}); err != nil || len(old.dates) == 0 {
			return err
		}
		const why = "Its creator revoked what you received."
		if err := s.recall(ctx, c, &old, why); err != nil {
			return err
		}
		return s.remove(ctx, c, &old, store.Block{}, audit.Entry{
			Act: audit.Withdrawal, Account: "comity", Org: c.Writer, Agreement: c.Agreement, Text: why, Parties: []string{c.Writer},
		})
	})
}
