package console

import (
	"strconv"
	"time"

	"comity/stix"
	"comity/store"
	"comity/taxii"
	"comity/taxii/audit"
	"comity/taxii/exchange"
)

// objectList is a page of objects, newest first.
type objectList struct {
	objects []listedObject
	older   time.Time // the next page has objects that were added before; zero if there is none
}

// listedObject is an object with what the store keeps beside it.
type listedObject struct {
	stix.Object
	store.Detail
}

// A search looks at maxSearched objects for a page, searchStep at a time. Where few match,
// the page is short and leads to the next.
const (
	searchStep  = 500
	maxSearched = 4000
)

// position is the place in a list at which a page begins, as that parameter of its address has
// it; 0 for the beginning. Invalid if it is no number.
func (v *visit) position(name string) (at uint64, err error) {
	value := v.r.URL.Query().Get(name)
	if value == "" {
		return 0, nil
	}
	if at, err = strconv.ParseUint(value, 10, 63); err != nil {
		return 0, taxii.Errorf(taxii.Invalid, "%q is no position in the list.", value)
	}
	return at, nil
}

// search finds the newest objects that were added between since and before and that match,
// pageSize at most, and records them as delivered. Nobody gets those that do not match. A nil
// function matches all. The caller does not hold Recorder.Reading.
func (c *Console) search(v *visit, g exchange.Grant, q store.Query, since, before time.Time, matches func(*stix.Object) bool) (list objectList, err error) {
	defer c.Recorder.Reading(g.ID())()
	step := searchStep
	if matches == nil {
		step = pageSize
	}
	for looked := 0; ; {
		found, page, err := c.readNewest(v, g, q, since, before, step)
		if err != nil {
			return list, err
		}
		objects, err := objectsOf(page)
		if err != nil {
			return list, err
		}
		left := len(objects) // to be looked at
		var ids []string
		delivered := audit.Page{After: found.After, HighWater: page.HighWater}
		for ; left > 0 && len(list.objects) < pageSize; left-- {
			o := listedObject{objects[left-1], page.Details[left-1]}
			before = o.DateAdded
			if matches != nil && !matches(&o.Object) {
				continue
			}
			list.objects, ids = append(list.objects, o), append(ids, string(o.ID))
			if delivered.First = o.DateAdded; len(ids) == 1 {
				delivered.Last = o.DateAdded
			}
		}
		if matches != nil {
			found.IDs = ids
		}
		delivered.Count = len(ids)
		if err := c.Recorder.Deliver(g, audit.Narrow(found.Match, page.IDs), delivered); err != nil {
			return list, err
		}
		more := left > 0 || found.After.After(since)
		if looked += len(objects); !more || matches == nil || len(list.objects) == pageSize || looked >= maxSearched {
			if more {
				list.older = before
			}
			return list, nil
		}
	}
}

// readNewest reads the newest objects that were added between since and before, n at most.
// There are fewer of them if they are large. It returns the query that finds them too. If that
// begins after since, there are older objects.
func (c *Console) readNewest(v *visit, g exchange.Grant, q store.Query, since, before time.Time, n int) (found store.Query, page *store.Page, err error) {
	for ; ; n = max(n/2, 1) {
		found, count, err := c.newestPage(v, g, q, since, before, n)
		if err != nil || count == 0 {
			return q, &store.Page{}, err
		}
		found.Detail, found.MaxBytes = true, maxPage
		if page, err = c.Store.Scan(v.r.Context(), g, found); err != nil {
			return found, nil, err
		}
		if cut := page.More && page.Len() < found.Limit; !cut { // a page that is cut lacks the newest
			return found, page, nil
		}
	}
}

// maxPage bounds the objects of a page together, in bytes.
const maxPage = 16 << 20

// scan reads a page and records it as delivered. The caller holds Recorder.Reading.
func (c *Console) scan(v *visit, g exchange.Grant, q store.Query) (*store.Page, error) {
	q.Detail = true
	page, err := c.Store.Scan(v.r.Context(), g, q)
	if err != nil {
		return nil, err
	}
	return page, c.deliver(g, q, page)
}

// deliver records a page as delivered.
func (c *Console) deliver(g exchange.Grant, q store.Query, page *store.Page) error {
	d := deliveryOf(q, page)
	return c.Recorder.Deliver(g, d.match, d.Page)
}

// delivery is what the audit record keeps of a page.
type delivery struct {
	match taxii.Match
	audit.Page
}

func deliveryOf(q store.Query, page *store.Page) delivery {
	return delivery{audit.Narrow(q.Match, page.IDs), audit.Page{
		After: q.After, First: page.First, Last: page.Last, Count: page.Len(), HighWater: page.HighWater,
	}}
}

// objectsOf are the objects of a page.
func objectsOf(page *store.Page) ([]stix.Object, error) {
	objects := make([]stix.Object, page.Len())
	for i := range objects {
		var err error
		if objects[i], err = stix.NewObject(page.Object(i)); err != nil {
			return nil, err
		}
	}
	return objects, nil
}
