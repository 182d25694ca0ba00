package steward

import (
	"context"
	"fmt"
	"maps"
	"slices"

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
func (s *Steward) Flush(ctx context.Context) error { return s.recorder.Flush(ctx) }

// Preview tells who holds an object, without telling anybody: each recorded
// query is asked again as of its time.
func (s *Steward) Preview(ctx context.Context, id stix.ID) ([]Holding, error) {
	if err := s.Flush(ctx); err != nil {
		return nil, err
	}
	p, _, err := s.policy(ctx)
	if err != nil {
		return nil, err
	}
	list := []Holding{}
	for _, c := range p.Collections(s.now()) {
		if has, err := s.store.Has(ctx, exchange.Operator(c.ID), id); err != nil || !has {
			if err != nil {
				return nil, err
			}
			continue
		}
		holders, err := s.store.Holders(ctx, c.ID, []stix.ID{id})
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

// recalls gathers what each organisation has to be told.
type recalls map[string][]stix.ID

func (r recalls) add(holders []store.Holder) {
	for _, h := range holders {
		for _, id := range h.IDs {
			if !slices.Contains(r[h.Org], id) {
				r[h.Org] = append(r[h.Org], id)
			}
		}
	}
}

// send tells every organisation which objects it holds were taken back, by one
// note.
func (s *Steward) send(ctx context.Context, p *exchange.Policy, r recalls, key, why string) error {
	for _, org := range slices.Sorted(maps.Keys(r)) {
		ids := r[org]
		told, err := s.tell(ctx, p, notice{
			to:      org,
			key:     "recall|" + key,
			subject: "Recall",
			text:    fmt.Sprintf("%s Please delete the objects named here (%d), and what you derived from them alone.", why, len(ids)),
			label:   "recall",
			about:   ids,
		})
		if err != nil {
			return fmt.Errorf("recall from %s: %w", org, err)
		}
		entry := audit.Entry{Act: audit.Notice, Account: "comity", Org: org, Count: len(ids), Text: "recall: " + why, Parties: []string{org}}
		if !told {
			entry.Text += " It has no collection of its own to be told in."
		}
		for _, id := range ids[:min(len(ids), audit.MaxSubjects)] {
			entry.Subjects = append(entry.Subjects, audit.Subject{ID: string(id)})
		}
		if err := s.store.Record(ctx, entry); err != nil {
			return err
		}
	}
	return nil
}

// Delete takes objects back on behalf of their owner (TAXII 2.1 §5.7): whoever
// got them is told, then they go.
func (s *Steward) Delete(ctx context.Context, g exchange.Grant, q store.Query) (n int, err error) {
	return n, s.recorder.Exclusive(ctx, func() error {
		ids := make([]stix.ID, len(q.IDs))
		for i, id := range q.IDs {
			ids[i] = stix.ID(id)
		}
		if err := s.recall(ctx, g.Collection(), ids, "Its sender deleted what you received."); err != nil {
			return err
		}
		n, err = s.store.Delete(ctx, g, q)
		return err
	})
}

// recall tells whoever got objects of one collection.
func (s *Steward) recall(ctx context.Context, c *exchange.Collection, ids []stix.ID, why string) error {
	p, _, err := s.policy(ctx)
	if err != nil {
		return err
	}
	holders, err := s.store.Holders(ctx, c.ID, ids)
	if err != nil {
		return err
	}
	r := recalls{}
	r.add(others(holders, c.Writer))
	return s.send(ctx, p, r, fmt.Sprintf("%s|%v|%s", c.ID, ids, taxii.FormatTime(s.now())), why)
}

// Revoked removes the versions that came before the one which says that the
// object is revoked (STIX 2.1 §3.2); that one stays, so that pollers learn of it.
// Whoever got an earlier one is told.
func (s *Steward) Revoked(ctx context.Context, c *exchange.Collection, ids []stix.ID) error {
	if len(ids) == 0 {
		return nil
	}
	return s.recorder.Exclusive(ctx, func() error {
		old := gathered{}
		if err := s.gather(ctx, c, &old, func(o *stix.Object) bool { return !o.Revoked && slices.Contains(ids, o.ID) }); err != nil {
			return err
		}
		if len(old.dates) == 0 {
			return nil
		}
		const why = "Its creator revoked what you received."
		if err := s.recall(ctx, c, old.ids, why); err != nil {
			return err
		}
		return s.remove(ctx, c, &old, store.Bar{}, audit.Entry{Act: audit.Withdrawal, Account: "comity", Org: c.Writer, Agreement: c.Agreement, Text: why, Parties: []string{c.Writer}})
	})
}
