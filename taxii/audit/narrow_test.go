package audit_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"comity/stix"
	"comity/taxii"
	"comity/taxii/audit"
)

// The record keeps of a query what can matter for a recall, however much it names.
func TestNarrowKeepsOfAMatchWhatThePageShows(t *testing.T) {
	page := []stix.ID{"indicator--1", "malware--2"}
	var many []string
	var all []stix.ID
	for n := range 1000 {
		id := fmt.Sprintf("indicator--%08d", n)
		many, all = append(many, id), append(all, stix.ID(id))
	}
	at := []time.Time{noon, after(1)}
	for name, row := range map[string]struct {
		match taxii.Match
		page  []stix.ID
		want  taxii.Match
	}{
		"none":              {taxii.Match{}, page, taxii.Match{}},
		"ids of nothing":    {taxii.Match{IDs: append(many, "malware--2", "malware--2")}, page, taxii.Match{IDs: []string{"malware--2"}}},
		"types of nothing":  {taxii.Match{Types: []string{"x", "indicator"}, Specs: []string{"2.1", "9.9"}}, page, taxii.Match{Types: []string{"indicator"}, Specs: []string{"2.1"}}},
		"no page":           {taxii.Match{IDs: many}, nil, taxii.Match{IDs: []string{}}},
		"one version":       {taxii.Match{Versions: taxii.Versioning{At: at[:1]}}, page, taxii.Match{Versions: taxii.Versioning{At: at[:1]}}},
		"several versions":  {taxii.Match{Versions: taxii.Versioning{First: true, At: at}}, page, taxii.Match{Versions: taxii.Versioning{All: true}}},
		"ids that are many": {taxii.Match{IDs: many, Types: []string{"indicator", "y"}}, all, taxii.Match{Types: []string{"indicator"}}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(row.want, audit.Narrow(row.match, func() []stix.ID { return row.page })); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}
