package validate

import "strings"

// constraint is a rule between the properties of one shape. Its forms in the
// tables:
//
//	last_seen >= first_seen               if both are present; also with >
//	one of region, latitude & longitude   at least one; properties joined by & must come together
//	exactly one of url, payload_bin
//	url needs hashes & name               if url is present
//	is_family true needs name             if is_family has that value
//	is_multipart true forbids body
//	something beside pe_type              at least one other member
//	something of its own                  at least one member that is not common
//	something of its own or extensions
type constraint struct {
	rule, message string
	property      string // the property that it is about; "" for the whole part
	violated      func(c *checker, f frame) bool
}

// frame is one object or part while it is checked.
type frame struct {
	shape   *shape
	base    int // index in checker.slots of its first property
	members int // number of members
	own     int // number of members that are not common properties
}

// span is the place of a value, or from 0 to 0 if there is none.
type span struct{ from, to int32 }

// at is the value of the property with that index, nil if it is absent.
func (c *checker) at(f frame, index int) []byte {
	s := c.slots[f.base+index]
	return c.b[s.from:s.to:s.to]
}

// has tells whether the property with that index is present.
func (c *checker) has(f frame, index int) bool { return c.slots[f.base+index].to > 0 }

// get is the value of a property, nil if it is absent.
func (c *checker) get(f frame, name string) []byte {
	if index, ok := find(f.shape, name); ok && c.has(f, index) {
		return c.at(f, index)
	}
	return nil
}

// addConstraint reads one line of a table.
func (t *shape) addConstraint(rule, text string) {
	r := constraint{rule: rule, message: "expected " + text, violated: t.readConstraint(text)}
	if first, _, _ := strings.Cut(text, " "); first != "one" && first != "exactly" && first != "something" {
		r.property = first
	}
	if strings.Contains(text, " needs ") || strings.Contains(text, " forbids ") {
		r.message = text
	}
	t.rules = append(t.rules, r)
}

func (t *shape) readConstraint(text string) func(*checker, frame) bool {
	if names, ok := strings.CutPrefix(text, "exactly one of "); ok {
		groups := t.groups(names)
		return func(c *checker, f frame) bool { return c.present(f, groups) != 1 }
	}
	if names, ok := strings.CutPrefix(text, "one of "); ok {
		groups := t.groups(names)
		return func(c *checker, f frame) bool { return c.present(f, groups) == 0 }
	}
	if text == "something" {
		return func(_ *checker, f frame) bool { return f.members == 0 }
	}
	if text == "something of its own" {
		return func(_ *checker, f frame) bool { return f.own == 0 }
	}
	if text == "something of its own or extensions" {
		extensions := t.property("extensions")
		return func(c *checker, f frame) bool { return f.own == 0 && !c.has(f, extensions) }
	}
	if names, ok := strings.CutPrefix(text, "something beside "); ok {
		groups := t.groups(names)
		return func(c *checker, f frame) bool { return f.members == c.present(f, groups) }
	}
	words := strings.Fields(text)
	first := t.property(words[0])
	switch {
	case words[1] == ">=":
		earlier := t.property(words[2])
		return func(c *checker, f frame) bool { return before(c.at(f, first), c.at(f, earlier)) }
	case words[1] == ">":
		earlier := t.property(words[2])
		return func(c *checker, f frame) bool { return notAfter(c.at(f, first), c.at(f, earlier)) }
	case words[1] == "needs":
		needs := t.groups(strings.Join(words[2:], " "))
		return func(c *checker, f frame) bool { return c.has(f, first) && c.present(f, needs) == 0 }
	case words[2] == "needs":
		needs := t.groups(words[3])
		return func(c *checker, f frame) bool {
			return string(c.at(f, first)) == words[1] && c.present(f, needs) == 0
		}
	case words[2] == "forbids":
		forbids := t.property(words[3])
		return func(c *checker, f frame) bool { return string(c.at(f, first)) == words[1] && c.has(f, forbids) }
	}
	panic("no such constraint: " + text)
}

func (t *shape) property(name string) int {
	index, ok := find(t, name)
	if !ok {
		panic(t.name + " has no property " + name)
	}
	return index
}

// groups reads "a, b & c": names joined by & are one group.
func (t *shape) groups(text string) (all [][]int) {
	for _, group := range strings.Split(text, ", ") {
		var one []int
		for _, name := range strings.Split(group, " & ") {
			one = append(one, t.property(name))
		}
		all = append(all, one)
	}
	return all
}

// present counts the groups of which all properties are present.
func (c *checker) present(f frame, groups [][]int) (n int) {
groups:
	for _, group := range groups {
		for _, index := range group {
			if !c.has(f, index) {
				continue groups
			}
		}
		n++
	}
	return n
}
