package fusion

import (
	"bufio"
	"encoding/csv"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"comity/stix"
)

// Networks maps networks to countries, and finds the smallest one that an address is
// in. Nil has no networks. It is read-only once built.
type Networks struct {
	countries map[netip.Prefix]string
	bits      []int // the prefix lengths that occur, longest first
}

// Elsewhere is the country of addresses that a reference table places outside
// the region without naming a country.
const Elsewhere = "outside"

// ReadGeo reads a reference table: CSV with the columns network, in CIDR
// notation, and country, ISO 3166-1 alpha-2 or "outside", after a line that names
// them.
func ReadGeo(r io.Reader) (*Networks, error) {
	rows, err := csv.NewReader(r).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("read a table of networks: %w", err)
	}
	n := &Networks{countries: map[netip.Prefix]string{}}
	for i, row := range rows {
		if len(row) < 2 {
			return nil, fmt.Errorf("read a table of networks: line %d has no country", i+1)
		}
		if i == 0 && row[0] == "network" {
			continue
		}
		prefix, err := netip.ParsePrefix(row[0])
		if err != nil {
			return nil, fmt.Errorf("read a table of networks: line %d: %w", i+1, err)
		}
		n.countries[prefix.Masked()] = row[1]
	}
	n.index()
	return n, nil
}

// NetworksOf makes Networks without countries.
func NetworksOf(prefixes ...netip.Prefix) *Networks {
	n := &Networks{countries: map[netip.Prefix]string{}}
	for _, p := range prefixes {
		n.countries[p.Masked()] = ""
	}
	n.index()
	return n
}

func (n *Networks) index() {
	lengths := map[int]bool{}
	for p := range n.countries {
		lengths[p.Bits()] = true
	}
	n.bits = slices.SortedFunc(maps.Keys(lengths), func(a, b int) int { return b - a })
}

// Find is the country of the smallest network around addr; false if there is no such
// network.
func (n *Networks) Find(addr netip.Addr) (country string, ok bool) {
	if n == nil {
		return "", false
	}
	for _, bits := range n.bits {
		if p, err := addr.Prefix(bits); err == nil {
			if country, ok = n.countries[p]; ok {
				return country, true
			}
		}
	}
	return "", false
}

// WarningList holds addresses, networks and domains that are known to be
// harmless. Nil holds nothing.
type WarningList struct {
	networks *Networks
	domains  map[string]bool
}

// ReadWarningList reads one entry a line; empty lines and those that begin with
// # are skipped. A domain stands for the names below it too.
func ReadWarningList(r io.Reader) (*WarningList, error) {
	w := &WarningList{domains: map[string]bool{}}
	var networks []netip.Prefix
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		if prefix, err := netip.ParsePrefix(line); err == nil {
			networks = append(networks, prefix)
		} else if host, err := stix.NormalHost(line); err != nil {
			return nil, fmt.Errorf("read a warning list: line %d: %w", n, err)
		} else if addr, ok := host.Addr(); ok {
			networks = append(networks, netip.PrefixFrom(addr, addr.BitLen()))
		} else {
			w.domains[host.Text] = true
		}
	}
	w.networks = NetworksOf(networks...)
	return w, lines.Err()
}

// Has tells whether the list names a host, a network around it, or a domain above it.
func (w *WarningList) Has(host stix.Value) bool {
	if w == nil {
		return false
	}
	if addr, ok := host.Addr(); ok {
		_, ok = w.networks.Find(addr)
		return ok
	}
	for name, more := host.Text, true; more; _, name, more = strings.Cut(name, ".") {
		if w.domains[name] {
			return true
		}
	}
	return false
}

// unroutable are the networks for special purposes.
var unroutable = NetworksOf(stix.SpecialPurpose()...)
