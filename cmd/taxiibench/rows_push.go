package main

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"sync"
	"time"
)

// pushLoad is a load that pushes new objects to a collection, size at a time. It notes
// the objects that comity accepted, for readBack.
func (b *bench) pushLoad(c *collection, query string, clients, size int) load {
	var mu sync.Mutex // guards b.pushed and b.accepted
	bodies, first := make([][]byte, clients), make([]int, clients)
	return load{
		clients: clients, dial: c.dial, keep: true,
		next: func(client, _ int) (head, body []byte) {
			mu.Lock()
			first[client] = b.pushed
			b.pushed += size
			mu.Unlock()
			body = b.pushes.appendEnvelope(bodies[client][:0], first[client], size)
			bodies[client] = body
			return c.post(client, query, len(body)), body
		},
		check: func(client, _ int, a answer) error {
			count := successCount.FindSubmatch(a.body)
			if a.status != 202 || count == nil || string(count[1]) != strconv.Itoa(size) {
				return fmt.Errorf("a push of %d objects: status %d %s", size, a.status, cut(a.body))
			}
			if c.server == "comity" && c.id == b.comity.ids[pushCollection] && query == "" {
				mu.Lock()
				b.accepted = append(b.accepted, [2]int{first[client], size})
				mu.Unlock()
			}
			return nil
		},
	}
}

// successCount finds the number of accepted objects in a status resource. Decoding the
// whole resource would take as much time as comity takes to write it.
var successCount = regexp.MustCompile(`"success_count"\s*:\s*(\d+)`)

// push measures a push load.
func (b *bench) push(name string, c *collection, clients, size int, figure func(measured) float64) side {
	return side{name: name, run: func(ctx context.Context) (float64, error) {
		l := b.pushLoad(c, "", clients, size)
		l.time = b.opt.Time
		m, err := l.run(ctx)
		if err != nil {
			return 0, err
		}
		return figure(m), nil
	}}
}

// rowPush is pushes of 1,000 objects, four at a time. Peers get one at a time;
// medallion begins with an empty collection and slows with each object in it.
func (b *bench) rowPush(ctx context.Context) ([]line, error) {
	objects := func(m measured) float64 { return 1000 * m.rate() }
	return b.compare(ctx, comparison{
		line:       line{Name: "pushes of 1,000, validated, durable", Unit: "objects/s"},
		ours:       b.push("comity", b.comity.collection(pushCollection), 4, 1000, objects),
		limits:     []limit{{b.push("parse, validation, append, fdatasync", b.limitOf("append", "objects"), 4, 1000, objects), 0.50}},
		peers:      sidesOf(b.peers, func(p *peer) side { return b.push(p.name, p.push, 1, 1000, objects) }),
		peerTarget: 40,
	})
}

// rowWriters is 64 writers of one object at a time each.
func (b *bench) rowWriters(ctx context.Context) ([]line, error) {
	return b.compare(ctx, comparison{
		line: line{Name: "64 writers of one object each", Unit: "objects/s"},
		ours: b.push("comity", b.comity.collection(pushCollection), 64, 1, measured.rate),
		limits: []limit{
			{b.push("bbolt's db.Batch", b.limitOf("batch", "objects"), 64, 1, measured.rate), 1.5},
			{b.push("a bbolt transaction each", b.limitOf("update", "objects"), 64, 1, measured.rate), 4},
		},
		peers:      sidesOf(b.peers, func(p *peer) side { return b.push(p.name, p.push, peerClients, 1, measured.rate) }),
		peerTarget: 60,
	})
}

// rowWriter is the time of a push of one object by one writer.
func (b *bench) rowWriter(ctx context.Context) ([]line, error) {
	return b.compare(ctx, comparison{
		line:   line{Name: "one writer of one object", Unit: "ms", AtMost: true},
		ours:   b.push("comity", b.comity.collection(pushCollection), 1, 1, measured.p50),
		limits: []limit{{b.push("a bbolt transaction of the same bytes", b.limitOf("update", "objects"), 1, 1, measured.p50), 1.10}},
	})
}

// rowLargePush is the memory that one large push, and a dry run of one, add at their
// peak.
func (b *bench) rowLargePush(ctx context.Context) (lines []line, err error) {
	const bytes = 100_000_000
	for _, kind := range []struct{ name, query string }{{"memory for a dry run of 100 MB", "x_dry_run=true"}, {"memory for a push of 100 MB", ""}} {
		var grown, sent []float64
		for range min(b.opt.Rounds, 3) {
			// Memory left from earlier pushes would hide the growth by this one.
			if err := b.restart(ctx); err != nil {
				return nil, err
			}
			l := b.pushLoad(b.comity.collection(pushCollection), kind.query, 1, bytes/b.pushes.size)
			// Made before the connection, on which the server waits ten seconds for a request.
			head, body := l.next(0, 0)
			l.next = func(_, n int) ([]byte, []byte) {
				if n == 0 {
					return head, body
				}
				return nil, nil
			}
			var m measured
			growth, err := growthOf(b.comity.process.pid(), func() (err error) {
				m, err = l.run(ctx)
				return err
			})
			if err != nil {
				return nil, err
			}
			grown, sent = append(grown, growth), append(sent, float64(m.sent))
		}
		lines = append(lines, line{
			Name: kind.name, Unit: "bytes", Ours: median(grown),
			Limit: "its bytes", LimitFigure: median(sent), VsLimit: ratioOf(grown, sent), Target: 0.25, AtMost: true,
		})
	}
	return lines, nil
}

// growthOf is the peak growth of the memory of a process during do, in bytes.
func growthOf(pid int, do func() error) (float64, error) {
	time.Sleep(settle)
	before, err := memory(pid, "RssAnon")
	if err != nil {
		return 0, err
	}
	done, peak := make(chan struct{}), make(chan float64)
	go func() {
		most := before
		for {
			select {
			case <-done:
				peak <- most
				return
			case <-time.After(2 * time.Millisecond):
			}
			if now, err := memory(pid, "RssAnon"); err == nil {
				most = max(most, now)
			}
		}
	}()
	err = do()
	close(done)
	return <-peak - before, err
}
