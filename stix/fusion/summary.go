package fusion

import (
	"maps"
	"slices"
)

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
	s := newSummary()
	for i := range findings {
		if f := &findings[i]; f.Kind == kind && f.Held == "" {
			s.count(f, 1)
		}
	}
	return s
}

func newSummary() Summary {
	return Summary{ByCountry: map[string]int{}, ByOrigins: map[int]int{}, ByConfidence: map[int]int{}}
}

// count adds a finding, or with -1 takes it away.
func (s *Summary) count(f *Finding, by int) {
	s.Findings += by
	count(s.ByCountry, f.Country, by)
	count(s.ByOrigins, len(f.Origins), by)
	count(s.ByConfidence, f.Confidence, by)
	for _, is := range []struct {
		so    bool
		count *int
	}{
		{len(f.Origins) > 1, &s.Corroborated}, {f.Disagreeing > 0, &s.Disagreeing},
		{f.Government, &s.Government}, {f.Strict, &s.Strict},
	} {
		if is.so {
			*is.count += by
		}
	}
}

func count[K comparable](counts map[K]int, key K, by int) {
	if counts[key] += by; counts[key] == 0 {
		delete(counts, key)
	}
}

// sums are the summaries of every audience. Of a component that is closed the
// findings are in them; it is opened, and they are taken away, before it changes.
// All contributions of one are open, or none.
type sums struct {
	open []uint32            // the slots that are open, and some that are free
	of   []map[Kind]*Summary // by audience
}

// Summary is an audience's findings of a kind in figures. The first time all that
// is held is fused for it, then only what changed.
func (s *State) Summary(audience int, kind Kind) Summary {
	if s.sums == nil {
		s.sums = &sums{of: make([]map[Kind]*Summary, len(s.audiences))}
		for p := range s.parts(everyone) {
			s.sum(p, 1)
		}
	}
	for _, n := range s.sums.open {
		if slot := s.pool.slot(n); slot.audiences != 0 && slot.marks&isOpen != 0 {
			c := s.contribution(n)
			p := s.walk(c.entity(), everyone)
			s.forget(p.slots)
			s.sum(p, 1)
			for _, n := range p.slots {
				s.pool.slot(n).marks &^= isOpen
			}
		}
		s.pool.slot(n).marks &^= isOpen
	}
	s.sums.open = nil
	got := newSummary()
	if held := s.sums.of[audience][kind]; held != nil {
		got = *held
		got.ByCountry, got.ByOrigins, got.ByConfidence = maps.Clone(held.ByCountry), maps.Clone(held.ByOrigins), maps.Clone(held.ByConfidence)
	}
	return got
}

// sum adds the findings of a component to every audience's sums, or with -1 takes
// them away.
func (s *State) sum(p part, by int) {
	var findings []Finding
	for audience := range s.audiences {
		var seen []Contribution
		same := audience > 0 // as the audience before
		for i, n := range p.slots {
			have := s.pool.slot(n).audiences >> audience
			if have&1 != 0 {
				seen = append(seen, p.of[i])
			}
			same = same && have&1 == s.pool.slot(n).audiences>>(audience-1)&1
		}
		if !same {
			findings, _ = Fuse(&s.rules, seen)
		}
		for i := range findings {
			if f := &findings[i]; f.Held == "" {
				s.sums.at(audience, f.Kind).count(f, by)
			}
		}
	}
}

func (s *sums) at(audience int, kind Kind) *Summary {
	if s.of[audience] == nil {
		s.of[audience] = map[Kind]*Summary{}
	}
	if s.of[audience][kind] == nil {
		fresh := newSummary()
		s.of[audience][kind] = &fresh
	}
	return s.of[audience][kind]
}

// unsum opens the components that c is in or will connect, before it changes.
func (s *State) unsum(c *Contribution) {
	if s.sums == nil {
		return
	}
	for _, at := range Keys(c) {
		for n := range s.index.find(s.hash(keyName(at))) {
			if other := s.contribution(n); !slices.Contains(Keys(&other), at) {
				continue
			}
			if s.pool.slot(n).marks&isOpen == 0 {
				p := s.walk(at, everyone)
				s.forget(p.slots)
				s.sum(p, -1)
				for _, n := range p.slots {
					s.open(n)
				}
			}
			break // the others are open, too
		}
	}
}

// open notes that a slot is not in the sums.
func (s *State) open(n uint32) {
	if slot := s.pool.slot(n); s.sums != nil && slot.marks&isOpen == 0 {
		slot.marks |= isOpen
		s.sums.open = append(s.sums.open, n)
	}
}
