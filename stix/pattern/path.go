package pattern

// valuesAt gives every value that a path leads to from one object of obs (§9.7).
// A step by name follows a reference to the object referred to. In each step an
// object counts once, so that references in circles cannot multiply.
func (obs *Observation) valuesAt(path Path, from *observable, m *meter) []any {
	values := []any{from.members}
	for i, step := range path.Steps {
		var (
			next     []any
			referred map[*observable]bool
			through  = i > 0 && isReference(path.Steps[:i])
		)
		for _, v := range values {
			if ref, ok := v.(string); ok && through && step.Kind == Key {
				target := obs.byRef[ref]
				if target == nil || referred[target] {
					continue
				}
				if referred == nil {
					referred = map[*observable]bool{}
				}
				referred[target] = true
				v = target.members
			}
			switch v := v.(type) {
			case map[string]any:
				if value, ok := v[step.Key]; ok && step.Kind == Key {
					next = append(next, value)
				}
			case []any:
				if step.Kind == Any {
					next = append(next, v...)
				} else if step.Kind == Index && step.Index < len(v) {
					next = append(next, v[step.Index])
				}
			}
		}
		if values = next; !m.spend(1 + 8*len(values)) {
			return nil
		}
	}
	return values
}

// lastKey is the name of the property that a path leads to.
func (p Path) lastKey() string {
	for i := len(p.Steps) - 1; ; i-- {
		if p.Steps[i].Kind == Key {
			return p.Steps[i].Key
		}
	}
}

// holds tells whether some object of obs satisfies c: one object must satisfy all
// tests of a bracket (§9.5).
func (obs *Observation) holds(c *condition, m *meter) bool {
	for _, o := range obs.objects {
		if c.holds(obs, o, m) {
			return true
		}
	}
	return false
}

// condition is a Comparison ready to be evaluated.
type condition struct {
	*Comparison
	of   []*condition
	test *predicate
}

func (c *condition) holds(obs *Observation, o *observable, m *meter) bool {
	if c.test == nil {
		for _, operand := range c.of {
			if operand.holds(obs, o, m) == (c.Join == Or) {
				return c.Join == Or
			}
		}
		return c.Join == And
	}
	if !m.spend(1) || o.name != c.Test.Path.Type {
		return false
	}
	values := obs.valuesAt(c.Test.Path, o, m)
	if c.Test.Op == Exists {
		return (len(values) > 0) != c.Test.Not
	}
	// A property that is missing makes the test false, with NOT as well. With
	// [*] one element that satisfies the test is enough, again with NOT as well.
	for _, v := range values {
		if c.test.holds(v, m) {
			return true
		}
	}
	return false
}
