package demo

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"comity/stix"
)

// Truth has the figures that fusing the scenario must yield. They are counted from its
// servers, websites and issues, without fusion. Sent is left out.
func (s *Scenario) Truth() Truth {
	t := Truth{Centre: s.view((*Server).origins), Bureaus: s.view((*Server).released), Outcomes: map[Status]int{}}
	countries, vendors := map[string]*CountryTruth{}, map[string]*VendorTruth{}
	for _, c := range s.Countries {
		countries[c.Code] = &CountryTruth{Code: c.Code, Sites: c.Sites, Portals: c.Government}
	}
	for _, v := range Vendors() {
		vendors[v] = &VendorTruth{Vendor: v}
	}
	for i := range s.Servers {
		v := &s.Servers[i]
		c := countries[v.Country]
		c.Servers++
		if v.Releasable() {
			c.Releasable++
			t.Disagreeing += oneIf(v.Claimed != v.Country)
		}
		c.Strict += oneIf(v.Label == stix.AmberStrict)
		for _, origin := range v.Origins {
			by, sole := vendors[origin], len(v.Origins) == 1
			by.Given++
			by.Sole += oneIf(sole)
			by.RedOne += oneIf(sole && v.Label == stix.Red)
		}
	}
	for i := range s.Records {
		vendors[s.Records[i].Vendor].Relayed += oneIf(s.Records[i].Kind == Relay)
	}
	for i := range s.Sites {
		t.SiteOrigins = tally(t.SiteOrigins, len(s.Sites[i].Origins))
	}
	for _, o := range s.Outcomes() {
		t.Outcomes[o.Status]++
	}
	t.Neutralised = t.Outcomes[TakenDown] + t.Outcomes[Sinkholed] + t.Outcomes[Seized]
	for _, c := range s.Countries {
		s.addCountry(&t, countries[c.Code])
	}
	for _, v := range Vendors() {
		t.Vendors = append(t.Vendors, *vendors[v])
	}
	return t
}

// addCountry adds a country, with the states of its issues and with its reports.
func (s *Scenario) addCountry(t *Truth, c *CountryTruth) {
	before := len(t.Reports)
	report := func(theme string) { t.Reports = append(t.Reports, "CAR-2017-"+c.Code+"-"+theme) }
	if c.Releasable >= s.MinServers {
		report("C2")
	}
	if c.Sites >= s.MinSites {
		report("WEB")
	}
	for i := range s.Issues {
		issue := &s.Issues[i]
		if issue.Country != c.Code {
			continue
		}
		c.Issues++
		switch issue.State {
		case AbsorbedC2:
			c.AbsorbedC2++
		case AbsorbedWeb:
			c.AbsorbedWeb++
		case Own:
			c.Own++
			report("ISSUE-" + strings.TrimPrefix(issue.Report, c.Code+"-"))
		case Open:
			c.Open++
		}
	}
	c.Reports = len(t.Reports) - before
	t.Countries = append(t.Countries, *c)
}

func (s *Server) origins() []string { return s.Origins }

// released are the origins that bureaus may benefit from. Only the first origin can be
// RED.
func (s *Server) released() []string {
	if s.Label == stix.Red {
		return s.Origins[1:]
	}
	return s.Origins
}

// view is the servers with the origins that an audience may benefit from, without
// those that have none.
func (s *Scenario) view(of func(*Server) []string) View {
	v := View{Confidence: map[int]int{}}
	var lines []string
	for i := range s.Servers {
		origins := slices.Sorted(slices.Values(of(&s.Servers[i])))
		if len(origins) == 0 {
			continue
		}
		v.Servers++
		v.Origins = tally(v.Origins, len(origins))
		v.Confidence[[]int{50, 70, 90}[min(len(origins), 3)-1]]++
		lines = append(lines, fmt.Sprintf("%s %s", s.Servers[i].Key(), strings.Join(origins, ",")))
	}
	slices.Sort(lines)
	sum := sha256.Sum256([]byte(strings.Join(lines, "\n")))
	v.Digest = hex.EncodeToString(sum[:])
	return v
}

// tally adds 1 to the count of n, which is at least 1.
func tally(counts []int, n int) []int {
	for len(counts) < n {
		counts = append(counts, 0)
	}
	counts[n-1]++
	return counts
}

func oneIf(yes bool) int {
	if yes {
		return 1
	}
	return 0
}
