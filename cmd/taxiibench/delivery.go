package main

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
)

// pushedIDs are the ids of the objects that a server accepted, to be compared with
// those that it serves. It is safe for concurrent use.
type pushedIDs struct {
	mu  sync.Mutex
	ids map[string]bool
}

func newPushedIDs() *pushedIDs { return &pushedIDs{ids: map[string]bool{}} }

func (p *pushedIDs) add(ids ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, id := range ids {
		p.ids[id] = true
	}
}

// delivery is how many of the pushed objects a client received.
type delivery struct {
	Pushed     int      `json:"pushed"`
	Received   int      `json:"received"`
	Lost       int      `json:"lost"`
	Repeated   int      `json:"repeated"`
	Disordered int      `json:"disordered,omitempty"` // came before one that is earlier in the collection
	Examples   []string `json:"examples,omitempty"`   // ids that were lost or repeated
}

// count adds an object that a client received that many times.
func (d *delivery) count(id string, times int) {
	d.Pushed++
	if times == 0 {
		d.Lost++
	} else {
		d.Received++
	}
	if times > 1 {
		d.Repeated++
	}
	if times != 1 && len(d.Examples) < 3 {
		d.Examples = append(d.Examples, id)
	}
}

// add adds the delivery of another client.
func (d *delivery) add(o delivery) {
	d.Pushed, d.Received, d.Lost, d.Repeated, d.Disordered = d.Pushed+o.Pushed, d.Received+o.Received, d.Lost+o.Lost, d.Repeated+o.Repeated, d.Disordered+o.Disordered
	if d.Examples == nil {
		d.Examples = o.Examples
	}
}

// exact reports whether each object was received exactly once, and in order.
func (d delivery) exact() bool { return d.Lost == 0 && d.Repeated == 0 && d.Disordered == 0 }

func (d delivery) String() string {
	if d.exact() {
		return fmt.Sprintf("all %d pushed objects were received, each once", d.Pushed)
	}
	return fmt.Sprintf("of %d pushed objects, %d were never received and %d more than once, such as %s", d.Pushed, d.Lost, d.Repeated,
		strings.Join(d.Examples, ", "))
}

// compare compares the ids that a client received, and how often, with those that
// were pushed. Other objects may have been there before and do not count.
func (p *pushedIDs) compare(received map[string]int) (d delivery) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for id := range p.ids {
		d.count(id, received[id])
	}
	return d
}

// pager reads a collection page by page, by next, and counts how often it receives
// each id.
type pager struct {
	c        *collection
	limit    int
	received map[string]int
	pages    int
	last     string // date_added of the last entry, "" if the server gives none
}

func newPager(c *collection, limit int) *pager {
	return &pager{c: c, limit: limit, received: map[string]int{}}
}

// readOn reads from its position to the present end. each, if not nil, is called after
// every page with the date of its last entry and the number of ids so far.
func (p *pager) readOn(ctx context.Context, conn *conn, each func(last string, ids int)) error {
	q := url.Values{"limit": {strconv.Itoa(p.limit)}}
	if p.last != "" {
		q.Set("added_after", p.last)
	}
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		var got page
		a, err := read(conn, p.c.get(0, q.Encode()), &got)
		if err != nil {
			return fmt.Errorf("%s: %w", p.c.server, err)
		}
		for _, o := range got.Objects {
			p.received[o.ID]++
		}
		p.pages++
		if len(got.Objects) > 0 && a.lastAdded() != "" {
			p.last = a.lastAdded()
		}
		if each != nil {
			each(p.last, len(p.received))
		}
		if !got.More {
			return nil
		}
		if got.Next == "" {
			return fmt.Errorf("%s: page %d has more and no next", p.c.server, p.pages)
		}
		q.Set("next", got.Next) // beside the same query, as some servers demand
	}
}

// readAll reads the whole collection and compares it with the pushed objects.
func (p *pushedIDs) readAll(ctx context.Context, c *collection, limit int) (delivery, error) {
	conn := newConn(c.dial)
	defer conn.close()
	pages := newPager(c, limit)
	if err := pages.readOn(ctx, conn, nil); err != nil {
		return delivery{}, err
	}
	return p.compare(pages.received), nil
}

// pollTail polls for new objects until done is closed, then reads to the end. It
// needs a server that sends X-TAXII-Date-Added-Last.
func pollTail(ctx context.Context, c *collection, limit int, done <-chan struct{}) (received map[string]int, err error) {
	pages := newPager(c, limit)
	for last := false; !last; {
		select {
		case <-done:
			last = true
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
		// A connection for each poll, since a server may close an idle one.
		conn := newConn(c.dial)
		err := pages.readOn(ctx, conn, nil)
		conn.close()
		if err != nil {
			return nil, err
		}
		if len(pages.received) > 0 && pages.last == "" {
			return nil, fmt.Errorf("%s sends no X-TAXII-Date-Added-Last; leave --follow out", c.server)
		}
	}
	return pages.received, nil
}
