package pattern

import (
	"cmp"
	"slices"
	"sort"
)

// search looks for observations that satisfy a plan. For each bracket it takes an
// observation that satisfies its condition, and a moment between the first and last
// time of that observation. The moments must satisfy the qualifiers and FOLLOWEDBY,
// and no observation may be taken more often than it was seen.
//
// Without that bound the problem is easy (see earliest), so a search has three steps.
// First, earliest without the bound often shows that there is no solution. Second,
// greedy earliest with the bound usually finds one. Third, solve tries every choice.
type search struct {
	plan       *node
	candidates [][]candidate // by bracket, then by first
	free       []int64       // by observation: how often it may still be taken
	trail      []taken       // the observations taken so far, in order
	moments    []int64       // at which a window may have to begin, ascending
	depth      int           // of solve
	meter      *meter
}

// candidate is an observation that satisfies a condition.
type candidate struct {
	observation int
	first, last int64
	lastSoFar   int64 // the greatest last of this candidate and those before it
}

// taken is an observation that is used, and how often.
type taken struct {
	observation int
	times       int64
}

func newSearch(m *Matcher, observations []*Observation) *search {
	s := &search{
		plan: m.root, meter: &meter{m.Budget},
		candidates: make([][]candidate, len(m.brackets)), free: make([]int64, len(observations)),
	}
	for i, o := range observations {
		s.free[i] = o.count
	}
	for i, c := range m.brackets {
		for j, o := range observations {
			if !s.meter.spend(1) {
				return s
			}
			// A candidate costs as many steps as it has bytes, which bounds memory too.
			if o.holds(c, s.meter) && s.meter.spend(32) {
				s.candidates[i] = append(s.candidates[i], candidate{observation: j, first: o.first, last: o.last})
			}
		}
	}
	s.sortCandidates(m.root)
	return s
}

// sortCandidates sorts the candidates of each bracket. Where a time is needed, those
// without one are left out.
func (s *search) sortCandidates(n *node) {
	for _, operand := range n.of {
		s.sortCandidates(operand)
	}
	if n.kind != bracketNode {
		return
	}
	candidates := s.candidates[n.bracket]
	if n.timed {
		candidates = slices.DeleteFunc(candidates, func(t candidate) bool { return t.first == past })
	}
	slices.SortStableFunc(candidates, func(a, b candidate) int { return cmp.Compare(a.first, b.first) })
	last := int64(past)
	for i := range candidates {
		last = max(last, candidates[i].last)
		candidates[i].lastSoFar = last
	}
	s.candidates[n.bracket] = candidates
}

// run tells whether the plan can be satisfied. If so, the trail has the observations
// that satisfy it.
func (s *search) run() bool {
	if s.meter.left < 0 || !s.hasEnough(s.plan, 1) || s.earliest(s.plan, past, false) == future {
		return false
	}
	if s.earliest(s.plan, past, true) != future {
		return true
	}
	s.collectMoments(s.plan)
	slices.Sort(s.moments)
	s.moments = slices.Compact(s.moments)
	return s.solve(s.plan, past, future-1, func(int64) bool { return true })
}

// hasEnough tells whether each bracket has enough observations for so many copies of
// the plan. Of an OR, one operand must have them.
func (s *search) hasEnough(n *node, times int64) bool {
	switch n.kind {
	case bracketNode:
		var sum int64
		for _, t := range s.candidates[n.bracket] {
			sum += s.free[t.observation]
		}
		return sum >= times
	case orNode:
		return slices.ContainsFunc(n.of, func(operand *node) bool { return s.hasEnough(operand, 1) })
	case repeatsNode:
		if times > future/n.times {
			return false
		}
		times *= n.times
	}
	return !slices.ContainsFunc(n.of, func(operand *node) bool { return !s.hasEnough(operand, times) })
}

// take uses an observation so many times. undo releases all observations taken since
// the trail had the length mark.
func (s *search) take(observation int, times int64) {
	s.free[observation] -= times
	s.trail = append(s.trail, taken{observation, times})
}

func (s *search) undo(mark int) {
	for _, t := range s.trail[mark:] {
		s.free[t.observation] += t.times
	}
	s.trail = s.trail[:mark]
}

// candidatesFrom is the candidates of a bracket without those at its beginning that all
// ended before the moment.
func (s *search) candidatesFrom(n *node, moment int64) []candidate {
	candidates := s.candidates[n.bracket]
	return candidates[sort.Search(len(candidates), func(i int) bool { return candidates[i].lastSoFar >= moment }):]
}

// earliest is the earliest moment at which n can be complete if all of it is at or
// after the moment from; future if it cannot be complete. An early end is always the
// best for the rest of the plan, so each operator is computed from the results of its
// operands.
//
// If greedy, it also takes the observations that it chooses. Its result is then a
// solution, but it may miss one that exists. Otherwise an observation may be used any
// number of times, and the result is never too late.
func (s *search) earliest(n *node, from int64, greedy bool) int64 {
	if !s.meter.spend(4) {
		return future
	}
	mark, end := len(s.trail), from
	switch n.kind {
	case bracketNode:
		return s.nth(n, 1, from, greedy)
	case andNode:
		for _, operand := range n.of {
			if end = max(end, s.earliest(operand, from, greedy)); end == future {
				break
			}
		}
	case followedByNode:
		for _, operand := range n.of {
			if end = s.earliest(operand, end, greedy); end == future {
				break
			}
		}
	case orNode:
		end = s.earliestOr(n, from, greedy)
	case startStopNode:
		if end = s.earliest(n.of[0], max(from, n.start), greedy); end > n.stop {
			end = future
		}
	case withinNode:
		for {
			end = s.earliest(n.of[0], from, greedy)
			if end == future || end <= add(from, n.length) {
				break
			}
			// A window that begins before this moment is too short as well: beginning
			// later never ends sooner.
			s.undo(mark)
			from = add(end, -n.length)
		}
	case repeatsNode:
		if n.of[0].kind == bracketNode {
			return s.nth(n.of[0], n.times, from, greedy)
		}
		for i := int64(0); i < n.times && end != future; i++ {
			end = max(end, s.earliest(n.of[0], from, greedy))
			if !greedy {
				break
			}
		}
	}
	if end == future {
		s.undo(mark)
	}
	return end
}

// nth is the moment at which a bracket has matched that many times.
func (s *search) nth(n *node, times, from int64, greedy bool) int64 {
	mark := len(s.trail)
	for _, t := range s.candidatesFrom(n, from) {
		if !s.meter.spend(1) {
			break
		}
		k := min(times, s.free[t.observation])
		if t.last < from || k == 0 {
			continue
		}
		if greedy {
			s.take(t.observation, k)
		}
		if times -= k; times == 0 {
			return max(from, t.first)
		}
	}
	s.undo(mark)
	return future
}

// earliestOr is earliest for an OR. It tries the operand that can be complete first,
// and the next one if that proves impossible.
func (s *search) earliestOr(n *node, from int64, greedy bool) int64 {
	ends := make([]int64, len(n.of))
	order := make([]int, len(n.of))
	for i, operand := range n.of {
		ends[i], order[i] = s.earliest(operand, from, false), i
	}
	if !greedy {
		return slices.Min(ends)
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(ends[a], ends[b]) })
	for _, i := range order {
		if ends[i] == future {
			break
		}
		if end := s.earliest(n.of[i], from, true); end != future {
			return end
		}
	}
	return future
}
