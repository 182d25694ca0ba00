// Package pattern reads, prints and matches the STIX patterning language
// (STIX 2.1 §9).
//
// [Parse] turns the text of an indicator into a tree, [Pattern.String] prints
// the tree in one canonical form, and [Pattern.Match] finds it in
// observations. Patterns are hostile content: parsing is linear in the
// text and bounded in depth, and matching stops at a budget of steps.
//
// The package does not know which properties the standard gives an object
// type: [Pattern.Paths] lists the paths of a pattern, which stix/validate checks.
package pattern

import "comity/stix"

// The limits of a pattern. The standard sets none.
const (
	MaxLength = 1 << 20 // bytes of text
	MaxDepth  = 64      // parentheses inside parentheses
	MaxTests  = 10_000  // comparisons
)

// Mode says which spelling Parse takes. Modes are joined with |.
type Mode uint8

// The modes.
const (
	// Strict takes only the grammar of STIX 2.1 §9.
	Strict Mode = 0

	// Lenient also takes common misspellings that have only one meaning: == for =, <> for !=, comments, hex constants in capitals.
	// Each kind is reported once in Pattern.Warnings.
	Lenient Mode = 1

	// STIX20 is the grammar that pattern_version "2.0" selects: it has no
	// EXISTS, and START and STOP may take plain strings.
	STIX20 Mode = 2
)

// Pattern is a parsed pattern.
type Pattern struct {
	Root     *Expr
	Warnings []*Error // faults that do not make the pattern invalid, in order; nil if there are none
}

// Join says how the operands of a node belong together.
type Join uint8

// The joins, the tightest first. FollowedBy occurs between observations only.
const (
	None Join = iota // no operands to join: a bracket, a test, a group of one
	And
	Or
	FollowedBy
)

// String is the keyword.
func (j Join) String() string {
	return [...]string{"", "AND", "OR", "FOLLOWEDBY"}[j]
}

// Expr is an observation expression (§9.5). It is one of three things: a
// bracket (Where is set), a joined list of two or more (Join is set), or a
// group of one, made only where a qualified expression is qualified again.
type Expr struct {
	Where      *Comparison // the comparison in the brackets
	Join       Join
	Of         []*Expr     // in order; no operand is unqualified and of the same Join
	Qualifiers []Qualifier // in order, at most one of each kind
}

// QualifierKind tells qualifiers apart.
type QualifierKind uint8

// The kinds of qualifiers (§9.5.1).
const (
	StartStop QualifierKind = iota
	Within
	Repeats
)

// Qualifier narrows which observations an expression takes (§9.5.1).
type Qualifier struct {
	Kind        QualifierKind
	Start, Stop stix.Timestamp // StartStop: from Start to just before Stop
	Seconds     float64        // Within: more than 0
	Times       int64          // Repeats: 1 or more
}

// Comparison is the content of the brackets of an observation (§9.6): a test, or
// a list of two or more joined by And or Or.
type Comparison struct {
	Test *Test
	Join Join
	Of   []*Comparison // in order; no operand has the same Join
}

// Operator compares the values of a path with constants (§9.6.1).
type Operator uint8

// The operators.
const (
	Equal Operator = iota
	NotEqual
	Less
	LessEqual
	Greater
	GreaterEqual
	In
	Like
	Matches
	IsSubset
	IsSuperset
	Exists
)

// String is the operator as it is written.
func (o Operator) String() string {
	return [...]string{
		"=", "!=", "<", "<=", ">", ">=", "IN", "LIKE", "MATCHES", "ISSUBSET", "ISSUPERSET", "EXISTS",
	}[o]
}

// Test is one comparison of a property.
type Test struct {
	Path      Path
	Not       bool
	Op        Operator
	Constants []Constant // none for Exists, one or more of one kind for In, one otherwise
}

// Path leads from an object type to a property (§9.7).
type Path struct {
	Type  string // of the object where the path begins
	Steps []Step // one or more; the first is a key
}

// StepKind tells steps apart.
type StepKind uint8

// The kinds of steps.
const (
	Key   StepKind = iota // into a property, or the entry of a dictionary
	Index                 // to one element of a list
	Any                   // [*]: to each element of a list
)

// Step is one step of a path.
type Step struct {
	Kind  StepKind
	Key   string
	Index int // from 0
}

// Kind is the type of a constant.
type Kind uint8

// The kinds of constants (§9.2).
const (
	Integer Kind = iota
	Float
	String
	Boolean
	Hex
	Binary
	Timestamp
)

// Constant is a value in a pattern (§9.2).
type Constant struct {
	Kind Kind

	// Text is the value: a numeral in canonical form, the characters of a string
	// without escapes, true or false, the bytes that hex or base64 stand for, or
	// a timestamp.
	Text string
}
