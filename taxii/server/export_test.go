package server

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/gorilla/mux"
)

// PageCache is a cache of its own.
type PageCache struct{ cache *pageCache }

func NewPageCache(maxBytes int) PageCache { return PageCache{newPageCache(maxBytes)} }

// Put puts a body of that many bytes under the n-th key, and returns the function
// that ends its use.
func (c PageCache) Put(n, bytes int) (release func()) {
	p := &cachedPage{key: pageKey{query: strconv.Itoa(n)}, body: make([]byte, bytes), readers: 1}
	c.cache.put(p)
	return func() { c.cache.release(p) }
}

// Has tells whether there is a page under the n-th key, which is used by that.
func (c PageCache) Has(n int) bool {
	p := c.cache.find(pageKey{query: strconv.Itoa(n)})
	if p != nil {
		c.cache.release(p)
	}
	return p != nil
}

// Used is how many bytes the cache counts, and how many its pages have.
func (c PageCache) Used() (counted, kept int) {
	for e := c.cache.order.Front(); e != nil; e = e.Next() {
		kept += e.Value.(*cachedPage).size()
	}
	if len(c.cache.pages) != c.cache.order.Len() {
		panic("keys and pages differ")
	}
	return c.cache.used, kept
}

// Body is the body of a request whose connection belongs to w.
type Body struct{ body *requestBody }

func NewBody(w http.ResponseWriter, body io.ReadCloser, timeBudget time.Duration) Body {
	return Body{&requestBody{
		ReadCloser: body, control: http.NewResponseController(w), declared: -1,
		timeBudget: func(int64) time.Duration { return timeBudget },
	}}
}

func (b Body) Read(p []byte) (int, error) { return b.body.Read(p) }

// Discard reads the rest and reports whether it reached the end.
func (b Body) Discard() bool { return b.body.discard(1 << 20) }

// Router is the router of a handler that New made.
func Router(h http.Handler) *mux.Router { return h.(plainSlashes).router }

// Rows are the methods of routes, by path.
func Rows() map[string][]string {
	rows := map[string][]string{}
	for i := range routes {
		rows[routes[i].path] = append(rows[routes[i].path], routes[i].methods()...)
	}
	return rows
}

// Limiter is a limiter of its own.
type Limiter struct{ limiter *limiter }

func NewLimiter(atOnce int) Limiter { return Limiter{newLimiter(atOnce)} }

// Acquire waits for a slot of the account.
func (l Limiter) Acquire(ctx context.Context, account string) error {
	_, _, err := l.limiter.acquire(ctx, account)
	return err
}
