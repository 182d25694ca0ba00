package pattern

import (
	"cmp"
	"slices"
	"sort"
)

// search looks for observations that satisfy a plan: for each bracket one
// that its condition holds for, no observation more often than it was seen,
// and for each a moment of the time it was seen, so that the qualifiers and
// FOLLOWEDBY hold of those moments.
//
// Without the bound on how often an observation is taken the problem is easy
// (see earliest), so a search goes in three steps: earliest without the bound
// often shows that there is nothing to find; earliest with it, taking greedily,
// usually finds something; only between the two is every choice tried (see
// solve).
type search struct {
	plan    *node
	slots   [][]slot // by bracket, by first moment
	free    []int64  // by observation: how often it may still be taken
	trail   []taking // what is taken, in order
	moments []int64  // at which a window may have to begin, ascending
	depth   int      // of solve
	meter   *meter
}

// slot is an observation that a condition holds for.
type slot struct {
	observation int
	first, last int64
	lastSoFar   int64 // the greatest last of this slot and those before it
}

// taking is a decision to use an observation, and how often.
type taking struct {
	observation int
	times       int64
}

func newSearch(m *Matcher, observations []*Observation) *search {
	s := &search{
		plan: m.root, meter: &meter{m.Budget},
		slots: make([][]slot, len(m.brackets)), free: make([]int64, len(observations)),
	}
	for i, o := range observations {
		s.free[i] = o.count
	}
	for i, c := range m.brackets {
		for j, o := range observations {
			if !s.meter.spend(1) {
				return s
			}
			// A slot costs as many steps as bytes: that bounds memory as well.
			if o.holds(c, s.meter) && s.meter.spend(32) {
				s.slots[i] = append(s.slots[i], slot{observation: j, first: o.first, last: o.last})
			}
		}
	}
	s.order(m.root)
	return s
}

// order sorts the slots of each bracket, and leaves out those without a time
// where a time is needed.
func (s *search) order(n *node) {
	for _, operand := range n.of {
		s.order(operand)
	}
	if n.kind != seen {
		return
	}
	slots := s.slots[n.bracket]
	if n.timed {
		slots = slices.DeleteFunc(slots, func(t slot) bool { return t.first == past })
	}
	slices.SortStableFunc(slots, func(a, b slot) int { return cmp.Compare(a.first, b.first) })
	last := int64(past)
	for i := range slots {
		last = max(last, slots[i].last)
		slots[i].lastSoFar = last
	}
	s.slots[n.bracket] = slots
}

// run tells whether the plan can be satisfied; the trail then says how.
func (s *search) run() bool {
	if s.meter.left < 0 || !s.supplied(s.plan, 1) || s.earliest(s.plan, past, false) == future {
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

// supplied tells whether each bracket that cannot be avoided has as many
// observations as times copies of the plan need.
func (s *search) supplied(n *node, times int64) bool {
	switch n.kind {
	case seen:
		var sum int64
		for _, t := range s.slots[n.bracket] {
			sum += s.free[t.observation]
		}
		return sum >= times
	case oneOf:
		return slices.ContainsFunc(n.of, func(operand *node) bool { return s.supplied(operand, 1) })
	case repeated:
		if times > future/n.times {
			return false
		}
		times *= n.times
	}
	return !slices.ContainsFunc(n.of, func(operand *node) bool { return !s.supplied(operand, times) })
}

// take uses an observation; undo gives back all that was taken since mark.
func (s *search) take(observation int, times int64) {
	s.free[observation] -= times
	s.trail = append(s.trail, taking{observation, times})
}

func (s *search) undo(mark int) {
	for _, t := range s.trail[mark:] {
		s.free[t.observation] += t.times
	}
	s.trail = s.trail[:mark]
}

// from gives the slots of a bracket that can be at or after a moment: those
// before are all over by then.
func (s *search) from(n *node, moment int64) []slot {
	slots := s.slots[n.bracket]
	return slots[sort.Search(len(slots), func(i int) bool { return slots[i].lastSoFar >= moment }):]
}

// earliest is the earliest moment at which n can be complete if nothing in it
// is before the moment from, or future if it cannot be. To be complete early
// is all that anything else can ask of n, so each operator is a line of
// arithmetic on what its operands answer.
//
// With greedy it also takes the observations that it settles on, so that they
// are missing elsewhere: what it finds is then a solution, but it may miss
// one. Without, an observation may be used any number of times: the answer is
// then never too late.
func (s *search) earliest(n *node, from int64, greedy bool) int64 {
	if !s.meter.spend(4) {
		return future
	}
	mark, end := len(s.trail), from
	switch n.kind {
	case seen:
		return s.nth(n, 1, from, greedy)
	case all:
		for _, operand := range n.of {
			if end = max(end, s.earliest(operand, from, greedy)); end == future {
				break
			}
		}
	case inTurn:
		for _, operand := range n.of {
			if end = s.earliest(operand, end, greedy); end == future {
				break
			}
		}
	case oneOf:
		end = s.soonest(n, from, greedy)
	case between:
		if end = s.earliest(n.of[0], max(from, n.start), greedy); end > n.stop {
			end = future
		}
	case inside:
		for {
			end = s.earliest(n.of[0], from, greedy)
			if end == future || end <= add(from, n.length) {
				break
			}
			// Whatever begins before this is not complete in time either, since
			// nothing that begins later is complete sooner.
			s.undo(mark)
			from = add(end, -n.length)
		}
	case repeated:
		if n.of[0].kind == seen {
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

// nth is the moment at which a bracket has been seen that many times.
func (s *search) nth(n *node, times, from int64, greedy bool) int64 {
	mark := len(s.trail)
	for _, t := range s.from(n, from) {
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

// soonest is earliest of an OR: of the operand that can be complete first, or,
// if that one proves not to be possible, of the next.
func (s *search) soonest(n *node, from int64, greedy bool) int64 {
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
