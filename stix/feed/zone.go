package feed

import (
	"cmp"
	"fmt"
	"iter"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// Zone is what a response policy zone has beside its entries
// (draft-vixie-dnsop-dns-rpz).
type Zone struct {
	Origin  string        // its name, without a final dot
	Target  string        // of the CNAME of each entry: [NXDomain], [NoData], [Drop], [Passthru], or the name of a host with a final dot; "" is NXDomain
	TTL     time.Duration // 0 is 30 s
	Refresh time.Duration // 0 is 5 min
	Retry   time.Duration // 0 is 1 min
	Expire  time.Duration // 0 is the hold of the feed, or a week
}

// The targets that are actions.
const (
	NXDomain = "."
	NoData   = "*."
	Drop     = "rpz-drop."
	Passthru = "rpz-passthru."
)

// Serial is the serial number of the zone of a version, in seconds since 1970.
func (h *Header) Serial() uint32 { return uint32(h.Version.Unix()) }

// SOA has the fields of the SOA record of the zone behind its names: serial, refresh,
// retry, expire and minimum, all but the first in seconds.
func (h *Header) SOA() (fields [5]uint32) {
	expire := cmp.Or(h.Zone.Expire, h.Hold, 7*24*time.Hour)
	fields[0] = h.Serial()
	for i, d := range []time.Duration{cmp.Or(h.Zone.Refresh, 5*time.Minute), cmp.Or(h.Zone.Retry, time.Minute), expire, h.Zone.ttl()} {
		fields[i+1] = uint32(d / time.Second)
	}
	return fields
}

func (z *Zone) ttl() time.Duration { return cmp.Or(z.TTL, 30*time.Second) }

// Owners are the owner names of the CNAME records of a value, below the origin. A
// domain has one, and another for the names below it if subdomains is set; an address or a network has
// one for answers that contain it. There is none if no record can stand for the value.
func (z *Zone) Owners(v Value, subdomains bool) []string {
	var owners []string
	switch network, ok := v.Network(); {
	case ok:
		owners = []string{ipTrigger(network)}
	case v.Kind != Domain || isTrigger(v.Text):
		return nil
	case subdomains && !isWildcardValue(v):
		owners = []string{v.Text, "*." + v.Text}
	default:
		owners = []string{v.Text}
	}
	if longest := owners[len(owners)-1]; len(longest)+len(".")+len(z.Origin) > maxName {
		return nil
	}
	return owners
}

// ZoneEntries yields the entries of which a response policy zone has records: those that
// the format "rpz" writes, in the same order.
func ZoneEntries(h *Header, entries iter.Seq[*Entry]) iter.Seq[*Entry] {
	return func(yield func(*Entry) bool) {
		format, _, _ := Find("all.rpz")
		w := &writing{Header: h, format: format, entries: entries, Result: Result{LeftOut: map[Reason]int{}}}
		for e := range w.limited(zoneList.lines(w), 0) {
			if !yield(e) {
				return
			}
		}
	}
}

var zoneList = list{head: zoneHead, line: zoneLine}

// maxName is the longest text of a name in the DNS, without the final dot.
const maxName = 253

// isTrigger tells whether a resolver takes a name for another trigger than a name.
func isTrigger(name string) bool {
	switch name[strings.LastIndexByte(name, '.')+1:] {
	case "rpz-ip", "rpz-nsip", "rpz-client-ip", "rpz-nsdname":
		return true
	}
	return false
}

// ipTrigger is the owner name of a network: the prefix length, and the parts of the
// address from the last to the first, where zz stands for the longest run of zeros.
func ipTrigger(network netip.Prefix) string {
	address, separator := network.Addr().String(), "."
	if network.Addr().Is6() {
		separator = ":"
		address = strings.Trim(strings.Replace(address, "::", ":zz:", 1), ":")
	}
	parts := strings.Split(address, separator)
	var b strings.Builder
	b.WriteString(strconv.Itoa(network.Bits()))
	for i := range parts {
		b.WriteString("." + parts[len(parts)-1-i])
	}
	return b.String() + ".rpz-ip"
}

func zoneHead(b []byte, w *writing) []byte {
	b = fmt.Appendf(b, "$ORIGIN %s.\n$TTL %d\n@ SOA localhost. root.localhost.", w.Zone.Origin, w.Zone.ttl()/time.Second)
	for _, field := range w.SOA() {
		b = fmt.Appendf(b, " %d", field)
	}
	return append(b, "\n@ NS localhost.\n"...)
}

func zoneLine(b []byte, w *writing, e *Entry) []byte {
	for _, owner := range w.Zone.Owners(e.Value, w.Subdomains) {
		b = append(append(b, owner...), " CNAME "...)
		b = append(append(b, cmp.Or(w.Zone.Target, NXDomain)...), '\n')
	}
	return b
}
