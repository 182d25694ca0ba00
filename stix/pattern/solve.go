package pattern

import "slices"

// maxSolveDepth bounds the stack of solve.
const maxSolveDepth = 20_000

// solve tries every way to satisfy n between two moments. For each it calls next with
// the moment at which n is complete, and it returns true as soon as next does. All
// moments are as early as possible, which leaves the rest of the plan the most time.
func (s *search) solve(n *node, from, to int64, next func(end int64) bool) bool {
	if s.depth++; s.depth > maxSolveDepth {
		s.meter.left = -1
	}
	defer func() { s.depth-- }()
	if !s.meter.spend(16) || s.earliest(n, from, false) > to {
		return false
	}
	switch n.kind {
	case bracketNode:
		return s.choose(s.candidatesFrom(n, from), 1, from, from, to, next)
	case andNode:
		return s.solveAll(n.of, from, from, to, next)
	case followedByNode:
		return s.solveFollowedBy(n.of, from, to, next)
	case orNode:
		return slices.ContainsFunc(n.of, func(operand *node) bool { return s.solve(operand, from, to, next) })
	case startStopNode:
		return s.solve(n.of[0], max(from, n.start), min(to, n.stop), next)
	case withinNode:
		return s.solveWithin(n, from, to, next)
	default:
		if n.of[0].kind == bracketNode {
			return s.choose(s.candidatesFrom(n.of[0], from), n.times, from, from, to, next)
		}
		return s.solveRepeated(n.of[0], n.times, from, from, to, next)
	}
}

// choose takes observations from candidates until there are enough of them. It first
// takes each observation as often as possible. The order in which observations are
// taken makes no difference, so it is always the order of candidates.
func (s *search) choose(candidates []candidate, times, from, end, to int64, next func(int64) bool) bool {
	if times == 0 {
		return next(end)
	}
	if s.depth++; s.depth > maxSolveDepth {
		s.meter.left = -1
	}
	defer func() { s.depth-- }()
	var left int64 // the number that the candidates from here on can give
	for _, t := range candidates {
		if t.last >= from && t.first <= to {
			left += s.free[t.observation]
		}
	}
	if !s.meter.spend(len(candidates)) {
		return false
	}
	mark := len(s.trail)
	for i, t := range candidates {
		if t.first > to || left < times {
			return false
		}
		if t.last < from {
			continue
		}
		left -= s.free[t.observation]
		for k := min(times, s.free[t.observation]); k > 0 && k >= times-left; k-- {
			if !s.meter.spend(4) {
				return false
			}
			s.take(t.observation, k)
			if s.choose(candidates[i+1:], times-k, from, max(end, t.first), to, next) {
				return true
			}
			s.undo(mark)
		}
	}
	return false
}

// solveAll solves the remaining operands of AND. end is the moment at which those
// before are complete.
func (s *search) solveAll(left []*node, from, end, to int64, next func(int64) bool) bool {
	if len(left) == 0 {
		return next(end)
	}
	// The observations taken so far may have made another operand impossible.
	for _, operand := range left[1:] {
		if s.earliest(operand, from, false) > to {
			return false
		}
	}
	return s.solve(left[0], from, to, func(e int64) bool {
		return s.solveAll(left[1:], from, max(end, e), to, next)
	})
}

func (s *search) solveFollowedBy(left []*node, from, to int64, next func(int64) bool) bool {
	if len(left) == 0 {
		return next(from)
	}
	return s.solve(left[0], from, to, func(end int64) bool {
		return s.solveFollowedBy(left[1:], end, to, next)
	})
}

func (s *search) solveRepeated(n *node, times, from, end, to int64, next func(int64) bool) bool {
	if times == 0 {
		return next(end)
	}
	return s.solve(n, from, to, func(e int64) bool {
		return s.solveRepeated(n, times-1, from, max(end, e), to, next)
	})
}

// solveWithin tries each moment at which the window may have to begin.
func (s *search) solveWithin(n *node, from, to int64, next func(int64) bool) bool {
	for {
		end := s.earliest(n.of[0], from, false)
		if end > to || !s.meter.spend(4) {
			return false
		}
		if last := add(from, n.length); end > last {
			from = add(end, -n.length)
		} else if s.solve(n.of[0], from, min(to, last), next) {
			return true
		} else {
			from = add(from, 1)
		}
		i, _ := slices.BinarySearch(s.moments, from)
		if i == len(s.moments) {
			return false
		}
		from = s.moments[i]
	}
}

// collectMoments finds the moments at which a window may have to begin, beside the
// first possible one. In any solution, the moments inside a window can be moved
// later, up to its end, as long as none passes the last time of its observation. After
// that, either the earliest moment is the last time of its observation, or all moments
// are equal to the first time of some observation.
func (s *search) collectMoments(n *node) {
	switch n.kind {
	case bracketNode:
		for _, t := range s.candidates[n.bracket] {
			if t.first != past {
				s.moments = append(s.moments, t.first, t.last)
			}
		}
	case startStopNode:
		s.moments = append(s.moments, n.start, n.stop)
	}
	for _, operand := range n.of {
		s.collectMoments(operand)
	}
}
