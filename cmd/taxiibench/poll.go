package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"sync/atomic"
)

// trust makes a target accept the certificates that the flags say.
func (c *runCmd) trust(t *target) error {
	t.tls.InsecureSkipVerify = c.Insecure
	if c.CACert == "" {
		return nil
	}
	text, err := os.ReadFile(c.CACert)
	if err != nil {
		return err
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(text) {
		return fmt.Errorf("%s holds no certificate", c.CACert)
	}
	t.tls = &tls.Config{ServerName: t.tls.ServerName, RootCAs: pool, InsecureSkipVerify: c.Insecure}
	return nil
}

// poller is what a run asks of one server.
type poller struct {
	query  url.Values
	fields []string
	heads  [][]byte // to choose from; nil to walk
	pages  []int    // objects each of them has
}

// places are dates at which pages of a collection begin, in order; the first is
// the beginning.
func places(ctx context.Context, t *target, limit int) (dates []string, entries []int, err error) {
	c := newConn(t.dial)
	defer c.close()
	dates, entries = []string{""}, []int{0}
	w := newWalk(t, limit)
	err = w.forward(ctx, c, func(last string, n int) {
		if last != "" && last != dates[len(dates)-1] {
			dates, entries = append(dates, last), append(entries, n)
		}
	})
	return dates, entries, err
}

// poller finds out where to poll.
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
	dates := []string{""}
	if c.At == "random" || c.Depth > 0 {
		step := c.Limit
		if c.At == "depth" {
			step = min(step, c.Depth)
		}
		all, entries, err := places(ctx, s.t, step)
		if err != nil {
			return nil, err
		}
		if len(all) < 2 {
			return nil, errors.New("no place to begin at: the collection is empty, or the server sends no X-TAXII-Date-Added-Last")
		}
		dates = all[:len(all)-1] // behind the last there is nothing
		if c.At == "depth" {
			i := 0
			for i < len(dates)-1 && entries[i] < c.Depth {
				i++
			}
			dates = dates[i : i+1]
		}
	}
	conn := newConn(s.t.dial)
	defer conn.close()
	for _, date := range dates {
		if date != "" {
			q.Set("added_after", date)
		}
		fields := p.fields
		page, _, err := s.t.page(conn, q.Encode())
		if err != nil {
			return nil, err
		}
		if c.Conditional {
			// The tag belongs to the coding that will be asked for.
			a, err := conn.do(s.t.get(0, q.Encode(), p.fields...), nil, false)
			if err != nil {
				return nil, err
			}
			tag := a.header("ETag")
			if tag == "" {
				return nil, errors.New("--conditional: the server sends no ETag")
			}
			fields = append(fields[:len(fields):len(fields)], "If-None-Match: "+tag)
		}
		// All accounts in turn, so that any client may send any of them.
		p.heads = append(p.heads, s.t.get(len(p.heads), q.Encode(), fields...))
		p.pages = append(p.pages, len(page.Objects))
	}
	return p, nil
}

// round polls for one round.
func (p *poller) round(ctx context.Context, c *runCmd, s *contender) error {
	var objects, unchanged atomic.Int64
	asked := make([]int, c.Clients)
	l := load{clients: c.Clients, dial: s.t.dial, time: c.Time}
	if p.heads == nil {
		p.walkers(&l, s, &objects)
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
	s.cond += unchanged.Load()
	return nil
}

// walkers has each client go through the collection by next, over and over.
func (p *poller) walkers(l *load, s *contender, objects *atomic.Int64) {
	heads := make([][]byte, l.clients)
	first := func(client int) []byte { return s.t.get(client, p.query.Encode(), p.fields...) }
	for i := range heads {
		heads[i] = first(i)
	}
	l.keep = true
	l.next = func(client, _ int) ([]byte, []byte) { return heads[client], nil }
	l.check = func(client, _ int, a answer) error {
		if a.status != 200 {
			return unexpected(heads[client], a)
		}
		page, err := readPage(a)
		if err != nil {
			return err
		}
		objects.Add(int64(len(page.Objects)))
		heads[client] = first(client)
		if page.More {
			q := url.Values{"limit": p.query["limit"], "next": {page.Next}}
			for field, value := range p.query {
				q[field] = value
			}
			heads[client] = s.t.get(client, q.Encode(), p.fields...)
		}
		return nil
	}
}
