package steward

import (
	"context"
	"slices"

	"comity/stix"
	"comity/store"
	"comity/taxii"
	"comity/taxii/audit"
	"comity/taxii/exchange"
)

// Retract takes objects, in all versions, out of a collection that the centre
// writes, because what they rested on is no longer there: whoever got them is
// told, then they go.
func (s *Steward) Retract(ctx context.Context, c *exchange.Collection, ids []stix.ID, why string) error {
	if len(ids) == 0 {
		return nil
	}
	return s.recorder.Exclusive(ctx, func() error {
		var gone gathered
		for chunk := range slices.Chunk(ids, atOnce) {
			if err := s.each(ctx, c, all(chunk...), gone.add); err != nil {
				return err
			}
		}
		if err := s.recall(ctx, c, &gone, why); err != nil {
			return err
		}
		return s.remove(ctx, c, &gone, store.Bar{}, reworked(c, why))
	})
}

// Supersede removes from a collection that the centre writes all versions but the
// newest of each object. Nobody is told: who got an older one gets the newest.
func (s *Steward) Supersede(ctx context.Context, c *exchange.Collection) error {
	return s.recorder.Exclusive(ctx, func() error {
		var old gathered
		newest := map[stix.ID]superseding{}
		err := s.each(ctx, c, taxii.Match{Versions: taxii.Versioning{All: true}}, func(o *stix.Object, d store.Detail) {
			next := superseding{*o, d}
			if before, met := newest[o.ID]; met {
				if before.object.Version().Time().After(o.Version().Time()) {
					before, next = next, before
				}
				old.add(&before.object, before.detail)
			}
			newest[o.ID] = next
		})
		if err != nil {
			return err
		}
		return s.remove(ctx, c, &old, store.Bar{}, reworked(c, "An older version rested on data that was taken back."))
	})
}

// superseding is the newest version of an object so far.
type superseding struct {
	object stix.Object
	detail store.Detail
}

// reworked is the entry of what the centre removes of its own.
func reworked(c *exchange.Collection, why string) audit.Entry {
	return audit.Entry{
		Act: audit.Withdrawal, Account: "comity", Org: c.Writer, Agreement: c.Agreement, Article: c.Article, Text: why,
		Parties: append([]string{c.Writer}, c.Readers...),
	}
}
