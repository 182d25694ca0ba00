package audit

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"comity/stix"
	"comity/taxii"
	"comity/taxii/exchange"
)

// maxWaiting bounds the bytes that wait in memory, at about entrySize for an entry and
// its match in addition. That is enough for hours of polling while commits fail.
const (
	maxWaiting = 100_000 * entrySize
	entrySize  = 512
)

// maxRanges bounds the ranges of one key that a page is compared with. A client that
// polls one collection in several loops has a few.
const maxRanges = 4

// maxKeys bounds the different queries of one account that have deliveries of their own
// in one second. The others are recorded together, as one query for everything from the
// first to the last record of any. So no account fills the record by asking for ever
// other objects.
const maxKeys = 200

// second is one second of one account.
type second struct {
	account string
	unix    int64
}

// everything is the match that stands for those queries.
var everything = taxii.Match{Specs: []string{"2.0", "2.1"}, Versions: taxii.Versioning{All: true}}

// deliveryKey is what two pages must have in common to be one delivery.
type deliveryKey struct {
	account, home, token, operator string
	collection                     uuid.UUID
	match, feed                    string
	reads, own                     bool
	ceiling                        stix.TLP
	action                         exchange.Actions
	types                          string
}

// Page describes one page that a reader got of a collection. Dates are date_added.
type Page struct {
	After       time.Time // exclusive; zero: the page was asked for from the beginning
	First, Last time.Time // of the first and the last record
	Count       int       // of records
	HighWater   time.Time // the last that the collection had given when the page was read; zero: unknown
	Feed        string    // name of the feed and of its file, such as "soc-block ipv4.txt"; "" for a page of TAXII
}

// delivery is one range of a collection that one reader got. Its HighWater is the
// lowest of its pages.
type delivery struct {
	Page
	key   deliveryKey
	grant exchange.Grant
	view  exchange.View // as of the first page
	match taxii.Match
	began time.Time
	until time.Time // when it is due
	ended uint32    // Unix second of the last page
	older *delivery // another range of the same key
}

// Deliver notes that the holder of g got a page by that match, which [Narrow] made.
// An empty page is not a delivery.
//
// No page is sent without a record. If too much waits because commits fail, Deliver
// commits by itself. If that fails too, it returns Unavailable, and the caller must not
// send the page.
func (r *Recorder) Deliver(g exchange.Grant, m taxii.Match, page Page) error {
	if page.Count <= 0 {
		return nil
	}
	p, c, v := g.Principal(), g.Collection(), g.View()
	key := deliveryKey{
		account: p.Account, home: p.Home, token: p.Token, operator: p.Operator, collection: g.ID(), match: matchText(&m), feed: page.Feed,
		reads: v.Reads, own: v.Own, ceiling: v.Ceiling, action: v.Action, types: typesText(v.Types),
	}
	r.mu.Lock()
	newest, many := r.deliveries[key], false
	if newest == nil && key.match != "" {
		now := second{p.Account, r.now().Unix()}
		if r.queries[now]++; r.queries[now] > maxKeys {
			m, many = everything, true
			key.match = matchText(&m)
			newest = r.deliveries[key]
		}
	}
	for d, i := newest, 0; d != nil && i < maxRanges; d, i = d.older, i+1 {
		if d.join(page, v.At, many) {
			r.mu.Unlock()
			return nil
		}
	}
	full := r.full()
	if !full {
		d := &delivery{Page: page, key: key, grant: g, view: v, match: m, began: r.now(), ended: v.At, older: newest}
		if d.until = d.began; !r.recorded[key].IsZero() {
			d.until = r.recorded[key].Add(GatherFor)
		}
		r.deliveries[key] = d
		r.add(d)
	}
	r.mu.Unlock()
	if !full {
		return nil
	}
	if err := r.Flush(context.Background()); err != nil {
		name := "an operator's"
		if c != nil {
			name = c.Alias
		}
		r.log.Error("audit: a page was withheld, since it could not be recorded", "collection", name, "err", err)
		return &taxii.Error{Code: taxii.Unavailable, Msg: "what you get cannot be recorded at the moment", Err: err, RetryAfter: 10 * flushEvery}
	}
	return r.Deliver(g, m, page)
}

// join adds a page to the range if the two touch or overlap, or in any case if always
// is set. Each reaches from its After, exclusive, to its Last.
func (d *delivery) join(page Page, at uint32, always bool) bool {
	if !always && (page.After.After(d.Last) || d.After.After(page.Last)) {
		return false
	}
	d.Count += page.Count
	d.After, d.First, d.HighWater = earlier(d.After, page.After), earlier(d.First, page.First), earlier(d.HighWater, page.HighWater)
	if page.Last.After(d.Last) {
		d.Last = page.Last
	}
	// The entry says from when to when the pages were asked for. A record whose retention
	// ends in between was on the first page and is missing on the last. At is 0 for the
	// operator, for whom retention does not count, and stays 0.
	d.view.At, d.ended = min(d.view.At, at), max(d.ended, at)
	return true
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func (d *delivery) due() time.Time { return d.until }

func (d *delivery) size() int { return entrySize + 2*len(d.key.match) }

func (d *delivery) entry() Entry {
	p, c := d.grant.Principal(), d.grant.Collection()
	e := Entry{
		Act: Delivery, Time: d.began,
		Account: p.Account, Org: p.Org, Home: p.Home, Token: p.Token, Operator: p.Operator,
		Collection: d.grant.ID().String(),
		From:       &d.First, To: &d.Last, Count: d.Count,
		View: &d.view, Feed: d.Feed,
	}
	if !d.HighWater.IsZero() {
		e.HighWater = &d.HighWater
	}
	if d.ended != d.view.At {
		e.Ended = new(time.Unix(int64(d.ended), 0).UTC())
	}
	if d.key.match != "" {
		e.Match = &d.match
	}
	if c == nil {
		e.Account = "operator"
		return e
	}
	e.Agreement, e.Article = c.Agreement, c.Article
	e.Parties = []string{p.Org, c.Writer}
	slices.Sort(e.Parties)
	e.Parties = slices.Compact(e.Parties)
	return e
}

// matchText is a text that is equal for equal matches; "" if there is no filter.
func matchText(m *taxii.Match) string {
	v := &m.Versions
	if len(m.IDs) == 0 && len(m.Types) == 0 && len(m.Specs) == 0 && !v.All && !v.First && !v.Last && len(v.At) == 0 {
		return ""
	}
	var b strings.Builder
	for _, list := range [][]string{m.IDs, m.Types, m.Specs} {
		for _, s := range list {
			b.WriteString(strconv.Quote(s))
		}
		b.WriteByte(';')
	}
	b.WriteString(strconv.FormatBool(v.All) + strconv.FormatBool(v.First) + strconv.FormatBool(v.Last))
	for _, t := range v.At {
		b.WriteString(t.UTC().Format(time.RFC3339Nano))
	}
	return b.String()
}

// typesText is a text that is equal for equal lists; nil, which is all types, differs
// from an empty list.
func typesText(types []string) string {
	if types == nil {
		return ""
	}
	return ";" + strings.Join(types, ",")
}
