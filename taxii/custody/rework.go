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
	return s.replace(ctx, old, nil, "It is written again under another label.")
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
	old, newest := newRemoval(c), []time.Time(nil)
	for _, id := range slices.Sorted(maps.Keys(versions)) {
		all := versions[id]
		slices.SortFunc(all, version.compare)
		if last := len(all) - 1; !all[last].object.Version().Time().Before(since) {
			newest = append(newest, all[last].detail.DateAdded)
			for _, v := range all[:last] {
				if err := old.add(&v.object, v.detail); err != nil {
					return err
				}
			}
		}
	}
	return s.replace(ctx, old, newest, "An older version rested on data that was taken back.")
}

// replace removes records of objects of which there are newer records, added at the dates
// newest, or of which the caller adds one afterwards. An account that got a removed record
// counts as holder of every later record of that object, so that a recall of the object
// names it.
func (s *Service) replace(ctx context.Context, old *removal, newest []time.Time, why string) error {
	c := old.collection
	holders, err := s.store.Holders(ctx, c.ID, newest, 0)
	if err != nil {
		return err
	}
	type holding struct {
		account string
		id      stix.ID
	}
	current := map[holding]bool{}
	for _, h := range holders {
		for _, id := range h.IDs {
			current[holding{h.Account, id}] = true
		}
	}
	return old.eachPart(func(from, to int) error {
		return s.store.Exclusive(ctx, c.ID, func(ctx context.Context) error {
			holders, err := s.store.Holders(ctx, c.ID, old.dates[from:to], 0)
			if err != nil {
				return err
			}
			var entries []audit.Entry
			for _, h := range holders {
				ids := slices.DeleteFunc(h.IDs, func(id stix.ID) bool { return current[holding{h.Account, id}] })
				for chunk := range slices.Chunk(ids, audit.MaxSubjects) {
					entries = append(entries, carriedOver(c, h, chunk, slices.MinFunc(old.dates[from:to], time.Time.Compare)))
				}
			}
			if err := s.store.Record(ctx, entries...); err != nil {
				return err
			}
			return s.removePart(ctx, old, from, to, store.Block{}, reworked(c, why))
		})
	})
}

// carriedOver is the entry by which an account holds every record of those objects that
// was added at first or later.
func carriedOver(c *exchange.Collection, h store.Holder, ids []stix.ID, first time.Time) audit.Entry {
	match := all(ids...)
	match.Specs = []string{"2.0", "2.1"}
	return audit.Entry{
		Act: audit.Delivery, Account: h.Account, Org: h.Org, Agreement: c.Agreement, Article: c.Article, Collection: c.ID.String(),
		From: &first, To: &endOfTime, Count: len(ids), Match: &match, Parties: []string{h.Org, c.Writer},
		Text: "It got earlier versions of these objects, which were replaced.",
	}
}

// endOfTime is after every date_added.
var endOfTime = time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)

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
