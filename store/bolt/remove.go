package bolt

import (
	"context"
	"slices"
	"time"

	"github.com/google/uuid"

	"comity/stix"
	"comity/store"
	"comity/taxii"
	"comity/taxii/audit"
)

// maxRemove bounds what one call removes.
const maxRemove = 4000

// Remove implements store.Store.
func (s *Store) Remove(ctx context.Context, id uuid.UUID, dates []time.Time, bar store.Bar, entry audit.Entry) (n int, err error) {
	if len(dates) > maxRemove {
		return 0, taxii.Errorf(taxii.Invalid, "%d records cannot be removed at once, at most %d", len(dates), maxRemove)
	}
	entry.Collection = id.String()
	err = s.do(ctx, &job{objects: len(dates), run: func(b *batch) (err error) {
		n = 0
		if b.tx.Bucket(collectionName(id)) == nil {
			return nil
		}
		e, err := b.edit(id) // which changes nothing, as it exists
		if err != nil {
			return err
		}
		list, keys, err := e.doomedAt(dates, bar)
		if err != nil || len(list) == 0 {
			return err
		}
		if n, err = b.remove(e, list, entry); err != nil {
			return err
		}
		return b.bar(bar, keys)
	}})
	if err != nil {
		return 0, err
	}
	return n, nil
}

// doomedAt finds the records that are still there, and what bars their content.
func (e *editing) doomedAt(dates []time.Time, bar store.Bar) (list []doomed, keys [][]byte, err error) {
	at := map[stix.Key]int{}
	for _, t := range dates {
		r, _, err := e.record(dateOf(t))
		if err != nil {
			return nil, nil, err
		}
		if r == nil {
			continue
		}
		id, err := r.id()
		if err != nil {
			return nil, nil, err
		}
		key, v := id.Key(), r.version(dateOf(t))
		i, ok := at[key]
		if !ok {
			i, at[key] = len(list), len(list)
			d := doomed{id: id}
			if err := e.find(&d, key); err != nil {
				return nil, nil, err
			}
			list = append(list, d)
		}
		if slices.Contains(list[i].gone, v) {
			continue // named twice
		}
		list[i].gone = append(list[i].gone, v)
		if bar.Reason != "" {
			keys = append(keys, barKey(bar.Origin, stix.Canonical(r.json())))
		}
	}
	return list, keys, nil
}
