package bolt

import (
	"bytes"
	"context"
	"slices"

	"github.com/google/uuid"
	"go.etcd.io/bbolt"

	"comity/stix"
	"comity/store"
	"comity/taxii/exchange"
)

// Has implements store.Store.
func (s *Store) Has(ctx context.Context, g exchange.Grant, id stix.ID) (seen bool, err error) {
	if !g.CanRead() {
		return false, ctx.Err()
	}
	err = s.lookupVersions(ctx, g, [][16]byte{id.Key()}, func(_ int, _ *collection, vs []store.Version) error {
		c := store.Choice{View: g.View(), All: true, AllSpecs: true}
		seen = len(c.Pick(vs)) > 0
		return nil
	})
	return seen, err
}

// Labels implements store.Store. A writer learns the label of the newest
// version there is, which is what the labels of new objects follow from; others
// that of the newest they may see.
func (s *Store) Labels(ctx context.Context, g exchange.Grant, keys []stix.Key) ([]exchange.Held, error) {
	held := make([]exchange.Held, len(keys))
	if !g.CanWrite() && !g.CanRead() {
		return held, ctx.Err()
	}
	raw := make([][16]byte, len(keys))
	for i, key := range keys {
		raw[i] = key
	}
	view := g.View()
	err := s.lookupVersions(ctx, g, raw, func(i int, c *collection, vs []store.Version) error {
		var newest *store.Version
		for j := range vs {
			if v := &vs[j]; (g.CanWrite() || view.Sees(v.Handling)) && (newest == nil || v.Compare(*newest) > 0) {
				newest = v
			}
		}
		if newest == nil {
			return nil
		}
		held[i] = exchange.Held{Known: true, Handling: newest.Handling}
		return c.define(&held[i], newest.Date)
	})
	if err != nil {
		return nil, err
	}
	return held, nil
}

// define adds the object, if the record added at d is a marking definition.
func (c *collection) define(held *exchange.Held, d store.Date) error {
	definition, ok := c.typeOf("marking-definition")
	if !ok {
		return nil
	}
	r, _, err := c.record(d)
	if err == nil && r != nil && r.number() == definition.number {
		held.Definition = bytes.Clone(r.json())
	}
	return err
}

// lookupVersions calls f with the versions of those keys that are in the collection
// and of a type that the caller may see. None of what f gets outlives it.
func (s *Store) lookupVersions(ctx context.Context, g exchange.Grant, keys [][16]byte, f func(int, *collection, []store.Version) error) error {
	return s.lookup(ctx, g.ID(), keys, func(tx *bbolt.Tx, found [][]uint64) error {
		c := openCollection(tx, g.ID())
		if c == nil {
			return nil
		}
		types := g.View().Types
		numbers := c.typeNumbers(types)
		for i, key := range keys {
			if i%1024 == 1023 && ctx.Err() != nil {
				return ctx.Err()
			}
			at, r, err := c.verified(key, found[i])
			if err != nil {
				return err
			}
			if at == 0 || types != nil && !slices.Contains(numbers, r.number()) {
				continue
			}
			vs, err := c.versions(key, at, r)
			if err != nil {
				return err
			}
			if err := f(i, c, vs); err != nil {
				return err
			}
		}
		return nil
	})
}

// State implements store.Store. It is asked for before each page that may have been
// answered before, so it is kept beside the file.
func (s *Store) State(ctx context.Context, id uuid.UUID) (state store.State, err error) {
	if err := ctx.Err(); err != nil {
		return state, err
	}
	s.mu.RLock()
	state, known := s.states[id]
	s.mu.RUnlock()
	if known {
		return state, nil
	}
	err = s.view(func(tx *bbolt.Tx) error {
		if c := openCollection(tx, id); c != nil {
			state = c.state()
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.published == tx.ID() {
			s.states[id] = state
		}
		return nil
	})
	return state, err
}

// Count implements store.Store.
func (s *Store) Count(ctx context.Context, id uuid.UUID) (n int64, err error) {
	err = s.view(func(tx *bbolt.Tx) error {
		if c := openCollection(tx, id); c != nil {
			h := c.readHead()
			n = int64(h.live + h.hist)
		}
		return ctx.Err()
	})
	return n, err
}
