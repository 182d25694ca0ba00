package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
)

// poller holds the poll requests of a run to one server.
type poller struct {
	query  url.Values
	fields []string
	heads  [][]byte // requests to choose from; nil to read all pages by next
	pages  []int    // the number of objects that each of them gets
}

// filter is the query of every poll.
func (c *runCmd) filter() (url.Values, error) {
	q := url.Values{"limit": {strconv.Itoa(c.Limit)}}
	for _, m := range c.Match {
		field, value, ok := strings.Cut(m, "=")
		if !ok {
			return nil, fmt.Errorf("--match %s: write FIELD=VALUE", m)
		}
		q.Set("match["+field+"]", value)
	}
	return q, nil
}

// starts are the values of added_after with which polls begin.
func (c *runCmd) starts(ctx context.Context, s *contender) ([]string, error) {
	if c.At == "depth" && c.Depth == 0 {
		return []string{""}, nil
	}
	step := c.Limit
	if c.At == "depth" {
		step = min(step, c.Depth)
	}
	conn := newConn(s.c.dial)
	defer conn.close()
	dates, before := []string{""}, []int{0}
	err := newPager(s.c, step).readOn(ctx, conn, func(last string, ids int) {
		if last != "" && last != dates[len(dates)-1] {
			dates, before = append(dates, last), append(before, ids)
		}
	})
	if err != nil {
		return nil, err
	}
	if len(dates) < 2 {
		return nil, errors.New("no place to begin at: the collection is empty, or the server sends no X-TAXII-Date-Added-Last")
	}
	dates = dates[:len(dates)-1] // no objects follow the last date
	if c.At == "depth" {
		i := 0
		for i < len(dates)-1 && before[i] < c.Depth {
			i++
		}
		dates = dates[i : i+1]
	}
	return dates, nil
}

// poller prepares the requests.
func (c *runCmd) poller(ctx context.Context, s *contender) (*poller, error) {
	q, err := c.filter()
	if err != nil {
		return nil, err
	}
	p := &poller{query: q}
	if c.Gzip {
		p.fields = append(p.fields, "Accept-Encoding: gzip")
	}
	if c.At == "walk" {
		return p, nil
	}
	dates, err := c.starts(ctx, s)
	if err != nil {
		return nil, err
	}
	conn := newConn(s.c.dial)
	defer conn.close()
	for _, date := range dates {
		q := maps.Clone(q)
		if date != "" {
			q.Set("added_after", date)
		}
		var got page
		a, err := read(conn, s.c.get(0, q.Encode(), p.fields...), &got)
		if err != nil {
			return nil, err
		}
		fields := slices.Clone(p.fields)
		if c.Conditional {
			tag := a.header.Get("ETag")
			if tag == "" {
				return nil, errors.New("--conditional: the server sends no ETag")
			}
			fields = append(fields, "If-None-Match: "+tag)
		}
		p.heads = append(p.heads, s.c.get(len(p.heads), q.Encode(), fields...))
		p.pages = append(p.pages, len(got.Objects))
	}
	return p, nil
}

// round polls for one round.
func (p *poller) round(ctx context.Context, c *runCmd, s *contender) error {
	var objects, unchanged atomic.Int64
	asked := make([]int, c.Clients)
	l := load{clients: c.Clients, dial: s.c.dial, time: c.Time}
	if p.heads == nil {
		p.readByNext(&l, s, &objects)
	} else {
		l.next = func(client, _ int) ([]byte, []byte) {
			asked[client] = rand.IntN(len(p.heads))
			return p.heads[asked[client]], nil
		}
		l.check = func(client, _ int, a answer) error {
			if a.status == 304 && c.Conditional {
				unchanged.Add(1)
			} else if a.status != 200 {
				return unexpected(p.heads[asked[client]], a)
			}
			objects.Add(int64(p.pages[asked[client]]))
			return nil
		}
	}
	m, err := l.run(ctx)
	if err != nil {
		return err
	}
	s.poll = append(s.poll, m)
	s.polled = append(s.polled, float64(objects.Load())/m.took.Seconds())
	s.unchanged += unchanged.Load()
	return nil
}

// readByNext lets each client read the collection by next, over and over.
func (p *poller) readByNext(l *load, s *contender, objects *atomic.Int64) {
	heads := make([][]byte, l.clients)
	first := func(client int) []byte { return s.c.get(client, p.query.Encode(), p.fields...) }
	for i := range heads {
		heads[i] = first(i)
	}
	l.keep = true
	l.next = func(client, _ int) ([]byte, []byte) { return heads[client], nil }
	l.check = func(client, _ int, a answer) error {
		if a.status != 200 {
			return unexpected(heads[client], a)
		}
		var got page
		if err := a.decode(&got); err != nil {
			return err
		}
		objects.Add(int64(len(got.Objects)))
		heads[client] = first(client)
		if got.More {
			q := maps.Clone(p.query)
			q.Set("next", got.Next)
			heads[client] = s.c.get(client, q.Encode(), p.fields...)
		}
		return nil
	}
}
