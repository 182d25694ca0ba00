package main

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"

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

// rowGzipNew asks for pages that nobody asked for, of objects that were all read
// compressed once. They begin and end where cells do, which comity compresses by
// themselves; a further line has pages that begin anywhere.
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
	hot := min(len(b.dates), hotObjects)
	var anywhere [][]byte
	next := b.pages(hot, 1000, wantGzip)
	for range hot - 2000 {
		anywhere = append(anywhere, next())
	}
	var whole, edged measured
	lines, err := b.compare(ctx, line{Name: "gzip page of 1,000, never asked before", Unit: "pages/s"},
		b.fresh(hot, b.alignedPages(hot), &whole), limits, peers)
	if err != nil {
		return nil, err
	}
	more, err := b.compare(ctx, line{Name: "the same, beginning anywhere", Unit: "pages/s"},
		b.fresh(hot, anywhere, &edged), []against{{limits[0].side, 0}}, nil)
	if err != nil {
		return nil, err
	}
	size := func(m measured) string { return thousands(float64(m.received) / float64(m.requests)) }
	lines[0].Note = fmt.Sprintf("comity is started anew for each round, and no page is asked for twice; those of whole cells have %s octets on average, those that begin anywhere %s",
		size(whole), size(edged))
	return append(lines, more...), nil
}

// hotObjects is how many objects the shelf of comity has room for as cells, beside
// what it notes of each page. More would push each other out.
const hotObjects = 200_000

// fresh is answers a second of a comity that was asked for the first objects in pages of
// 1,000, and for nothing else, to these requests once each, as far as they go. What all
// rounds did is added to total.
func (b *bed) fresh(objects int, list [][]byte, total *measured) side {
	return side{name: "comity", run: func(ctx context.Context) (float64, error) {
		if _, err := b.comity.restart(ctx); err != nil {
			return 0, err
		}
		t := b.comity.target(baseCollection)
		if err := b.readAll(ctx, t, objects, wantGzip); err != nil {
			return 0, err
		}
		var n atomic.Int64
		m, err := load{
			clients: pollers, dial: t.dial, time: b.opt.Time,
			next: func(int, int) (head, body []byte) {
				if i := int(n.Add(1) - 1); i < len(list) {
					head = list[i]
				}
				return head, nil
			},
		}.run(ctx)
		if err != nil {
			return 0, err
		}
		total.add(m)
		return m.rate(), nil
	}}
}

// cells are the numbers of the objects with which a cell begins, after so many objects
// were read in pages of 1,000. One ends with 64 objects, before it has more than 32 KiB
// of text, or with the page: see taxii/server.
func (b *bed) cells(objects int) (list []int) {
	var object []byte
	n, text := 0, 0
	for i := range objects {
		object = b.base.append(object[:0], i, 0)
		if i%1000 == 0 || n == 64 || text+1+len(object) > 32<<10 {
			list = append(list, i)
			n, text = 1, len(object)
		} else {
			n, text = n+1, text+1+len(object)
		}
	}
	return list
}

// alignedPages are requests for pages of whole cells, that begin anywhere among the
// first objects and were not read in pages of 1,000. They are all different: first
// those of 1,000 objects, then, as there are few, those of a cell or two more or less.
func (b *bed) alignedPages(objects int) (list [][]byte) {
	t, cells := b.comity.target(baseCollection), b.cells(objects)
	type page struct{ first, n int }
	var pages []page
	for i, first := range cells {
		for _, end := range cells[i:] {
			n := end - first
			if n > 1100 {
				break
			}
			if n >= 900 && first > 0 && !(n == 1000 && first%1000 == 0) {
				pages = append(pages, page{first, n})
			}
		}
	}
	rand.Shuffle(len(pages), func(i, j int) { pages[i], pages[j] = pages[j], pages[i] })
	off := func(p page) int { return max(p.n-1000, 1000-p.n) }
	slices.SortStableFunc(pages, func(p, q page) int { return off(p) - off(q) })
	for i, p := range pages {
		list = append(list, t.get(i, fmt.Sprintf("limit=%d&added_after=%s", p.n, b.dates[p.first-1]), wantGzip))
	}
	return list
}
