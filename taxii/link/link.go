// Package link runs the links of the directory: it pulls collections of other TAXII 2.1
// servers into ours, and pushes ours to them.
//
// A link acts as its account, and each page is decided anew: what it pulls is a push by
// that account, and what it pushes is what that account may read. Its position is stored
// after the objects are, so that a kill at any time loses nothing and repeats one page at
// most. The package grants nothing, and keeps no credentials.
package link

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"comity/store"
	"comity/taxii"
	"comity/taxii/client"
	"comity/taxii/custody"
	"comity/taxii/exchange"
	"comity/taxii/follow"
	"comity/taxii/intake"
)

// Service runs the links of one exchange. It is safe for concurrent use.
type Service struct {
	store   store.Store
	current *exchange.Current
	intake  *intake.Intake
	custody *custody.Service
	now     func() time.Time
	log     *slog.Logger

	mu      sync.Mutex             // guards what follows
	running map[string]bool        // by name
	seen    map[string]store.State // by name: of our collection, when a link that pushes last began to run
	stored  map[string]State       // by name: as this process last read or stored it
}

// New makes a Service over an open store.
func New(s store.Store, current *exchange.Current, in *intake.Intake, c *custody.Service, now func() time.Time, log *slog.Logger) *Service {
	return &Service{
		store: s, current: current, intake: in, custody: c, now: now, log: log,
		running: map[string]bool{}, seen: map[string]store.State{}, stored: map[string]State{},
	}
}

// Check refuses a link that could not run: Invalid if it would use plain HTTP without
// leave, or its file of credentials cannot be used; NotFound, Forbidden or Conflict if its
// account may not write to the collection, or read it, now. It asks the other server nothing.
func (s *Service) Check(newest *exchange.Snapshot, l *exchange.Link) error {
	c, err := s.connect(l, nil)
	if err == nil {
		c.Close()
		_, err = s.grant(newest, l)
	}
	if err != nil {
		return fmt.Errorf("link %s: %w", l.Name, err)
	}
	return nil
}

// grant is the grant of a link on our collection.
func (s *Service) grant(newest *exchange.Snapshot, l *exchange.Link) (exchange.Grant, error) {
	now := s.now()
	p, ok := newest.Principal(newest.Directory.Accounts[l.Account], now)
	if !ok {
		return exchange.Grant{}, taxii.Errorf(taxii.Conflict, "account %s is not there, is disabled or has expired", l.Account)
	}
	verb, what := exchange.Write, "add to"
	if l.Direction == exchange.Push {
		verb, what = exchange.Read, "read"
	}
	g, err := newest.Policy.Decide(p, l.Collection, verb, now)
	if err != nil {
		why, refused := "there is no such collection", (*exchange.Obstacle)(nil)
		if errors.As(err, &refused) {
			why = refused.Error()
		}
		return g, taxii.Errorf(taxii.CodeOf(err), "account %s may not %s collection %s: %s", l.Account, what, l.Collection, why)
	}
	return g, nil
}

// Run runs each link when it is due until ctx ends, while no other process does. A link
// that is not paused is due after its interval, and one that pushes also within a second
// after a change of our collection. After a failure it is tried again after 10 seconds, and
// then after ever longer times up to an hour.
func (s *Service) Run(ctx context.Context) {
	s.store.Lead(ctx, "links", func(ctx context.Context) {
		var runs sync.WaitGroup
		defer runs.Wait()
		follow.Run(ctx, s.log, "links", func(ctx context.Context) error {
			due, err := s.due(ctx)
			for _, name := range due {
				runs.Go(func() { s.start(ctx, name, false) }) // it logs and stores its failure
			}
			return err
		})
	})
}

// due are the names of the links that are due and do not run.
func (s *Service) due(ctx context.Context) (names []string, err error) {
	newest, err := s.current.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	for name, l := range newest.Directory.Links {
		s.mu.Lock()
		running, seen, st := s.running[name], s.seen[name], s.stored[name]
		s.mu.Unlock()
		if l.Paused || running {
			continue
		}
		if !st.Added.Equal(l.Added) || st.Failures > 0 { // it may have been run by hand elsewhere meanwhile
			if st, err = s.state(ctx, l); err != nil {
				return nil, err
			}
			s.remember(name, st)
		}
		due := !s.now().Before(st.NextTry)
		if c, ok := newest.Policy.Collection(l.Collection, s.now()); ok && !due && l.Direction == exchange.Push && st.Failures == 0 {
			state, err := s.store.State(ctx, c.ID)
			if err != nil {
				return nil, err
			}
			due = state != seen
		}
		if due {
			names = append(names, name)
		}
	}
	return names, nil
}

// remember keeps a state in memory, so that it need not be read to know when the link is due,
// unless it fails. If another process stored a later one meanwhile, the link runs once too often.
func (s *Service) remember(name string, st State) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stored[name] = st
}

// RunNow runs a link at once, paused or not, and returns its status. If another process runs
// it, RunNow waits until that has ended. The error is NotFound if there is no such link,
// Conflict if it is running in this process, or that of the run.
func (s *Service) RunNow(ctx context.Context, name string) (Status, error) {
	if err := s.start(ctx, name, true); err != nil {
		return Status{}, err
	}
	return s.Status(ctx, name)
}

// start runs a link and stores how it went. byHand says that it may be paused.
func (s *Service) start(ctx context.Context, name string, byHand bool) error {
	s.mu.Lock()
	running := s.running[name]
	s.running[name] = true
	s.mu.Unlock()
	if running {
		return taxii.Errorf(taxii.Conflict, "link %s is running already", name)
	}
	defer func() {
		s.mu.Lock()
		delete(s.running, name)
		s.mu.Unlock()
	}()
	newest, err := s.current.Snapshot(ctx)
	if err != nil {
		return err
	}
	l, err := newest.Directory.Link(name)
	if err != nil {
		return err
	}
	err = context.Canceled // unless the link is run
	s.store.Lead(ctx, "link "+name, func(ctx context.Context) {
		r := &run{Service: s, link: l, byHand: byHand, began: s.now()}
		err = r.do(ctx)
		switch {
		case ctx.Err() != nil:
			err = ctx.Err()
		case errors.Is(err, errEnded):
			err = nil
		default:
			err = r.finish(ctx, err)
		}
	})
	return err
}

// run is one run of a link.
type run struct {
	*Service
	link    *exchange.Link
	byHand  bool
	began   time.Time
	state   State // as it was last stored
	notices []string
}

// errEnded ends a run without a failure: the link was removed or paused meanwhile.
var errEnded = errors.New("the link was removed or paused")

func (r *run) do(ctx context.Context) (err error) {
	if r.state, err = r.Service.state(ctx, r.link); err != nil {
		return err
	}
	c, err := r.connect(r.link, r.notice)
	if err != nil {
		return err
	}
	defer c.Close()
	if r.link.Direction == exchange.Pull {
		return r.pull(ctx, c)
	}
	return r.push(ctx, c)
}

// maxNotices bounds what a run keeps of the faults of the other server.
const maxNotices = 10

func (r *run) notice(sentence string) {
	if len(r.notices) < maxNotices {
		r.notices = append(r.notices, sentence)
	}
}

// decide is the grant of the link at this moment.
func (r *run) decide(ctx context.Context) (exchange.Grant, error) {
	newest, err := r.current.Snapshot(ctx)
	if err != nil {
		return exchange.Grant{}, err
	}
	l := newest.Directory.Links[r.link.Name]
	if l == nil || !l.Added.Equal(r.link.Added) || l.Paused && !r.byHand {
		return exchange.Grant{}, errEnded
	}
	return r.grant(newest, l)
}

// The times between two tries of a link that fails.
const (
	firstRetry = 10 * time.Second
	lastRetry  = time.Hour
)

// finish stores how the run ended, and returns its error.
func (r *run) finish(ctx context.Context, failure error) error {
	now := r.now()
	before := r.state
	err := r.save(ctx, func(st *State) {
		st.Notices = r.notices
		st.LastTry = r.began
		if failure == nil {
			st.LastSuccess, st.UpToDate, st.Failures, st.Problem, st.NextTry = now, r.began, 0, "", now.Add(r.link.Interval())
			return
		}
		wait := min(firstRetry<<min(st.Failures, 10), lastRetry)
		var known *taxii.Error
		if errors.As(failure, &known) {
			wait = max(wait, known.RetryAfter)
		}
		st.Failures++
		st.Problem, st.NextTry = failure.Error(), now.Add(wait)
	})
	switch {
	case failure != nil && failure.Error() != before.Problem:
		r.log.Warn("link fails", "link", r.link.Name, "err", failure, "next_try", r.state.NextTry)
	case failure == nil && before.Failures > 0:
		r.log.Info("link works again", "link", r.link.Name)
	}
	if failure != nil {
		return fmt.Errorf("link %s: %w", r.link.Name, failure)
	}
	return err
}

// connect makes a client of the other server. It reads the credentials each time, so that a
// change of their file takes effect with the next run. A request is retried for a short time
// only, since the link itself is tried again.
func (s *Service) connect(l *exchange.Link, notice func(string)) (*client.Client, error) {
	config := client.Config{PlainHTTP: l.PlainHTTP, Notice: notice, RetryFor: 5 * time.Second, Now: s.now}
	if l.Credentials != "" {
		if err := readCredentials(l.Credentials, &config); err != nil {
			return nil, err
		}
	}
	return client.New(l.URL, config)
}
