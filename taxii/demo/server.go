package demo

import (
	"fmt"
	"net/netip"

	"comity/stix"
)

// Form is the form of address under which a C2 server is reported.
type Form byte

// The forms.
const (
	Address    Form = 'A' // everybody reports the IPv4 address
	Six        Form = 'B' // everybody reports the IPv6 address
	Domain     Form = 'C' // everybody reports the domain
	Resolution Form = 'D' // the first reports a domain that resolves to the address, the others in turn the address and the domain
)

// Server is one C2 server as it really is, whatever is reported.
type Server struct {
	Index   int // from 0, over all countries
	Country string
	Form    Form
	Origins []string // the vendors that report it, in the order of their hashes
	V4, V6  netip.Addr
	Domain  string   // in normal form
	Label   stix.TLP // of the first vendor's record
	Relayed bool     // the next vendor in that order relays the first one's record
	Claimed string   // the country that its origins report
}

// Key identifies the server: it is its IPv4 address, else its IPv6 address,
// else its domain.
func (s *Server) Key() string {
	switch s.Form {
	case Six:
		return s.V6.String()
	case Domain:
		return s.Domain
	}
	return s.V4.String()
}

// labelOf is the label of the record of the vendor at a position.
func (s *Server) labelOf(position int) stix.TLP {
	if position == 0 {
		return s.Label
	}
	return stix.Amber
}

// servers makes the C2 servers of all countries.
func (p *preset) servers() []Server {
	n := p.sum(func(c Country) int { return c.Servers })
	d, c, b := p.scaled(p.resolutions), p.scaled(p.domains), p.scaled(p.sixes)
	forms := assign("form", n, []share[Form]{{Resolution, d}, {Domain, c}, {Six, b}, {Address, n - d - c - b}})
	origins := assign("k", n, p.originTable(n, p.origins))
	all := make([]Server, 0, n)
	for ci, country := range p.countries {
		for j := range country.Servers {
			i := len(all)
			s := Server{
				Index: i, Country: country.Code, Form: forms[i], Origins: reporters("v", i, origins[i]),
				V4: ipv4(0, ci*p.block+j+1), V6: ipv6(ci, j), Domain: fmt.Sprintf("c2-%05d.%s.example", i, lower(country.Code)),
				Label: stix.Amber, Claimed: country.Code,
			}
			if s.Form != Domain && hash("geo", i)%247 == 0 { // for a domain, it would change the country of the finding
				s.Claimed = p.countries[(ci+1)%len(p.countries)].Code
			}
			all = append(all, s)
		}
	}
	p.labels(all)
	return all
}

// labels draws which servers are RED, relayed and AMBER+STRICT, each from the
// servers that the draws before left over.
func (p *preset) labels(all []Server) {
	var one, two []int
	for i := range all {
		switch len(all[i].Origins) {
		case 1:
			one = append(one, i)
		case 2:
			two = append(two, i)
		}
	}
	take := func(kind string, from []int, n int, give func(*Server)) (left []int) {
		order := ranked(kind, from)
		for _, i := range order[:n] {
			give(&all[i])
		}
		return order[n:]
	}
	red := func(s *Server) { s.Label = stix.Red }
	one = take("red", one, p.scaled(p.red), red)
	one = take("relay", one, p.scaled(p.relays), func(s *Server) { s.Relayed = true })
	take("strict", one, p.scaled(p.strict), func(s *Server) { s.Label = stix.AmberStrict })
	take("red2", two, p.scaled(p.red2), red)
}

// ipv4 is the address n after 198.18.0.0 or, half being 1, 198.19.0.0.
func ipv4(half byte, n int) netip.Addr {
	return netip.AddrFrom4([4]byte{198, 18 + half, byte(n >> 8), byte(n)})
}

// ipv6 is 2001:db8:<ci+1>::<j+1>.
func ipv6(ci, j int) netip.Addr {
	return netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, byte((ci + 1) >> 8), byte(ci + 1), 14: byte((j + 1) >> 8), 15: byte(j + 1)})
}
