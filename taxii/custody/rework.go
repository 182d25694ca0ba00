package custody

import (
	"context"
	"maps"
	"slices"
	"time"

	"comity/stix"
	"comity/store"
	"comity/taxii"
	"comity/taxii/audit"
	"comity/taxii/exchange"
)

// Retract takes objects, in all versions, out of a collection that the centre
// writes, because what they rested on is no longer there: their holders are
// notified, then they are removed.
func (s *Service) Retract(ctx context.Context, c *exchange.Collection, ids []stix.ID, why string) error {
	if len(ids) == 0 {
		return nil
	}
	gone, err := s.allOf(ctx, c, ids)
	if err != nil {
		return err
	}
	return s.takeBack(ctx, []*removal{gone}, "", gone.key(), why, store.Block{}, reworked(c, why))
}

// Relabel takes objects without versions out of a collection that the centre
// writes, so that it can write them again under another label: it
// could not while they are there. Nobody is notified.
func (s *Service) Relabel(ctx context.Context, c *exchange.Collection, ids []stix.ID) error {
	if len(ids) == 0 {
		return nil
	}
	old, err := s.allOf(ctx, c, ids)
	if err != nil {
		return err
	}
	return s.remove(ctx, old, store.Block{}, reworked(c, "It is written again under another label."))
}

// Supersede removes from a collection that the centre writes all versions but the
// newest of each object that has one from since or later. Nobody is notified:
// the holders of an older one get the newest.
func (s *Service) Supersede(ctx context.Context, c *exchange.Collection, since time.Time) error {
	versions := map[stix.ID][]version{}
	err := s.each(ctx, c, taxii.Match{Versions: taxii.Versioning{All: true}}, func(o *stix.Object, d store.Detail) error {
		versions[o.ID] = append(versions[o.ID], version{*o, d})
		return nil
	})
	if err != nil {
		return err
	}
	old := newRemoval(c)
	for _, id := range slices.Sorted(maps.Keys(versions)) {
		all := versions[id]
		slices.SortFunc(all, version.compare)
		if last := len(all) - 1; !all[last].object.Version().Time().Before(since) {
			for _, v := range all[:last] {
				if err := old.add(&v.object, v.detail); err != nil {
					return err
				}
			}
		}
	}
	return s.remove(ctx, old, store.Block{}, reworked(c, "An older version rested on data that was taken back."))
}

// version is one version of an object.
type version struct {
	object stix.Object
	detail store.Detail
}

func (v version) compare(w version) int {
	return v.object.Version().Time().Compare(w.object.Version().Time())
}

// reworked is the audit entry of a removal of the centre's own objects.
func reworked(c *exchange.Collection, why string) audit.Entry {
	return audit.Entry{
		Act: audit.Withdrawal, Account: "comity", Org: c.Writer, Agreement: c.Agreement, Article: c.Article, Text: why,
		Parties: append([]string{c.Writer}, c.Readers...),
	}
}
