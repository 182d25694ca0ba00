package pattern

import "slices"

// maxSolveDepth bounds the stack of solve.
const maxSolveDepth = 20_000

// solve tries every way to satisfy n between two moments, and calls next with
// the moment at which it is complete, until next returns true: that is the
// answer. In each way all moments are as early as possible, which leaves most
// room to what follows.
func (s *search) solve(n *node, from, to int64, next func(end int64) bool) bool {
	if s.depth++; s.depth > maxSolveDepth {
		s.meter.left = -1
	}
	defer func() { s.depth-- }()
	if !s.meter.spend(16) || s.earliest(n, from, false) > to {
		return false
	}
	switch n.kind {
	case seen:
		return s.choose(s.from(n, from), 1, from, from, to, next)
	case all:
		return s.solveAll(n.of, from, from, to, next)
	case inTurn:
		return s.solveInTurn(n.of, from, to, next)
	case oneOf:
		return slices.ContainsFunc(n.of, func(operand *node) bool { return s.solve(operand, from, to, next) })
	case between:
		return s.solve(n.of[0], max(from, n.start), min(to, n.stop), next)
	case inside:
		return s.solveInside(n, from, to, next)
	default:
		if n.of[0].kind == seen {
			return s.choose(s.from(n.of[0], from), n.times, from, from, to, next)
		}
		return s.solveRepeated(n.of[0], n.times, from, from, to, next)
	}
}

// choose takes observations from slots until there are enough of them. Of one
// observation it takes first as many as it can; the order in which
// observations are taken makes no difference, so it is always that of slots.
func (s *search) choose(slots []slot, times, from, end, to int64, next func(int64) bool) bool {
	if times == 0 {
		return next(end)
	}
	if s.depth++; s.depth > maxSolveDepth {
		s.meter.left = -1
	}
	defer func() { s.depth-- }()
	var left int64 // what the slots not yet passed can give
	for _, t := range slots {
		if t.last >= from && t.first <= to {
			left += s.free[t.observation]
		}
	}
	if !s.meter.spend(len(slots)) {
		return false
	}
	mark := len(s.trail)
	for i, t := range slots {
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
			if s.choose(slots[i+1:], times-k, from, max(end, t.first), to, next) {
				return true
			}
			s.undo(mark)
		}
	}
	return false
}

// solveAll solves operands of AND that are left, given when those before are
// complete.
func (s *search) solveAll(left []*node, from, end, to int64, next func(int64) bool) bool {
	if len(left) == 0 {
		return next(end)
	}
	// What has been taken may have made one of the others impossible.
	for _, operand := range left[1:] {
		if s.earliest(operand, from, false) > to {
			return false
		}
	}
	return s.solve(left[0], from, to, func(e int64) bool {
		return s.solveAll(left[1:], from, max(end, e), to, next)
	})
}

func (s *search) solveInTurn(left []*node, from, to int64, next func(int64) bool) bool {
	if len(left) == 0 {
		return next(from)
	}
	return s.solve(left[0], from, to, func(end int64) bool {
		return s.solveInTurn(left[1:], end, to, next)
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

// solveInside tries each moment at which the window may have to begin.
func (s *search) solveInside(n *node, from, to int64, next func(int64) bool) bool {
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

// collectMoments finds the moments at which a window may have to begin, beside
// the first one possible. Given any solution, all that is in the window can be
// moved together to a later moment, no further than its end and not over the
// last moment of any part; what then stands at the beginning is at its last
// moment, or all is at one moment, which is the first moment of some part.
func (s *search) collectMoments(n *node) {
	switch n.kind {
	case seen:
		for _, t := range s.slots[n.bracket] {
			if t.first != past {
				s.moments = append(s.moments, t.first, t.last)
			}
		}
	case between:
		s.moments = append(s.moments, n.start, n.stop)
	}
	for _, operand := range n.of {
		s.collectMoments(operand)
	}
}
