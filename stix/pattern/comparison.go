package pattern

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// comparison reads the comparison inside brackets. It also returns the types of
// objects that could satisfy it, sorted: tests joined by AND must have a type in
// common.
func (p *parser) comparison() (*Comparison, []string) { return p.joinedTests(Or) }

// joinedTests reads the operands of one operator, as joined does for observations.
func (p *parser) joinedTests(join Join) (*Comparison, []string) {
	if join == None {
		return p.test()
	}
	first, types := p.joinedTests(join - 1)
	if p.token.kind != join.token() {
		return first, types
	}
	node := p.joinNodes.make()
	all := &node.Comparison
	all.Join, all.Of = join, node.operands[:0]
	add := func(c *Comparison) {
		if c.Join == join {
			all.Of = append(all.Of, c.Of...)
		} else {
			all.Of = append(all.Of, c)
		}
	}
	add(first)
	for p.accept(join.token()) {
		at := p.token.from
		c, more := p.joinedTests(join - 1)
		add(c)
		if join == Or {
			types = append(types, more...)
			continue
		}
		before := types
		types = intersect(types, more)
		if len(types) == 0 && p.err == nil {
			p.fail(&Error{Rule: "R-152", Offset: at, Text: "AND joins tests of one object, but this one is of " +
				strings.Join(short(more), " or ") + " and what stands before it of " + strings.Join(short(before), " or ")})
		}
	}
	slices.Sort(types)
	return all, slices.Compact(types)
}

// intersect returns the elements that two sorted lists have in common.
func intersect(a, b []string) (both []string) {
	for _, s := range a {
		if _, ok := slices.BinarySearch(b, s); ok {
			both = append(both, s)
		}
	}
	return both
}

// short cuts a list for a message.
func short(s []string) []string {
	if len(s) > 3 {
		return append(slices.Clone(s[:3]), "others")
	}
	return s
}

// test reads one comparison, or some in parentheses.
func (p *parser) test() (*Comparison, []string) {
	if p.accept(tokenParen) {
		p.openParenthesis()
		c, types := p.comparison()
		p.depth--
		if !p.accept(tokenParenEnd) {
			p.expected(`"AND"`, `"OR"`, `")"`)
		}
		return c, types
	}
	if p.tests++; p.tests > MaxTests {
		p.fail(&Error{Rule: "R-180", Offset: p.token.from, Text: "a pattern has at most " + strconv.Itoa(MaxTests) + " comparisons"})
	}
	node := p.testNodes.make()
	node.Test = &node.test
	t := node.Test
	if p.token.kind == tokenExists || p.token.kind == tokenNot {
		t.Op, t.Not = Exists, p.accept(tokenNot)
		if p.token.kind == tokenExists && p.mode&STIX20 != 0 {
			p.fail(&Error{Rule: "R-157", Offset: p.token.from, Text: "EXISTS came with STIX 2.1, but this is a pattern of 2.0"})
		}
		if !p.accept(tokenExists) {
			p.expectedHint("NOT of another test stands before its operator", `"EXISTS"`)
		}
		t.Path = p.path(node.steps[:0])
	} else {
		t.Path = p.path(node.steps[:0])
		t.Not = p.accept(tokenNot)
		at := p.token
		t.Op = p.operator(t.Not)
		t.Constants = p.operands(node.constant[:0], t.Path, t.Op, at)
	}
	node.types[0] = t.Path.Type
	return &node.Comparison, node.types[:1]
}

// path reads an object path (§9.7). Its steps are appended to steps.
func (p *parser) path(steps []Step) (path Path) {
	if p.token.kind != tokenName {
		p.expected("an object type")
		return path
	}
	path.Type = p.token.text
	p.next()
	p.require(tokenColon)
	path.Steps = append(steps, p.key())
	for {
		switch {
		case p.accept(tokenDot):
			path.Steps = append(path.Steps, p.key())
		case p.accept(tokenOpen):
			step := Step{Kind: Any}
			if p.token.kind == tokenInteger && p.token.text[0] != '-' {
				step.Kind = Index
				step.Index, _ = strconv.Atoi(p.constant().Text)
			} else if !p.accept(tokenStar) {
				p.expected("an index from 0", `"*"`)
			}
			p.require(tokenClose)
			path.Steps = append(path.Steps, step)
		default:
			return path
		}
	}
}

// key reads the name of a property or the key of a dictionary.
func (p *parser) key() Step {
	step := Step{Kind: Key}
	switch {
	case p.token.kind == tokenString:
		step.Key = p.token.body
	case p.token.kind.isKeyword():
		p.expectedHint("a property of this name is written in quotes", "a property name")
	case p.token.kind != tokenName:
		p.expected("a property name")
	case strings.Contains(p.token.text, "-"):
		p.fail(&Error{Offset: p.token.from + strings.IndexByte(p.token.text, '-'), Found: p.token.found(),
			Text: "a key with a hyphen is written in quotes"})
	default:
		step.Key = p.token.text
	}
	p.next()
	return step
}

// operators are the tokens of the operators that stand behind a path.
var operators = [...]tokenKind{
	Equal: tokenEqual, NotEqual: tokenNotEqual, Less: tokenLess, LessEqual: tokenLessEqual, Greater: tokenGreater, GreaterEqual: tokenGreaterEqual,
	In: tokenIn, Like: tokenLike, Matches: tokenMatches, IsSubset: tokenIsSubset, IsSuperset: tokenIsSuperset,
}

// operator reads a comparison operator.
func (p *parser) operator(not bool) Operator {
	at := p.token.from
	switch {
	case p.accept(tokenDoubleEqual):
		p.lenient(at, "equality is written =, not ==")
		return Equal
	case p.accept(tokenLessGreater):
		p.lenient(at, "inequality is written !=, not <>")
		return NotEqual
	}
	for op, kind := range operators {
		if p.accept(kind) {
			return Operator(op)
		}
	}
	switch {
	case p.token.kind == tokenExists:
		p.expectedHint("EXISTS stands before the path", "a comparison operator")
	case not:
		p.expected("a comparison operator")
	default:
		p.expected(`"NOT"`, "a comparison operator")
	}
	return Equal
}

// operands reads the constants that op compares the path with, and appends them to
// all; at is the token of op.
func (p *parser) operands(all []Constant, path Path, op Operator, at token) []Constant {
	var (
		one = func() {
			from := p.token.from
			c := p.constant()
			all = append(all, c)
			if p.err == nil {
				p.checkHash(path, op, c, from)
			}
		}
	)
	switch op {
	case In:
		p.require(tokenParen)
		for {
			from := p.token
			one()
			if all[0].Kind.class() != all[len(all)-1].Kind.class() {
				p.fail(&Error{Rule: "R-153", Offset: from.from, Found: from.found(), Text: "the constants of a set are of one kind"})
			}
			if !p.accept(tokenComma) {
				break
			}
		}
		if !p.accept(tokenParenEnd) {
			p.expected(`","`, `")"`)
		}
	case Like, Matches, IsSubset, IsSuperset:
		if p.token.kind != tokenString {
			p.expected("a string")
			break
		}
		from := p.token
		one()
		if op == IsSubset || op == IsSuperset {
			p.checkRange(path, all, at, from)
		}
	case Less, LessEqual, Greater, GreaterEqual:
		if p.token.kind == tokenTrue || p.token.kind == tokenFalse {
			p.expected("a constant that has an order")
			break
		}
		one()
	default:
		one()
	}
	return all
}

// class is Integer for all numbers, otherwise k.
func (k Kind) class() Kind {
	if k == Float {
		return Integer
	}
	return k
}

// checkRange checks that ISSUBSET and ISSUPERSET compare the value of an address
// object (§9.6.1), which a path may reach through a reference.
func (p *parser) checkRange(path Path, constants []Constant, op, at token) {
	if p.err != nil {
		return
	}
	var (
		steps = path.Steps
		last  = steps[len(steps)-1]
		owner = ""
	)
	switch {
	case last.Kind != Key || last.Key != "value":
	case len(steps) == 1:
		owner = path.Type
	case isReference(steps[:len(steps)-1]):
		owner = "reference"
	}
	if owner != "ipv4-addr" && owner != "ipv6-addr" && owner != "reference" {
		p.fail(&Error{Offset: op.from, Found: op.found(),
			Text: op.text + " compares only the value of ipv4-addr or ipv6-addr"})
		return
	}
	r, ok := parseRange(constants[0].Text)
	if !ok || owner == "ipv4-addr" && !r.Addr().Is4() || owner == "ipv6-addr" && r.Addr().Is4() {
		p.fail(&Error{Offset: at.from, Found: at.found(), Expected: []string{"an address or a CIDR range of the same family"}})
	}
}

// isReference tells whether steps lead to a reference, which the next step of the
// path follows.
func isReference(steps []Step) bool {
	last := steps[len(steps)-1]
	if last.Kind == Key {
		return strings.HasSuffix(last.Key, "_ref")
	}
	before := steps[len(steps)-2]
	return before.Kind == Key && strings.HasSuffix(before.Key, "_refs")
}

// parseRange reads an address or a CIDR range. Bits after the prefix may be set
//
func parseRange(s string) (netip.Prefix, bool) {
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		return netip.PrefixFrom(a, a.BitLen()), true
	}
	r, err := netip.ParsePrefix(s)
	return r, err == nil
}

// hashLengths are the lengths of hashes in hex digits.
var hashLengths = map[string]int{"MD5": 32, "SHA-1": 40, "SHA-256": 64, "SHA-512": 128, "SHA3-256": 64, "SHA3-512": 128}

// checkHash warns of a constant that does not have the form of its hash.
func (p *parser) checkHash(path Path, op Operator, c Constant, at int) {
	n := len(path.Steps)
	if n < 2 || path.Steps[n-2].Key != "hashes" || op != Equal && op != In || c.Kind != String {
		return
	}
	name := path.Steps[n-1].Key
	want, known := hashLengths[name]
	if known && (len(c.Text) != want || strings.Trim(c.Text, "0123456789abcdefABCDEF") != "") {
		p.warn(&Error{Rule: "R-013", Offset: at, Text: "this can never match: " + name + " has " + strconv.Itoa(want) + " hex digits"})
	}
}
