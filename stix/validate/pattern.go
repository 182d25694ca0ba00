package validate

import (
	"errors"
	"strings"

	"comity/stix"
	"comity/stix/pattern"
	"comity/stix/rawjson"
)

// indicatorPattern parses a pattern of type stix. Patterns of
// other types are not read. A warning of the parser is a warning.
func indicatorPattern(c *checker, f frame) {
	kind, _ := rawjson.Text(c.get(f, "pattern_type"))
	source, ok := rawjson.Text(c.get(f, "pattern"))
	if !ok || !c.stix20 && string(kind) != "stix" {
		return
	}
	mode := pattern.Lenient
	if version, _ := rawjson.Text(c.get(f, "pattern_version")); string(version) == "2.0" {
		mode |= pattern.STIX20
	}
	if c.stix20 {
		mode |= pattern.STIX20
	}
	parsed, err := c.patterns.Parse(string(source), mode)
	if err != nil {
		rule := "R-150"
		if e := (*pattern.Error)(nil); errors.As(err, &e) && e.Rule != "" {
			rule = e.Rule
		}
		c.faultAt("pattern", rule, "%s", err)
		return
	}
	c.pattern = parsed
	for _, w := range parsed.Warnings {
		c.warnAt("pattern", w.Rule, "%s", w)
	}
	if !c.stix20 {
		c.patternTimes(f, parsed.Root)
		c.patternNames(parsed)
	}
}

// patternTimes checks that START and STOP lie within valid_from and valid_until.
func (c *checker) patternTimes(f frame, e *pattern.Expr) {
	for _, q := range e.Qualifiers {
		if q.Kind != pattern.StartStop {
			continue
		}
		if before(quoted(q.Start), c.get(f, "valid_from")) {
			c.warnAt("pattern", "R-154", "START is before valid_from")
		}
		if before(c.get(f, "valid_until"), quoted(q.Stop)) {
			c.warnAt("pattern", "R-154", "STOP is after valid_until")
		}
	}
	for _, one := range e.Of {
		c.patternTimes(f, one)
	}
}

func quoted(t stix.Timestamp) []byte { return []byte(`"` + t.String() + `"`) }

// patternNames checks that object types and properties in a pattern are in the standard
// or have the prefix of custom ones.
func (c *checker) patternNames(parsed *pattern.Pattern) {
	known := true
	parsed.AllPaths(func(p pattern.Path) { known = known && c.knows(p) })
	if known {
		return
	}
	for _, p := range parsed.Paths() {
		switch {
		case c.knows(p):
		case c.stix21.types[p.Type] == nil:
			c.warnAt("pattern", "R-155", "%s is no type of the standard", quote([]byte(p.Type)))
		default:
			c.warnAt("pattern", "R-155", "%s has no property %s", p.Type, quote([]byte(p.Steps[0].Key)))
		}
	}
}

// knows tells whether a path begins with names of the standard or custom ones.
func (c *checker) knows(p pattern.Path) bool {
	shape := c.stix21.types[p.Type]
	if shape == nil {
		return strings.HasPrefix(p.Type, "x-")
	}
	_, known := find(shape, p.Steps[0].Key)
	return known || strings.HasPrefix(p.Steps[0].Key, "x_")
}
