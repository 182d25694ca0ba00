package feed

import (
	"context"
	"encoding/json"
	"iter"
	"maps"
	"net/http"
	"slices"
	"time"

	stixfeed "comity/stix/feed"
	"comity/taxii"
	"comity/taxii/exchange"
)

// bouncers is a document of the store: what each bouncer of a feed has, by the client that it is.
type bouncers map[string]bouncer

// bouncer is what a bouncer got last.
type bouncer struct {
	Cursor  string    `json:"cursor"`
	Asked   time.Time `json:"asked"`
	Renewed time.Time `json:"renewed"` // when it got all decisions
}

func bouncersDocument(key string) string { return "feed bouncers " + key }

func (s *Service) bouncers(ctx context.Context, key string) (bouncers, error) {
	content, err := s.store.Document(ctx, bouncersDocument(key))
	if err != nil {
		return nil, err
	}
	return decode[bouncers](content)
}

// maxBouncers bounds the bouncers of a feed whose state is kept.
const maxBouncers = 100

// keepAsked is how long it is not kept in the store that a bouncer has asked again for nothing.
const keepAsked = historyFor / 4

// putBouncer keeps what a bouncer has, and forgets the bouncers that ask no more.
func (s *Service) putBouncer(ctx context.Context, key, client string, before, now bouncer) error {
	if before.Cursor == now.Cursor && before.Renewed.Equal(now.Renewed) && now.Asked.Sub(before.Asked) < keepAsked {
		return nil
	}
	return s.amend(ctx, key, bouncersDocument(key), func(old []byte) ([]byte, error) {
		list, err := decode[bouncers](old)
		if err != nil {
			return nil, err
		}
		if list == nil {
			list = bouncers{}
		}
		list[client] = now
		maps.DeleteFunc(list, func(_ string, b bouncer) bool { return now.Asked.Sub(b.Asked) > historyFor })
		if len(list) > maxBouncers {
			delete(list, slices.MinFunc(slices.Collect(maps.Keys(list)), func(a, b string) int { return list[a].Asked.Compare(list[b].Asked) }))
		}
		return json.Marshal(list)
	})
}

// getDecisions answers a bouncer as the local API of CrowdSec does. With ?startup=true, new
// has all decisions; otherwise it has those that came since the last request of the same
// client, and deleted those that left. A bouncer holds a decision for its duration, which is
// not longer than the agreement lets it be held without asking again; and since bouncers do
// not prolong a decision that they have, a decision to prolong is in both lists. So are all
// decisions when half of that time is over, and when it is not known what has changed since the
// last request: those that left meanwhile end by their duration then.
func (h *handler) getDecisions(w *response, r *http.Request, c *caller) error {
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	a, done, err := h.read(ctx, w, c, Bouncer)
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
	key := exchange.FeedKey(c.Account, c.feed)
	list, err := h.bouncers(ctx, key)
	if err != nil {
		return err
	}
	client := c.client(r)
	last := list[client]
	now := bouncer{Cursor: a.Cursor(), Asked: c.now, Renewed: last.Renewed}
	d := a.Since(last.Cursor)
	added, deleted, n := d.Added(), slices.Values(slices.Concat(d.Remove, d.Changed)), d.added()
	startup := r.URL.Query().Get("startup") == "true"
	if startup || d.Full || a.Hold > 0 && c.now.Sub(last.Renewed) >= a.Hold/2 {
		added, n, now.Renewed = a.Entries.Values(), a.Entries.Len(), c.now
		left := a.left(last.Cursor)
		deleted = func(yield func(*stixfeed.Entry) bool) {
			for _, all := range []iter.Seq[*stixfeed.Entry]{slices.Values(left), a.Entries.Values()} {
				for e := range all {
					if !yield(e) {
						return
					}
				}
			}
		}
	}
	if startup {
		deleted = func(func(*stixfeed.Entry) bool) {}
	}
	if n > 0 {
		if err := a.Deliver("decisions"); err != nil {
			return err
		}
	}
	a.Close() // before the client reads, which may take long
	err = stixfeed.WriteDecisions(w, &stixfeed.Header{Feed: c.feed, Now: c.now, Hold: a.Hold}, added, deleted)
	if err == nil {
		if err := h.putBouncer(context.WithoutCancel(ctx), key, client, last, now); err != nil {
			h.log.Error("feed: what a bouncer has is not saved, and it gets that again", "feed", key, "err", err)
		}
	}
	h.pulled(a, c, r, "decisions", w.status, w.bytes)
	return nil // an error means that the client has left
}
