package demo

import (
	"fmt"
	"strings"
)

// Site is one compromised website as it really is, whatever is reported.
type Site struct {
	Index      int    // from 0, over all countries
	Country    string // of its owner
	Government bool
	Host       string
	URLs       []string
	Origins    []string // the vendors that report it, in the order of their hashes
}

// sites makes the websites of all countries.
func (p *preset) sites() []Site {
	n := p.sum(func(c Country) int { return c.Sites })
	origins := assign("kw", n, p.originTable(n, p.siteOrigins))
	all := make([]Site, 0, n)
	for _, country := range p.countries {
		for j := range country.Sites {
			i := len(all)
			s := Site{Index: i, Country: country.Code, Government: j < country.Government, Origins: reporters("w", i, origins[i])}
			s.Host = fmt.Sprintf("shop-%03d.%s.example", i, lower(country.Code))
			if s.Government {
				s.Host = fmt.Sprintf("portal-%03d.gov.%s.example", i, lower(country.Code))
			}
			for page := range 1 + int(hash("u", i)%3) {
				s.URLs = append(s.URLs, fmt.Sprintf("http://%s/%d.php", s.Host, page+1))
			}
			all = append(all, s)
		}
	}
	return all
}

func lower(code string) string { return strings.ToLower(code) }
