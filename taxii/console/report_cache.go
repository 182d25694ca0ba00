package console

import (
	"slices"
	"strings"
	"sync"

	"github.com/google/uuid"

	"comity/stix"
	"comity/store"
	"comity/taxii/exchange"
)

// reportKey holds everything that the page of a report depends on, beside the state of its
// collection and the time.
type reportKey struct {
	collection uuid.UUID
	own        bool
	ceiling    stix.TLP
	action     exchange.Actions
	types      string
	number     string
	annex      bool
}

func reportKeyOf(g exchange.Grant, number string, annex bool) reportKey {
	v := g.View()
	return reportKey{g.ID(), v.Own, v.Ceiling, v.Action, strings.Join(v.Types, ","), number, annex}
}

// cachedReport is the page of a report. It does not change once it is in the cache.
type cachedReport struct {
	key reportKey
	store.Standing
	delivered []delivery // of the objects that the report consists of
	page      []byte
}

// maxReports bounds the pages of a reportCache together, in bytes.
const maxReports = 16 << 20

// reportCache has the pages of the reports that were read last: a report of 2,000 findings is
// read from some 6,000 objects.
type reportCache struct {
	mu    sync.Mutex      // guards pages
	pages []*cachedReport // the most recently used at the end
}

// find returns the page of that key; nil if there is none that is true of the state of its
// collection at that Unix second.
func (c *reportCache) find(key reportKey, now store.State, at uint32) *cachedReport {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.IndexFunc(c.pages, func(r *cachedReport) bool { return r.key == key })
	if i < 0 || !c.pages[i].Holds(now, at) {
		return nil
	}
	r := c.pages[i]
	c.pages = append(slices.Delete(c.pages, i, i+1), r)
	return r
}

// add puts a page in the place of the one of its key, and removes those that were not used for
// longest if there is too much.
func (c *reportCache) add(r *cachedReport) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pages = append(slices.DeleteFunc(c.pages, func(old *cachedReport) bool { return old.key == r.key }), r)
	bytes := 0
	for i := len(c.pages) - 1; i >= 0; i-- {
		if bytes += len(c.pages[i].page); bytes > maxReports {
			c.pages = slices.Delete(c.pages, 0, i+1)
			return
		}
	}
}
