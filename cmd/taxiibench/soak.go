package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
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
	Store    string        `placeholder:"DSN" help:"Keep the store in this empty database of PostgreSQL (default: in a data folder)."`
	Servers  int           `default:"1" help:"Servers on that database, which the clients use at random (default ${default})."`
	Failover string        `enum:",plain,patroni" default:"" help:"Let the database fail over twice meanwhile; clients repeat requests that fail. Its servers run on this machine, and --store names all of them and a superuser; the last server of comity reads pages from the standby. plain cuts the standby off, crashes the primary and kills it, promotes the standby, and makes the former primary follow it. patroni kills the primary, and Patroni does the rest."`
	Comity   string        `type:"existingfile" placeholder:"FILE" help:"The comity to load (default: built from this tree)."`
	Dir      string        `type:"existingdir" placeholder:"DIR" help:"Where the temporary folder is made: on the disk to load."`
	output
}

func (c *soakCmd) Run(sh *shell) error {
	if c.Pollers < 1 || c.Accounts < 1 || c.Pushers < 1 || c.Batch < 1 || c.Servers < 1 || c.Pace <= 0 || c.Time < c.Pace {
		return errors.New("--pollers, --accounts, --pushers, --batch and --servers are at least 1, --pace is more than 0s and --time no less")
	}
	if c.Store == "" && (c.Servers > 1 || c.Failover != "") {
		return errors.New("--servers and --failover need the database of --store")
	}
	var database cluster
	if c.Failover != "" {
		var err error
		if database, err = newCluster(c.Store); err != nil {
			return err
		}
	}
	dir, err := os.MkdirTemp(c.Dir, "taxiibench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	servers, err := c.start(sh, dir)
	defer func() {
		for _, server := range servers {
			server.stop()
		}
	}()
	if err != nil {
		return err
	}
	sh.say("%s pollers of %s accounts and %d pushers for %s", thousands(float64(c.Pollers)), thousands(float64(c.Accounts)), c.Pushers, c.Time)
	var places [][]*collection
	for _, name := range []string{readCollection, pushCollection} {
		var at []*collection
		for _, server := range servers {
			at = append(at, server.collection(name))
		}
		places = append(places, at)
	}
	s := newSoak(c, places...)
	s.used = func() (total float64, err error) {
		for _, server := range servers {
			n, failed := memory(server.process.pid(), "RssAnon")
			total, err = total+n, errors.Join(err, failed)
		}
		return total, err
	}
	if c.Failover != "" {
		s.failOver = func(ctx context.Context) error {
			sh.say("the database fails over")
			return database.failOver(ctx, c.Failover)
		}
	}
	r, err := s.run(sh.ctx)
	if err != nil {
		return fmt.Errorf("%w; the server said: %s", err, servers[0].process.logTail())
	}
	if err := r.print(sh, c.output); err != nil {
		return err
	}
	if !r.Delivery.exact() {
		sh.say("objects were lost, repeated or out of order")
		return errQuiet
	}
	if c.Failover != "" {
		log, err := os.ReadFile(servers[len(servers)-1].process.log)
		if err != nil || !bytes.Contains(log, []byte("pages are read from the replica")) {
			return cmp.Or(err, errors.New("the last server has read no page from the standby"))
		}
	}
	if _, err := servers[0].command(sh.ctx, nil, "audit", "verify"); err != nil {
		return err
	}
	for _, server := range servers {
		server.stop()
	}
	_, err = servers[0].command(sh.ctx, nil, "check")
	return err
}

// start makes the centre and starts the servers. With an error, it returns those that have
// to be stopped.
func (c *soakCmd) start(sh *shell, dir string) (servers []*comity, err error) {
	first, err := newComity(sh, c.Comity, dir, c.Store, []string{readCollection, pushCollection}, c.Accounts)
	if err != nil {
		return nil, err
	}
	for server := first; ; {
		servers = append(servers, server)
		last := len(servers) == c.Servers
		if last && c.Failover != "" {
			server.env = append(server.env, "COMITY_STORE_REPLICA="+c.Store)
		}
		if _, err := server.start(sh.ctx, "--public-url", "http://"+first.address); err != nil || last {
			return servers, err
		}
		if server, err = first.another(sh.ctx, fmt.Sprint(first.dir, len(servers))); err != nil {
			return servers, err
		}
	}
}

// soak is many clients that pause between requests, as in daily use; a load is a few
// clients that never pause.
type soak struct {
	*soakCmd
	places   [][]*collection             // the collections, each as every server has it
	used     func() (float64, error)     // the memory of the servers
	failOver func(context.Context) error // nil: the database does not fail over
	objects  generator
	numbers  map[string]int // of all objects that may be pushed, by id
	next     atomic.Int64   // the number of the next object to push
	accepted []atomic.Int32 // by number: 1 + the index of the collection that took the object

	mu         sync.Mutex // guards poll, push and repeated
	poll, push measured
	repeated   int // requests
}

func newSoak(c *soakCmd, places ...[]*collection) *soak {
	s := &soak{
		soakCmd: c, places: places, used: func() (float64, error) { return 0, nil },
		objects: generator{seed: rand.Uint64(), size: 700}, numbers: map[string]int{},
	}
	most := c.Pushers * c.Batch * (int(c.Time/c.Pace) + 1)
	s.accepted = make([]atomic.Int32, most)
	for i := range most {
		s.numbers[s.objects.id(i)] = i
	}
	s.poll.latency, s.push.latency = newHistogram(), newHistogram()
	return s
}

// run lets one client poll alone, then all of them push and poll, and compares the objects
// that each client received with those that the servers accepted.
func (s *soak) run(ctx context.Context) (r soakReport, err error) {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	pollers := make([]*tailPoller, s.Pollers)
	for i := range pollers {
		pollers[i] = s.newPoller(i)
		defer pollers[i].close()
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
	every(s.Pace/100, timer(s.Time/20), func() error { return s.follow(ctx, pollers[0]) })
	wg.Wait()
	s.poll.took = time.Since(begin)
	idle := s.poll
	s.poll = measured{latency: newHistogram()}

	sample := func() error {
		b, err := s.used()
		r.Memory = append(r.Memory, b)
		return err
	}
	begin = time.Now()
	until, quiet := make(chan struct{}), make(chan struct{})
	wg.Go(func() {
		defer close(until)
		if err := s.failOvers(ctx); err != nil {
			fail(fmt.Errorf("failover: %w", err))
		}
		pause(ctx, time.Until(begin.Add(s.Time)))
		s.push.took = time.Since(begin)
	})
	var pushers sync.WaitGroup
	for i := range s.Pushers {
		pushers.Go(func() {
			if err := repeatedly(ctx, s.Pace, until, func() error { return s.pushOne(ctx, i) }); err != nil {
				fail(err)
			}
		})
	}
	wg.Go(func() {
		pushers.Wait()
		// The last objects are polled like the others. Other servers show them a moment later.
		pause(ctx, 2*s.Pace+time.Duration(len(s.places[0])-1)*time.Second)
		close(quiet)
	})
	for i := range pollers {
		every(s.Pace, quiet, func() error { return s.follow(ctx, pollers[i]) })
	}
	every(s.Time/100, quiet, sample)
	wg.Wait()
	if ctx.Err() != nil {
		return r, context.Cause(ctx)
	}
	s.poll.took, r.Repeated = time.Since(begin), s.repeated
	whole := make([]*tailPoller, len(s.places)) // of each collection, read at the end
	for i := range whole {
		whole[i] = s.newPoller(i)
		defer whole[i].close()
		if err := s.follow(ctx, whole[i]); err != nil {
			return r, err
		}
	}
	for _, p := range append(pollers, whole...) {
		if err := s.follow(ctx, p); err != nil {
			return r, err
		}
		r.Delivery.add(s.compare(p, whole[p.place]))
	}
	objects := []float64{float64(s.push.requests) * float64(s.Batch) / s.push.took.Seconds()}
	delivered := []float64{float64(r.Delivery.Received) / s.poll.took.Seconds()}
	r.Idle, r.Poll, r.Push = newPhase([]measured{idle}, []float64{0}), newPhase([]measured{s.poll}, delivered), newPhase([]measured{s.push}, objects)
	return r, nil
}

// failOvers lets the database fail over twice, if it does. Before each time there are pushes
// for a quarter of the time of the soak.
func (s *soak) failOvers(ctx context.Context) error {
	if s.failOver == nil {
		return nil
	}
	for range 2 {
		if err := pause(ctx, s.Time/4); err != nil {
			return nil
		}
		if err := s.failOver(ctx); err != nil {
			return err
		}
	}
	return nil
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

// soakReport is the result of a soak.
type soakReport struct {
	Idle     *phaseReport `json:"idle"` // one client polls alone
	Poll     *phaseReport `json:"poll"`
	Push     *phaseReport `json:"push"`
	Delivery delivery     `json:"delivery"` // of all pollers together
	Repeated int          `json:"repeated"` // requests that failed and were repeated
	Memory   []float64    `json:"memory"`   // of the servers, anonymous, in bytes, over time
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
		fmt.Fprintf(sh.out, "\nMemory of the servers, anonymous: %s at the beginning, %s in the middle, %s at the end, at most %s.\n",
			bytesOf(r.Memory[0]), bytesOf(r.Memory[n/2]), bytesOf(r.Memory[n-1]), bytesOf(peak))
	}
	if r.Repeated > 0 {
		fmt.Fprintf(sh.out, "\n%s requests failed and were repeated.\n", thousands(float64(r.Repeated)))
	}
	fmt.Fprintf(sh.out, "\nOver all pollers, and a client that read everything at the end: %s.\n", r.Delivery)
	return nil
}
