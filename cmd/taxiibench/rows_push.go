package main

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"
)

// pushing is a side that pushes size new objects at a time; its figure is
// objects a second.
func (b *bed) pushing(name string, t *target, path string, clients, size int) side {
	return b.pushSide(name, t, path, clients, size, func(m measured) float64 { return m.rate() * float64(size) })
}

func (b *bed) pushSide(name string, t *target, path string, clients, size int, figure func(measured) float64) side {
	return side{name: name, run: func(ctx context.Context) (float64, error) {
		m, err := b.push(ctx, t, path, clients, size, b.opt.Time, 0)
		if err != nil {
			return 0, err
		}
		return figure(m), nil
	}}
}

// push pushes new objects, for a time or a number of pushes. path, if not empty,
// is that of the limit server; what TAXII servers took in the collection for
// pushes of comity is remembered for the walk at the end.
func (b *bed) push(ctx context.Context, t *target, path string, clients, size int, time time.Duration, pushes int) (measured, error) {
	var mu sync.Mutex // guards pushed, kept and left
	left := pushes
	bodies, first := make([][]byte, clients), make([]int, clients)
	return load{
		clients: clients, dial: t.dial, time: time, keep: true,
		next: func(client, _ int) (head, body []byte) {
			mu.Lock()
			if pushes > 0 && left == 0 {
				mu.Unlock()
				return nil, nil
			}
			left--
			first[client] = b.pushed
			b.pushed += size
			mu.Unlock()
			body = b.pushes.appendEnvelope(bodies[client][:0], first[client], size)
			bodies[client] = body
			if path != "" {
				return plain("POST", path, fmt.Sprintf("Content-Length: %d", len(body))), body
			}
			return t.post(client, len(body)), body
		},
		check: func(client, _ int, a answer) error {
			if path != "" {
				if a.status != 202 {
					return fmt.Errorf("%s: status %d %s", path, a.status, cut(a.body))
				}
				return nil
			}
			if err := taken(a, size); err != nil {
				return err
			}
			if t.name == "comity" {
				mu.Lock()
				b.kept = append(b.kept, [2]int{first[client], size})
				mu.Unlock()
			}
			return nil
		},
	}.run(ctx)
}

// taken looks at the answer to a push without reading all it says of each
// object, which would cost as much as making it.
func taken(a answer, size int) error {
	if n, ok := count(a.body, "success_count"); a.status != 202 || !ok || n != size {
		return fmt.Errorf("a push of %d objects: status %d %s", size, a.status, cut(a.body))
	}
	return nil
}

// count is the number behind a name in a JSON resource, found without reading
// the rest of it.
func count(body []byte, name string) (int, bool) {
	_, after, ok := bytes.Cut(body, []byte(`"`+name+`"`))
	if !ok {
		return 0, false
	}
	after = bytes.TrimLeft(after, ": \t\r\n")
	digits := 0
	for digits < len(after) && after[digits] >= '0' && after[digits] <= '9' {
		digits++
	}
	n, err := strconv.Atoi(string(after[:digits]))
	return n, err == nil
}

// rowPush is pushes of a size, durable, beside the same parse with an append and
// an fdatasync; a second line has the validation of the objects on both sides.
func (b *bed) rowPush(ctx context.Context, size, clients int, target, peerTarget float64) ([]line, error) {
	if err := b.serve(ctx); err != nil {
		return nil, err
	}
	var peers []against
	for _, p := range b.peers {
		if peerTarget > 0 {
			peers = append(peers, slow(b.pushing(p.name, p.push, "", 1, size), peerTarget))
		}
	}
	lines, err := b.compare(ctx, line{Name: fmt.Sprintf("pushes of %s objects, %d at a time", thousands(float64(size)), clients), Unit: "objects/s"},
		b.pushing("comity", b.comity.target(pushCollection), "", clients, size),
		[]against{
			{b.pushing("same parse, append, fdatasync", b.limitAt(), "/append", clients, size), target},
			{b.pushing("same parse, validation, append, fdatasync", b.limitAt(), "/checked", clients, size), 0},
		}, peers)
	if len(peers) > 0 && len(lines) > 0 {
		lines[0].Note = "peers get one push at a time; medallion begins with an empty collection and slows with each object in it"
	}
	return lines, err
}

func (b *bed) rowPush1000(ctx context.Context) ([]line, error) {
	return b.rowPush(ctx, 1000, 4, 0.65, 65)
}

func (b *bed) rowPush10000(ctx context.Context) ([]line, error) {
	return b.rowPush(ctx, 10_000, 2, 0.75, 0)
}

// rowWriters is many writers of one object each.
func (b *bed) rowWriters(ctx context.Context) ([]line, error) {
	if err := b.serve(ctx); err != nil {
		return nil, err
	}
	const writers = 64
	limit := b.limitAt()
	ours := b.pushing("comity", b.comity.target(pushCollection), "", writers, 1)
	lines, err := b.compare(ctx, line{Name: "64 writers of one object each", Unit: "objects/s"}, ours,
		[]against{
			{b.pushing("same parse, shared append, fdatasync", limit, "/append", writers, 1), 0.65},
			{b.pushing("same parse, validation, shared append, fdatasync", limit, "/checked", writers, 1), 0},
		},
		[]against{{b.pushing("bbolt db.Batch", limit, "/batch", writers, 1), 3}})
	if err != nil {
		return nil, err
	}
	more, err := b.compare(ctx, line{Name: "64 writers of one object each", Unit: "objects/s"}, ours, nil,
		[]against{{b.pushing("bbolt, a transaction each", limit, "/each", writers, 1), 20}})
	if err != nil || len(b.peers) == 0 {
		return append(lines, more...), err
	}
	var peers []against
	for _, p := range b.peers {
		peers = append(peers, slow(b.pushing(p.name, p.push, "", peerClients, 1), 0))
	}
	served, err := b.compare(ctx, line{Name: "64 writers of one object each", Unit: "objects/s", Note: "peers get two pushes at a time"}, ours, nil, peers)
	return slices.Concat(lines, more, served), err
}

// rowOneWriter is how long one push of one object takes.
func (b *bed) rowOneWriter(ctx context.Context) ([]line, error) {
	if err := b.serve(ctx); err != nil {
		return nil, err
	}
	p50 := func(m measured) float64 { return m.quantile(50).Seconds() * 1000 }
	return b.compare(ctx, line{Name: "one writer, one object", Unit: "ms, p50", AtMost: true},
		b.pushSide("comity", b.comity.target(pushCollection), "", 1, 1, p50),
		[]against{{b.pushSide("same parse, append, fdatasync", b.limitAt(), "/append", 1, 1, p50), 1.6}}, nil)
}

// rowWritten is what reaches the disk for each octet of objects.
func (b *bed) rowWritten(ctx context.Context) ([]line, error) {
	var lines []line
	for _, size := range []int{1000, 10_000} {
		// Nothing of what was written before is to be counted.
		b.comity.stop()
		if err := b.serve(ctx); err != nil {
			return nil, err
		}
		pid := b.comity.process.pid()
		before, err := written(pid)
		if err != nil {
			return nil, cannot(fmt.Sprintf("the system does not tell what a process writes: %v", err))
		}
		m, err := b.push(ctx, b.comity.target(pushCollection), "", 2, size, 0, max(2, b.held/4/size))
		if err != nil {
			return nil, err
		}
		after, err := written(pid)
		if err != nil {
			return nil, err
		}
		lines = append(lines, line{
			Name: fmt.Sprintf("octets to disk, pushes of %s", thousands(float64(size))), Unit: "octets", Ours: after - before,
			Limit: "octets of the pushes", LimitFigure: float64(m.sent), VsLimit: ratioOf([]float64{after - before}, []float64{float64(m.sent)}),
			Target: 1.45, AtMost: true, Note: "counted by the kernel for the process; of one run, there is nothing to alternate with",
		})
	}
	return lines, nil
}

// rowStreamed is what one large push adds to the memory of a server.
func (b *bed) rowStreamed(ctx context.Context) ([]line, error) {
	const size = 100_000_000
	n := size / b.pushes.size
	var body float64
	grows := func(pid func() int, t *target, path string) func(context.Context) (float64, error) {
		return func(ctx context.Context) (float64, error) {
			time.Sleep(settle)
			before, err := memory(pid(), "RssAnon")
			if err != nil {
				return 0, cannot(fmt.Sprintf("the system does not tell the memory of a process: %v", err))
			}
			peak, done, sampled := before, make(chan struct{}), make(chan struct{})
			go func() {
				defer close(sampled)
				for {
					select {
					case <-done:
						return
					case <-time.After(2 * time.Millisecond):
					}
					if now, err := memory(pid(), "RssAnon"); err == nil {
						peak = max(peak, now)
					}
				}
			}()
			m, err := b.push(ctx, t, path, 1, n, 0, 1)
			close(done)
			<-sampled
			body = float64(m.sent)
			return peak - before, err
		}
	}
	ours := side{name: "comity", run: func(ctx context.Context) (float64, error) {
		// A garbage collector that has room already would hide what is needed.
		b.comity.stop()
		if err := b.serve(ctx); err != nil {
			return 0, err
		}
		return grows(func() int { return b.comity.process.pid() }, b.comity.target(pushCollection), "")(ctx)
	}}
	whole := side{name: "net/http, whole body decoded", run: func(ctx context.Context) (float64, error) {
		b.limit.stop()
		if err := b.startLimit(ctx); err != nil {
			return 0, err
		}
		return grows(b.limit.pid, b.limitAt(), "/decode")(ctx)
	}}
	figures, err := alternate(ctx, min(b.opt.Rounds, 3), []side{ours, whole})
	if err != nil {
		return nil, err
	}
	return []line{{
		Name: "memory that a push of 100 MB adds at its peak", Unit: "octets", Ours: median(figures[0]),
		Limit: "octets of the push", LimitFigure: body, VsLimit: ratioOf(figures[0], repeat(body, len(figures[0]))), Target: 0.25, AtMost: true,
		Peer: whole.name, PeerFigure: median(figures[1]), VsPeer: ratioOf(figures[1], figures[0]), PeerTarget: 5,
	}}, nil
}

// check walks what was imported and what was pushed: nothing may be lost or
// repeated.
func (b *bed) check(ctx context.Context) (v verdict, err error) {
	if err := b.serve(ctx); err != nil {
		return v, err
	}
	b.sh.say("walking the collections")
	for _, c := range []struct {
		collection string
		m          maker
		ranges     [][2]int
	}{{baseCollection, b.base, [][2]int{{0, b.held}}}, {pushCollection, b.pushes, b.kept}} {
		l := newLedger()
		for _, r := range c.ranges {
			for i := range r[1] {
				l.add(c.m.id(r[0] + i))
			}
		}
		found, err := l.once(ctx, b.comity.target(c.collection), 10_000)
		if err != nil {
			return v, err
		}
		v = v.and(found)
	}
	return v, nil
}
