package pattern

import "slices"

// AllPaths calls yield with the path of each test, in order of the text.
func (p *Pattern) AllPaths(yield func(Path)) { p.AllTests(func(t *Test) { yield(t.Path) }) }

// AllTests calls yield with each test of the pattern, in order of the text.
func (p *Pattern) AllTests(yield func(*Test)) { p.Root.tests(yield) }

func (x *Expr) tests(yield func(*Test)) {
	if x.Where != nil {
		x.Where.tests(yield)
	}
	for _, operand := range x.Of {
		operand.tests(yield)
	}
}

func (c *Comparison) tests(yield func(*Test)) {
	if c.Test != nil {
		yield(c.Test)
	}
	for _, operand := range c.Of {
		operand.tests(yield)
	}
}

// Paths lists the paths of all tests, in order of the text, each once.
func (p *Pattern) Paths() []Path {
	const few = 16 // up to this number, paths are compared with each other
	var (
		all  = make([]Path, 0, 4)
		seen map[string]bool
	)
	p.AllTests(func(t *Test) {
		if seen == nil && len(all) < few {
			if !slices.ContainsFunc(all, t.Path.equal) {
				all = append(all, t.Path)
			}
			return
		}
		if seen == nil {
			seen = map[string]bool{}
			for _, path := range all {
				seen[path.String()] = true
			}
		}
		if name := t.Path.String(); !seen[name] {
			seen[name] = true
			all = append(all, t.Path)
		}
	})
	return all
}

func (p Path) equal(other Path) bool {
	return p.Type == other.Type && slices.Equal(p.Steps, other.Steps)
}
