package main

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net/url"
	"time"
)

// client is one client of one collection. It uses any server that has the collection.
type client struct {
	n     int
	place int           // index of the collection
	at    []*collection // by server
	conns []*conn       // by server
}

func (s *soak) newClient(n int) *client {
	c := &client{n: n, place: n % len(s.places)}
	c.at = s.places[c.place]
	for _, server := range c.at {
		c.conns = append(c.conns, newConn(server.dial))
	}
	return c
}

func (c *client) close() {
	for _, conn := range c.conns {
		conn.close()
	}
}

// patience is how long a client repeats a request that fails, if the database fails over.
const patience = 2 * time.Minute

// ask sends a request to a server and records its latency, together with that of its
// repetitions. check returns an error for an answer that it does not expect.
func (s *soak) ask(ctx context.Context, m *measured, c *client, head func(*collection) []byte, body []byte, check func(*collection, answer) error) (a answer, err error) {
	begin := time.Now()
	for {
		i := rand.IntN(len(c.at))
		request := head(c.at[i])
		if a, err = c.conns[i].do(request, body, true); err == nil {
			err = check(c.at[i], a)
		}
		took := time.Since(begin)
		if err == nil {
			s.mu.Lock()
			defer s.mu.Unlock()
			return a, m.record(took, len(body), a)
		}
		if s.failOver == nil || took > patience || pause(ctx, 100*time.Millisecond) != nil {
			return a, fmt.Errorf("%s: %w", bytes.TrimSpace(request[:bytes.IndexByte(request, '\n')]), err)
		}
		s.mu.Lock()
		s.repeated++
		s.mu.Unlock()
	}
}

// tailPoller is a client that polls for new objects. There are three kinds: those that follow
// next while there are more pages, those that only use the date in the header Last, and
// those that use it and ask for a page again only if it has changed.
type tailPoller struct {
	*client
	kind     int
	limit    string // of a page
	last     string
	etag     string // of the last answer, if the same request comes next
	received []int  // the numbers of the objects, as they came
	back     int    // pages that were not later than the one before
}

const (
	followsNext = iota
	followsLast
	followsChanges
	kinds
)

func (s *soak) newPoller(n int) *tailPoller {
	kind := n / len(s.places)
	return &tailPoller{client: s.newClient(n), kind: kind % kinds, limit: []string{"1000", "100", "20"}[kind/kinds%3]}
}

// follow polls until the answer has no more pages.
func (s *soak) follow(ctx context.Context, p *tailPoller) error {
	next := ""
	for ctx.Err() == nil {
		query := url.Values{"limit": {p.limit}}
		if next != "" {
			query.Set("next", next)
		} else if p.last != "" {
			query.Set("added_after", p.last)
		}
		var fields []string
		if p.etag != "" {
			fields = []string{"If-None-Match: " + p.etag}
		}
		head := func(c *collection) []byte { return c.get(p.n, query.Encode(), fields...) }
		var got page
		a, err := s.ask(ctx, &s.poll, p.client, head, nil, func(c *collection, a answer) error {
			if a.status == 304 && p.etag != "" {
				return nil
			}
			if a.status != 200 {
				return fmt.Errorf("status %d %s", a.status, cut(a.body))
			}
			got = page{}
			return a.decode(&got)
		})
		if err != nil {
			return err
		}
		for _, o := range got.Objects {
			if n, ours := s.numbers[o.ID]; ours {
				p.received = append(p.received, n)
			}
		}
		last := a.lastAdded()
		if len(got.Objects) > 0 && last <= p.last {
			p.back++
		}
		if p.etag = ""; p.kind == followsChanges && len(got.Objects) == 0 {
			p.etag = a.header.Get("ETag")
		}
		if last != "" {
			p.last = last
		}
		if !got.More {
			return nil
		}
		if got.Next == "" {
			return fmt.Errorf("%s: a page has more and no next", p.at[0].server)
		}
		if p.kind == followsNext {
			next = got.Next
		}
	}
	return nil
}

// pushOne pushes once.
func (s *soak) pushOne(ctx context.Context, n int) error {
	first := int(s.next.Add(int64(s.Batch))) - s.Batch
	if first+s.Batch > len(s.accepted) {
		return nil
	}
	body := s.objects.appendEnvelope(nil, first, s.Batch)
	c := s.newClient(n)
	defer c.close()
	head := func(c *collection) []byte { return c.post(n, "", len(body)) }
	if _, err := s.ask(ctx, &s.push, c, head, body, func(c *collection, a answer) error {
		_, err := c.completed(a)
		return err
	}); err != nil {
		return err
	}
	for i := range s.Batch {
		s.accepted[first+i].Store(int32(1 + c.place))
	}
	return nil
}

// compare compares the objects that a client received with those that its collection
// accepted, and their order with that of a client that read the whole collection at the
// end.
func (s *soak) compare(p, whole *tailPoller) (d delivery) {
	times, places := make([]int, len(s.accepted)), make([]int, len(s.accepted))
	for place, n := range whole.received {
		places[n] = place
	}
	d.Disordered = p.back
	for i, n := range p.received {
		times[n]++
		if i > 0 && places[n] < places[p.received[i-1]] {
			d.Disordered++
		}
	}
	for i, n := range times {
		if s.accepted[i].Load() == int32(1+p.place) {
			d.count(s.objects.id(i), n)
		}
	}
	return d
}
