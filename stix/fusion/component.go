package fusion

import (
	"iter"
	"slices"
)

// part is contributions that shared keys connect, as some audiences see them.
type part struct {
	keys  []Entity
	slots []uint32
	of    []Contribution
}

// walk is the part that a key is in, without what was seen before. What it sees
// is marked: call forget.
func (s *State) walk(from Entity, audiences uint32) (p part) {
	p.keys = []Entity{from}
	reached := map[Entity]bool{}
	for next := 0; next < len(p.keys); next++ {
		at := p.keys[next]
		for n := range s.index.find(s.hash(keyName(at))) {
			slot := s.pool.slot(n)
			if slot.marks&isSeen != 0 || slot.audiences&audiences == 0 {
				continue
			}
			c := s.contribution(n)
			keys := Keys(&c)
			if !slices.Contains(keys, at) {
				continue
			}
			slot.marks |= isSeen
			p.slots, p.of = append(p.slots, n), append(p.of, c)
			for _, k := range keys {
				if k != from && k != at && !reached[k] {
					reached[k] = true
					p.keys = append(p.keys, k)
				}
			}
		}
	}
	return p
}

func (s *State) forget(slots []uint32) {
	for _, n := range slots {
		s.pool.slot(n).marks &^= isSeen
	}
}

// parts yields all parts, as some audiences see them. Nothing may change before
// it ends.
func (s *State) parts(audiences uint32) iter.Seq[part] {
	return func(yield func(part) bool) {
		defer func() {
			for n := range s.all {
				s.pool.slot(n).marks &^= isSeen
			}
		}()
		for n := range s.all {
			if slot := s.pool.slot(n); slot.audiences&audiences == 0 || slot.marks&isSeen != 0 {
				continue
			}
			c := s.contribution(n)
			if !yield(s.walk(c.entity(), audiences)) {
				return
			}
		}
	}
}

// Touched is the keys of all components that changed for any audience since the
// last call, each once, by kind and key: of what came, went, or went stale. A
// component that came apart counts with all that it was.
func (s *State) Touched() []Entity {
	var keys []Entity
	var seen []uint32
	walk := func(from Entity) {
		p := s.walk(from, everyone)
		keys, seen = append(keys, p.keys...), append(seen, p.slots...)
	}
	for _, n := range s.touched {
		slot := s.pool.slot(n)
		slot.marks &^= isTouched
		if slot.audiences != 0 && slot.marks&isSeen == 0 {
			c := s.contribution(n)
			walk(c.entity())
		}
	}
	for key := range s.gone {
		walk(key)
	}
	s.forget(seen)
	s.touched, s.gone = nil, map[Entity]struct{}{}
	slices.SortFunc(keys, compareEntities)
	return slices.Compact(keys)
}

// Findings are an audience's findings of all that is held, by kind and key, and
// what was left out, by submitter, object and value.
func (s *State) Findings(audience int) (findings []Finding, left []Excluded) {
	for p := range s.parts(s.bit(audience)) {
		some, out := Fuse(&s.rules, p.of)
		findings, left = append(findings, some...), append(left, out...)
	}
	slices.SortFunc(findings, func(a, b Finding) int { return compareEntities(a.Entity, b.Entity) })
	slices.SortFunc(left, compareExcluded)
	return findings, left
}

// Component is copies of an audience's contributions in the component that e is
// in, in no order.
func (s *State) Component(audience int, e Entity) []Contribution {
	p := s.walk(e, s.bit(audience))
	s.forget(p.slots)
	return p.of
}

// About is an audience's findings, held ones too, of which key is the key, or one
// of the values or their hosts: those that [Index] has under key.
func (s *State) About(audience int, key string) (about []Finding) {
	var seen []uint32
	from := []Entity{{C2, key}, {Website, key}, {Other, key}}
	if host := (Value{"url", key}).Host(); host.Type != "url" {
		from = append(from, Entity{C2, host.Text}, Entity{Website, host.Text})
	}
	for _, n := range s.named(name{below, "", key}) {
		c := s.contribution(n)
		from = append(from, c.entity())
	}
	for _, e := range from {
		p := s.walk(e, s.bit(audience))
		seen = append(seen, p.slots...)
		findings, _ := Fuse(&s.rules, p.of)
		for _, n := range NewIndex(findings)[key] {
			about = append(about, findings[n])
		}
	}
	s.forget(seen)
	slices.SortFunc(about, func(a, b Finding) int { return compareEntities(a.Entity, b.Entity) })
	return about
}
