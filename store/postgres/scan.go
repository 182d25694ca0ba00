package postgres

import (
	"cmp"
	"context"
	"slices"

	"github.com/google/uuid"

	"comity/stix"
	"comity/store"
	"comity/taxii"
	"comity/taxii/exchange"
)

// Scan implements store.Store.
func (s *Store) Scan(ctx context.Context, g exchange.Grant, q store.Query) (*store.Page, error) {
	page := q.Into
	if page == nil {
		page = &store.Page{}
	}
	page.Clear()
	head := len(page.Buffer)
	first, last := store.Date(0), store.Date(0)
	standing, err := s.walk(ctx, g, q, func(r *row) error {
		if first == 0 {
			first = r.Date
		} else {
			page.Buffer = append(page.Buffer, ',')
		}
		last = r.Date
		page.Buffer = append(page.Buffer, r.json...)
		page.Ends, page.Added, page.Sums = append(page.Ends, len(page.Buffer)-head), append(page.Added, int64(r.Date)), append(page.Sums, r.sum)
		if q.Detail {
			page.Details = append(page.Details, store.Detail{DateAdded: r.Date.Time(), Handling: r.Handling})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if page.Objects, page.Standing = page.Buffer[head:], standing; page.Len() > 0 {
		page.First, page.Last = first.Time(), last.Time()
	}
	return page, nil
}

// Manifest implements store.Store.
func (s *Store) Manifest(ctx context.Context, g exchange.Grant, q store.Query) (store.Manifest, error) {
	var m store.Manifest
	standing, err := s.walk(ctx, g, q, func(r *row) error {
		o, err := stix.NewObject(r.json)
		if err != nil {
			return store.Damaged("the record added %s: %w", r.Date.Time(), err)
		}
		version := o.Version().String()
		if r.None {
			version = taxii.FormatTime(r.Date.Time())
		}
		m.Records = append(m.Records, store.Record{ID: o.ID, Version: version, Spec: store.SpecText(r.Spec), DateAdded: r.Date.Time()})
		return nil
	})
	if err != nil {
		return store.Manifest{}, err
	}
	m.Standing = standing
	return m, nil
}

// Has implements store.Store. It waits until the version that was added first is confirmed.
func (s *Store) Has(ctx context.Context, g exchange.Grant, id stix.ID) (bool, error) {
	if !g.CanRead() {
		return false, ctx.Err()
	}
	key := id.Key()
	_, groups, err := s.lookup(ctx, g, []stix.Key{key})
	c := store.Choice{View: g.View(), All: true, AllSpecs: true}
	versions := c.Pick(versionsOf(groups[key]))
	if err != nil || len(versions) == 0 {
		return false, err
	}
	first := slices.MinFunc(versions, func(v, w store.Version) int { return cmp.Compare(v.Date, w.Date) })
	err = s.reach(ctx, progress{states: map[uuid.UUID]store.State{g.ID(): {End: uint64(first.Date)}}})
	return err == nil, err
}
