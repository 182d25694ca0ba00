package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// feedFile declares the feed of the rows: the hashes of the indicators of readCollection
// and pushCollection. The lifetime keeps the objects listed, however old they are.
const feedFile = `format = "feed/1"
id = "rows"
account = "load/feed0"
use = "search"
collections = ["read.inbound", "push.inbound"]

[entries]
kinds = ["sha256"]
lifetime = { sha256 = "P36500D" }
`

// getList builds the request for the list of the feed.
func (b *bench) getList(fields ...string) []byte {
	c := b.comity.collection(readCollection)
	return c.request(0, "GET", c.root.EscapedPath()+"x-feeds/rows/sha256.txt", fields...)
}

// list reads the list of the feed as soon as comity has it. It adds the feed first, if that
// is not done yet.
func (b *bench) list(ctx context.Context) (a answer, err error) {
	if !b.feed {
		file := filepath.Join(b.dir, "feed.toml")
		if err := os.WriteFile(file, []byte(feedFile), 0o600); err != nil {
			return a, err
		}
		if _, err := b.comity.command(ctx, nil, "feed", "add", file); err != nil {
			return a, err
		}
		b.feed = true
	}
	conn := newConn(b.comity.collection(readCollection).dial)
	defer conn.close()
	err = b.comity.process.ready(ctx, 5*time.Millisecond, func() error {
		a, err = conn.do(b.getList(), nil, false)
		if err == nil && a.status != http.StatusOK {
			err = unexpected(b.getList(), a)
		}
		return err
	})
	return a, err
}

// entries is the number of lines of a list.
func entries(a answer) float64 { return float64(a.bytes) / float64(len("\n")+64) }

// readers is how many clients pull files at a time. comity takes 8 requests of one account,
// and may still be at those of the round before.
const readers = 4

// rowFeedNotModified pulls a list that the client has.
func (b *bench) rowFeedNotModified(ctx context.Context) ([]line, error) {
	a, err := b.list(ctx)
	if err != nil {
		return nil, err
	}
	known, nothing := "If-None-Match: "+a.header.Get("ETag"), b.limitOf("304", "objects")
	return b.compare(ctx, comparison{
		line:   line{Name: "list of a feed that the client has: 304", Unit: "answers/s"},
		ours:   b.poll("comity", b.comity.collection(readCollection), readers, 304, measured.rate, inTurn([][]byte{b.getList(known)})),
		limits: []limit{{b.poll("net/http and mux, nothing but 304", nothing, readers, 304, measured.rate, inTurn(gets(nothing, "limit=1000", known))), 0.75}},
	})
}

// rowFeedRestart is the time from the start of the process to the first byte of the list, and
// the memory that the feed then takes.
func (b *bench) rowFeedRestart(ctx context.Context) ([]line, error) {
	const wanted = 0.3
	var took, fixed, used, bound []float64
	var n float64
	for range b.opt.Rounds {
		b.comity.stop()
		begin := time.Now()
		if _, err := b.comity.start(ctx); err != nil {
			return nil, errors.Join(err, b.restart(ctx))
		}
		before, err := memory(b.comity.process.pid(), "RssAnon")
		if err != nil {
			return nil, err
		}
		a, err := b.list(ctx)
		if err != nil {
			return nil, err
		}
		took, fixed = append(took, a.first.Sub(begin).Seconds()), append(fixed, wanted)
		time.Sleep(settle)
		after, err := memory(b.comity.process.pid(), "RssAnon")
		if err != nil {
			return nil, err
		}
		n = entries(a)
		used, bound = append(used, max(after-before, 1)), append(bound, 8e6+4*n)
	}
	name := thousands(n) + " entries"
	return []line{{
		Name: "restart with a feed of " + name + ", to its first byte", Unit: "s", Ours: median(took),
		Limit: "0.3 s", LimitFigure: wanted, VsLimit: ratioOf(took, fixed), Target: 1, AtMost: true,
	}, {
		Name: "memory that a feed of " + name + " adds", Unit: "bytes", Ours: median(used),
		Limit: "8 MB + 4 B an entry", LimitFigure: median(bound), VsLimit: ratioOf(used, bound), Target: 1, AtMost: true,
	}}, nil
}

// rowFeedChange pulls the list after a push of one indicator, and measures until its first byte.
func (b *bench) rowFeedChange(ctx context.Context) ([]line, error) {
	const wanted = 150
	before, err := b.list(ctx)
	if err != nil {
		return nil, err
	}
	c := b.comity.collection(pushCollection)
	conn := newConn(c.dial)
	defer conn.close()
	var took, fixed []float64
	for range b.opt.Rounds {
		body := b.pushes.appendEnvelope(nil, b.pushed, 1)
		pushed, err := conn.do(c.post(0, "", len(body)), body, true)
		if err != nil || pushed.status != http.StatusAccepted || !bytes.Contains(pushed.body, []byte(`"success_count":1`)) {
			return nil, errors.Join(err, fmt.Errorf("a push got status %d %s", pushed.status, cut(pushed.body)))
		}
		b.accepted = append(b.accepted, [2]int{b.pushed, 1})
		b.pushed++
		begin := time.Now()
		a, err := b.list(ctx)
		if err != nil {
			return nil, err
		}
		if entries(a) != entries(before)+1 {
			return nil, fmt.Errorf("after a push of one indicator the list of %.0f entries has %.0f", entries(before), entries(a))
		}
		took, fixed = append(took, a.first.Sub(begin).Seconds()*1000), append(fixed, wanted)
		before = a
	}
	return []line{{
		Name: fmt.Sprintf("first byte of a list of %s entries after a change", thousands(entries(before))), Unit: "ms", Ours: median(took),
		Limit: "150 ms", LimitFigure: wanted, VsLimit: ratioOf(took, fixed), Target: 1, AtMost: true,
	}}, nil
}
