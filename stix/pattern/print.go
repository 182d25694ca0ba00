package pattern

import (
	"encoding/base64"
	"encoding/hex"
	"strconv"
	"strings"
)

// String prints the pattern in canonical form: one blank between words, no
// parentheses that can be left out, keys in quotes only where they have to be,
// numbers without needless digits, the grammar of STIX 2.1. What is printed
// parses to the same tree, under [Strict].
func (p *Pattern) String() string {
	var b strings.Builder
	p.Root.print(&b, None)
	return b.String()
}

// print writes x as an operand of outer, None standing for no operator.
func (x *Expr) print(b *strings.Builder, outer Join) {
	// A qualifier binds to what stands directly before it, and a group of one is
	// made only to be qualified.
	grouped := x.Where == nil && x.Qualifiers != nil || outer != None && x.Join > outer
	if grouped {
		b.WriteByte('(')
	}
	if x.Where != nil {
		b.WriteByte('[')
		x.Where.print(b, None)
		b.WriteByte(']')
	}
	for i, operand := range x.Of {
		if i > 0 {
			b.WriteString(" " + x.Join.String() + " ")
		}
		operand.print(b, x.Join)
	}
	if grouped {
		b.WriteByte(')')
	}
	for _, q := range x.Qualifiers {
		b.WriteString(q.String())
	}
}

// String is the qualifier with a blank before it.
func (q Qualifier) String() string {
	switch q.Kind {
	case StartStop:
		return " START t'" + q.Start.String() + "' STOP t'" + q.Stop.String() + "'"
	case Within:
		s := formatFloat(q.Seconds)
		// Beyond the range of integers the point has to stay.
		if q.Seconds <= maxInteger {
			s = strings.TrimSuffix(s, ".0")
		}
		return " WITHIN " + s + " SECONDS"
	default:
		return " REPEATS " + strconv.FormatInt(q.Times, 10) + " TIMES"
	}
}

func (c *Comparison) print(b *strings.Builder, outer Join) {
	if c.Test != nil {
		c.Test.print(b)
		return
	}
	grouped := outer != None && c.Join > outer
	if grouped {
		b.WriteByte('(')
	}
	for i, operand := range c.Of {
		if i > 0 {
			b.WriteString(" " + c.Join.String() + " ")
		}
		operand.print(b, c.Join)
	}
	if grouped {
		b.WriteByte(')')
	}
}

func (t *Test) print(b *strings.Builder) {
	not := ""
	if t.Not {
		not = "NOT "
	}
	if t.Op == Exists {
		b.WriteString(not + "EXISTS " + t.Path.String())
		return
	}
	b.WriteString(t.Path.String() + " " + not + t.Op.String() + " ")
	if t.Op == In {
		b.WriteByte('(')
	}
	for i, c := range t.Constants {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(c.String())
	}
	if t.Op == In {
		b.WriteByte(')')
	}
}

// String is the path as it is written in a pattern.
func (p Path) String() string {
	var b strings.Builder
	b.WriteString(p.Type)
	for i, step := range p.Steps {
		switch {
		case step.Kind == Any:
			b.WriteString("[*]")
		case step.Kind == Index:
			b.WriteString("[" + strconv.Itoa(step.Index) + "]")
		case i == 0:
			b.WriteString(":" + printKey(step.Key))
		default:
			b.WriteString("." + printKey(step.Key))
		}
	}
	return b.String()
}

func printKey(key string) string {
	plain := key != "" && isNameStart(key[0]) && keyword(key) == tokenName
	for i := range len(key) {
		plain = plain && (isNameStart(key[i]) || isDigit(key[i]))
	}
	if plain {
		return key
	}
	return printString(key)
}

func printString(s string) string {
	// A Replacer would be made, and make its tables, for every string.
	s = strings.ReplaceAll(s, `\`, `\\`)
	return "'" + strings.ReplaceAll(s, `'`, `\'`) + "'"
}

// String is the constant as it is written in a pattern.
func (c Constant) String() string {
	switch c.Kind {
	case String:
		return printString(c.Text)
	case Hex:
		return "h'" + hex.EncodeToString([]byte(c.Text)) + "'"
	case Binary:
		return "b'" + base64.StdEncoding.EncodeToString([]byte(c.Text)) + "'"
	case Timestamp:
		return "t'" + c.Text + "'"
	default:
		return c.Text
	}
}
