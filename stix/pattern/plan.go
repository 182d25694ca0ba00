package pattern

import "math"

// node is a step of the plan by which an expression is matched. The node of a
// qualifier has the expression that it qualifies as its operand.
type node struct {
	kind    nodeKind
	of      []*node
	bracket int   // bracketNode: the number of its condition
	timed   bool  // bracketNode: only observations of known time
	length  int64 // withinNode: the longest time between two observations
	start   int64 // startStopNode: the first moment
	stop    int64 // startStopNode: the last moment
	times   int64 // repeatsNode
}

type nodeKind uint8

const (
	bracketNode    nodeKind = iota // a bracket
	andNode                        // AND
	orNode                         // OR
	followedByNode                 // FOLLOWEDBY
	withinNode                     // WITHIN
	startStopNode                  // START STOP
	repeatsNode                    // REPEATS
)

// plan turns x into nodes and its brackets into conditions.
func (m *Matcher) plan(x *Expr, c *compiler) *node {
	n := &node{}
	switch {
	case x.Where != nil:
		n.kind, n.bracket = bracketNode, len(m.brackets)
		m.brackets = append(m.brackets, c.condition(x.Where))
	case x.Join == None:
		n = m.plan(x.Of[0], c)
	default:
		n.kind = map[Join]nodeKind{And: andNode, Or: orNode, FollowedBy: followedByNode}[x.Join]
		for _, operand := range x.Of {
			n.of = append(n.of, m.plan(operand, c))
		}
	}
	for _, q := range x.Qualifiers {
		n = &node{of: []*node{n}}
		switch q.Kind {
		case Within:
			n.kind, n.length = withinNode, windowLength(q.Seconds)
		case StartStop:
			n.kind, n.start, n.stop = startStopNode, nanoseconds(q.Start.Time()), nanoseconds(q.Stop.Time())-1
		case Repeats:
			n.kind, n.times = repeatsNode, q.Times
		}
	}
	return n
}

// windowLength is the longest time between two observations of a window, in
// nanoseconds: it is less than the window (§9.5.1).
func windowLength(seconds float64) int64 {
	if seconds >= math.MaxInt64/1e9 {
		return math.MaxInt64
	}
	return max(int64(math.Ceil(seconds*1e9)), 1) - 1
}

// markTimed finds the brackets whose observations need a time.
func (n *node) markTimed(timed bool) {
	switch n.kind {
	case bracketNode:
		n.timed = timed
	case followedByNode, startStopNode:
		timed = true
	case withinNode:
		n.of[0].markWithin(timed)
		return
	}
	for _, operand := range n.of {
		operand.markTimed(timed)
	}
}

// markWithin marks the operand of WITHIN: a single observation is always within a
// window, so its time need not be known.
func (n *node) markWithin(timed bool) {
	once := n.kind == repeatsNode && n.times == 1
	if n.kind != bracketNode && n.kind != orNode && n.kind != withinNode && !once {
		n.markTimed(true)
		return
	}
	if n.kind == bracketNode {
		n.timed = timed
	}
	for _, operand := range n.of {
		operand.markWithin(timed)
	}
}
