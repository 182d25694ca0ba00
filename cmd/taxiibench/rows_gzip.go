package main

import (
	"bytes"
	"context"

	"github.com/klauspost/compress/gzip"
)

const wantGzip = "Accept-Encoding: gzip"

// gzipLimits are nginx with the page compressed in advance, and a server that
// compresses it each time.
func (b *bed) gzipLimits(target, peerTarget float64) (limits, peers []against, err error) {
	body, name, err := b.page(1000)
	if err != nil {
		return nil, nil, err
	}
	var z bytes.Buffer
	w, err := gzip.NewWriterLevel(&z, 6)
	if err != nil {
		return nil, nil, err
	}
	w.Write(body)
	w.Close()
	if err := b.keep(name+".gz", z.Bytes()); err != nil {
		return nil, nil, err
	}
	return []against{
			{b.rate("nginx gzip_static", b.nginxAt(), pollers, plain("GET", "/"+name, wantGzip)), target},
			{b.rate("net/http, the same from a slice", b.limitAt(), pollers, plain("GET", "/cached/"+name+".gz")), 0},
		},
		[]against{{b.rate("net/http, gzip level 1 each time", b.limitAt(), pollers, plain("GET", "/gzip/"+name)), peerTarget}}, nil
}

func (b *bed) rowGzipAgain(ctx context.Context) ([]line, error) {
	if err := b.serve(ctx); err != nil {
		return nil, err
	}
	limits, peers, err := b.gzipLimits(0.60, 30)
	if err != nil {
		return nil, err
	}
	t := b.comity.target(baseCollection)
	return b.compare(ctx, line{Name: "gzip page of 1,000, asked again", Unit: "pages/s"},
		b.rate("comity", t, pollers, heads(t, "limit=1000", wantGzip)...), limits, peers)
}

// rowGzipNew asks for pages that nobody asked for, of a collection that was read
// compressed from end to end once.
func (b *bed) rowGzipNew(ctx context.Context) ([]line, error) {
	if err := b.serve(ctx); err != nil {
		return nil, err
	}
	if err := b.places(ctx); err != nil {
		return nil, err
	}
	limits, peers, err := b.gzipLimits(0.40, 15)
	if err != nil {
		return nil, err
	}
	t := b.comity.target(baseCollection)
	if err := b.readAll(ctx, t, wantGzip); err != nil {
		return nil, err
	}
	next := b.pages(1000, wantGzip)
	var list [][]byte
	for range min(len(b.dates)-2000, 100_000) {
		list = append(list, next())
	}
	return b.compare(ctx, line{Name: "gzip page of 1,000, never asked before", Unit: "pages/s"},
		b.rate("comity", t, pollers, list...), limits, peers)
}
