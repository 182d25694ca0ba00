package fusion

import (
	"slices"
	"time"

	"comity/stix"
)

// State holds contributions for several audiences, numbered from 0, and fuses those of
// one audience when it is asked. The cost of a change depends on the contributions about the
// entities that it touches, not on the size of the State. Times are kept to the microsecond. A State is
// not safe for use by several goroutines.
type State struct {
	rules     Rules
	audiences int

	units    map[string]map[objectID][]*stored // by submitter and subject
	entities map[Entity][]*stored              // by the entity of their value
	resolved map[string][]*stored              // C2 domains by each address that they resolve to
	urls     map[string][]*stored              // URLs of kind Other by host
	count    int

	changed  map[*stored]struct{} // since Touched was last called
	affected map[Entity]struct{}  // the keys of contributions that were removed since then
	partners []map[Entity]Entity  // by audience: what was merged when Touched was last called, both ways
	expires  time.Time            // no contribution becomes stale between rules.At and then; zero is never
}

// maxAudiences is the width of stored.audiences.
const maxAudiences = 32

// NewState makes an empty State for at most 32 audiences. The rules are copied.
func NewState(rules *Rules, audiences int) *State {
	if audiences > maxAudiences {
		panic("fusion: more than 32 audiences")
	}
	s := &State{
		rules: *rules, audiences: audiences,
		units:    map[string]map[objectID][]*stored{},
		entities: map[Entity][]*stored{}, resolved: map[string][]*stored{}, urls: map[string][]*stored{},
		changed: map[*stored]struct{}{}, affected: map[Entity]struct{}{},
	}
	for range audiences {
		s.partners = append(s.partners, map[Entity]Entity{})
	}
	return s
}

// bit is the bit of an audience. It panics if there is no such audience.
func (s *State) bit(audience int) uint32 {
	if audience < 0 || audience >= s.audiences {
		panic("fusion: no such audience")
	}
	return 1 << audience
}

// Len is the number of contributions. One that several audiences have counts once.
func (s *State) Len() int { return s.count }

// Put replaces the contributions of one submitter about one subject that an audience
// has; nil removes them. A subject is any object that the caller reads as a unit. The
// submitter and subject of the contributions themselves are overwritten.
func (s *State) Put(submitter string, subject stix.ID, audience int, contributions []Contribution) {
	bit, id := s.bit(audience), objectIDOf(subject)
	unit := s.units[submitter][id]
	known, given := make(map[record]*stored, len(unit)), make(map[*stored]bool, len(contributions))
	for _, h := range unit {
		known[h.record] = h
	}
	for _, c := range contributions {
		c.Submitter, c.Subject = submitter, subject
		r := recordOf(&c)
		h := known[r]
		if h == nil {
			h = &stored{record: r}
			known[r], unit = h, append(unit, h)
			s.add(h, &c)
		}
		if h.audiences&bit == 0 {
			h.audiences |= bit
			s.changed[h] = struct{}{}
		}
		given[h] = true
	}
	var gone []*stored
	for _, h := range unit {
		if h.audiences&bit == 0 || given[h] {
			continue
		}
		if h.audiences &^= bit; h.audiences == 0 {
			gone = append(gone, h)
		} else {
			s.changed[h] = struct{}{}
		}
	}
	s.remove(gone)
	unit = slices.DeleteFunc(unit, isRemoved)
	switch units := s.units[submitter]; {
	case len(unit) == 0:
		delete(units, id)
	case units == nil:
		s.units[submitter] = map[objectID][]*stored{id: unit}
	default:
		units[id] = unit
	}
}

// PutAll calls Put for every submitter and subject of the contributions.
func (s *State) PutAll(audience int, contributions []Contribution) {
	type unit struct {
		submitter string
		subject   stix.ID
	}
	units := map[unit][]Contribution{}
	for _, c := range contributions {
		u := unit{c.Submitter, c.Subject}
		units[u] = append(units[u], c)
	}
	for u, of := range units {
		s.Put(u.submitter, u.subject, audience, of)
	}
}

func isRemoved(h *stored) bool { return h.audiences == 0 }

// add indexes h, which holds c.
func (s *State) add(h *stored, c *Contribution) {
	keys := Keys(c)
	s.entities[keys[0]] = append(s.entities[keys[0]], h)
	for _, key := range keys[1:] {
		if at := s.resolved[key.Key]; len(at) == 0 || at[len(at)-1] != h { // an address may come twice
			s.resolved[key.Key] = append(at, h)
		}
	}
	if host, ok := c.urlHost(); ok {
		s.urls[host] = append(s.urls[host], h)
	}
	if c.Until.After(s.rules.At) && (s.expires.IsZero() || c.Until.Before(s.expires)) {
		s.expires = c.Until
	}
	s.count++
}

// remove takes contributions out of the indexes. Each list is gone through once,
// however many of its elements go.
func (s *State) remove(gone []*stored) {
	entities, addresses, hosts := map[Entity]struct{}{}, map[string]struct{}{}, map[string]struct{}{}
	for _, h := range gone {
		h.audiences = 0
		c := h.contribution()
		for i, key := range Keys(&c) {
			s.affected[key] = struct{}{}
			if i == 0 {
				entities[key] = struct{}{}
			} else {
				addresses[key.Key] = struct{}{}
			}
		}
		if host, ok := c.urlHost(); ok {
			hosts[host] = struct{}{}
		}
		delete(s.changed, h)
	}
	removeFrom(s.entities, entities)
	removeFrom(s.resolved, addresses)
	removeFrom(s.urls, hosts)
	s.count -= len(gone)
}

// removeFrom deletes removed contributions from the lists under some keys.
func removeFrom[K comparable](lists map[K][]*stored, keys map[K]struct{}) {
	for key := range keys {
		if left := slices.DeleteFunc(lists[key], isRemoved); len(left) > 0 {
			lists[key] = left
		} else {
			delete(lists, key)
		}
	}
}

// Drop removes everything that one organisation sent.
func (s *State) Drop(submitter string) {
	var gone []*stored
	for _, unit := range s.units[submitter] {
		gone = append(gone, unit...)
	}
	delete(s.units, submitter)
	s.remove(gone)
}

// Select makes a State with one audience, 0, which has the contributions that an audience of s
// has. The function choose names that audience for each submitter, and tells whether its
// contributions are taken at all. No later change of s changes the new State.
func (s *State) Select(choose func(submitter string) (audience int, taken bool)) *State {
	selected := NewState(&s.rules, 1)
	for submitter, units := range s.units {
		audience, taken := choose(submitter)
		if !taken {
			continue
		}
		bit, copies := s.bit(audience), map[objectID][]*stored{}
		for subject, unit := range units {
			for _, h := range unit {
				if h.audiences&bit != 0 {
					h, c := &stored{h.record, selected.bit(0)}, h.contribution()
					copies[subject] = append(copies[subject], h)
					selected.add(h, &c)
					selected.changed[h] = struct{}{}
				}
			}
		}
		selected.units[submitter] = copies
	}
	return selected
}

// Advance moves the snapshot of the rules. It touches the components of contributions
// that become stale, or valid again.
func (s *State) Advance(at time.Time) {
	before := s.rules.At
	s.rules.At = at
	if !at.Before(before) && (s.expires.IsZero() || at.Before(s.expires)) {
		return
	}
	s.expires = time.Time{}
	for h := range s.all {
		c := Contribution{Until: timeOf(h.until)}
		if c.stale(before) != c.stale(at) {
			s.changed[h] = struct{}{}
		}
		if c.Until.After(at) && (s.expires.IsZero() || c.Until.Before(s.expires)) {
			s.expires = c.Until
		}
	}
}

// all yields all contributions, in no order.
func (s *State) all(yield func(*stored) bool) {
	for _, units := range s.units {
		for _, unit := range units {
			for _, h := range unit {
				if !yield(h) {
					return
				}
			}
		}
	}
}
