package feed

import (
	"iter"

	"github.com/miekg/dns"

	stixfeed "comity/stix/feed"
)

// records yields the records of an AXFR.
func (z *zone) records() iter.Seq[dns.RR] {
	return func(yield func(dns.RR) bool) {
		if !yield(z.soa()) || !yield(&dns.NS{Hdr: z.head("", dns.TypeNS), Ns: "localhost."}) {
			return
		}
		for e := range stixfeed.ZoneEntries(z.header, z.Entries.Values()) {
			if !z.owned(e, yield) {
				return
			}
		}
		yield(z.soa())
	}
}

// since yields the records of an IXFR: one difference, from the version with a serial to
// the newest. It is nil if that version is not known any more, or if the difference is
// longer than the zone.
func (z *zone) since(serial uint32) iter.Seq[dns.RR] {
	i := z.history.at(int64(serial))
	if i < 0 || uint32(z.history[i].version.Unix()) != serial {
		return nil
	}
	before := z.Entries.without(z.history.changesSince(i))
	changes, known := differences(stixfeed.ZoneEntries(z.header, before.Values()), stixfeed.ZoneEntries(z.header, z.Entries.Values()), maxHistory)
	var removed, added []*stixfeed.Entry
	for _, c := range changes {
		switch {
		case c.after == nil:
			removed = append(removed, c.before)
		case c.before == nil:
			added = append(added, c.after)
		}
	}
	if !known || len(removed)+len(added) > z.Entries.Len() {
		return nil
	}
	return func(yield func(dns.RR) bool) {
		if !yield(z.soa()) || !yield(z.soaOf(z.history[i])) {
			return
		}
		for _, e := range removed {
			if !z.owned(e, yield) {
				return
			}
		}
		if !yield(z.soa()) {
			return
		}
		for _, e := range added {
			if !z.owned(e, yield) {
				return
			}
		}
		yield(z.soa())
	}
}
