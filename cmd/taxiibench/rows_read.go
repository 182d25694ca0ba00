package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"
	"time"
)

// rowLargePage and rowSmallPage poll the same page over and over, from memory.
func (b *bed) rowLargePage(ctx context.Context) ([]line, error) {
	if err := b.serve(ctx); err != nil {
		return nil, err
	}
	_, name, err := b.page(1000)
	if err != nil {
		return nil, err
	}
	t := b.comity.target(baseCollection)
	return b.compare(ctx, line{Name: "page of 1,000 objects", Unit: "pages/s"},
		b.rate("comity", t, pollers, heads(t, "limit=1000")...),
		[]against{{b.rate("nginx, same bytes", b.nginxAt(), pollers, plain("GET", "/"+name)), 0.95}},
		b.polling("limit=1000", 70))
}

func (b *bed) rowSmallPage(ctx context.Context) ([]line, error) {
	if err := b.serve(ctx); err != nil {
		return nil, err
	}
	_, name, err := b.page(100)
	if err != nil {
		return nil, err
	}
	t := b.comity.target(baseCollection)
	return b.compare(ctx, line{Name: "page of 100 objects", Unit: "pages/s"},
		b.rate("comity", t, pollers, heads(t, "limit=100")...),
		[]against{
			{b.rate("nginx, same bytes", b.nginxAt(), pollers, plain("GET", "/"+name)), 0.45},
			{b.rate("net/http, cached slice", b.limitAt(), pollers, plain("GET", "/cached/"+name)), 0.90},
		},
		b.polling("limit=100", 120))
}

// readAll asks once for every page of 1,000 among the first objects.
func (b *bed) readAll(ctx context.Context, t *target, objects int, fields ...string) error {
	var list [][]byte
	for i := 0; i < objects; i += 1000 {
		query := "limit=1000"
		if i > 0 {
			query += "&added_after=" + b.dates[i-1]
		}
		list = append(list, t.get(i/1000, query, fields...))
	}
	_, err := load{
		clients: pollers, dial: t.dial,
		next: func(client, n int) ([]byte, []byte) {
			if i := n*pollers + client; i < len(list) {
				return list[i], nil
			}
			return nil, nil
		},
	}.run(ctx)
	return err
}

// rowDepth holds a page at the end against one at the beginning.
func (b *bed) rowDepth(ctx context.Context) ([]line, error) {
	if err := b.serve(ctx); err != nil {
		return nil, err
	}
	if err := b.places(ctx); err != nil {
		return nil, err
	}
	t := b.comity.target(baseCollection)
	depth := len(b.dates) - 1100
	deep := "limit=1000&added_after=" + b.dates[depth]
	return b.compare(ctx, line{Name: fmt.Sprintf("page behind %s objects", thousands(float64(depth))), Unit: "ms, p50", AtMost: true},
		b.p50("comity", t, heads(t, deep)...),
		[]against{{b.p50("comity at the beginning", t, heads(t, "limit=1000")...), 1.10}}, nil)
}

// pread is a request for an octet-for-octet read of as much as a page, anywhere
// in a flat file of the same objects.
func (b *bed) pread() ([]byte, error) {
	body, _, err := b.page(1000)
	return plain("GET", "/pread/"+strconv.Itoa(len(body))), err
}

func (b *bed) rowRandomWarm(ctx context.Context) ([]line, error) {
	if err := b.serve(ctx); err != nil {
		return nil, err
	}
	if err := b.places(ctx); err != nil {
		return nil, err
	}
	flat, err := b.pread()
	if err != nil {
		return nil, err
	}
	t := b.comity.target(baseCollection)
	if err := b.readAll(ctx, t, len(b.dates)); err != nil {
		return nil, err
	}
	next := b.pages(len(b.dates), 1000)
	var list [][]byte
	for range min(len(b.dates)-2000, 20_000) {
		list = append(list, next())
	}
	return b.compare(ctx, line{Name: "page of 1,000 anywhere, warm", Unit: "pages/s"},
		b.rate("comity", t, pollers, list...),
		[]against{{b.rate("net/http, pread of a flat file", b.limitAt(), pollers, flat), 0.95}}, nil)
}

// rowRandomCold restarts comity for each round, since what a process has mapped
// cannot be evicted, and asks for pages that do not overlap.
func (b *bed) rowRandomCold(ctx context.Context) ([]line, error) {
	if err := b.serve(ctx); err != nil {
		return nil, err
	}
	if err := b.places(ctx); err != nil {
		return nil, err
	}
	flat, err := b.pread()
	if err != nil {
		return nil, err
	}
	t := b.comity.target(baseCollection)
	path := filepath.Join(b.dir, flatFile)
	const asked = 25
	var next int
	left := 0.0
	cold := func(t *target, path string, head func() []byte) (float64, error) {
		share, err := resident(path)
		if err != nil {
			return 0, err
		}
		left = max(left, share)
		m, err := load{clients: 1, dial: t.dial, next: func(_, n int) ([]byte, []byte) {
			if n == asked {
				return nil, nil
			}
			return head(), nil
		}}.run(ctx)
		if err != nil {
			return 0, err
		}
		return m.quantile(50).Seconds() * 1000, nil
	}
	ours := side{name: "comity", run: func(ctx context.Context) (float64, error) {
		b.comity.stop()
		if err := evict(b.comity.file()); err != nil {
			return 0, err
		}
		if _, err := b.comity.start(ctx); err != nil {
			return 0, err
		}
		return cold(t, b.comity.file(), func() []byte {
			// 7 has no divisor in common with the number of pages, so that they
			// are all different, and far from each other.
			next += 7
			page := 1 + next%(len(b.dates)/1000-1)
			return t.get(next, "limit=1000&added_after="+b.dates[page*1000-1])
		})
	}}
	limit := side{name: "net/http, pread of a flat file", run: func(context.Context) (float64, error) {
		if err := evict(path); err != nil {
			return 0, err
		}
		return cold(b.limitAt(), path, func() []byte { return flat })
	}}
	lines, err := b.compare(ctx, line{Name: "page of 1,000 anywhere, not in memory", Unit: "ms, p50", AtMost: true}, ours, []against{{limit, 1.25}}, nil)
	for i := range lines {
		lines[i].Note = fmt.Sprintf("before the first page, at most %.1f %% of the files were in the page cache", left*100)
	}
	return lines, err
}

// rowByType filters for two types, one of them rare.
func (b *bed) rowByType(ctx context.Context) ([]line, error) {
	if err := b.serve(ctx); err != nil {
		return nil, err
	}
	t := b.comity.target(baseCollection)
	all := b.p50("comity, no filter", t, heads(t, "limit=100")...)
	var lines []line
	for _, filter := range []struct {
		kind, share string
		target      float64
	}{{"campaign", "40 %", 2}, {"malware", "1 %", 5}} {
		query := "limit=100&match%5Btype%5D=" + filter.kind
		var peers []against
		for _, p := range b.peers {
			// 1 % of what peers have is no whole page.
			if filter.kind == "campaign" {
				peers = append(peers, slow(b.p50(p.name, p.base, heads(p.base, query)...), 100))
			}
		}
		got, err := b.compare(ctx, line{Name: "page of 100 of a type with a share of " + filter.share, Unit: "ms, p50", AtMost: true},
			b.p50("comity", t, heads(t, query)...), []against{{all, filter.target}}, peers)
		if err != nil {
			return nil, err
		}
		lines = append(lines, got...)
	}
	return lines, nil
}

// rowSuperseded polls a collection where each object has nine older versions.
func (b *bed) rowSuperseded(ctx context.Context) ([]line, error) {
	if err := b.serve(ctx); err != nil {
		return nil, err
	}
	if err := b.fillVersions(ctx); err != nil {
		return nil, err
	}
	t, none := b.comity.target(versionsCollection), b.comity.target(baseCollection)
	return b.compare(ctx, line{Name: "page of 1,000 where each has 9 superseded versions", Unit: "ms, p50", AtMost: true},
		b.p50("comity", t, heads(t, "limit=1000")...),
		[]against{{b.p50("comity, one version each", none, heads(none, "limit=1000")...), 1.10}}, nil)
}

// rowNotModified asks for what is known already.
func (b *bed) rowNotModified(ctx context.Context) ([]line, error) {
	if err := b.serve(ctx); err != nil {
		return nil, err
	}
	_, name, err := b.page(1000)
	if err != nil {
		return nil, err
	}
	t, limit := b.comity.target(baseCollection), b.nginxAt()
	conditional := func(name string, t *target, list [][]byte, again func(i int, tag string) []byte) (side, error) {
		c := newConn(t.dial)
		defer c.close()
		var known [][]byte
		for i, head := range list {
			a, err := c.do(head, nil, false)
			if err != nil {
				return side{}, err
			}
			tag := a.header("ETag")
			if a.status != 200 || tag == "" {
				return side{}, cannot(name + " sends no ETag")
			}
			known = append(known, again(i, "If-None-Match: "+tag))
		}
		l := b.asking(t, pollers, known...)
		l.check = func(_, _ int, a answer) error {
			if a.status != 304 {
				return fmt.Errorf("a conditional request got status %d", a.status)
			}
			return nil
		}
		return side{name: name, run: func(ctx context.Context) (float64, error) {
			m, err := l.run(ctx)
			return m.rate(), err
		}}, nil
	}
	ours, err := conditional("comity", t, heads(t, "limit=1000"), func(i int, tag string) []byte { return t.get(i, "limit=1000", tag) })
	if err != nil {
		return nil, err
	}
	file, err := conditional("nginx 304", limit, [][]byte{plain("GET", "/"+name)}, func(_ int, tag string) []byte { return plain("GET", "/"+name, tag) })
	if err != nil {
		return nil, err
	}
	least, err := conditional("net/http, nothing but 304", b.limitAt(), [][]byte{plain("GET", "/cached/"+name)}, func(_ int, tag string) []byte { return plain("GET", "/known/"+name, tag) })
	if err != nil {
		return nil, err
	}
	return b.compare(ctx, line{Name: "page that is known already: 304", Unit: "answers/s"}, ours, []against{{file, 0.55}, {least, 0}}, nil)
}

// rowTLS serves the page of row 1 over TLS 1.3, with the same certificate.
func (b *bed) rowTLS(ctx context.Context) ([]line, error) {
	if err := b.serve(ctx); err != nil {
		return nil, err
	}
	_, name, err := b.page(1000)
	if err != nil {
		return nil, err
	}
	b.comity.secure = true // serve sets it back
	_, err = b.comity.restart(ctx, "--tls-cert", filepath.Join(b.dir, "cert.pem"), "--tls-key", filepath.Join(b.dir, "key.pem"))
	if err != nil {
		return nil, err
	}
	t := b.comity.target(baseCollection)
	return b.compare(ctx, line{Name: "page of 1,000 objects, TLS 1.3", Unit: "pages/s"},
		b.rate("comity", t, pollers, heads(t, "limit=1000")...),
		[]against{{b.rate("nginx, same bytes", b.at("https", b.nginx.secure), pollers, plain("GET", "/"+name)), 0.80}}, nil)
}

// rowRestart takes the time from the start of the process to the first page, and
// to the first push that is taken: a server may put off what only pushes need.
func (b *bed) rowRestart(ctx context.Context) ([]line, error) {
	b.comity.stop()
	b.comity.secure = false
	const wanted = 0.6
	var page, push []float64
	for range b.opt.Rounds {
		begin := time.Now()
		d, err := b.comity.restart(ctx)
		if err != nil {
			return nil, err
		}
		page = append(page, d.Seconds())
		if err := b.pushKnown(ctx, baseCollection, 0); err != nil {
			return nil, err
		}
		push = append(push, time.Since(begin).Seconds())
		b.comity.stop()
	}
	l := line{
		Name: fmt.Sprintf("restart with %s objects, to the first page", thousands(float64(b.opt.Objects))), Unit: "s", Ours: median(page),
		Limit: "0.6 s, wanted for 5,000,000", LimitFigure: wanted, VsLimit: ratioOf(page, repeat(wanted, len(page))), Target: 1, AtMost: true,
		Note: "no other side: the time is from the start of the process",
	}
	first := l
	first.Name = "the same, to the first push taken"
	first.Ours, first.VsLimit, first.Target = median(push), ratioOf(push, repeat(wanted, len(push))), 0
	return []line{l, first}, nil
}

// repeat is a figure that is the same in every round.
func repeat(f float64, n int) (list []float64) {
	for range n {
		list = append(list, f)
	}
	return list
}

// settle lets a server come to rest before its memory is read.
const settle = 500 * time.Millisecond
