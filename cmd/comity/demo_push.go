package main

import (
	"cmp"
	"fmt"
	"iter"
	"maps"
	"slices"
	"sync"

	"comity/taxii/client"
	"comity/taxii/demo"
)

// maxObjects is the limit of objects per push in the agreements of the vendors.
const maxObjects = 10_000

// tally is the result of one party's pushes.
type tally struct {
	pushes, objects, accepted, refused int
	reasons                            map[string]int
}

func (p *play) pushContributions() error {
	return p.each(demo.Vendors(), func(vendor string) (string, error) {
		t, err := p.push(vendor, "in", p.scenario.Pushes(vendor, maxObjects))
		return "pushed " + t.String(), err
	})
}

func (p *play) pushIssues() error {
	return p.each(p.bureaus(), func(bureau string) (string, error) {
		t, err := p.push(bureau, "issues", p.scenario.IssuePushes(bureau, maxObjects))
		return "flagged " + plural(p.issuesOf(bureau), "issue", "issues") + ": " + t.String(), err
	})
}

func (p *play) issuesOf(bureau string) (n int) {
	for i := range p.scenario.Issues {
		if p.scenario.Issues[i].Bureau() == bureau {
			n++
		}
	}
	return n
}

// each calls do for each party, two at a time, and prints the texts that do returns.
func (p *play) each(orgs []string, do func(org string) (string, error)) error {
	var (
		slots  = make(chan struct{}, 2)
		all    sync.WaitGroup
		mu     sync.Mutex // guards what follows and the output
		failed error
	)
	for _, org := range orgs {
		all.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			said, err := do(org)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failed = cmp.Or(failed, fmt.Errorf("%s: %w", org, err))
				return
			}
			fmt.Fprintf(p.progressOut, "%-8s %s\n", org, said)
		})
	}
	all.Wait()
	return failed
}

// push pushes to a party's collection of a flow, as any client would.
func (p *play) push(org, flow string, pushes iter.Seq[demo.Push]) (t tally, err error) {
	t.reasons = map[string]int{}
	c, err := p.client(org)
	if err != nil {
		return t, err
	}
	defer c.Close()
	for push := range pushes {
		status, err := c.Add(p.ctx, demoCollection(org, flow), push.Envelope(), false)
		if err != nil {
			return t, err
		}
		t.pushes, t.objects = t.pushes+1, t.objects+len(push.Objects)
		t.accepted, t.refused = t.accepted+status.SuccessCount, t.refused+status.FailureCount
		for _, f := range status.Failures {
			t.reasons[f.Message]++
		}
	}
	return t, nil
}

// String is a line with the counts, and one for each of the most frequent reasons.
func (t tally) String() string {
	s := fmt.Sprintf("%s objects in %s: %s accepted, %s refused", thousands(t.objects), plural(t.pushes, "push", "pushes"),
		thousands(t.accepted), thousands(t.refused))
	reasons := slices.SortedFunc(maps.Keys(t.reasons), func(a, b string) int {
		return cmp.Or(t.reasons[b]-t.reasons[a], cmp.Compare(a, b))
	})
	for i, reason := range reasons {
		if i == 3 {
			return s + "\n         and for " + plural(len(reasons)-i, "more reason", "more reasons")
		}
		s += fmt.Sprintf("\n         %6d: %s", t.reasons[reason], reason)
	}
	return s
}

// client is that of a party's service.
func (p *play) client(org string) (*client.Client, error) {
	return client.New(p.url+"/"+demoCentre, client.Config{Credentials: client.Credentials{Token: p.tokens[org]}})
}

// demoCollection is the alias of a party's collection of a flow.
func demoCollection(org, flow string) string { return demoOperation + "." + flow + "." + suffix(org) }
