package server

import (
	"container/list"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"net/http"
	"strings"
	"sync"

	"github.com/cespare/xxhash/v2"
	"github.com/google/uuid"

	"comity/stix"
	"comity/store"
	"comity/taxii"
	"comity/taxii/audit"
	"comity/taxii/exchange"
)

// pageKey is everything that decides what a page shows, beside the state of its
// collection and the time. Only callers who share all of it share a page.
type pageKey struct {
	collection uuid.UUID
	own        bool
	ceiling    stix.TLP
	action     exchange.Actions
	types      string
	object     string // of the path; "" for a list
	query      string // as it was sent
	emptyList  bool
	gzip       bool
}

func keyOf(r *http.Request, c *caller) pageKey {
	v := c.grant.View()
	k := pageKey{
		collection: c.grant.ID(), own: v.Own, ceiling: v.Ceiling, action: v.Action,
		object: c.path["object"], query: r.URL.RawQuery, emptyList: c.EmptyList(), gzip: takesGzip(r),
	}
	if v.Types != nil {
		k.types = ";" + strings.Join(v.Types, ",")
	}
	return k
}

// cachedPage is a finished answer: a page of objects with its headers. It does not
// change, but for the fields of the cache.
type cachedPage struct {
	key pageKey
	store.Standing
	match     taxii.Match // of the query
	delivered audit.Page
	tag       string
	last      string       // date_added of the last object, for the log; "" if there is none
	header    http.Header  // but for the length and coding of the body
	body      []byte       // as it is sent; nil if only the rest is kept
	gzipped   bool         // the body is
	buffer    *store.Page  // that the body is in; nil if it has memory of its own
	memory    *reservation // nil if the page is in the cache

	readers int  // how many requests use it; guarded by the mutex of the cache
	dropped bool // it was taken out of the cache; guarded likewise
}

// newCachedPage is a page without its body, in use by the caller. The end is the
// text behind its objects.
//
// The tag is made of nothing but what the caller gets, so that it tells nothing of
// what is hidden. It is a weak one, the same for the compressed page (RFC 9110
// §8.8.1).
func newCachedPage(key pageKey, page *store.Page, q store.Query, end []byte) *cachedPage {
	digest := sha256.Sum256(append(binary.BigEndian.AppendUint64(make([]byte, 0, 256), contentSum(page)), end...))
	p := &cachedPage{
		readers: 1, key: key, Standing: page.Standing, match: q.Match,
		delivered: audit.Page{After: q.After, First: page.First, Last: page.Last, Count: page.Len(), HighWater: page.HighWater},
		tag:       `W/"` + base64.RawURLEncoding.EncodeToString(digest[:15]) + `"`,
	}
	p.header = http.Header{"Etag": {p.tag}}
	setDates(p.header, page.First, page.Last, q.After, page.Len() == 0)
	if page.Len() > 0 {
		p.last = taxii.FormatTime(page.Last)
	}
	return p
}

// contentSum adds up a hash of each object of a page: of its date, under which a
// collection has one record for ever, and, as a store that was restored may give
// that date again, of a checksum.
func contentSum(page *store.Page) (sum uint64) {
	var b [12]byte
	for i, date := range page.Added {
		binary.BigEndian.PutUint64(b[:], uint64(date))
		binary.BigEndian.PutUint32(b[8:], page.Sums[i])
		sum += xxhash.Sum64(b[:])
	}
	return sum
}

// withoutBody is all that is kept of a page nobody else asked for.
func (p *cachedPage) withoutBody() *cachedPage {
	kept := *p
	kept.body, kept.readers = nil, 0
	return &kept
}

// cacheOverhead is about the bytes that a page takes in the cache beside its body
// and its texts.
const cacheOverhead = 1 << 10

func (p *cachedPage) size() int {
	return cacheOverhead + len(p.key.types) + len(p.key.object) + len(p.key.query) + len(p.body)
}

// pageCache keeps the pages that were used last, for all accounts together, in a
// bounded number of bytes. A page is made by one request at a time: others that ask
// for it wait for that one.
type pageCache struct {
	room int // bytes; nothing is kept below 1

	mu     sync.Mutex // guards what follows
	used   int        // bytes of pages in the cache, or dropped while a request uses them
	pages  map[pageKey]*list.Element
	order  list.List // of *cachedPage, the last used in front
	making map[pageKey]*making
}

// making is a page that a request makes.
type making struct {
	done   chan struct{} // closed when it is made, or cannot be
	shared bool          // the key was asked for before, or others wait; guarded by the mutex of the cache
}

func newPageCache(room int) *pageCache {
	return &pageCache{room: room, pages: map[pageKey]*list.Element{}, making: map[pageKey]*making{}}
}

// find gives the page of that key, nil if there is none. It may be out of date. The
// caller has to release it.
func (c *pageCache) find(key pageKey) *cachedPage {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.pages[key]
	if e == nil {
		return nil
	}
	c.order.MoveToFront(e)
	p := e.Value.(*cachedPage)
	p.readers++
	return p
}

// release ends the use of a page.
func (c *pageCache) release(p *cachedPage) {
	if p.buffer != nil {
		recycle(p.buffer)
	}
	if p.memory != nil {
		p.memory.shrink(0)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if p.readers--; p.readers == 0 && p.dropped {
		c.used -= p.size()
	}
}

// begin tells whether the caller is the one to make the page of that key, and then
// has to end it. If it is not, it may wait for the other one.
func (c *pageCache) begin(key pageKey) (m *making, first bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if m := c.making[key]; m != nil {
		m.shared = true
		return m, false
	}
	m = &making{done: make(chan struct{}), shared: c.pages[key] != nil}
	c.making[key] = m
	return m, true
}

// isShared tells whether anybody else asked for the page, before or meanwhile.
func (c *pageCache) isShared(m *making) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return m.shared
}

// end lets those go on who wait for the page.
func (c *pageCache) end(key pageKey, m *making) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.making, key)
	close(m.done)
}

// put keeps a page in place of the one with its key, and tells whether it does: a
// page is not kept if it would take more than a quarter of the room, or if the pages
// in use leave none.
func (c *pageCache) put(p *cachedPage) bool {
	size := p.size()
	c.mu.Lock()
	defer c.mu.Unlock()
	if old := c.pages[p.key]; old != nil {
		c.drop(old)
	}
	for e := c.order.Back(); e != nil && c.used+size > c.room; {
		older := e
		e = e.Prev()
		if older.Value.(*cachedPage).readers == 0 {
			c.drop(older)
		}
	}
	if size > c.room/4 || c.used+size > c.room {
		return false
	}
	c.pages[p.key] = c.order.PushFront(p)
	c.used += size
	return true
}

// drop removes a page. The caller holds mu.
func (c *pageCache) drop(e *list.Element) {
	p := c.order.Remove(e).(*cachedPage)
	delete(c.pages, p.key)
	if p.dropped = true; p.readers == 0 {
		c.used -= p.size()
	}
}
