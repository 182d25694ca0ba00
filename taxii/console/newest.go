package console

import (
	"time"

	"comity/store"
	"comity/taxii"
	"comity/taxii/exchange"
)

// newestPage finds the page of a query with the newest records that were added after since
// and before before, where a zero time is no bound. The page begins after its After, and has
// Limit records. A store reads a collection from old to new, so it looks for the date at which
// such a page begins. It returns the number of records: at most n, at least n/2 if there are
// as many, 0 if there are none.
//
// The manifests that it reads on its way are shown to nobody.
func (c *Console) newestPage(v *visit, g exchange.Grant, q store.Query, since, before time.Time, n int) (store.Query, int, error) {
	q.Limit = n + 1
	// probe counts the records from after on that are older than before; more than n count
	// as n+1.
	probe := func(after time.Time) (count int, last time.Time, err error) {
		q.After = after
		m, err := c.Store.Manifest(v.r.Context(), g, q)
		if err != nil {
			return 0, last, err
		}
		for _, r := range m.Records {
			if before.IsZero() || r.DateAdded.Before(before) {
				count++
			}
		}
		return count, m.HighWater, nil
	}
	all, end, err := probe(since)
	if err != nil || all <= n {
		q.After, q.Limit = since, max(all, 1)
		return q, all, err
	}
	if end.IsZero() {
		end = v.now
	}
	// A later bound leaves nothing out, and may be further away than a time.Duration reaches.
	// None would count what is added during the search.
	if before.IsZero() || before.After(end) {
		before = end.Add(time.Microsecond)
	}
	end = before
	// With little, there are at most n records from end-little on; with much, there are more.
	var little, much time.Duration
	count := 0
	for step := time.Duration(n) * time.Millisecond; much-little > time.Millisecond || much == 0; {
		span := little + (much-little)/2
		if much == 0 {
			span = step
			step *= 16
		}
		found, _, err := probe(taxii.Latest(since, end.Add(-span)))
		switch {
		case err != nil:
			return q, 0, err
		case found > n:
			much = span
		default:
			little, count = span, found
		}
		if much > 0 && count*2 >= n && count > 0 {
			break
		}
	}
	q.After, q.Limit = end.Add(-little), max(count, 1)
	return q, count, nil
}
