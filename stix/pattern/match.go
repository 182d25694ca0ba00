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

// DefaultBudget is the steps that one Match may take, of some ten nanoseconds each: a
// value looked at, a constant compared, an observation tried. MATCHES costs the
// length of the text times the size of the expression. What is kept in memory
// costs at least one for each byte.
const DefaultBudget = 1 << 26

// What regular expressions may measure; both bound memory.
const (
	maxRegexp     = 4096    // bytes of one expression
	maxRegexpSize = 200_000 // instructions of all of them, by estimate
)

// ErrBudget says that matching was given up: it is not known whether the
// pattern matches.
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
	Observations []int // those that satisfy it together: indices, ascending; nil if not found
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
	m.root.mark(false)
	return m, c.err
}

// meter counts the steps of a Match down.
type meter struct{ left int }

// spend tells whether n more steps are allowed. After it has refused once it
// always does.
func (m *meter) spend(n int) bool {
	m.left = max(m.left-n, -1)
	return m.left >= 0
}

// Match tells whether the observations satisfy the pattern, and names one set
// that does (§9.5). Which set is named does not depend on chance.
//
// An observation may be taken as often as it was seen (number_observed), each
// time for a moment of its own between first and last. One whose time is not
// known satisfies no FOLLOWEDBY and no START, and a WITHIN only by itself.
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

// Matches lists the observations that satisfy p, each by itself; if none does,
// those of the set that [Matcher.Match] names of all. It is nil without any.
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

// compiler makes conditions, and remembers what regular expressions cost.
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
