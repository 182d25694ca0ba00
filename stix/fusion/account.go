package fusion

import (
	"slices"
	"time"
)

// Account counts the contributions of one contributor to the findings of one kind.
// Entities are counted, not messages.
type Account struct {
	Given           int            // with a counted contribution of this origin
	UniqueFirst     int            // of these, the earliest is this origin's
	Sole            int            // this is the only origin
	Corroborated    int            // another origin agrees
	Led             int            // unique-first, and another agrees
	ConfirmedOthers int            // another was first
	Relayed         int            // objects of others that it passed on
	Context         int            // of those given, with malware family or kill-chain phase, and with both times seen
	Fresh           time.Duration  // the median, over counted contributions, from when it was last seen to receipt
	Overlap         map[string]int // by another origin: entities given by both
	NotCounted      map[Reason]int
}

// Accounts are the accounts of all contributors for an audience's findings of a kind,
// by slug. The whole State is fused for them. The contributions to a held finding are
// in NotCounted, each by itself.
func (s *State) Accounts(audience int, kind Kind) map[string]*Account {
	b := accountBook{kind: kind, all: map[string]*Account{}, ages: map[string][]time.Duration{}}
	for c := range s.components(audience) {
		b.add(s.fuse(c))
	}
	for who, ages := range b.ages {
		slices.Sort(ages)
		middle := len(ages) / 2
		b.all[who].Fresh = (ages[middle] + ages[(len(ages)-1)/2]) / 2
	}
	return b.all
}

// accountBook collects the accounts of all contributors.
type accountBook struct {
	kind Kind
	all  map[string]*Account
	ages map[string][]time.Duration // of counted contributions when they came
}

func (b *accountBook) of(who string) *Account {
	if b.all[who] == nil {
		b.all[who] = &Account{NotCounted: map[Reason]int{}, Overlap: map[string]int{}}
	}
	return b.all[who]
}

// add counts the fusion of a component.
func (b *accountBook) add(f *fuser) {
	for _, e := range f.excluded {
		if e.Kind == b.kind {
			b.of(e.Submitter).NotCounted[e.Reason]++
		}
	}
	for i := range f.findings {
		finding := &f.findings[i]
		switch {
		case finding.Kind != b.kind:
			continue
		case finding.Held != "":
			for _, source := range finding.Sources {
				b.of(source.Submitter).NotCounted[finding.Held]++
			}
			continue
		}
		for _, relay := range finding.Relays {
			b.of(relay.Submitter).Relayed++
		}
		for _, origin := range finding.Origins {
			account := b.of(origin)
			account.count(origin == finding.FirstBy, len(finding.Origins) > 1)
			if inContext(origin, f.counted[i]) {
				account.Context++
			}
			for _, other := range finding.Origins {
				if other != origin {
					account.Overlap[other]++
				}
			}
		}
		for _, c := range f.counted[i] {
			if !c.Last.IsZero() && !c.Received.IsZero() {
				b.ages[c.Origin] = append(b.ages[c.Origin], c.Received.Sub(c.Last))
			}
		}
	}
}

// inContext tells whether the contributions of an origin to a finding together name a
// malware family or a kill-chain phase, and both times seen.
func inContext(origin string, counted []*Contribution) bool {
	var what, first, last bool
	for _, c := range counted {
		if c.Origin == origin {
			what = what || c.Family != "" || c.KillChain
			first, last = first || !c.First.IsZero(), last || !c.Last.IsZero()
		}
	}
	return what && first && last
}

func (a *Account) count(first, corroborated bool) {
	a.Given++
	if first {
		a.UniqueFirst++
	}
	switch {
	case !corroborated:
		a.Sole++
		return
	case first:
		a.Led++
	default:
		a.ConfirmedOthers++
	}
	a.Corroborated++
}

// Without are the contributions that are left when a participant withdraws. Its own
// go, the copies of them that others relayed, and the contributions that it relayed.
func Without(who string, contributions []Contribution) []Contribution {
	return slices.DeleteFunc(slices.Clone(contributions), func(c Contribution) bool {
		return c.Origin == who || c.Submitter == who
	})
}
