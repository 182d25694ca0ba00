package postgres

import (
	"bytes"
	"cmp"
	"context"
	"slices"

	"comity/stix"
	"comity/taxii/exchange"
)

// rowsAtQuery reads the records that were added at given dates, in order.
const rowsAtQuery = `SELECT ` + columns + `, true FROM live WHERE collection = $1 AND added = ANY ($2)
	UNION ALL SELECT ` + columns + `, false FROM hist WHERE collection = $1 AND added = ANY ($2) ORDER BY added`

// rowsAt returns the records that were added at given dates, in order.
func rowsAt(ctx context.Context, from querier, n int32, dates []int64) (list []*row, err error) {
	if len(dates) == 0 {
		return nil, nil
	}
	rows, err := from.Query(ctx, rowsAtQuery, n, dates)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		r, err := scanRow(rows)
		if err != nil {
			return nil, err
		}
		r.json = bytes.Clone(r.json)
		list = append(list, &r)
	}
	return list, rows.Err()
}

// groupsOf returns all versions of ids without their JSON, in the order of Compare.
func groupsOf(ctx context.Context, from querier, n int32, keys []stix.Key) (map[stix.Key][]*row, error) {
	rows, err := from.Query(ctx, `SELECT `+header+`, true FROM live WHERE collection = $1 AND key = ANY ($2)
		UNION ALL SELECT `+header+`, false FROM hist WHERE collection = $1 AND key = ANY ($2)`, n, uuids(keys))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	groups := map[stix.Key][]*row{}
	for rows.Next() {
		r, err := scanRow(rows)
		if err != nil {
			return nil, err
		}
		groups[r.key] = append(groups[r.key], &r)
	}
	for _, group := range groups {
		sortVersions(group)
	}
	return groups, rows.Err()
}

// lookup returns all versions of those ids that are in the collection of the grant and of a
// type that the caller may see.
func (s *Store) lookup(ctx context.Context, g exchange.Grant, keys []stix.Key) (n int32, groups map[stix.Key][]*row, err error) {
	if err := cmp.Or(ctx.Err(), s.check()); err != nil {
		return 0, nil, err
	}
	if n, err = s.number(ctx, g.ID(), false); err != nil || n == 0 || len(keys) == 0 {
		return n, nil, failure(err)
	}
	if groups, err = groupsOf(ctx, s.pool, n, keys); err != nil {
		return n, nil, failure(err)
	}
	if types := g.View().Types; types != nil {
		for key, group := range groups {
			if !slices.Contains(types, group[0].kind) {
				delete(groups, key)
			}
		}
	}
	return n, groups, nil
}
