package fusion

import (
	"comity/stix"
	"comity/stix/pattern"
	"comity/stix/rawjson"
)

// readPattern contributes what an indicator alone says.
func (r *reader) readPattern(indicator stix.Object) {
	c := r.base(indicator)
	r.carry(&c, indicator)
	c.Kind = Other
	for e := rawjson.ElementsOf(rawjson.Member(indicator.Raw, "kill_chain_phases")); e.Next(); {
		if phase, _ := rawjson.Text(rawjson.Member(e.Value, "phase_name")); string(phase) == "command-and-control" {
			c.Kind = C2
		}
	}
	for _, rel := range r.out[indicator.ID] {
		if target, ok := r.find(rel.target); ok && rel.kind == "indicates" && !rel.Revoked && target.Type == "malware" {
			c.Family = text(target, "name")
			c.join(rel.Object, r.label(rel.Object))
		}
	}
	r.patternValues(c, indicator)
}

// patternValues contributes the values that the pattern of an indicator asks
// for: those compared for equality, unless negated.
func (r *reader) patternValues(c Contribution, indicator stix.Object) {
	if kind := text(indicator, "pattern_type"); kind != "stix" {
		return
	}
	parsed, err := pattern.Parse(text(indicator, "pattern"), pattern.Lenient)
	if err != nil {
		r.refused = append(r.refused, Refusal{indicator.ID, err.Error()})
		return
	}
	for typ, sent := range asked(parsed.Root) {
		value, err := Normal(typ, sent)
		if err != nil {
			r.refused = append(r.refused, Refusal{indicator.ID, err.Error()})
			continue
		}
		c.Value = value
		r.all = append(r.all, c)
	}
}

// asked yields the type and text of the values that a pattern asks for: those of
// tests such as [ipv4-addr:value = '198.51.100.3'] or IN, unless negated.
func asked(e *pattern.Expr) func(yield func(typ, text string) bool) {
	return func(yield func(typ, text string) bool) { askedIn(e, yield) }
}

func askedIn(e *pattern.Expr, yield func(typ, text string) bool) bool {
	if e.Where != nil {
		return askedWhere(e.Where, yield)
	}
	for _, of := range e.Of {
		if !askedIn(of, yield) {
			return false
		}
	}
	return true
}

func askedWhere(c *pattern.Comparison, yield func(typ, text string) bool) bool {
	for _, of := range c.Of {
		if !askedWhere(of, yield) {
			return false
		}
	}
	test := c.Test
	if test == nil || test.Not || test.Op != pattern.Equal && test.Op != pattern.In || !fused(test.Path.Type) {
		return true
	}
	if len(test.Path.Steps) != 1 || test.Path.Steps[0].Key != "value" {
		return true
	}
	for _, constant := range test.Constants {
		if constant.Kind == pattern.String && !yield(test.Path.Type, constant.Text) {
			return false
		}
	}
	return true
}
