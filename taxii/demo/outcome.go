package demo

import "comity/stix"

// Status says what a country did about a finding.
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

// Outcome is what one country reports of one C2 server.
type Outcome struct {
	Server  int // its index
	Country string
	Status  Status
}

// Threshold is how many C2 findings of a country make a report.
const Threshold = 50

// Outcomes are those of every releasable server in the countries that get a
// report of C2 servers, in the order of the servers. The threshold is that of
// the operation, whatever the preset: none of small is above it.
func (s *Scenario) Outcomes() (all []Outcome) {
	reported := map[string]int{}
	for i := range s.Servers {
		if s.Servers[i].Releasable() {
			reported[s.Servers[i].Country]++
		}
	}
	for i := range s.Servers {
		if c := s.Servers[i].Country; s.Servers[i].Releasable() && reported[c] >= Threshold {
			all = append(all, Outcome{i, c, status(i)})
		}
	}
	return all
}

// Releasable tells whether a bureau may know of the server at all: somebody
// reported it below RED.
func (s *Server) Releasable() bool { return s.Label != stix.Red || len(s.Origins) > 1 }

func status(i int) Status {
	draw := h("td", i) % 100
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
