package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

type soakCmd struct {
	Pollers  int           `default:"1000" help:"Clients that poll the tail (default ${default})."`
	Accounts int           `default:"200" help:"Accounts that they share (default ${default})."`
	Pushers  int           `default:"20" help:"Clients that push (default ${default})."`
	Batch    int           `default:"2" help:"Objects of one push (default ${default})."`
	Pace     time.Duration `default:"1s" help:"How long each client waits between two requests (default ${default})."`
	Time     time.Duration `default:"5m" help:"How long they push and poll (default ${default})."`
	Comity   string        `type:"existingfile" placeholder:"FILE" help:"The comity to load (default: built from this tree)."`
	Dir      string        `type:"existingdir" placeholder:"DIR" help:"Where the temporary folder is made: on the disk to load."`
	output
}

func (c *soakCmd) Run(sh *shell) error {
	if c.Pollers < 1 || c.Accounts < 1 || c.Pushers < 1 || c.Batch < 1 || c.Pace <= 0 || c.Time < c.Pace {
		return errors.New("--pollers, --accounts, --pushers and --batch are at least 1, --pace is more than 0s and --time no less")
	}
	dir, err := os.MkdirTemp(c.Dir, "taxiibench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	server, err := newComity(sh, c.Comity, dir, []string{readCollection, pushCollection}, c.Accounts)
	if err != nil {
		return err
	}
	if _, err := server.start(sh.ctx); err != nil {
		return err
	}
	defer server.stop()
	sh.say("%s pollers of %s accounts and %d pushers for %s", thousands(float64(c.Pollers)), thousands(float64(c.Accounts)), c.Pushers, c.Time)
	s := newSoak(c, server.collection(pushCollection))
	r, err := s.run(sh.ctx, func() (float64, error) { return memory(server.process.pid(), "RssAnon") })
	if err != nil {
		return fmt.Errorf("%w; the server said: %s", err, server.process.logTail())
	}
	if err := r.print(sh, c.output); err != nil {
		return err
	}
	if !r.Delivery.exact() {
		sh.say("objects were lost or repeated")
		return errQuiet
	}
	return nil
}

// soak is many clients that pause between requests, as in daily use; a load is a few
// clients that never pause.
type soak struct {
	*soakCmd
	c        *collection
	objects  generator
	numbers  map[string]int // of all objects that may be pushed, by id
	next     atomic.Int64   // the number of the next object to push
	accepted []atomic.Bool  // by number: whether the server took the object

	mu         sync.Mutex // guards poll and push
	poll, push measured
}

func newSoak(c *soakCmd, collection *collection) *soak {
	s := &soak{soakCmd: c, c: collection, objects: generator{seed: rand.Uint64(), size: 700}, numbers: map[string]int{}}
	most := c.Pushers * c.Batch * (int(c.Time/c.Pace) + 1)
	s.accepted = make([]atomic.Bool, most)
	for i := range most {
		s.numbers[s.objects.id(i)] = i
	}
	s.poll.latency, s.push.latency = newHistogram(), newHistogram()
	return s
}

// tailPoller is one client that polls for new objects.
type tailPoller struct {
	client   int
	conn     *conn
	last     string
	received []uint8 // how often, by the object's number
}

// run lets one client poll alone, then all of them push and poll, and compares the objects
// that each client received with those that the server accepted. used reads the memory of
// the server.
func (s *soak) run(ctx context.Context, used func() (float64, error)) (r soakReport, err error) {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	pollers := make([]tailPoller, s.Pollers)
	for i := range pollers {
		pollers[i] = tailPoller{client: i, conn: newConn(s.c.dial), received: make([]uint8, len(s.accepted))}
		defer pollers[i].conn.close()
	}
	var wg sync.WaitGroup
	every := func(pace time.Duration, until <-chan struct{}, do func() error) {
		wg.Go(func() {
			if err := repeatedly(ctx, pace, until, do); err != nil {
				fail(err)
			}
		})
	}
	timer := func(d time.Duration) <-chan struct{} {
		ended := make(chan struct{})
		time.AfterFunc(d, func() { close(ended) })
		return ended
	}

	begin := time.Now()
	every(s.Pace/100, timer(s.Time/20), func() error { return s.follow(ctx, &pollers[0]) })
	wg.Wait()
	s.poll.took = time.Since(begin)
	idle := s.poll
	s.poll = measured{latency: newHistogram()}

	sample := func() error {
		b, err := used()
		r.Memory = append(r.Memory, b)
		return err
	}
	begin = time.Now()
	quiet := make(chan struct{})
	until := timer(s.Time)
	for i := range s.Pushers {
		every(s.Pace, until, func() error { return s.pushOne(i) })
	}
	wg.Go(func() {
		<-until
		select {
		case <-time.After(2 * s.Pace): // so that the last objects are polled like the others
		case <-ctx.Done():
		}
		close(quiet)
	})
	for i := range pollers {
		every(s.Pace, quiet, func() error { return s.follow(ctx, &pollers[i]) })
	}
	every(s.Time/100, quiet, sample)
	wg.Wait()
	if ctx.Err() != nil {
		return r, context.Cause(ctx)
	}
	s.push.took, s.poll.took = s.Time, time.Since(begin)
	for i := range pollers {
		if err := s.follow(ctx, &pollers[i]); err != nil {
			return r, err
		}
		r.Delivery.add(s.compare(&pollers[i]))
	}
	objects := []float64{float64(r.Delivery.Pushed) / float64(s.Pollers) / s.Time.Seconds()}
	delivered := []float64{float64(r.Delivery.Received) / s.poll.took.Seconds()}
	r.Idle, r.Poll, r.Push = newPhase([]measured{idle}, []float64{0}), newPhase([]measured{s.poll}, delivered), newPhase([]measured{s.push}, objects)
	return r, nil
}

// repeatedly calls do at a pace until the channel is closed. It begins at a random
// moment within the first interval.
func repeatedly(ctx context.Context, pace time.Duration, until <-chan struct{}, do func() error) error {
	wait := time.NewTimer(rand.N(pace))
	defer wait.Stop()
	for {
		select {
		case <-wait.C:
		case <-until:
			return nil
		case <-ctx.Done():
			return nil
		}
		if err := do(); err != nil {
			return err
		}
		wait.Reset(pace)
	}
}

// follow polls until the answer has no more pages.
func (s *soak) follow(ctx context.Context, t *tailPoller) error {
	query := url.Values{"limit": {"1000"}}
	if t.last != "" {
		query.Set("added_after", t.last)
	}
	for ctx.Err() == nil {
		head := s.c.get(t.client, query.Encode())
		a, err := s.ask(&s.poll, t.conn, head, nil)
		if err != nil {
			return err
		}
		if a.status != 200 {
			return unexpected(head, a)
		}
		var p page
		if err := a.decode(&p); err != nil {
			return err
		}
		for _, o := range p.Objects {
			if n, ours := s.numbers[o.ID]; ours {
				t.received[n]++
			}
		}
		if last := a.lastAdded(); last != "" {
			t.last = last
		}
		if !p.More {
			return nil
		}
		if p.Next == "" {
			return fmt.Errorf("%s: a page has more and no next", s.c.server)
		}
		query.Set("next", p.Next)
	}
	return nil
}

// pushOne pushes once.
func (s *soak) pushOne(client int) error {
	first := int(s.next.Add(int64(s.Batch))) - s.Batch
	if first+s.Batch > len(s.accepted) {
		return nil
	}
	body := s.objects.appendEnvelope(nil, first, s.Batch)
	c := newConn(s.c.dial)
	defer c.close()
	a, err := s.ask(&s.push, c, s.c.post(client, "", len(body)), body)
	if err != nil {
		return err
	}
	if _, err := s.c.completed(a); err != nil {
		return err
	}
	for i := range s.Batch {
		s.accepted[first+i].Store(true)
	}
	return nil
}

// ask sends a request and records its latency.
func (s *soak) ask(m *measured, c *conn, head, body []byte) (answer, error) {
	begin := time.Now()
	a, err := c.do(head, body, true)
	took := time.Since(begin)
	if err != nil {
		return a, fmt.Errorf("%s: %w", bytes.TrimSpace(head[:bytes.IndexByte(head, '\n')]), err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return a, m.record(took, len(body), a)
}

// compare compares the objects that a client received with those that the server
// accepted.
func (s *soak) compare(t *tailPoller) (d delivery) {
	for i, n := range t.received {
		if s.accepted[i].Load() {
			d.count(s.objects.id(i), int(n))
		}
	}
	return d
}

// soakReport is the result of a soak.
type soakReport struct {
	Idle     *phaseReport `json:"idle"` // one client polls alone
	Poll     *phaseReport `json:"poll"`
	Push     *phaseReport `json:"push"`
	Delivery delivery     `json:"delivery"` // of all pollers together
	Memory   []float64    `json:"memory"`   // of the server, anonymous, in bytes, over time
}

func (r soakReport) print(sh *shell, o output) error {
	if o.JSON {
		return sh.printJSON(r)
	}
	var lines [][]string
	for _, work := range []struct {
		name string
		p    *phaseReport
	}{{"poll, one client alone", r.Idle}, {"poll, all", r.Poll}, {"push", r.Push}} {
		lines = append(lines, append([]string{work.name}, work.p.cells()...))
	}
	writeTable(sh.out, o.Markdown, append([]string{"work"}, phaseHeader...), lines)
	if n := len(r.Memory); n > 0 {
		peak := 0.0
		for _, b := range r.Memory {
			peak = max(peak, b)
		}
		fmt.Fprintf(sh.out, "\nMemory of the server, anonymous: %s at the beginning, %s in the middle, %s at the end, at most %s.\n",
			bytesOf(r.Memory[0]), bytesOf(r.Memory[n/2]), bytesOf(r.Memory[n-1]), bytesOf(peak))
	}
	fmt.Fprintf(sh.out, "\nOver all pollers: %s.\n", r.Delivery)
	return nil
}
