package fusion

import (
	"maps"
	"slices"
	"unique"

	"comity/stix"
)

// State holds the contributions that one audience may benefit from, and their
// fusion. Adding or withdrawing costs what the components it touches cost, not
// what is held. It is not safe for use by several goroutines.
type State struct {
	rules  *Rules
	admits func(*Contribution) bool

	held  map[statement][]*entry // the newest version of each
	byKey map[Entity][]*entry    // dropped ones too, until the next fusion
	dirty map[Entity]struct{}    // keys whose component is to be fused again
	part  map[Entity]*component
}

// statement is an object as one organisation sent it.
type statement struct {
	submitter string
	object    stix.ID
}

// entry is a contribution that is held.
type entry struct {
	Contribution
	dropped bool
}

// component is the fusion of contributions that shared keys connect.
type component struct {
	keys     []Entity
	findings []Finding
	left     []Excluded
}

// NewState holds nothing yet. admits says which contributions the audience may
// benefit from; nil means all.
func NewState(rules *Rules, admits func(*Contribution) bool) *State {
	return &State{
		rules: rules, admits: admits, held: map[statement][]*entry{},
		byKey: map[Entity][]*entry{}, dirty: map[Entity]struct{}{}, part: map[Entity]*component{},
	}
}

// Add takes in contributions. Of an object the newest version counts that the
// audience may benefit from, whichever comes first; the version that is held
// already changes nothing. An object's contributions of one version have to come
// together, as [Read] gives them.
func (s *State) Add(contributions []Contribution) {
	groups := map[statement][]*Contribution{}
	for i := range contributions {
		c := &contributions[i]
		if s.admits != nil && !s.admits(c) {
			continue
		}
		by := statement{c.Submitter, c.Object}
		switch group := groups[by]; {
		case group == nil || group[0].Version.Before(c.Version):
			groups[by] = []*Contribution{c}
		case group[0].Version.Equal(c.Version):
			groups[by] = append(group, c)
		}
	}
	for by, group := range groups {
		if before := s.held[by]; before == nil || before[0].Version.Before(group[0].Version) {
			s.drop(by)
			s.hold(by, group)
		}
	}
}

// hold keeps copies. Texts that many contributions share are kept once.
func (s *State) hold(by statement, group []*Contribution) {
	for _, c := range group {
		kept := &entry{Contribution: *c}
		for _, text := range []*string{&kept.Submitter, &kept.Origin, &kept.Country, &kept.Owner, &kept.Family, &kept.Value.Type} {
			*text = unique.Make(*text).Value()
		}
		s.held[by] = append(s.held[by], kept)
		for _, key := range Keys(c) {
			s.byKey[key] = append(s.byKey[key], kept)
			s.dirty[key] = struct{}{}
		}
	}
}

func (s *State) drop(by statement) {
	for _, e := range s.held[by] {
		e.dropped = true
		for _, key := range Keys(&e.Contribution) {
			s.dirty[key] = struct{}{}
		}
	}
	delete(s.held, by)
}

// Withdraw removes the contributions that which names, with all others of the
// same object, and returns how many objects went.
func (s *State) Withdraw(which func(*Contribution) bool) (objects int) {
	for by, group := range s.held {
		if slices.ContainsFunc(group, func(e *entry) bool { return which(&e.Contribution) }) {
			s.drop(by)
			objects++
		}
	}
	return objects
}

// Remove removes what one organisation said with one object.
func (s *State) Remove(submitter string, object stix.ID) { s.drop(statement{submitter, object}) }

// Fuse brings the findings up to date and returns how many components it had to
// fuse. [State.Findings] does so by itself.
func (s *State) Fuse() (fused int) {
	for key := range s.dirty {
		left := slices.DeleteFunc(s.byKey[key], func(e *entry) bool { return e.dropped })
		if s.byKey[key] = left; len(left) == 0 {
			delete(s.byKey, key)
		}
		// A component may have come apart: all of its keys are to be seen again.
		if old := s.part[key]; old != nil {
			for _, k := range old.keys {
				delete(s.part, k)
				s.dirty[k] = struct{}{}
			}
		}
	}
	for key := range s.dirty {
		if s.byKey[key] == nil || s.part[key] != nil {
			continue
		}
		keys, of := s.connected(key)
		c := &component{keys: keys}
		c.findings, c.left = Fuse(s.rules, of)
		for _, k := range keys {
			s.part[k] = c
		}
		fused++
	}
	clear(s.dirty)
	return fused
}

// connected is the component that a key is in.
func (s *State) connected(key Entity) (keys []Entity, of []Contribution) {
	reached, taken := map[Entity]bool{key: true}, map[*entry]bool{}
	keys = []Entity{key}
	for next := 0; next < len(keys); next++ {
		for _, e := range s.byKey[keys[next]] {
			if taken[e] {
				continue
			}
			taken[e] = true
			of = append(of, e.Contribution)
			for _, k := range Keys(&e.Contribution) {
				if !reached[k] {
					reached[k] = true
					keys = append(keys, k)
				}
			}
		}
	}
	return keys, of
}

// Findings are the findings of all that is held, by kind and key, and what was
// left out, by submitter, object and value.
func (s *State) Findings() (findings []Finding, left []Excluded) {
	s.Fuse()
	seen := map[*component]bool{}
	for c := range maps.Values(s.part) {
		if !seen[c] {
			seen[c] = true
			findings, left = append(findings, c.findings...), append(left, c.left...)
		}
	}
	slices.SortFunc(findings, func(a, b Finding) int { return compareEntities(a.Entity, b.Entity) })
	slices.SortFunc(left, compareExcluded)
	return findings, left
}
