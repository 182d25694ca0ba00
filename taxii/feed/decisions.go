package feed

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	stixfeed "comity/stix/feed"
	"comity/taxii"
)

// positions are what the bouncers of CrowdSec have. They are in memory only: after a restart,
// a bouncer gets all decisions once more. It is safe for concurrent use.
type positions struct {
	mu   sync.Mutex // guards what follows
	last map[bouncer]position
}

// bouncer identifies a bouncer: each has a token of its own, as in CrowdSec.
type bouncer struct{ feed, account, token string }

// position is what a bouncer got last.
type position struct {
	cursor  string
	asked   time.Time
	renewed time.Time // when it got all decisions
}

func (p *positions) get(b bouncer) position {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.last[b]
}

// put replaces a position, and forgets those of bouncers that ask no more.
func (p *positions) put(b bouncer, now position) {
	p.mu.Lock()
	defer p.mu.Unlock()
	maps.DeleteFunc(p.last, func(_ bouncer, old position) bool { return now.asked.Sub(old.asked) > historyFor })
	p.last[b] = now
}

// getDecisions answers a bouncer as the local API of CrowdSec does. With ?startup=true, new
// has all decisions; otherwise it has those that came since the last request of the same
// token, and deleted those that left. A bouncer holds a decision for its duration, which is
// not longer than the agreement lets it be held without asking again; and since bouncers do
// not prolong a decision that they have, a decision to prolong is in both lists. So are all
// decisions when half of that time is over, and when the position of the bouncer is lost:
// those that left meanwhile end by their duration then.
func (h *handler) getDecisions(w *response, r *http.Request, c *caller) error {
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	a, done, err := h.read(ctx, c, Bouncer)
	if err != nil {
		return err
	}
	defer done()
	if a.Definition.Use != "block" {
		return taxii.Errorf(taxii.Forbidden, "a bouncer blocks, and the feed is for %s", a.Definition.Use)
	}
	if err := a.checkEmpty(); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	if r.Method == http.MethodHead {
		return nil
	}
	who := bouncer{c.feed, c.Account, c.Token}
	last := h.positions.get(who)
	d := a.Since(last.cursor)
	added, deleted := d.Add, slices.Concat(d.Remove, d.Changed)
	startup := r.URL.Query().Get("startup") == "true"
	all := startup || d.Full || a.Hold > 0 && c.now.Sub(last.renewed) >= a.Hold/2
	if all {
		added = slices.Collect(a.Entries.All())
		deleted, last.renewed = slices.Concat(d.Remove, added), c.now
	}
	if startup {
		deleted = nil
	}
	if len(added) > 0 {
		if err := a.Deliver("decisions"); err != nil {
			return err
		}
	}
	a.Close() // before the client reads, which may take long
	err = stixfeed.WriteDecisions(w, &stixfeed.Header{Feed: c.feed, Now: c.now, Hold: a.Hold}, slices.Values(added), slices.Values(deleted))
	if err == nil {
		h.positions.put(who, position{d.Cursor, c.now, last.renewed})
	}
	h.pulled(a, c, r, "decisions", w.status, w.bytes)
	return nil // an error means that the client has left
}
