package fusion

import "slices"

// Account is what one contributor gave to the findings of one kind. Entities are
// counted, not messages.
type Account struct {
	Given           int // with a counted contribution of this origin
	UniqueFirst     int // of these, the earliest is this origin's
	Sole            int // this is the only origin
	Corroborated    int // another origin agrees
	Led             int // unique-first, and another agrees
	ConfirmedOthers int // another was first
	Relayed         int // objects of others that it passed on
	NotCounted      map[Reason]int
}

// Accounts are what each contributor gave to findings of a kind, by slug.
// Findings that are held count as not counted, one for each contribution.
func Accounts(kind Kind, findings []Finding, left []Excluded) map[string]*Account {
	all := map[string]*Account{}
	of := func(who string) *Account {
		if all[who] == nil {
			all[who] = &Account{NotCounted: map[Reason]int{}}
		}
		return all[who]
	}
	for _, e := range left {
		if e.Kind == kind {
			of(e.Submitter).NotCounted[e.Reason]++
		}
	}
	for i := range findings {
		f := &findings[i]
		switch {
		case f.Kind != kind:
			continue
		case f.Held != "":
			for _, source := range f.Sources {
				of(source.Submitter).NotCounted[f.Held]++
			}
			continue
		}
		for _, relay := range f.Relays {
			of(relay.Submitter).Relayed++
		}
		for _, origin := range f.Origins {
			of(origin).count(origin == f.FirstBy, len(f.Origins) > 1)
		}
	}
	return all
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

// Summary is an operation's findings of one kind in figures. Held ones are not
// among them.
type Summary struct {
	Findings     int
	ByCountry    map[string]int
	ByOrigins    map[int]int // by number of origins
	ByConfidence map[int]int
	Corroborated int // with two origins or more
	Disagreeing  int // about whose country a source disagrees
	Government   int
	Strict       int
}

// Summarise counts the findings of a kind.
func Summarise(kind Kind, findings []Finding) Summary {
	s := Summary{ByCountry: map[string]int{}, ByOrigins: map[int]int{}, ByConfidence: map[int]int{}}
	for i := range findings {
		f := &findings[i]
		if f.Kind != kind || f.Held != "" {
			continue
		}
		s.Findings++
		s.ByCountry[f.Country]++
		s.ByOrigins[len(f.Origins)]++
		s.ByConfidence[f.Confidence]++
		for _, is := range []struct {
			so    bool
			count *int
		}{
			{len(f.Origins) > 1, &s.Corroborated}, {f.Disagreeing > 0, &s.Disagreeing},
			{f.Government, &s.Government}, {f.Strict, &s.Strict},
		} {
			if is.so {
				*is.count++
			}
		}
	}
	return s
}

// Without is what is left of contributions when a participant withdraws: by
// origin, so copies that others passed on go too, and what it passed on.
func Without(who string, contributions []Contribution) []Contribution {
	return slices.DeleteFunc(slices.Clone(contributions), func(c Contribution) bool {
		return c.Origin == who || c.Submitter == who
	})
}
