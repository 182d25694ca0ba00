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

// maxWaiting is how many entries may wait. It is hours of polling while commits
// fail, and some 50 MB.
const maxWaiting = 100_000

// maxRanges is how many ranges of one place a page is tried to be joined to: a
// client that polls one collection in several loops has a few.
const maxRanges = 4

// place is what two pages must have in common to be one delivery.
type place struct {
	account, home, token string
	collection           uuid.UUID
	match                string
	reads, own           bool
	ceiling              stix.TLP
	action               exchange.Actions
	types                string
}

// delivery is one range of a collection that one reader got.
type delivery struct {
	grant              exchange.Grant
	view               exchange.View
	match              taxii.Match
	filtered           bool
	began              time.Time
	after, first, last time.Time
	count              int
	older              *delivery // another range of the same place
}

// Deliver notes that the holder of g got n records, the page after (exclusive)
// that begins with the record added at first and ends with the one at last. An
// empty page is not a delivery.
//
// Polling must not lose its record. So if too much waits because commits fail,
// Deliver commits itself, and where that fails, too, it is Unavailable: then the
// page must not be sent.
func (r *Recorder) Deliver(g exchange.Grant, m taxii.Match, after, first, last time.Time, n int) error {
	if n <= 0 {
		return nil
	}
	p, c, v := g.Principal(), g.Collection(), g.View()
	at := place{
		account: p.Account, home: p.Home, token: p.Token, collection: g.ID(), match: matchText(&m),
		reads: v.Reads, own: v.Own, ceiling: v.Ceiling, action: v.Action, types: typesText(v.Types),
	}
	r.mu.Lock()
	newest := r.deliveries[at]
	for d, i := newest, 0; d != nil && i < maxRanges; d, i = d.older, i+1 {
		if d.join(after, first, last, n, v.At) {
			r.mu.Unlock()
			return nil
		}
	}
	full := len(r.waiting)+r.held >= maxWaiting
	if !full {
		d := &delivery{
			grant: g, view: v, match: m, filtered: at.match != "", began: r.now(),
			after: after, first: first, last: last, count: n, older: newest,
		}
		r.deliveries[at] = d
		r.waiting = append(r.waiting, d)
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
	return r.Deliver(g, m, after, first, last, n)
}

// join adds a page to the range if together they are one: both reach from after
// what they were asked after to their last record.
func (d *delivery) join(after, first, last time.Time, n int, at uint32) bool {
	if after.After(d.last) || d.after.After(last) {
		return false
	}
	d.count += n
	if after.Before(d.after) {
		d.after = after
	}
	if first.Before(d.first) {
		d.first = first
	}
	if last.After(d.last) {
		d.last = last
	}
	// What retention ends in between was shown by the earlier page. So the earlier
	// time stands: it may name as a holder who missed it by a second, but no holder
	// is missed. The operator's 0, to which retention does not count, stands too.
	d.view.At = min(d.view.At, at)
	return true
}

func (d *delivery) entry() Entry {
	p, c := d.grant.Principal(), d.grant.Collection()
	e := Entry{
		Act: Delivery, Time: d.began,
		Account: p.Account, Org: p.Org, Home: p.Home, Token: p.Token,
		Collection: d.grant.ID().String(),
		From:       &d.first, To: &d.last, Count: d.count,
		View: &d.view,
	}
	if d.filtered {
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

// matchText tells one match from another; "" is that of every poll without one.
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

// typesText tells no types from all.
func typesText(types []string) string {
	if types == nil {
		return ""
	}
	return ";" + strings.Join(types, ",")
}
