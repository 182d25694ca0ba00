package fusion

import (
	"maps"
	"net/netip"
	"slices"
)

// attribute places a finding in a country, and holds the finding if the country is not
// one of the operation's.
func (f *fuser) attribute(finding *Finding, counted []*Contribution) {
	order := f.rules.Order
	if finding.Kind == Website {
		order = f.rules.SiteOrder
	}
	for _, basis := range order {
		if country := f.country(basis, finding, counted); country != "" {
			finding.Country, finding.Basis = country, basis
			break
		}
	}
	disagreeing := map[string]bool{}
	for _, c := range counted {
		said := c.Country
		if finding.Basis == ByOwner {
			said = c.Owner
		}
		if said != "" && said != finding.Country {
			disagreeing[c.Origin] = true
		}
	}
	finding.Disagreeing = len(disagreeing)
	switch {
	case len(f.rules.Countries) == 0:
	case finding.Country == "":
		finding.Held = NoCountry
	case !f.rules.inScope(finding.Country):
		finding.Held = OutOfScope
	}
}

// country is the country of a finding on one basis; "" if that gives none.
func (f *fuser) country(basis Basis, finding *Finding, counted []*Contribution) string {
	switch basis {
	case ByOwner:
		return mostCommon(counted, func(c *Contribution) string { return c.Owner })
	case BySource:
		return mostCommon(counted, func(c *Contribution) string { return c.Country })
	case ByReference:
		if finding.Kind == Website {
			return f.hosting(counted)
		}
		return f.reference(finding.Key)
	case ByDomain:
		for _, v := range finding.Values {
			if host := v.Host(); host.Type == "domain-name" {
				if country := f.rules.domainCountry(host.Text); country != "" {
					return country
				}
			}
		}
	}
	return ""
}

func (f *fuser) reference(address string) string {
	addr, err := netip.ParseAddr(address)
	if err != nil {
		return ""
	}
	country, _ := f.rules.Geo.Find(addr)
	return country
}

// hosting is the country that all addresses of a website are in; "" if there is none.
func (f *fuser) hosting(counted []*Contribution) (country string) {
	for _, c := range counted {
		for _, address := range c.Resolves {
			next := f.reference(address)
			if country != "" && next != country {
				return ""
			}
			country = next
		}
	}
	return country
}

// mostCommon is the value that most origins give; of several, the first in the alphabet.
func mostCommon(counted []*Contribution, what func(*Contribution) string) (best string) {
	by := map[string][]string{}
	for _, c := range counted {
		if said := what(c); said != "" {
			by[said] = appendNew(by[said], c.Origin)
		}
	}
	for _, said := range slices.Sorted(maps.Keys(by)) {
		if best == "" || len(by[said]) > len(by[best]) {
			best = said
		}
	}
	return best
}
