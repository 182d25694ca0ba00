package feed

import (
	"container/list"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/singleflight"
)

// cacheSize bounds the bytes of the files in memory, of all feeds together.
const cacheSize = 64 << 20

// bodyOverhead is about the bytes that a file takes beside its content, which may be empty.
const bodyOverhead = 512

// bodyCache keeps the newest version of each file that was asked for, the last ones first. It
// is safe for concurrent use.
type bodyCache struct {
	making singleflight.Group

	mu     sync.Mutex // guards what follows
	bodies map[bodyKey]*list.Element
	order  list.List // of cachedBody, the last used first
	size   int
}

// bodyKey identifies a file of a feed, of whatever version.
type bodyKey struct{ feed, file string }

type cachedBody struct {
	bodyKey
	tag string // of the version
	*body
}

func newBodyCache() *bodyCache { return &bodyCache{bodies: map[bodyKey]*list.Element{}} }

// get is the file of that version. Callers that ask for the same one at the same time wait
// while the first makes it. It is kept only while its version is current.
func (c *bodyCache) get(key bodyKey, tag string, current *atomic.Bool, make func() (*body, error)) (*body, error) {
	if b := c.find(key, tag); b != nil {
		return b, nil
	}
	made, err, _ := c.making.Do(key.feed+"\n"+key.file+"\n"+tag, func() (any, error) {
		b, err := make()
		if err == nil {
			c.put(cachedBody{key, tag, b}, current)
		}
		return b, err
	})
	return made.(*body), err
}

func (c *bodyCache) find(key bodyKey, tag string) *body {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.bodies[key]
	if e == nil || e.Value.(cachedBody).tag != tag {
		return nil
	}
	c.order.MoveToFront(e)
	return e.Value.(cachedBody).body
}

func (c *bodyCache) put(b cachedBody, current *atomic.Bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !current.Load() {
		return // drop came before
	}
	c.remove(c.bodies[b.bodyKey])
	c.bodies[b.bodyKey] = c.order.PushFront(b)
	for c.size += len(b.content) + bodyOverhead; c.size > cacheSize; {
		c.remove(c.order.Back())
	}
}

// remove drops a file; nil is none. The caller holds mu.
func (c *bodyCache) remove(e *list.Element) {
	if e == nil {
		return
	}
	b := c.order.Remove(e).(cachedBody)
	delete(c.bodies, b.bodyKey)
	c.size -= len(b.content) + bodyOverhead
}

// drop drops the files of a feed.
func (c *bodyCache) drop(feed string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for key, e := range c.bodies {
		if key.feed == feed {
			c.remove(e)
		}
	}
}
