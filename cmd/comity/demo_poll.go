package main

import (
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"comity/stix"
	"comity/taxii/client"
	"comity/taxii/demo"
)

// maxOutcomes is how many outcomes a bureau sends in one push.
const maxOutcomes = 5_000

// polled is an object that a party received.
type polled struct {
	Type       string
	ID         stix.ID
	Name       string
	Revoked    bool
	References []struct {
		Source string `json:"source_name"`
		ID     string `json:"external_id"`
	} `json:"external_references"`
}

// The prefixes of the names of findings.
const (
	serverName = "C2 server "
	siteName   = "Compromised website "
)

// poll yields all objects of a party's collection of a flow.
func (p *play) poll(org, flow string, yield func(polled)) error {
	c, err := p.client(org)
	if err != nil {
		return err
	}
	defer c.Close()
	for page, err := range c.Objects(p.ctx, demoCollection(org, flow), client.Query{Limit: 10_000}) {
		if err != nil {
			return err
		}
		for _, raw := range page.Objects {
			var o polled
			if err := json.Unmarshal(raw, &o); err != nil {
				return err
			}
			yield(o)
		}
	}
	return nil
}

// reportOutcomes lets every bureau read its findings and push the outcome of each.
func (p *play) reportOutcomes() error {
	outcomes := map[string][]demo.Outcome{}
	for _, o := range p.scenario.Outcomes() {
		bureau := demo.BureauOf(o.Country)
		outcomes[bureau] = append(outcomes[bureau], o)
	}
	return p.each(p.bureaus(), func(bureau string) (string, error) {
		findings, n := map[string]stix.ID{}, 0
		if err := p.poll(bureau, "car", func(o polled) {
			n++
			if o.Type == "infrastructure" && !o.Revoked {
				findings[o.Name] = o.ID
			}
		}); err != nil {
			return "", err
		}
		unknown := 0
		t, err := p.push(bureau, "feedback", p.notes(bureau, outcomes[bureau], findings, &unknown))
		said := "polled " + thousands(n) + " objects"
		if t.pushes > 0 {
			said += "; outcomes: " + t.String()
		}
		if unknown > 0 {
			said += fmt.Sprintf("; %s servers are not among what it got", thousands(unknown))
		}
		return said, err
	})
}

// notes are pushes of outcomes; findings maps names of findings to their ids.
func (p *play) notes(bureau string, outcomes []demo.Outcome, findings map[string]stix.ID, unknown *int) iter.Seq[demo.Push] {
	return func(yield func(demo.Push) bool) {
		at := p.now().Truncate(time.Millisecond)
		for some := range slices.Chunk(outcomes, maxOutcomes) {
			push := demo.Push{Org: bureau}
			for _, o := range some {
				finding, known := findings[serverName+p.scenario.Servers[o.Server].Key()]
				if !known {
					*unknown++
					continue
				}
				push.Objects = append(push.Objects, o.Note(finding, at))
			}
			if len(push.Objects) > 0 && !yield(push) {
				return
			}
		}
	}
}

// received counts the objects that the client of a bureau received.
type received struct {
	Servers int      `json:"servers"`
	Sites   int      `json:"sites"`
	Reports []string `json:"reports"` // numbers, sorted
}

// receive polls all collections of findings and reports for each bureau.
func (p *play) receive() (map[string]received, error) {
	all := map[string]received{}
	for _, bureau := range p.bureaus() {
		var f received
		if err := p.poll(bureau, "car", func(o polled) {
			switch {
			case o.Revoked:
			case o.Type == "infrastructure" && strings.HasPrefix(o.Name, serverName):
				f.Servers++
			case o.Type == "infrastructure" && strings.HasPrefix(o.Name, siteName):
				f.Sites++
			case o.Type == "report" && len(o.References) > 0:
				f.Reports = append(f.Reports, o.References[0].ID)
			}
		}); err != nil {
			return nil, err
		}
		slices.Sort(f.Reports)
		f.Reports = slices.Compact(f.Reports) // an annex has the number of its body
		all[bureau] = f
	}
	return all, nil
}
