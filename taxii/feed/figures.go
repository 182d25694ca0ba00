package feed

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	stixfeed "comity/stix/feed"
	"comity/taxii/exchange"
	"comity/taxii/metrics"
)

// figures has what this process knows of the requests for each feed. It is safe for
// concurrent use.
type figures struct {
	mu    sync.Mutex         // guards what follows
	feeds map[string]*figure // by "org/id"
}

// figure has the requests for one feed.
type figure struct {
	pulls    map[string]Pull // the last of each file
	asked    time.Time       // when any file was last asked for
	failures map[failure]int
	streams  int // open now
	agents   map[string]bool
}

// failure is a status of HTTP, from 400, within an hour of Unix time.
type failure struct {
	hour   int64
	status int
}

// of is the figure of a feed. The caller holds mu.
func (f *figures) of(key string) *figure {
	if f.feeds[key] == nil {
		f.feeds[key] = &figure{pulls: map[string]Pull{}, failures: map[failure]int{}, agents: map[string]bool{}}
	}
	return f.feeds[key]
}

// drop drops the figures of feeds that are no more.
func (f *figures) drop(feeds map[string]*exchange.Feed) {
	f.mu.Lock()
	defer f.mu.Unlock()
	maps.DeleteFunc(f.feeds, func(key string, _ *figure) bool { return feeds[key] == nil })
}

// maxPulls bounds the files of a feed whose last pull is remembered.
const maxPulls = 100

// pull notes a pull.
func (f *figures) pull(key string, p Pull) {
	f.mu.Lock()
	defer f.mu.Unlock()
	x := f.of(key)
	x.asked = p.Time
	if before, known := x.pulls[p.File]; known || len(x.pulls) < maxPulls {
		if p.Status == http.StatusNotModified {
			p.LeftOut = before.LeftOut
		}
		x.pulls[p.File] = p
	}
}

// fail notes a request that was answered by an error.
func (f *figures) fail(key string, status int, at time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	x, hour := f.of(key), at.Unix()/3600
	x.asked = at
	x.failures[failure{hour, status}]++
	maps.DeleteFunc(x.failures, func(old failure, _ int) bool { return old.hour <= hour-24 })
}

// stream counts one more open stream until done is called.
func (f *figures) stream(key string) (done func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	x := f.of(key)
	x.streams++
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		x.streams--
	}
}

// describe fills in the requests.
func (f *figures) describe(key string, p *Page, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	x := f.of(key)
	p.Pulls = slices.SortedFunc(maps.Values(x.pulls), func(a, b Pull) int { return strings.Compare(a.File, b.File) })
	p.Streams = x.streams
	for at, n := range x.failures {
		if at.hour > now.Unix()/3600-24 {
			if p.Failures == nil {
				p.Failures = map[string]int{}
			}
			p.Failures[strconv.Itoa(at.status)] += n
		}
	}
}

// pulled notes a pull over HTTP.
func (s *Service) pulled(a *Answer, c *caller, r *http.Request, file string, status int, bytes int64) {
	key, agent := a.key.feed, r.UserAgent()
	agent = agent[:min(len(agent), 200)]
	s.figures.pull(key, Pull{File: file, Time: c.now, Status: status, Bytes: bytes, Agent: agent, LeftOut: c.leftOut})
	if err := s.meet(r.Context(), key, agent, c.now); err != nil {
		s.log.Error("feed: the user agent is not saved", "feed", key, "err", err)
	}
}

// Agent is a program that reads a feed.
type Agent struct {
	Agent string    `json:"user_agent"`
	First time.Time `json:"first"` // when it first read the feed
}

// maxAgents is the number of user agents of a feed that are kept. Further ones are not
// warned of.
const maxAgents = 20

func agentsDocument(key string) string { return "feed agents " + key }

// agents are the programs that have read a feed.
func (s *Service) agents(ctx context.Context, key string) ([]Agent, error) {
	content, err := s.store.Document(ctx, agentsDocument(key))
	if err != nil {
		return nil, err
	}
	return decode[[]Agent](content)
}

// meet keeps a user agent that has not read the feed before, and warns of it unless it is the
// first one: somebody else may have the credentials.
func (s *Service) meet(ctx context.Context, key, agent string, now time.Time) error {
	s.figures.mu.Lock()
	met := s.figures.of(key).agents
	known := met[agent] || len(met) >= maxAgents
	if !known {
		met[agent] = true
	}
	s.figures.mu.Unlock()
	if known {
		return nil
	}
	list, err := s.agents(ctx, key)
	is := func(a Agent) bool { return a.Agent == agent }
	if err != nil || slices.ContainsFunc(list, is) {
		return err
	}
	another := false
	if err := s.amend(ctx, key, agentsDocument(key), func(old []byte) ([]byte, error) {
		list, err := decode[[]Agent](old)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(list, is) || len(list) >= maxAgents {
			return old, nil
		}
		another = len(list) > 0
		return json.Marshal(append(list, Agent{agent, now}))
	}); err != nil || !another {
		return err
	}
	s.log.Warn("feed: a new program reads it", "feed", key, "user_agent", agent)
	return nil
}

// count counts a request for a file or a stream of a feed of the caller.
func (h *handler) count(r *http.Request, c *caller, status int) {
	key := exchange.FeedKey(c.Account, c.path["feed"])
	if c.feed == "" { // no label for what a client made up
		snapshot, err := h.current.Snapshot(r.Context())
		if err != nil {
			return
		}
		if f := snapshot.Directory.Feeds[key]; f == nil || f.Account != c.Account {
			return
		}
	}
	h.metrics.FeedRead(key, status)
	if status >= 400 {
		h.figures.fail(key, status, c.now)
	}
}

// reportTime bounds how long a scrape waits for feeds that are being brought up to date.
const reportTime = time.Second

// Report reports each feed.
func (s *Service) Report(gauge metrics.Gauge) {
	ctx, cancel := context.WithTimeout(context.Background(), reportTime)
	defer cancel()
	snapshot, err := s.current.Snapshot(ctx)
	if err != nil {
		return
	}
	for key, f := range snapshot.Directory.Feeds {
		s.figures.mu.Lock()
		x := s.figures.of(key)
		asked, streams := x.asked, x.streams
		s.figures.mu.Unlock()
		if streams > 0 {
			asked = s.now()
		}
		gauge.Time("comity_feed_last_read_timestamp_seconds", asked, key)
		gauge("comity_feed_streams", float64(streams), key)
		def, err := s.definition(f)
		if err != nil {
			continue
		}
		if counts, version, ok := s.listed(ctx, key); ok {
			gauge.Time("comity_feed_changed_timestamp_seconds", version, key)
			for kind, n := range counts {
				if n > 0 || slices.Contains(def.Entries.Kinds, stixfeed.Kind(kind).String()) {
					gauge("comity_feed_entries", float64(n), key, stixfeed.Kind(kind).String())
				}
			}
		}
		if def.Webhook.URL == "" {
			continue
		}
		if p, err := s.receiverState(ctx, f, def); err == nil {
			dead := 0.0
			if p.Dead {
				dead = 1
			}
			gauge.Time("comity_feed_webhook_taken_timestamp_seconds", p.Last, key)
			gauge("comity_feed_webhook_failures", float64(p.Failures), key)
			gauge("comity_feed_webhook_given_up", dead, key)
		}
	}
}

// listed tells how many entries of each kind a feed has and when they last changed, in the
// first family that it is kept for.
func (s *Service) listed(ctx context.Context, key string) (n counts, version time.Time, ok bool) {
	for _, family := range families {
		s.mu.Lock()
		kept := s.listings[listingKey{key, family}]
		s.mu.Unlock()
		if kept == nil || kept.acquire(ctx) != nil {
			continue
		}
		if l := kept.listing; l != nil && l.entries != nil {
			n, version, ok = l.entries.counts, l.version, true
		}
		kept.release()
		if ok {
			break
		}
	}
	return n, version, ok
}
