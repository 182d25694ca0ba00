package fusion

import (
	"comity/stix"
	"iter"
	"slices"
)

// component holds the contributions of some audiences that shared keys connect.
type component struct {
	keys          []Entity
	contributions []Contribution
}

// walk collects the component that a key is in, without contributions that this
// traversal has visited before.
func (s *State) walk(from Entity, audiences uint32) (c component) {
	c.keys = []Entity{from}
	reached := map[Entity]bool{from: true}
	for next := 0; next < len(c.keys); next++ {
		for _, h := range s.entities[c.keys[next]] {
			if h.traversal == s.traversal || h.audiences&audiences == 0 {
				continue
			}
			h.traversal = s.traversal
			c.contributions = append(c.contributions, h.contribution())
			for _, key := range Keys(&c.contributions[len(c.contributions)-1]) {
				if !reached[key] {
					reached[key] = true
					c.keys = append(c.keys, key)
				}
			}
		}
	}
	return c
}

// traverse begins a traversal: until the next one begins, walks visit a contribution
// once.
func (s *State) traverse() {
	if s.traversal++; s.traversal == 0 { // all numbers were used
		for h := range s.all {
			h.traversal = 0
		}
		s.traversal = 1
	}
}

// components yields all components of some audiences. The State must not change, and no
// other traversal begin, before the iteration ends.
func (s *State) components(audiences uint32) iter.Seq[component] {
	return func(yield func(component) bool) {
		s.traverse()
		for h := range s.all {
			if h.audiences&audiences == 0 || h.traversal == s.traversal {
				continue
			}
			c := h.contribution()
			if !yield(s.walk(c.entity(), audiences)) {
				return
			}
		}
	}
}

// Touched returns the keys of all components that changed for any audience since the
// last call, each once, by kind and key. A component changes when a contribution comes,
// goes or expires. If it falls apart, the keys of all its parts are returned.
func (s *State) Touched() (keys []Entity) {
	s.traverse()
	for h := range s.changed {
		if h.traversal != s.traversal {
			c := h.contribution()
			keys = append(keys, s.walk(c.entity(), everyone).keys...)
		}
	}
	for key := range s.removed {
		keys = append(keys, s.walk(key, everyone).keys...)
	}
	s.changed, s.removed = map[*held]struct{}{}, map[Entity]struct{}{}
	slices.SortFunc(keys, compareEntities)
	return slices.Compact(keys)
}

// Findings are all findings of an audience, by kind and key, and the excluded
// contributions, by submitter, object and value.
func (s *State) Findings(audience int) (findings []Finding, excluded []Excluded) {
	for c := range s.components(s.bit(audience)) {
		some, out := Fuse(&s.rules, c.contributions)
		findings, excluded = append(findings, some...), append(excluded, out...)
	}
	slices.SortFunc(findings, func(a, b Finding) int { return compareEntities(a.Entity, b.Entity) })
	slices.SortFunc(excluded, compareExcluded)
	return findings, excluded
}

// Component returns copies of an audience's contributions in the component that e is
// in, in no order.
func (s *State) Component(audience int, e Entity) []Contribution {
	s.traverse()
	return s.walk(e, s.bit(audience)).contributions
}

// Components returns copies of an audience's contributions in the components that any
// of the entities is in, each once.
func (s *State) Components(audience int, entities []Entity) (all []Contribution) {
	s.traverse()
	for _, e := range entities {
		all = append(all, s.walk(e, s.bit(audience)).contributions...)
	}
	return all
}

// About returns the findings of an audience that [Index] has under key: those with that
// key, value or host of a value. Held findings are among them.
func (s *State) About(audience int, key string) (about []Finding) {
	from := []Entity{{C2, key}, {Website, key}, {Other, key}}
	if host := (stix.Value{Type: "url", Text: key}).Host(); host.Type != "url" {
		from = append(from, Entity{C2, host.Text}, Entity{Website, host.Text})
	}
	for _, h := range s.urls[key] {
		from = append(from, Entity{Other, h.value})
	}
	s.traverse()
	for _, e := range from {
		findings, _ := Fuse(&s.rules, s.walk(e, s.bit(audience)).contributions)
		for _, n := range NewIndex(findings)[key] {
			about = append(about, findings[n])
		}
	}
	slices.SortFunc(about, func(a, b Finding) int { return compareEntities(a.Entity, b.Entity) })
	return about
}
