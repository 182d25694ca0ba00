package feed

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/miekg/dns"

	stixfeed "comity/stix/feed"
)

// Resolver says how a feed is served as a response policy zone.
type Resolver struct {
	Policy  string   `toml:"policy"`  // what a resolver does: nxdomain, nodata, drop, passthru, or the name of a host with a final dot
	TTL     int      `toml:"ttl"`     // of the records, in seconds
	Refresh int      `toml:"refresh"` // how often a secondary server asks for changes, in seconds
	Notify  []string `toml:"notify"`  // addresses with port of secondary servers that are told of changes
}

// policies are the names of the actions of a zone.
var policies = map[string]string{
	"": stixfeed.NXDomain, "nxdomain": stixfeed.NXDomain, "nodata": stixfeed.NoData, "drop": stixfeed.Drop, "passthru": stixfeed.Passthru,
}

// target is the target of the records.
func (r *Resolver) target() string {
	if target, ok := policies[r.Policy]; ok {
		return target
	}
	return r.Policy
}

func (r *Resolver) check() error {
	_, isName := dns.IsDomainName(r.Policy)
	switch {
	case policies[r.Policy] == "" && (!isName || !strings.HasSuffix(r.Policy, ".")):
		return fmt.Errorf("rpz.policy: %q is none of nxdomain, nodata, drop and passthru, nor the name of a host with a final dot", r.Policy)
	case r.TTL < 0 || r.TTL > 86400:
		return fmt.Errorf("rpz.ttl: %d: write seconds, from 1 to 86400", r.TTL)
	case r.Refresh < 0 || r.Refresh > 86400:
		return fmt.Errorf("rpz.refresh: %d: write seconds, from 1 to 86400", r.Refresh)
	}
	for _, text := range r.Notify {
		if _, err := netip.ParseAddrPort(text); err != nil {
			return fmt.Errorf("rpz.notify: %q: write an address with a port, as 192.0.2.1:53", text)
		}
	}
	return nil
}

// ZoneName is the name of the zone of a feed, without a final dot. No other feed has it.
func ZoneName(account, id, centre string) string {
	org, _, _ := strings.Cut(account, "/")
	return id + "." + org + ".rpz." + centre
}

// zone describes the zone of the feed.
func (a *Answer) zone(centre string) stixfeed.Zone {
	d := a.Definition
	return stixfeed.Zone{
		Origin: ZoneName(d.Account, d.ID, centre), Target: d.RPZ.target(), Expire: a.expiry,
		TTL: time.Duration(d.RPZ.TTL) * time.Second, Refresh: time.Duration(d.RPZ.Refresh) * time.Second,
	}
}

// expire is how long a secondary server may keep the zone without asking again, 0 for the
// default. It never goes beyond the end of the grants. It gets shorter in steps, half as
// long each, since each length is a change of the zone.
func (a *Answer) expire(now time.Time) (shortest time.Duration) {
	for _, d := range a.pages {
		hold, left := d.grant.Feeds().Hold.After(now).Sub(now), d.grant.Until().Sub(now)
		for hold > max(left, time.Second) {
			hold /= 2
		}
		if shortest == 0 || hold < shortest {
			shortest = hold
		}
	}
	return shortest
}

// zoneDelay is longer than it takes until a new expiry is in the zone.
const zoneDelay = 2 * time.Second

// rewind makes the answer that of the end of the last second in which no further version is given.
// It is false if the history does not have that.
func (a *Answer) rewind() (ok bool) {
	i := a.history.at(a.closed)
	if i < 0 {
		return false
	}
	if i < len(a.history)-1 {
		a.Entries = a.Entries.without(a.history.changesSince(i))
	}
	a.Version, a.expiry, a.history = a.history[i].version, a.history[i].expire, a.history[:i+1]
	a.Tag = fmt.Sprint(a.Version.Unix(), a.Definition.digest)
	return true
}
