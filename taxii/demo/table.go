package demo

import (
	"fmt"
	"net/netip"
	"strings"
)

// Geo is the reference table of networks and countries, geo-lab.csv: a network in CIDR
// notation and its country, or "outside". The first line names the columns.
func (s *Scenario) Geo() string {
	var b strings.Builder
	b.WriteString("network,country\n")
	bits := 32
	for n := s.block; n > 1; n /= 2 {
		bits--
	}
	for ci, c := range s.Countries {
		fmt.Fprintf(&b, "%v,%s\n", netip.PrefixFrom(ipv4(0, ci*s.block), bits), c.Code)
		fmt.Fprintf(&b, "2001:db8:%x::/48,%s\n", ci+1, c.Code)
	}
	b.WriteString("198.19.0.0/16,outside\n")
	return b.String()
}

// WarningList is operation-warning.txt: addresses that are known to be
// harmless, one a line.
func (s *Scenario) WarningList() string {
	var b strings.Builder
	for n := range s.warned {
		fmt.Fprintln(&b, warned(n))
	}
	return b.String()
}

// warned is one address of the warning list.
func warned(n int) netip.Addr { return ipv4(1, 255<<8+n+1) }
