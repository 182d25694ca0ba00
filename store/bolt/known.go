package bolt

import (
	"context"

	"github.com/google/uuid"
	"go.etcd.io/bbolt"

	"comity/stix"
	"comity/taxii/exchange"
)

// Has implements store.Store.
func (s *Store) Has(ctx context.Context, g exchange.Grant, id stix.ID) (seen bool, err error) {
	if !g.CanRead() {
		return false, ctx.Err()
	}
	err = s.eachKnown(ctx, g.ID(), [][16]byte{id.Key()}, func(_ int, vs []version) {
		c := choice{grant: g, all: true, allSpecs: true}
		seen = len(c.pick(vs)) > 0
	})
	return seen, err
}

// Labels implements store.Store. Who may write learns the label of the newest
// version there is, which is what the labels of new objects follow from; others
// that of the newest they may see.
func (s *Store) Labels(ctx context.Context, g exchange.Grant, keys []stix.Key) ([]exchange.Held, error) {
	labels := make([]exchange.Held, len(keys))
	if !g.CanWrite() && !g.CanRead() {
		return labels, ctx.Err()
	}
	raw := make([][16]byte, len(keys))
	for i, key := range keys {
		raw[i] = key
	}
	err := s.eachKnown(ctx, g.ID(), raw, func(i int, vs []version) {
		var newest *version
		for j := range vs {
			if v := &vs[j]; (g.CanWrite() || g.Sees(v.label)) && (newest == nil || v.compare(*newest) > 0) {
				newest = v
			}
		}
		if newest != nil {
			labels[i] = exchange.Held{Known: true, TLP: newest.label}
		}
	})
	if err != nil {
		return nil, err
	}
	return labels, nil
}

// eachKnown calls f with the versions of those keys that are in the collection.
func (s *Store) eachKnown(ctx context.Context, id uuid.UUID, keys [][16]byte, f func(int, []version)) error {
	return s.lookup(ctx, id, keys, func(tx *bbolt.Tx, found [][]uint64) error {
		c := openCollection(tx, id)
		if c == nil {
			return nil
		}
		for i, key := range keys {
			if i%1024 == 1023 && ctx.Err() != nil {
				return ctx.Err()
			}
			at, err := c.verified(key, found[i])
			if err != nil {
				return err
			}
			if at == 0 {
				continue
			}
			vs, err := c.versions(key, at)
			if err != nil {
				return err
			}
			f(i, vs)
		}
		return nil
	})
}

// Count implements store.Store.
func (s *Store) Count(ctx context.Context, id uuid.UUID) (n int64, err error) {
	err = s.view(func(tx *bbolt.Tx) error {
		if c := openCollection(tx, id); c != nil {
			h := c.head()
			n = int64(h.live + h.hist)
		}
		return ctx.Err()
	})
	return n, err
}
