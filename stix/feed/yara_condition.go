package feed

import (
	"slices"
	"strconv"
	"strings"
)

// yaraType is the type of an expression.
type yaraType uint8

const (
	yaraInvalid yaraType = iota // the expression is not well-formed
	yaraUnknown                 // what a module gives, or a variable of a loop
	yaraInteger                 // or a number with a fraction
	yaraText
	yaraBoolean
	yaraPattern // a regular expression
	yaraModule  // of which a field must follow
)

// is tells whether t may be one of the types.
func (t yaraType) is(types ...yaraType) bool {
	return t == yaraUnknown || slices.Contains(types, t)
}

// yaraCondition parses the condition of a rule. It does not know the fields of modules.
type yaraCondition struct {
	*yaraScanner
	token   yaraToken           // the next one
	defined map[string]bool     // the strings of the rule: whether the condition uses them
	known   map[string]yaraType // rules are boolean; modules, and variables of the loops around
	loops   int                 // around, over strings: in them $ stands for a string
	depth   int
	literal string // the number that was read last
}

// maxYaraDepth bounds the nesting of a condition.
const maxYaraDepth = 64

func (c *yaraCondition) advance() { c.token = c.next() }

// accept reads a token if it is the next one.
func (c *yaraCondition) accept(text string) bool {
	if c.token.text != text {
		return false
	}
	c.advance()
	return true
}

// The levels of operators, the weakest first.
const (
	yaraOr = iota + 1
	yaraAnd
	yaraNot
	yaraEquality
	yaraOrder
	yaraArithmetic // and those above it
	yaraUnary      = yaraArithmetic + 6
)

var yaraOperators = func() map[string]int {
	levels := map[string]int{}
	for level, operators := range []string{
		yaraOr: "or", yaraAnd: "and", yaraEquality: "== != contains icontains startswith istartswith endswith iendswith iequals matches", yaraOrder: "< <= > >=",
		yaraArithmetic: "|", yaraArithmetic + 1: "^", yaraArithmetic + 2: "&", yaraArithmetic + 3: "<< >>", yaraArithmetic + 4: "+ -", yaraArithmetic + 5: `* \ %`,
	} {
		for operator := range strings.FieldsSeq(operators) {
			levels[operator] = level
		}
	}
	return levels
}()

// expression reads operands with the operators between them that are of a level or above.
func (c *yaraCondition) expression(level int) yaraType {
	if c.depth++; c.depth > maxYaraDepth {
		return yaraInvalid
	}
	defer func() { c.depth-- }()
	left := c.prefixed(level)
	for left != yaraInvalid {
		operator := c.token.text
		at := yaraOperators[operator]
		if at == 0 || at < level {
			return left
		}
		c.advance()
		if operator == "%" && c.token.text == "of" {
			if percent, err := strconv.Atoi(c.literal); err != nil || percent < 1 || percent > 100 {
				return yaraInvalid
			}
			left = c.set()
			continue
		}
		left = yaraResult(operator, at, left, c.expression(at+1))
	}
	return yaraInvalid
}

// yaraResult is the type of the result of an operator.
func yaraResult(operator string, level int, left, right yaraType) yaraType {
	switch {
	case left == yaraInvalid || right == yaraInvalid:
	case level < yaraNot:
		if left != yaraPattern && right != yaraPattern {
			return yaraBoolean
		}
	case operator == "matches":
		if left.is(yaraText) && right == yaraPattern {
			return yaraBoolean
		}
	case level >= yaraArithmetic:
		if left.is(yaraInteger) && right.is(yaraInteger) {
			return yaraInteger
		}
	case left.is(yaraText) && right.is(yaraText), strings.Contains("==!=<=>=", operator) && left.is(yaraInteger) && right.is(yaraInteger):
		return yaraBoolean
	}
	return yaraInvalid
}

// prefixed reads an operand with the operators before it, and "of" after it.
func (c *yaraCondition) prefixed(level int) yaraType {
	switch {
	case level <= yaraNot && (c.accept("not") || c.accept("defined")):
		if t := c.expression(yaraNot); t == yaraInvalid || t == yaraPattern {
			return yaraInvalid
		}
		return yaraBoolean
	case c.accept("-") || c.accept("~"):
		if !c.expression(yaraUnary).is(yaraInteger) {
			return yaraInvalid
		}
		return yaraInteger
	}
	t := c.operand()
	if c.token.text == "of" && t.is(yaraInteger) {
		return c.set()
	}
	return t
}

// number reads an expression that is one.
func (c *yaraCondition) number() bool { return c.expression(yaraArithmetic).is(yaraInteger) }

// operand reads one operand.
func (c *yaraCondition) operand() yaraType {
	token := c.token
	c.advance()
	switch token.kind {
	case yaraNumber:
		c.literal = token.text
		return yaraInteger
	case yaraString:
		return yaraText
	case yaraRegex:
		return yaraPattern
	case yaraVariable:
		return c.variable(token.text)
	}
	switch token.text {
	case "true", "false":
		return yaraBoolean
	case "filesize":
		return yaraInteger
	case "all", "any", "none":
		if c.token.text == "of" {
			return yaraInteger
		}
	case "(":
		if t := c.expression(yaraOr); t != yaraPattern && c.accept(")") {
			return t
		}
	case "for":
		if c.loop() {
			return yaraBoolean
		}
	case "int8", "int16", "int32", "int16be", "int32be", "int8be", "uint8", "uint16", "uint32", "uint8be", "uint16be", "uint32be":
		if c.accept("(") && c.number() && c.accept(")") {
			return yaraInteger
		}
	default:
		switch t := c.known[token.text]; {
		case token.kind == yaraName && t == yaraBoolean:
			return yaraBoolean
		case token.kind == yaraName && (t == yaraUnknown || t == yaraModule && c.token.text == ".") && c.path():
			return yaraUnknown
		}
	}
	return yaraInvalid
}

// variable reads what follows a string, its count, its offset or its length.
func (c *yaraCondition) variable(name string) yaraType {
	if strings.HasSuffix(name, "*") || !c.use(name) {
		return yaraInvalid
	}
	t := yaraBoolean
	if name[0] != '$' {
		t = yaraInteger
	}
	ok := true
	switch {
	case name[0] == '@' || name[0] == '!':
		ok = !c.accept("[") || c.number() && c.accept("]")
	case c.accept("in"):
		ok = c.interval()
	case name[0] == '$' && c.accept("at"):
		ok = c.number()
	}
	if !ok {
		return yaraInvalid
	}
	return t
}

// path reads the fields, elements and calls that follow a name.
func (c *yaraCondition) path() bool {
	for {
		switch {
		case c.accept("."):
			if c.token.kind != yaraName {
				return false
			}
			c.advance()
		case c.accept("["):
			if c.expression(yaraOr) == yaraInvalid || !c.accept("]") {
				return false
			}
		case c.accept("("):
			for more := c.token.text != ")"; more; more = c.accept(",") {
				if c.expression(yaraOr) == yaraInvalid {
					return false
				}
			}
			if !c.accept(")") {
				return false
			}
		default:
			return true
		}
	}
}

// interval reads (1..2).
func (c *yaraCondition) interval() bool {
	return c.accept("(") && c.number() && c.accept("..") && c.number() && c.accept(")")
}

// set reads "of" and strings or rules.
func (c *yaraCondition) set() yaraType {
	c.advance()
	ok := c.accept("them") && c.use("$*") || c.accept("(") && c.names() && c.accept(")")
	if !ok || c.accept("in") && !c.interval() {
		return yaraInvalid
	}
	return yaraBoolean
}

// names reads a list of strings or rules.
func (c *yaraCondition) names() bool {
	for more := true; more; more = c.accept(",") {
		name := c.token.text
		switch c.token.kind {
		case yaraVariable:
			if name[0] != '$' || name == "$" || !c.use(name) {
				return false
			}
		case yaraName:
			if c.known[name] != yaraBoolean {
				return false
			}
		default:
			return false
		}
		c.advance()
	}
	return true
}

// loop reads what follows "for".
func (c *yaraCondition) loop() bool {
	if !c.accept("all") && !c.accept("any") && !c.accept("none") && !c.operand().is(yaraInteger) {
		return false
	}
	if c.token.text == "of" {
		if c.set() == yaraInvalid {
			return false
		}
		c.loops++
		defer func() { c.loops-- }()
		return c.body()
	}
	var names []string
	for more := true; more; more = c.accept(",") {
		if c.token.kind != yaraName || yaraKeywords[c.token.text] || c.known[c.token.text] != yaraInvalid {
			return false
		}
		names = append(names, c.token.text)
		c.advance()
	}
	if !c.accept("in") || len(names) > 1 && c.token.text == "(" || len(names) > 2 || !c.iterator() {
		return false // only the elements of a dictionary have two names
	}
	for _, name := range names {
		c.known[name] = yaraUnknown
		defer delete(c.known, name)
	}
	return c.body()
}

// iterator reads an interval, a list of numbers, or the name of a collection.
func (c *yaraCondition) iterator() bool {
	if c.token.kind == yaraName {
		return c.operand() == yaraUnknown
	}
	if !c.accept("(") || !c.number() {
		return false
	}
	if c.accept("..") {
		return c.number() && c.accept(")")
	}
	for c.accept(",") {
		if !c.number() {
			return false
		}
	}
	return c.accept(")")
}

func (c *yaraCondition) body() bool {
	if !c.accept(":") || !c.accept("(") {
		return false
	}
	t := c.expression(yaraOr)
	return t != yaraInvalid && t != yaraPattern && c.accept(")")
}

// maxYaraUses bounds how often strings may be used by wildcards.
const maxYaraUses = 1_000_000

// use notes that the condition uses a string, such as $a or #a, or several, as $a* does.
func (c *yaraCondition) use(variable string) bool {
	name := "$" + variable[1:]
	if prefix, wildcard := strings.CutSuffix(name, "*"); wildcard {
		if c.uses += len(c.defined); c.uses > maxYaraUses {
			return false
		}
		found := false
		for name := range c.defined {
			if strings.HasPrefix(name, prefix) {
				c.defined[name], found = true, true
			}
		}
		return found
	}
	if name == "$" {
		return c.loops > 0
	}
	_, ok := c.defined[name]
	c.defined[name] = true
	return ok
}
