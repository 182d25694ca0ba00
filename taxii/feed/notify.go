package feed

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/miekg/dns"

	"comity/taxii"
	"comity/taxii/exchange"
	"comity/taxii/follow"
)

// notice is what a secondary server was told.
type notice struct {
	told     uint32    // the last serial that it confirmed
	attempts int       // since then
	next     time.Time // before which it is not told again
	sending  bool
}

// run follows all zones until ctx ends: a version of a zone begins when a change is seen, and
// the secondary servers are told of it (RFC 1996).
func (d *DNS) run(ctx context.Context) {
	var sending sync.WaitGroup
	defer sending.Wait()
	follow.Run(ctx, d.log, "zones", func(ctx context.Context) error { return d.followZones(ctx, &sending) })
}

func (d *DNS) followZones(ctx context.Context, sending *sync.WaitGroup) error {
	snapshot, err := d.current.Snapshot(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, key := range slices.Sorted(maps.Keys(snapshot.Directory.Feeds)) {
		feed := snapshot.Directory.Feeds[key]
		p, ok := snapshot.Principal(snapshot.Directory.Accounts[feed.Account], d.now())
		if !ok || feed.Use != "block" {
			continue
		}
		opening, cancel := context.WithTimeout(ctx, patience) // other zones wait meanwhile
		z, err := d.zone(opening, snapshot.Policy.Centre().ID, p, feed.ID)
		cancel()
		switch taxii.CodeOf(err) {
		case taxii.NotFound, taxii.Forbidden, taxii.Unavailable: // no access, or nothing to tell
			continue
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", key, err))
			continue
		}
		z.Close()
		for _, address := range z.Definition.RPZ.Notify {
			d.notify(ctx, feed, z, address, sending)
		}
	}
	return errors.Join(errs...)
}

// The times between two attempts to tell a server.
const (
	firstRetry = time.Second
	lastRetry  = time.Minute
)

// notify tells a server of a serial that it has not confirmed, and does not wait for it.
func (d *DNS) notify(ctx context.Context, feed *exchange.Feed, z *zone, address string, sending *sync.WaitGroup) {
	key := exchange.FeedKey(feed.Account, feed.ID)
	d.mu.Lock()
	defer d.mu.Unlock()
	n := d.notices[key+" "+address]
	if n == nil {
		n = &notice{}
		d.notices[key+" "+address] = n
	}
	serial := z.serial()
	if n.told == serial || n.sending || time.Now().Before(n.next) {
		return
	}
	n.sending = true
	m := new(dns.Msg).SetNotify(z.name)
	m.Answer = []dns.RR{z.soa()}
	m.SetTsig(tsigName(key, feed.Rotation), dns.HmacSHA256, 300, time.Now().Unix())
	sending.Go(func() {
		client := &dns.Client{Timeout: 2 * time.Second, TsigProvider: tsig{d.Service}}
		reply, _, err := client.ExchangeContext(ctx, m, address)
		d.mu.Lock()
		defer d.mu.Unlock()
		n.sending = false
		if err == nil && reply.Rcode == dns.RcodeSuccess {
			n.told, n.attempts, n.next = serial, 0, time.Time{}
			return
		}
		n.next = time.Now().Add(min(firstRetry<<min(n.attempts, 10), lastRetry))
		n.attempts++
	})
}
