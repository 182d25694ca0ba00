package main

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
)

// ledger remembers what was pushed, to be held against what a walk sees. It is
// safe for concurrent use.
type ledger struct {
	mu     sync.Mutex
	pushed map[string]bool
}

func newLedger() *ledger { return &ledger{pushed: map[string]bool{}} }

// add notes ids that the server says it has.
func (l *ledger) add(ids ...string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, id := range ids {
		l.pushed[id] = true
	}
}

// verdict is what a walk found of what was pushed.
type verdict struct {
	Pushed   int      `json:"pushed"`
	Seen     int      `json:"seen"`
	Lost     int      `json:"lost"`
	Repeated int      `json:"repeated"`
	Examples []string `json:"examples,omitempty"`
}

// and is the verdict on both.
func (v verdict) and(o verdict) verdict {
	v.Pushed, v.Seen, v.Lost, v.Repeated = v.Pushed+o.Pushed, v.Seen+o.Seen, v.Lost+o.Lost, v.Repeated+o.Repeated
	if v.Examples == nil {
		v.Examples = o.Examples
	}
	return v
}

func (v verdict) clean() bool { return v.Lost == 0 && v.Repeated == 0 }

func (v verdict) String() string {
	if v.clean() {
		return fmt.Sprintf("all %d pushed were seen, each once", v.Pushed)
	}
	return fmt.Sprintf("of %d pushed, %d were never seen and %d more than once, such as %s", v.Pushed, v.Lost, v.Repeated,
		strings.Join(v.Examples, ", "))
}

// judge holds what a walk saw, with how often, against what was pushed. Other
// objects may have been there before, and are not looked at.
func (l *ledger) judge(seen map[string]int) (v verdict) {
	l.mu.Lock()
	defer l.mu.Unlock()
	v.Pushed = len(l.pushed)
	for id := range l.pushed {
		switch n := seen[id]; {
		case n == 1:
			v.Seen++
			continue
		case n == 0:
			v.Lost++
		default:
			v.Seen++
			v.Repeated++
		}
		if len(v.Examples) < 3 {
			v.Examples = append(v.Examples, id)
		}
	}
	return v
}

// walk goes through a collection page by page, by next, and counts how often it
// sees each id.
type walk struct {
	t     *target
	limit int
	seen  map[string]int
	pages int
	last  string // date_added of the last entry, "" if the server tells none
}

func newWalk(t *target, limit int) *walk { return &walk{t: t, limit: limit, seen: map[string]int{}} }

// forward walks from where it stands to what is now the end. each, if not nil,
// is told after every page what it ended with and how many entries came before.
func (w *walk) forward(ctx context.Context, c *conn, each func(last string, entries int)) error {
	q := url.Values{"limit": {strconv.Itoa(w.limit)}}
	if w.last != "" {
		q.Set("added_after", w.last)
	}
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		p, _, err := w.t.page(c, q.Encode())
		if err != nil {
			return err
		}
		for _, o := range p.Objects {
			w.seen[o.ID]++
		}
		w.pages++
		if len(p.Objects) > 0 && p.last != "" {
			w.last = p.last
		}
		if each != nil {
			each(w.last, len(w.seen))
		}
		if !p.More {
			return nil
		}
		if p.Next == "" {
			return fmt.Errorf("page %d says that more follows, and not by which next", w.pages)
		}
		q.Set("next", p.Next) // beside the same query, as some servers demand
	}
}

// once walks the whole collection and judges.
func (l *ledger) once(ctx context.Context, t *target, limit int) (verdict, error) {
	c := newConn(t.dial)
	defer c.close()
	w := newWalk(t, limit)
	if err := w.forward(ctx, c, nil); err != nil {
		return verdict{}, fmt.Errorf("walk %s: %w", t.name, err)
	}
	return l.judge(w.seen), nil
}

// follow polls the tail, as a client does that wants news, until done is closed,
// then goes to the end and gives what it saw. It needs a server that sends
// X-TAXII-Date-Added-Last.
func follow(ctx context.Context, t *target, limit int, done <-chan struct{}) (map[string]int, error) {
	c := newConn(t.dial)
	w := newWalk(t, limit)
	defer func() { c.close() }()
	for {
		last := false
		select {
		case <-done:
			last = true
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
		if err := w.forward(ctx, c, nil); err != nil {
			return nil, fmt.Errorf("follow %s: %w", t.name, err)
		}
		if len(w.seen) > 0 && w.last == "" {
			return nil, fmt.Errorf("follow %s: the server sends no X-TAXII-Date-Added-Last; leave --follow out", t.name)
		}
		if last {
			return w.seen, nil
		}
		// A server may close what idles; a request is never sent twice.
		c.close()
	}
}
