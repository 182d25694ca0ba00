package pattern

import "math"

// node is a step of the plan by which an expression is matched. Qualifiers
// are nodes around what they qualify.
type node struct {
	kind    nodeKind
	of      []*node
	bracket int   // seen: the number of its condition
	timed   bool  // seen: only observations of known time
	length  int64 // inside: the longest time between two observations
	start   int64 // between: the first moment
	stop    int64 // between: the last moment
	times   int64 // repeated
}

type nodeKind uint8

const (
	seen     nodeKind = iota // a bracket
	all                      // AND
	oneOf                    // OR
	inTurn                   // FOLLOWEDBY
	inside                   // WITHIN
	between                  // START STOP
	repeated                 // REPEATS
)

// plan turns x into nodes and its brackets into conditions.
func (m *Matcher) plan(x *Expr, c *compiler) *node {
	n := &node{}
	switch {
	case x.Where != nil:
		n.kind, n.bracket = seen, len(m.brackets)
		m.brackets = append(m.brackets, c.condition(x.Where))
	case x.Join == None:
		n = m.plan(x.Of[0], c)
	default:
		n.kind = map[Join]nodeKind{And: all, Or: oneOf, FollowedBy: inTurn}[x.Join]
		for _, operand := range x.Of {
			n.of = append(n.of, m.plan(operand, c))
		}
	}
	for _, q := range x.Qualifiers {
		n = &node{of: []*node{n}}
		switch q.Kind {
		case Within:
			n.kind, n.length = inside, windowLength(q.Seconds)
		case StartStop:
			n.kind, n.start, n.stop = between, nanoseconds(q.Start.Time()), nanoseconds(q.Stop.Time())-1
		case Repeats:
			n.kind, n.times = repeated, q.Times
		}
	}
	return n
}

// windowLength is the longest time between two observations, in nanoseconds:
// they are less than the window apart (§9.5.1).
func windowLength(seconds float64) int64 {
	if seconds >= math.MaxInt64/1e9 {
		return math.MaxInt64
	}
	return max(int64(math.Ceil(seconds*1e9)), 1) - 1
}

// mark finds the brackets whose observations need a time.
func (n *node) mark(timed bool) {
	switch n.kind {
	case seen:
		n.timed = timed
	case inTurn, between:
		timed = true
	case inside:
		n.of[0].markInside(timed)
		return
	}
	for _, operand := range n.of {
		operand.mark(timed)
	}
}

// markInside marks what stands in a window: one observation is always in it.
func (n *node) markInside(timed bool) {
	once := n.kind == repeated && n.times == 1
	if n.kind != seen && n.kind != oneOf && n.kind != inside && !once {
		n.mark(true)
		return
	}
	if n.kind == seen {
		n.timed = timed
	}
	for _, operand := range n.of {
		operand.markInside(timed)
	}
}
