package demo

import "fmt"

// Scenario is one synthetic operation. It is read-only.
type Scenario struct {
	Countries []Country // by code
	Servers   []Server  // by country, then by address
	Sites     []Site    // by country
	Records   []Record  // the C2 side: servers with relays and repeats, then noise
	Pages     []Record  // the submissions of websites, one a URL
	Matches   []Record  // the records that match issues with a report of their own
	Issues    []Issue   // by country

	// How many findings of a country make a report.
	MinServers, MinSites int

	block  int // IPv4 addresses of each country
	warned int // addresses on the warning list
}

// New makes the scenario of a preset: asean, small (the same shape divided by
// 100, for tests) or synergia (30,000 addresses in 95 countries, for load).
func New(name string) (*Scenario, error) {
	p, err := presetNamed(name)
	if err != nil {
		return nil, err
	}
	s := &Scenario{Countries: p.countries, Servers: p.servers(), Sites: p.sites(), MinServers: p.minServers, MinSites: p.minSites, block: p.block, warned: p.scaled(p.warned)}
	keep := func(to *[]Record) func(Record) { return func(r Record) { *to = append(*to, r) } }
	for i := range s.Servers {
		s.Servers[i].records(func(r Record) {
			s.Records = append(s.Records, r)
			if r.repeated() {
				r.Kind = Repeat
				s.Records = append(s.Records, r)
			}
		})
	}
	p.noise(keep(&s.Records))
	for i := range s.Sites {
		s.Sites[i].pages(keep(&s.Pages))
	}
	s.makeIssues()
	return s, nil
}

// All calls yield with every record of a vendor, or of all for "": the C2 side,
// pages, and matches.
func (s *Scenario) All(vendor string) func(yield func(*Record) bool) {
	return func(yield func(*Record) bool) {
		for _, of := range [][]Record{s.Records, s.Pages, s.Matches} {
			for i := range of {
				if (vendor == "" || of[i].Vendor == vendor) && !yield(&of[i]) {
					return
				}
			}
		}
	}
}

// sharedDomain is one of the phishing domains that all resolve to one host.
func sharedDomain(n int) string { return fmt.Sprintf("shared-%02d.example", n) }
