package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"time"
)

// clients is how many clients poll at a time.
const clients = 16

// poll measures clients that poll. next gives the n-th request.
func (b *bench) poll(name string, c *collection, clients, status int, figure func(measured) float64, next func(n int) []byte) side {
	var n atomic.Int64
	l := load{
		clients: clients, dial: c.dial, time: b.opt.Time,
		next: func(int, int) ([]byte, []byte) { return next(int(n.Add(1) - 1)), nil },
		check: func(_, _ int, a answer) error {
			if a.status != status {
				return fmt.Errorf("a poll got status %d instead of %d: %s", a.status, status, cut(a.body))
			}
			return nil
		},
	}
	return side{name: name, run: func(ctx context.Context) (float64, error) {
		m, err := l.run(ctx)
		if err != nil {
			return 0, err
		}
		return figure(m), nil
	}}
}

// rate is answers a second to requests that are sent over and over.
func (b *bench) rate(name string, c *collection, heads ...[]byte) side {
	return b.poll(name, c, clients, 200, measured.rate, inTurn(heads))
}

// p50 is the median time of an answer in milliseconds, for one client alone.
func (b *bench) p50(name string, c *collection, heads ...[]byte) side {
	return b.poll(name, c, 1, 200, measured.p50, inTurn(heads))
}

func inTurn(heads [][]byte) func(int) []byte {
	return func(n int) []byte { return heads[n%len(heads)] }
}

// gets are the same request from each account.
func gets(c *collection, query string, fields ...string) (heads [][]byte) {
	for i := range max(1, len(c.auth)) {
		heads = append(heads, c.get(i, query, fields...))
	}
	return heads
}

// pages is the rate of comity for a page of readCollection.
func (b *bench) pages(query string, fields ...string) side {
	c := b.comity.collection(readCollection)
	return b.rate("comity", c, gets(c, query, fields...)...)
}

// pageTime is the median time of comity for a page of a collection.
func (b *bench) pageTime(name, collection, query string) side {
	c := b.comity.collection(collection)
	return b.p50(name, c, gets(c, query)...)
}

// ofLimit is the rate of the limit server for one of its limits.
func (b *bench) ofLimit(name, limit, argument string) side {
	c := b.limitOf(limit, argument)
	return b.rate("net/http and mux, "+name, c, gets(c, "limit=1000")...)
}

// ofNginx is the rate of nginx for a file.
func (b *bench) ofNginx(scheme, address, file string) side {
	c := loopback(scheme+"://"+address+"/", "")
	return b.rate("nginx, same bytes", c, c.request(0, "GET", "/"+file))
}

const (
	pageFile      = "page"
	smallPageFile = "small-page"
	gzipFile      = "gzip-page"
	acceptGzip    = "Accept-Encoding: gzip"
)

func (b *bench) rowPage(ctx context.Context) ([]line, error) {
	return b.samePage(ctx, "page of 1,000 objects", "limit=1000", pageFile, 0.95, 300)
}

func (b *bench) rowSmallPage(ctx context.Context) ([]line, error) {
	return b.samePage(ctx, "page of 100 objects", "limit=100", smallPageFile, 0.75, 500)
}

func (b *bench) rowGzipAgain(ctx context.Context) ([]line, error) {
	return b.samePage(ctx, "page of 1,000, gzip, asked again", "limit=1000", gzipFile, 0.85, 0, acceptGzip)
}

// samePage polls the same page over and over. It polls peers only if there is a target
// for them.
func (b *bench) samePage(ctx context.Context, name, query, file string, target, peerTarget float64, fields ...string) ([]line, error) {
	nginx := b.ofNginx("http", b.nginx.address, file)
	c := comparison{
		line:       line{Name: name, Unit: "pages/s"},
		ours:       b.pages(query, fields...),
		limits:     []limit{{b.ofLimit("same bytes", "same-bytes", file), target}},
		nginx:      &nginx,
		peerTarget: peerTarget,
	}
	if peerTarget > 0 {
		c.peers = sidesOf(b.peers, func(p *peer) side {
			return b.poll(p.name, p.read, peerClients, 200, measured.rate, inTurn(gets(p.read, query)))
		})
	}
	return b.compare(ctx, c)
}

// rowGzipNew asks for a different page each time.
func (b *bench) rowGzipNew(ctx context.Context) ([]line, error) {
	return b.compare(ctx, comparison{
		line:   line{Name: "page of 1,000, gzip, never asked before", Unit: "pages/s"},
		ours:   b.poll("comity", b.comity.collection(readCollection), clients, 200, measured.rate, b.anywhere(acceptGzip)),
		limits: []limit{{b.ofLimit("gzip each time", "gzip", pageFile), 0.85}},
	})
}

// rowNotModified asks for a page that the client has already.
func (b *bench) rowNotModified(ctx context.Context) ([]line, error) {
	c := b.comity.collection(readCollection)
	conn := newConn(c.dial)
	defer conn.close()
	a, err := conn.do(c.get(0, "limit=1000"), nil, false)
	if err != nil {
		return nil, err
	}
	known, nothing := "If-None-Match: "+a.header.Get("ETag"), b.limitOf("304", "objects")
	return b.compare(ctx, comparison{
		line:   line{Name: "page that the client has: 304", Unit: "answers/s"},
		ours:   b.poll("comity", c, clients, 304, measured.rate, inTurn(gets(c, "limit=1000", known))),
		limits: []limit{{b.poll("net/http and mux, nothing but 304", nothing, clients, 304, measured.rate, inTurn(gets(nothing, "limit=1000", known))), 0.75}},
	})
}

// rowTLS serves the page of 1,000 over TLS 1.3, with the same certificate as nginx.
func (b *bench) rowTLS(ctx context.Context) ([]line, error) {
	b.comity.stop()
	b.comity.secure = true
	if _, err := b.comity.start(ctx, "--tls-cert", filepath.Join(b.dir, "cert.pem"), "--tls-key", filepath.Join(b.dir, "key.pem")); err != nil {
		return nil, errors.Join(err, b.restart(ctx))
	}
	lines, err := b.compare(ctx, comparison{
		line:   line{Name: "page of 1,000, TLS 1.3", Unit: "pages/s"},
		ours:   b.pages("limit=1000"),
		limits: []limit{{b.ofNginx("https", b.nginx.secure, pageFile), 0.90}},
	})
	return lines, errors.Join(err, b.restart(ctx))
}

// rowDepth compares a page at the end of the collection with the first.
func (b *bench) rowDepth(ctx context.Context) ([]line, error) {
	depth := b.opt.Objects - 1100
	return b.compare(ctx, comparison{
		line:   line{Name: fmt.Sprintf("page behind %s objects", thousands(float64(depth))), Unit: "ms", AtMost: true},
		ours:   b.pageTime("comity", readCollection, "limit=1000&added_after="+b.dates[depth]),
		limits: []limit{{b.pageTime("the first page", readCollection, "limit=1000"), 1.10}},
	})
}

// rowRandom polls pages at random positions. The file of the store is in the page cache
// of the operating system.
func (b *bench) rowRandom(ctx context.Context) ([]line, error) {
	c := b.comity.collection(readCollection)
	if _, err := newPushedIDs().readAll(ctx, c, 10_000); err != nil {
		return nil, err
	}
	return b.compare(ctx, comparison{
		line:   line{Name: "page of 1,000, anywhere", Unit: "pages/s"},
		ours:   b.poll("comity", c, clients, 200, measured.rate, b.anywhere()),
		limits: []limit{{b.ofLimit("pread of a flat file", "pread", strconv.Itoa(b.pageSize)), 0.80}},
	})
}

// rowType filters for a frequent and a rare type. Peers are polled for the frequent one
// alone, since they hold less than a page of the rare one.
func (b *bench) rowType(ctx context.Context) ([]line, error) {
	filtered := func(kind, share string, target float64) comparison {
		return comparison{
			line:   line{Name: "page of 100 of a type with a share of " + share, Unit: "ms", AtMost: true},
			ours:   b.pageTime("comity", readCollection, "limit=100&match%5Btype%5D="+kind),
			limits: []limit{{b.pageTime("no filter", readCollection, "limit=100"), target}},
		}
	}
	frequent := filtered("campaign", "40 %", 2)
	frequent.peers = sidesOf(b.peers, func(p *peer) side {
		return b.p50(p.name, p.read, gets(p.read, "limit=100&match%5Btype%5D=campaign")...)
	})
	frequent.peerTarget = 100
	return b.compare(ctx, frequent, filtered("malware", "1 %", 5))
}

// rowVersions polls a collection in which each object has nine older versions.
func (b *bench) rowVersions(ctx context.Context) ([]line, error) {
	objects, g := b.opt.Objects/10, generator{seed: rand.Uint64(), size: 700, mixed: true}
	object := func(dst []byte, i int) []byte { return g.append(dst, i%objects, i/objects) }
	if err := b.comity.load(ctx, versionsCollection, 10*objects, object, io.Discard); err != nil {
		return nil, err
	}
	return b.compare(ctx, comparison{
		line:   line{Name: "page of 1,000, each with 9 superseded versions", Unit: "ms", AtMost: true},
		ours:   b.pageTime("comity", versionsCollection, "limit=1000"),
		limits: []limit{{b.pageTime("one version each", readCollection, "limit=1000"), 1.10}},
	})
}

// rowRestart is the time from the start of the process to the first page.
func (b *bench) rowRestart(ctx context.Context) ([]line, error) {
	const wanted = 0.6
	var took, fixed []float64
	for range b.opt.Rounds {
		b.comity.stop()
		d, err := b.comity.start(ctx)
		if err != nil {
			return nil, errors.Join(err, b.restart(ctx))
		}
		took, fixed = append(took, d.Seconds()), append(fixed, wanted)
	}
	return []line{{
		Name: fmt.Sprintf("restart with %s objects, to the first page", thousands(float64(b.opt.Objects))), Unit: "s", Ours: median(took),
		Limit: "0.6 s", LimitFigure: wanted, VsLimit: ratioOf(took, fixed), Target: 1, AtMost: true,
	}}, nil
}

// rowMemory is the memory of comity after a restart, polls, and a push, which loads the
// index of the ids.
func (b *bench) rowMemory(ctx context.Context) ([]line, error) {
	if err := b.restart(ctx); err != nil {
		return nil, err
	}
	if _, err := b.pages("limit=1000").run(ctx); err != nil {
		return nil, err
	}
	c := b.comity.collection(readCollection)
	conn := newConn(c.dial)
	defer conn.close()
	body := b.imported.appendEnvelope(nil, 0, 1) // comity has this object already
	if a, err := conn.do(c.post(0, "", len(body)), body, true); err != nil || a.status != 202 {
		return nil, errors.Join(err, fmt.Errorf("a push got status %d %s", a.status, cut(a.body)))
	}
	time.Sleep(settle)
	used, err := memory(b.comity.process.pid(), "RssAnon")
	if err != nil {
		return nil, err
	}
	limit := 32e6 + 20*float64(b.opt.Objects)
	l := line{
		Name: fmt.Sprintf("memory, %s objects served", thousands(float64(b.opt.Objects))), Unit: "bytes", Ours: used,
		Limit: "32 MB + 20 B an object", LimitFigure: limit, VsLimit: ratioOf([]float64{used}, []float64{limit}), Target: 1, AtMost: true,
	}
	for _, p := range b.peers {
		theirs, err := memoryOfAll(p.process.pid())
		if err != nil {
			return nil, err
		}
		if l.Peer == "" || theirs < l.PeerFigure {
			l.Peer, l.PeerFigure, l.VsPeer = fmt.Sprintf("%s with %s", p.name, thousands(float64(p.objects))), theirs, ratioOf([]float64{theirs}, []float64{used})
		}
	}
	return []line{l}, nil
}

// settle is the pause before the memory of a server is read.
const settle = 500 * time.Millisecond
