package demo

import (
	"net/netip"
	"strings"
	"time"

	"comity/stix"
)

// Kind is the kind of a record, which decides whether it counts.
type Kind string

// The kinds: records that count, records that are relayed or sent twice, and records
// that must not count.
const (
	Plain      Kind = "plain"
	Relay      Kind = "relay"  // a record of another vendor, pushed unchanged
	Repeat     Kind = "repeat" // an earlier record under a new indicator id
	Unroutable Kind = "unroutable"
	Warned     Kind = "warning-list"
	Expired    Kind = "expired"
	Revoked    Kind = "revoked"
	Outside    Kind = "outside" // of the region
	Phishing   Kind = "phishing"
	Page       Kind = "page"  // one URL of a compromised website
	Match      Kind = "match" // the subject of an issue with a report of its own
)

// Record is one statement of one vendor about a server, a website or an issue.
type Record struct {
	Kind     Kind
	Index    int       // of the server, the site or the issue, or a number from 0 among records of its kind
	Vendor   string    // that pushes it
	Origin   string    // the vendor that made it; in a relay another than Vendor
	Value    string    // the address, domain or URL as sent
	Resolves string    // the address to which the domain in Value resolves, "" if the record has none
	Key      string    // the identifying value of its entity, in normal form
	Label    stix.TLP  // of all of its objects
	Time     time.Time // created, modified and valid_from
	Claimed  string    // the country in the record, "" if none

	government bool // the owner of the page is a government
}

// Counted tells whether the record is a submission of a C2 server: relays are,
// repeats are not.
func (r *Record) Counted() bool { return r.Kind == Plain || r.Kind == Relay }

// records makes the records of one C2 server: one by each origin, and the relay.
func (s *Server) records(yield func(Record)) {
	for position, origin := range s.Origins {
		r := Record{
			Kind: Plain, Index: s.Index, Vendor: origin, Origin: origin, Key: s.Key(), Label: s.labelOf(position),
			Time: randomMinute("t", s.Index, origin), Claimed: s.Claimed,
		}
		r.Value, r.Resolves = s.spell(position, origin)
		yield(r)
		if position == 0 && s.Relayed {
			r.Kind, r.Vendor = Relay, reporters("v", s.Index, 2)[1]
			yield(r)
		}
	}
}

// spell is the value as the vendor at a position writes it. Every second vendor uses an
// uncommon spelling.
func (s *Server) spell(position int, origin string) (value, resolves string) {
	odd := position%2 == 1
	switch s.Form {
	case Six:
		if odd {
			return strings.ToUpper(s.V6.StringExpanded()), ""
		}
		return s.V6.String(), ""
	case Domain:
		if odd {
			return strings.ToUpper(s.Domain) + ".", ""
		}
		return s.Domain, ""
	case Resolution:
		// Only the first vendor says that domain and address belong together. Without
		// it there are two entities.
		switch {
		case position == 0:
			return s.Domain, s.V4.String()
		case !odd:
			return s.Domain, ""
		}
	case Address:
		if hash("var", s.Index, origin)%90 == 0 {
			return strings.ReplaceAll(s.V4.String(), ".", "[.]"), ""
		}
	}
	return s.V4.String(), ""
}

// repeated tells whether a counted record is pushed a second time.
func (r *Record) repeated() bool { return hash("dup", r.Vendor, r.Value)%47 == 0 }

// pages makes the records of a site: each vendor sends every URL.
func (s *Site) pages(yield func(Record)) {
	for _, origin := range s.Origins {
		for _, url := range s.URLs {
			yield(Record{
				Kind: Page, Index: s.Index, Vendor: origin, Origin: origin, Value: url, Key: s.Host,
				Label: stix.Amber, Time: randomMinute("tw", s.Index, origin), Claimed: s.Country, government: s.Government,
			})
		}
	}
}

// noise makes the records that must not count as servers of the operation. Their
// times are drawn by value.
func (p *preset) noise(yield func(Record)) {
	say := func(kind Kind, count int, value func(n int) (value, resolves, claimed string)) {
		for n := range p.scaled(count) {
			vendor := weights[n%len(weights)].Value
			r := Record{Kind: kind, Index: n, Vendor: vendor, Origin: vendor, Label: stix.Amber}
			r.Value, r.Resolves, r.Claimed = value(n)
			r.Key, r.Time = r.Value, randomMinute("t", r.Value, vendor)
			yield(r)
		}
	}
	inside := func(addr netip.Addr, n int) (string, string, string) {
		return addr.String(), "", p.countries[n%len(p.countries)].Code
	}
	say(Unroutable, p.unroutable, func(n int) (string, string, string) {
		return inside(netip.AddrFrom4([4]byte{10, byte(n), 0, 1}), n)
	})
	say(Warned, p.warned, func(n int) (string, string, string) { return inside(warned(n), n) })
	say(Expired, p.expired, func(n int) (string, string, string) { return inside(ipv4(1, 1<<8+n+1), n) })
	say(Revoked, p.revoked, func(n int) (string, string, string) { return inside(ipv4(1, 2<<8+n+1), n) })
	say(Outside, p.outside, func(n int) (string, string, string) {
		return ipv4(1, (16+n/250)<<8+n%250+1).String(), "", "JP"
	})
	say(Phishing, p.sharedDomain, func(n int) (string, string, string) {
		return sharedDomain(n), ipv4(1, 3<<8+1).String(), ""
	})
}
