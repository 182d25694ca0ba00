package pattern

import "slices"

// tests calls yield with each test of the pattern, in order of the text.
func (p *Pattern) tests(yield func(*Test)) {
	var compared func(*Comparison)
	compared = func(c *Comparison) {
		if c.Test != nil {
			yield(c.Test)
		}
		for _, operand := range c.Of {
			compared(operand)
		}
	}
	var observed func(*Expr)
	observed = func(x *Expr) {
		if x.Where != nil {
			compared(x.Where)
		}
		for _, operand := range x.Of {
			observed(operand)
		}
	}
	observed(p.Root)
}

// ObjectTypes lists the object types that paths begin with, sorted, each once.
func (p *Pattern) ObjectTypes() []string {
	var all []string
	p.tests(func(t *Test) { all = append(all, t.Path.Type) })
	slices.Sort(all)
	return slices.Compact(all)
}

// Paths lists the paths of all tests, in order of the text, each once.
func (p *Pattern) Paths() []Path {
	var (
		all  []Path
		seen = map[string]bool{}
	)
	p.tests(func(t *Test) {
		if name := t.Path.String(); !seen[name] {
			seen[name] = true
			all = append(all, t.Path)
		}
	})
	return all
}

// Equality is a value that a pattern looks for.
type Equality struct {
	Path     Path
	Constant Constant
}

// Equalities lists the values that the pattern looks for with = and IN, in
// order of the text. What NOT stands before is left out.
func (p *Pattern) Equalities() []Equality {
	var all []Equality
	p.tests(func(t *Test) {
		if t.Not || t.Op != Equal && t.Op != In {
			return
		}
		for _, c := range t.Constants {
			all = append(all, Equality{t.Path, c})
		}
	})
	return all
}
