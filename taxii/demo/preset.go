package demo

import (
	"fmt"
	"slices"
	"strings"
)

// Country is a country of the operation, with its figures.
type Country struct {
	Code       string // ISO 3166-1 alpha-2
	Servers    int    // C2 servers, as the centre sees them
	Sites      int    // compromised websites
	Government int    // of these, portals of the government
}

// preset has the numbers from which a scenario is made.
type preset struct {
	countries []Country // by code
	block     int       // IPv4 addresses set aside for each country
	scale     int       // numbers below the next line are divided by it

	minServers, minSites int // findings of a country that make a report

	resolutions, domains, sixes    int   // servers of forms D, C, B; all others are A
	origins                        []int // servers with 2, 3, … origins; all others have one
	siteOrigins                    []int
	red, relays, strict, red2      int
	unroutable, warned, expired    int
	revoked, outside, sharedDomain int
}

// asean is the preset whose figures [ASEAN] has.
func asean() preset {
	return preset{
		countries: []Country{
			{"BN", 21, 2, 0}, {"ID", 2041, 61, 9}, {"KH", 247, 14, 3}, {"LA", 33, 4, 1}, {"MM", 131, 9, 2},
			{"MY", 1188, 37, 4}, {"PH", 861, 29, 5}, {"SG", 1103, 18, 1}, {"TH", 1412, 44, 6}, {"VN", 1876, 52, 7},
		},
		block: 4096, scale: 1, minServers: 50, minSites: 5,
		resolutions: 500, domains: 395, sixes: 116,
		origins: []int{2118, 1004, 402, 141, 35, 7}, siteOrigins: []int{66, 24, 9},
		red: 17, relays: 64, strict: 120, red2: 9,
		unroutable: 60, warned: 12, expired: 150, revoked: 40, outside: 900, sharedDomain: 40,
	}
}

// small is asean divided by 100: each kind of record of asean occurs at least once.
func small() preset {
	p := asean()
	p.scale, p.minServers, p.minSites = 100, 1, 1
	for i := range p.countries {
		c := &p.countries[i]
		c.Servers, c.Sites, c.Government = p.scaled(c.Servers), p.scaled(c.Sites), p.scaled(c.Government)
	}
	return p
}

// synergia has 30,000 addresses in 95 countries, for load tests.
func synergia() preset {
	p := asean()
	codes := strings.Fields(`
		AE AL AM AO AR AT AU AZ BA BB BD BE BG BH BJ BN BO BR BW BY CA CH CI CL CM CN CO CR CY CZ DE DK DO
		DZ EC EE EG ES ET FI FJ FR GA GB GE GH GR GT HK HN HR HU ID IE IL IN IS IT JM JO JP KE KH KR KW KZ LA
		LB LK LT LU LV MA MD MG MM MN MT MU MX MY NG NL NO NP NZ PE PH PL SG TH TR UA VN ZA`)
	slices.Sort(codes)
	p.countries = nil
	for ci, code := range codes {
		c := Country{code, 30_000 / len(codes), 2, 0}
		if ci < 30_000%len(codes) {
			c.Servers++
		}
		p.countries = append(p.countries, c)
	}
	p.minSites = 1
	p.block = 512 // 95 of them fit into 198.18.0.0/16
	return p
}

// Presets are the names that [New] knows.
func Presets() []string { return []string{"asean", "small", "synergia"} }

func presetNamed(name string) (preset, error) {
	switch name {
	case "asean":
		return asean(), nil
	case "small":
		return small(), nil
	case "synergia":
		return synergia(), nil
	}
	return preset{}, fmt.Errorf("%q is no preset: use %s", name, strings.Join(Presets(), ", "))
}

// scaled is n divided by the preset's scale and rounded, at least 1 unless n is 0.
func (p *preset) scaled(n int) int {
	if n == 0 {
		return 0
	}
	return max(1, (n+p.scale/2)/p.scale)
}

// originTable says how many of n servers or sites have 1, 2, 3, … origins.
func (p *preset) originTable(n int, several []int) []share[int] {
	table := []share[int]{{1, n}}
	for i, count := range several {
		count = p.scaled(count)
		table[0].N -= count
		table = append(table, share[int]{i + 2, count})
	}
	return table
}

// sum adds up one column of the countries.
func (p *preset) sum(of func(Country) int) (total int) {
	for _, c := range p.countries {
		total += of(c)
	}
	return total
}
