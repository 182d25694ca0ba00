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

// pageKey holds everything that the content of a page depends on, beside the state of
// its collection and the time. Requests share a page only if their keys are equal.
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
	header    http.Header  // without Content-Length and Content-Encoding
	body      []byte       // as it is sent; nil if only the headers are kept
	gzipped   bool         // of body
	buffer    *store.Page  // holds the body; nil if the body has its own memory
	memory    *reservation // nil if the page is in the cache

	readers int  // how many requests use the page; guarded by the mutex of the cache
	dropped bool // the page was removed from the cache; guarded by the same mutex
}

// newCachedPage makes a page without its body. It counts the caller as a reader. end is
// the text of the envelope after the objects.
//
// The tag depends only on the visible objects, so it reveals nothing about hidden ones.
// It is weak, since it is the same for the compressed page (RFC 9110 §8.8.1).
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

// contentSum adds up a hash of each object of a page. The hash covers date_added, which
// is unique in a collection, and the checksum of the object, since a store that was
// restored from a backup may give the same date_added again.
func contentSum(page *store.Page) (sum uint64) {
	var b [12]byte
	for i, date := range page.Added {
		binary.BigEndian.PutUint64(b[:], uint64(date))
		binary.BigEndian.PutUint32(b[8:], page.Sums[i])
		sum += xxhash.Sum64(b[:])
	}
	return sum
}

// withoutBody is the part of a page that is cached if no other request asked for it.
func (p *cachedPage) withoutBody() *cachedPage {
	kept := *p
	kept.body, kept.readers = nil, 0
	return &kept
}

// cacheOverhead estimates the bytes that a page takes in the cache beside its body and
// the strings of its key.
const cacheOverhead = 1 << 10

func (p *cachedPage) size() int {
	return cacheOverhead + len(p.key.types) + len(p.key.object) + len(p.key.query) + len(p.body)
}

// pageCache is an LRU cache of pages for all accounts together, bounded in bytes. Only
// one request at a time makes a page; others with the same key wait for it.
type pageCache struct {
	maxBytes int // below 1 nothing is kept

	mu      sync.Mutex // guards what follows
	used    int        // bytes of the pages in the cache, and of dropped pages still in use
	pages   map[pageKey]*list.Element
	order   list.List // of *cachedPage, the most recently used in front
	pending map[pageKey]*pendingPage
}

// pendingPage is a page that a request is making.
type pendingPage struct {
	done   chan struct{} // closed when the page is made, or has failed
	shared bool          // the key is in the cache, or others wait; guarded by the mutex of the cache
}

func newPageCache(maxBytes int) *pageCache {
	return &pageCache{maxBytes: maxBytes, pages: map[pageKey]*list.Element{}, pending: map[pageKey]*pendingPage{}}
}

// bytes is the memory of the pages.
func (c *pageCache) bytes() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.used
}

// find returns the page of that key, nil if there is none. The page may be out of date.
// The caller has to release it.
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

// begin reports whether the caller is the first to ask for the page of that key: then it
// has to make the page and call end. Otherwise another request is making the page, and
// the caller may wait for it.
func (c *pageCache) begin(key pageKey) (m *pendingPage, first bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if m := c.pending[key]; m != nil {
		m.shared = true
		return m, false
	}
	m = &pendingPage{done: make(chan struct{}), shared: c.pages[key] != nil}
	c.pending[key] = m
	return m, true
}

// isShared reports whether another request asked for the page, before or meanwhile.
func (c *pageCache) isShared(m *pendingPage) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return m.shared
}

// end wakes the requests that wait for the page.
func (c *pageCache) end(key pageKey, m *pendingPage) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.pending, key)
	close(m.done)
}

// admits reports whether the cache takes pages of that size in bytes.
func (c *pageCache) admits(size int) bool { return size <= c.maxBytes/4 }

// put caches a page in place of the one with its key, and reports whether it did. It
// does not cache a page that it does not admit, or that does not fit beside the pages in
// use.
func (c *pageCache) put(p *cachedPage) bool {
	size := p.size()
	if !c.admits(size) {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if old := c.pages[p.key]; old != nil {
		c.drop(old)
	}
	for e := c.order.Back(); e != nil && c.used+size > c.maxBytes; {
		older := e
		e = e.Prev()
		if older.Value.(*cachedPage).readers == 0 {
			c.drop(older)
		}
	}
	if c.used+size > c.maxBytes {
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
