package pattern

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"

	"golang.org/x/text/unicode/norm"

	"comity/stix"
)

// DefaultBudget is the number of steps that one Match may take. A step takes some ten
// nanoseconds: reading a value, comparing a constant, trying an observation. MATCHES
// costs the length of the text times the size of the expression. Each byte of memory
// costs at least one step.
const DefaultBudget = 1 << 26

// The limits of regular expressions. Both bound memory.
const (
	maxRegexp     = 4096    // bytes of one expression
	maxRegexpSize = 200_000 // instructions of all of them, by estimate
)

// ErrBudget says that the budget was spent before it was known whether the pattern
// matches.
var ErrBudget = errors.New("the pattern needs too many steps on these observations")

// RegexpError says that a MATCHES holds a regular expression that cannot be
// used. Patterns carry PCRE and this package has RE2, which knows no
// backreferences and no lookaround: the pattern may well be valid.
type RegexpError struct {
	Path Path
	Expr string
	Err  error
}

func (e *RegexpError) Error() string {
	return fmt.Sprintf("%s MATCHES %s: %v", e.Path, quote(e.Expr), e.Err)
}

func (e *RegexpError) Unwrap() error { return e.Err }

// Match is the answer to whether a pattern matches.
type Match struct {
	Found        bool
	Observations []int // the indices of those that satisfy it together, ascending; nil if not found
}

// Matcher is a pattern ready to be matched, by several goroutines at once.
type Matcher struct {
	Budget   int // steps of one Match; DefaultBudget, unless set before the first
	root     *node
	brackets []*condition // by node.bracket
}

// Match compiles p and matches it once.
func (p *Pattern) Match(observations []*Observation) (Match, error) {
	m, err := p.Compile()
	if err != nil {
		return Match{}, err
	}
	return m.Match(observations)
}

// Compile prepares p for matching. The error is a [*RegexpError].
func (p *Pattern) Compile() (*Matcher, error) {
	m, c := &Matcher{Budget: DefaultBudget}, &compiler{}
	m.root = m.plan(p.Root, c)
	m.root.markTimed(false)
	return m, c.err
}

// meter counts the steps of a Match down.
type meter struct{ left int }

// spend tells whether n more steps are allowed. Once it has refused, it always
// refuses.
func (m *meter) spend(n int) bool {
	m.left = max(m.left-n, -1)
	return m.left >= 0
}

// Match tells whether the observations satisfy the pattern, and names one set of
// them that does (§9.5). The same input always gives the same set.
//
// An observation may be used as often as it was seen (number_observed), each
// time for a moment of its own between first and last. An observation without a
// time satisfies no FOLLOWEDBY and no START, and a WITHIN only by itself.
//
// The error is [ErrBudget].
func (m *Matcher) Match(observations []*Observation) (Match, error) {
	s := newSearch(m, observations)
	found := s.run()
	if s.meter.left < 0 {
		return Match{}, ErrBudget
	}
	if !found {
		return Match{}, nil
	}
	var taken []int
	for _, t := range s.trail {
		taken = append(taken, t.observation)
	}
	slices.Sort(taken)
	return Match{true, slices.Compact(taken)}, nil
}

// Matches lists the observations of which each satisfies p by itself. If there are
// none, it lists the set that [Matcher.Match] names; nil if p does not match.
func (p *Pattern) Matches(observations []*Observation) (ids []stix.ID, err error) {
	m, err := p.Compile()
	if err != nil {
		return nil, err
	}
	for _, o := range observations {
		alone, err := m.Match([]*Observation{o})
		if err != nil {
			return nil, err
		}
		if alone.Found {
			ids = append(ids, o.ID)
		}
	}
	if ids != nil {
		return ids, nil
	}
	together, err := m.Match(observations)
	for _, i := range together.Observations {
		ids = append(ids, observations[i].ID)
	}
	return ids, err
}

// compiler makes conditions, and adds up the sizes of regular expressions.
type compiler struct {
	size int
	err  error
}

func (c *compiler) condition(of *Comparison) *condition {
	cond := &condition{Comparison: of}
	for _, operand := range of.Of {
		cond.of = append(cond.of, c.condition(operand))
	}
	if of.Test != nil {
		cond.test = c.predicate(of.Test)
	}
	return cond
}

func (c *compiler) predicate(t *Test) *predicate {
	p := &predicate{Test: t, key: t.Path.lastKey()}
	for _, constant := range t.Constants {
		p.operands = append(p.operands, newOperand(constant))
	}
	switch t.Op {
	case Like:
		p.like = []rune(norm.NFC.String(t.Constants[0].Text))
		p.cost = 4
	case Matches:
		if c.err != nil {
			break
		}
		expr := t.Constants[0].Text
		re, size, err := compileRegexp(norm.NFC.String(expr), maxRegexpSize-c.size)
		if err != nil {
			c.err = &RegexpError{t.Path, expr, err}
		}
		c.size += size
		p.re, p.cost = re, 4+size
	case IsSubset, IsSuperset:
		p.set, _ = parseRange(t.Constants[0].Text)
	}
	return p
}

// compileRegexp compiles a search in which a dot is any character (§9.6.1), if
// it is not larger than limit. The size is estimated first, since a{1000} is
// short to write.
func compileRegexp(expr string, limit int) (*regexp.Regexp, int, error) {
	if len(expr) > maxRegexp {
		return nil, 0, fmt.Errorf("it is longer than %d bytes", maxRegexp)
	}
	tree, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return nil, 0, fmt.Errorf("not a regular expression of RE2: %s", strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	size := regexpSize(tree)
	if size > limit {
		return nil, 0, errors.New("the regular expressions of the pattern are too large")
	}
	re, err := regexp.Compile("(?s)" + expr)
	return re, size, err
}

// regexpSize estimates the instructions of an expression.
func regexpSize(re *syntax.Regexp) int {
	n := 1 + len(re.Rune)
	if re.Op == syntax.OpCharClass {
		n = 1 + len(re.Rune)/8
	}
	for _, sub := range re.Sub {
		n += regexpSize(sub)
	}
	if re.Op == syntax.OpRepeat {
		n *= max(re.Min, re.Max, 1)
	}
	return min(n, maxRegexpSize+1)
}
