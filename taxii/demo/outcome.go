package demo

import (
	"time"

	"comity/stix"
)

// Status is the outcome that a country reports of a finding.
type Status string

// The statuses. TakenDown, Sinkholed and Seized count as neutralised.
const (
	TakenDown   Status = "taken-down"
	Sinkholed   Status = "sinkholed"
	Seized      Status = "seized"
	InProgress  Status = "in-progress"
	Unreachable Status = "unreachable"
	Disputed    Status = "disputed"
	NoAction    Status = "no-action"
)

// Outcome is the outcome that a country reports of one C2 server.
type Outcome struct {
	Server  int // its index
	Country string
	Status  Status
}

// Outcomes are the outcomes of all releasable servers in the countries that get a
// report of C2 servers, in the order of the servers.
func (s *Scenario) Outcomes() (all []Outcome) {
	reported := map[string]int{}
	for i := range s.Servers {
		if s.Servers[i].Releasable() {
			reported[s.Servers[i].Country]++
		}
	}
	for i := range s.Servers {
		if c := s.Servers[i].Country; s.Servers[i].Releasable() && reported[c] >= s.MinServers {
			all = append(all, Outcome{i, c, status(i)})
		}
	}
	return all
}

// Releasable tells whether a bureau may know of the server at all: at
// least one vendor reported it below RED.
func (s *Server) Releasable() bool { return s.Label != stix.Red || len(s.Origins) > 1 }

func status(i int) Status {
	draw := hash("td", i) % 100
	for _, below := range []struct {
		limit uint64
		Status
	}{{62, TakenDown}, {66, Sinkholed}, {67, Seized}, {85, InProgress}, {94, Unreachable}, {97, Disputed}} {
		if draw < below.limit {
			return below.Status
		}
	}
	return NoAction
}

// Note is the note of the country's bureau on the finding with that id. It has the label
// "outcome:STATUS", is AMBER, and was made at that time.
func (o *Outcome) Note(finding stix.ID, at time.Time) stix.Object {
	u := unit{maker: makerOf(BureauOf(o.Country)), at: at, label: stix.Amber}
	u.add(object{
		Type: "note", Labels: []string{"outcome:" + string(o.Status)}, Abstract: "Outcome: " + string(o.Status),
		Content: "Reported by the authorities of the country.", Refs: []stix.ID{finding},
	}, "outcome|"+string(finding))
	return u.objects[0]
}

// BureauOf is the slug of the bureau of a country.
func BureauOf(country string) string { return "ncb-" + lower(country) }
