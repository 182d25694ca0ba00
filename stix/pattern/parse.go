package pattern

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"comity/stix"
)

// Parse reads a pattern as it stands in an indicator, JSON escapes already
// resolved. The error is always an [*Error]: the first fault found.
func Parse(text string, mode Mode) (*Pattern, error) { return new(Parser).Parse(text, mode) }

// Parser parses one pattern after the other. Each uses the memory of the one before.
type Parser struct {
	pattern   Pattern
	exprs     arena[Expr]
	joinNodes arena[joinNode]
	testNodes arena[testNode]
}

// Parse does what the function of that name does, but the pattern is valid only until
// the next one is parsed.
func (r *Parser) Parse(text string, mode Mode) (*Pattern, error) {
	r.exprs.reset()
	r.joinNodes.reset()
	r.testNodes.reset()
	p := &parser{Parser: r, text: text, mode: mode}
	switch {
	case len(text) > MaxLength:
		p.fail(&Error{Rule: "R-180", Text: "a pattern has at most " + strconv.Itoa(MaxLength) + " bytes"})
	case !utf8.ValidString(text):
		p.fail(&Error{Rule: "R-001", Offset: invalidAt(text), Text: "this is not UTF-8"})
	}
	p.next()
	root := p.joined(FollowedBy)
	if p.token.kind != tokenEnd {
		p.expected(`"AND"`, `"OR"`, `"FOLLOWEDBY"`, "a qualifier", "the end of the pattern")
	}
	if p.err != nil {
		return nil, p.err
	}
	r.pattern = Pattern{Root: root, Warnings: p.warnings}
	return &r.pattern, nil
}

// invalidAt is the offset of the first byte that is not UTF-8.
func invalidAt(text string) int {
	for i, r := range text {
		if r == utf8.RuneError && !strings.HasPrefix(text[i:], "\uFFFD") {
			return i
		}
	}
	return len(text)
}

// parser is a recursive-descent parser that looks one token ahead.
type parser struct {
	*Parser
	text     string
	mode     Mode
	at       int   // where the next token begins
	token    token // the current one
	depth    int
	tests    int
	warnings []*Error
	err      *Error
}

// fail records the first error. The parser reads no token behind it.
func (p *parser) fail(e *Error) {
	if p.err == nil {
		if e.Rule == "" {
			e.Rule = "R-150"
		}
		p.err = e.locate(p.text)
	}
	p.token = token{kind: tokenEnd, from: p.at}
}

// expected fails at the current token.
func (p *parser) expected(what ...string) {
	hint := ""
	if p.token.text == `"` {
		hint = "strings are written in single quotes"
	}
	if p.token.kind == tokenName {
		for _, word := range spelled[tokenAnd : tokenFalse+1] {
			if strings.EqualFold(word, p.token.text) {
				hint = "write " + word
			}
		}
	}
	p.expectedHint(hint, what...)
}

// expectedHint is expected, with a hint to the writer.
func (p *parser) expectedHint(hint string, what ...string) {
	p.fail(&Error{Offset: p.token.from, Expected: what, Found: p.token.found(), Text: hint})
}

// lenient warns of a spelling that only the mode Lenient takes, and fails in the others.
func (p *parser) lenient(at int, text string) {
	e := &Error{Rule: "R-150", Offset: at, Text: text}
	if p.mode&Lenient == 0 {
		p.fail(e)
		return
	}
	p.warn(e)
}

// warn keeps the first warning of each text, so that their number is bounded.
func (p *parser) warn(e *Error) {
	if !slices.ContainsFunc(p.warnings, func(w *Error) bool { return w.Text == e.Text }) {
		p.warnings = append(p.warnings, e.locate(p.text))
	}
}

// accept steps over a token of that kind, if it is the current one.
func (p *parser) accept(kind tokenKind) bool {
	if p.token.kind != kind || p.err != nil {
		return false
	}
	p.next()
	return true
}

// require steps over a token of that kind, and fails if another is the current one.
func (p *parser) require(kind tokenKind) {
	if !p.accept(kind) {
		p.expected(`"` + spelled[kind] + `"`)
	}
}

// openParenthesis counts an opening parenthesis, and fails if too many are open.
func (p *parser) openParenthesis() {
	if p.depth++; p.depth > MaxDepth {
		p.fail(&Error{Rule: "R-180", Offset: p.token.from, Text: "parentheses are nested more than " + strconv.Itoa(MaxDepth) + " deep"})
	}
}

// joined reads the operands of one operator. For None it reads an observation. Needless
// parentheses around an operand are dropped, which makes the tree of a pattern
// canonical.
func (p *parser) joined(join Join) *Expr {
	if join == None {
		return p.observation()
	}
	first := p.joined(join - 1)
	if p.token.kind != join.token() {
		return first
	}
	all := p.exprs.make()
	all.Join = join
	for x := first; ; x = p.joined(join - 1) {
		if x.Join == join && x.Qualifiers == nil {
			all.Of = append(all.Of, x.Of...)
		} else {
			all.Of = append(all.Of, x)
		}
		if !p.accept(join.token()) {
			return all
		}
	}
}

// token is the keyword.
func (j Join) token() tokenKind {
	return [...]tokenKind{And: tokenAnd, Or: tokenOr, FollowedBy: tokenFollowedBy}[j]
}

// observation reads a bracket or a parenthesis, with its qualifiers.
func (p *parser) observation() *Expr {
	x := p.exprs.make()
	switch {
	case p.accept(tokenOpen):
		x.Where, _ = p.comparison()
		if !p.accept(tokenClose) {
			p.expected(`"AND"`, `"OR"`, `"]"`)
		}
	case p.accept(tokenParen):
		p.openParenthesis()
		x = p.joined(FollowedBy)
		p.depth--
		if !p.accept(tokenParenEnd) {
			p.expected(`"AND"`, `"OR"`, `"FOLLOWEDBY"`, "a qualifier", `")"`)
		}
	default:
		p.expected(`"["`, `"("`)
	}
	if qualifiers := p.qualifiers(); qualifiers != nil {
		if x.Qualifiers != nil {
			group := p.exprs.make()
			group.Of = []*Expr{x}
			x = group
		}
		x.Qualifiers = qualifiers
	}
	return x
}

// qualifiers reads the qualifiers after an expression, of which no kind may occur
// twice.
func (p *parser) qualifiers() (all []Qualifier) {
	for {
		var (
			q    Qualifier
			word = p.token
		)
		switch {
		case p.accept(tokenStart):
			q.Kind, q.Start = StartStop, p.instant()
			p.require(tokenStop)
			q.Stop = p.instant()
		case p.accept(tokenWithin):
			q.Kind, q.Seconds = Within, p.seconds()
			p.require(tokenSeconds)
		case p.accept(tokenRepeats):
			q.Kind, q.Times = Repeats, p.times()
			p.require(tokenTimes)
		default:
			return all
		}
		if slices.ContainsFunc(all, func(other Qualifier) bool { return other.Kind == q.Kind }) {
			p.fail(&Error{Rule: "R-151", Offset: word.from, Found: word.found(),
				Text: word.text + " qualifies this expression already; put it in parentheses to qualify it again"})
		}
		all = append(all, q)
	}
}

// instant reads the timestamp after START or STOP.
func (p *parser) instant() (t stix.Timestamp) {
	if p.token.kind != tokenTime && (p.token.kind != tokenString || p.mode&STIX20 == 0) {
		p.expected("a timestamp such as t'2017-08-07T09:00:00Z'")
		return t
	}
	t, err := stix.ParseTimestamp(p.token.body)
	if err != nil {
		p.fail(&Error{Rule: "R-153", Offset: p.token.from, Found: p.token.found(), Text: err.Error()})
	}
	p.next()
	return t
}

// seconds reads the number after WITHIN.
func (p *parser) seconds() float64 {
	if p.token.kind != tokenInteger && p.token.kind != tokenFloat {
		p.expected("a number of seconds")
		return 0
	}
	at := p.token
	n, _ := strconv.ParseFloat(p.constant().Text, 64)
	if n <= 0 {
		p.fail(&Error{Rule: "R-153", Offset: at.from, Found: at.found(), Expected: []string{"more than 0 seconds"}})
	}
	return n
}

// times reads the number after REPEATS.
func (p *parser) times() int64 {
	if p.token.kind != tokenInteger {
		p.expected("an integer")
		return 0
	}
	at := p.token
	n, _ := strconv.ParseInt(p.constant().Text, 10, 64)
	if n < 1 {
		p.fail(&Error{Rule: "R-153", Offset: at.from, Found: at.found(), Expected: []string{"1 or more times"}})
	}
	return n
}
