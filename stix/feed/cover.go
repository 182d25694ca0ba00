package feed

import (
	"iter"
	"net/netip"
	"strings"
)

// Prune leaves out the entries that another entry includes: an address or a network in
// a network and, if a domain stands for the names below it, those names. Entries are
// in the order of [Compare].
func Prune(entries iter.Seq[*Entry], subdomains bool) iter.Seq[*Entry] {
	return func(yield func(*Entry) bool) {
		var cover cover
		for e := range entries {
			if !cover.includes(e.Value, subdomains) && !yield(e) {
				return
			}
		}
	}
}

// cover is the last entry that no other one includes. Since a network comes right
// before all that is in it, and a domain before the names below it, no earlier entry can
// include the next one.
type cover struct {
	network netip.Prefix
	domain  string // with a dot before it
}

// includes tells whether the cover includes v. Otherwise v is the new cover.
func (c *cover) includes(v Value, subdomains bool) bool {
	if addresses.Has(v.Kind) {
		if !c.network.IsValid() && strings.IndexByte(v.Text, '/') < 0 {
			return false // an address includes no other value
		}
		network, _ := v.Network()
		if c.network.IsValid() && c.network.Contains(network.Addr()) && c.network.Bits() <= network.Bits() {
			return true
		}
		if c.network = network; network.IsSingleIP() {
			c.network = netip.Prefix{}
		}
	} else if v.Kind == Domain {
		if c.domain != "" && strings.HasSuffix(v.Text, c.domain) {
			return true
		}
		if below, wildcard := strings.CutPrefix(v.Text, "*"); wildcard {
			c.domain = below
		} else if subdomains {
			c.domain = "." + v.Text
		}
	}
	return false
}
