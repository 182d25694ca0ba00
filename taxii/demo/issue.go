package demo

import (
	"fmt"
	"time"

	"comity/stix"
)

// State is the state of an issue that a country flagged, once the findings are made.
type State string

// The states. An absorbed issue is covered by a report about servers or
// websites, an own one gets a report, an open one matches nothing.
const (
	AbsorbedC2  State = "absorbed-c2"
	AbsorbedWeb State = "absorbed-website"
	Own         State = "own-report"
	Open        State = "open"
)

// Issue is an issue that a country flagged.
type Issue struct {
	Country string
	N       int // from 1, among those of the country
	State   State
	Value   string    // the address or domain it is about
	Report  string    // of an own report: such as "ID-1"
	Vendor  string    // of an own report: the only vendor that reported the value
	Time    time.Time // of flagging
}

// issueCounts has the issues of each country: absorbed by the report about C2
// servers, by that about websites, the vendors that match those with a report
// of their own, and whether one stays open.
var issueCounts = []struct {
	country string
	c2, web int
	own     []string
}{
	{"BN", 0, 0, []string{"dogwood"}}, {"ID", 2, 1, []string{"alder", "birch"}}, {"KH", 1, 0, nil}, {"LA", 0, 0, nil},
	{"MM", 0, 1, nil}, {"MY", 1, 1, []string{"alder"}}, {"PH", 1, 0, []string{"fir"}}, {"SG", 1, 1, []string{"birch"}},
	{"TH", 1, 1, []string{"cedar"}}, {"VN", 1, 1, nil},
}

// makeIssues makes the issues, and the records of vendors that match them. An absorbed
// issue has a value that several vendors reported, so it is still matched if one of them
// withdraws. If a small preset has no such value, the issue is left out.
func (s *Scenario) makeIssues() {
	servers, sites := s.reportedBySeveral()
	for _, f := range issueCounts {
		n := 0
		raise := func(i Issue) Issue {
			n++
			i.Country, i.N = f.country, n
			i.Time = Start.Add(time.Duration(len(s.Issues)) * 12 * time.Hour)
			s.Issues = append(s.Issues, i)
			return i
		}
		absorb := func(state State, values []string, count int) {
			for _, value := range values[:min(count, len(values))] {
				raise(Issue{State: state, Value: value})
			}
		}
		absorb(AbsorbedC2, servers[f.country], f.c2)
		absorb(AbsorbedWeb, sites[f.country], f.web)
		for own, vendor := range f.own {
			value := fmt.Sprintf("issue-%d.%s.example", own+1, lower(f.country))
			i := raise(Issue{State: Own, Value: value, Report: fmt.Sprintf("%s-%d", f.country, own+1), Vendor: vendor})
			s.Matches = append(s.Matches, Record{
				Kind: Match, Index: len(s.Issues) - 1, Vendor: vendor, Origin: vendor, Value: i.Value, Key: i.Value,
				Label: stix.Amber, Time: randomMinute("t", i.Value, vendor), Claimed: f.country,
			})
		}
		raise(Issue{State: Open, Value: fmt.Sprintf("open-1.%s.example", lower(f.country))})
	}
}

// reportedBySeveral are the servers and websites that a country may flag, by country:
// first those that three or more vendors reported, then those that two reported. No
// website of SG has three.
func (s *Scenario) reportedBySeveral() (servers, sites map[string][]string) {
	servers, sites = map[string][]string{}, map[string][]string{}
	for _, fit := range []func(origins int) bool{
		func(origins int) bool { return origins >= 3 },
		func(origins int) bool { return origins == 2 },
	} {
		for i := range s.Servers {
			if v := &s.Servers[i]; fit(len(v.Origins)) {
				servers[v.Country] = append(servers[v.Country], v.Key())
			}
		}
		for i := range s.Sites {
			if v := &s.Sites[i]; fit(len(v.Origins)) {
				sites[v.Country] = append(sites[v.Country], v.Host)
			}
		}
	}
	return servers, sites
}
