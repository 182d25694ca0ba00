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

// Retract removes objects, in all versions, from a collection that the centre writes,
// because the data that they rested on is gone. Their holders are notified first.
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

// Relabel removes objects without versions from a collection that the centre writes.
// The caller then writes them again under another label, which it could not do while
// they are there. Nobody is notified.
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

// Supersede removes old versions from a collection that the centre writes: of each
// object whose newest version is from since or later, all but that one. Nobody is
// notified, because the holders of an older version get the newest.
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
