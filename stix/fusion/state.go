package fusion

import (
	"maps"
	"slices"
	"time"

	"comity/stix"
)

// State holds contributions for several audiences, numbered from 0, and fuses
// those that one of them has when it is asked. A change costs what the components
// cost that it touches, not what is held. Times are kept to the microsecond. A
// State is not safe for use by several goroutines.
type State struct {
	rules     Rules
	audiences int

	units    map[string]map[objectID][]*held // by submitter and subject
	entities map[Entity][]*held              // by each of their Keys
	urls     map[string][]*held              // URLs of kind Other by host
	count    int

	changed   map[*held]struct{}  // since Touched was last called
	removed   map[Entity]struct{} // the keys of what was removed since then
	expires   time.Time           // nothing goes stale between rules.At and then; zero is never
	traversal uint32              // the number of the current one
}

// maxAudiences is the width of held.audiences.
const maxAudiences = 32

// everyone is all audiences.
const everyone = ^uint32(0)

// NewState holds nothing yet. It serves at most 32 audiences. Rules are copied.
func NewState(rules *Rules, audiences int) *State {
	if audiences > maxAudiences {
		panic("fusion: more than 32 audiences")
	}
	return &State{
		rules: *rules, audiences: audiences,
		units: map[string]map[objectID][]*held{}, entities: map[Entity][]*held{}, urls: map[string][]*held{},
		changed: map[*held]struct{}{}, removed: map[Entity]struct{}{},
	}
}

// bit is that of an audience. It panics if [NewState] was not told of it.
func (s *State) bit(audience int) uint32 {
	if audience < 0 || audience >= s.audiences {
		panic("fusion: no such audience")
	}
	return 1 << audience
}

// Len is how many contributions are held. One that several audiences have counts
// once.
func (s *State) Len() int { return s.count }

// Put replaces what an audience has of a subject, as one organisation sent it;
// nil removes it. A subject is whatever the caller reads as a unit, and the
// contributions are taken to be of that submitter and subject.
func (s *State) Put(submitter string, subject stix.ID, audience int, contributions []Contribution) {
	bit, id := s.bit(audience), objectIDOf(subject)
	unit := s.units[submitter][id]
	known, given := make(map[record]*held, len(unit)), make(map[*held]bool, len(contributions))
	for _, h := range unit {
		known[h.record] = h
	}
	for _, c := range contributions {
		c.Submitter, c.Subject = submitter, subject
		r := recordOf(&c)
		h := known[r]
		if h == nil {
			h = &held{record: r}
			known[r], unit = h, append(unit, h)
			s.add(h, &c)
		}
		if h.audiences&bit == 0 {
			h.audiences |= bit
			s.changed[h] = struct{}{}
		}
		given[h] = true
	}
	var gone []*held
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
		s.units[submitter] = map[objectID][]*held{id: unit}
	default:
		units[id] = unit
	}
}

// PutAll replaces what an audience has of every subject that one of the
// contributions is about.
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

func isRemoved(h *held) bool { return h.audiences == 0 }

// add makes h, which is c, found by its keys.
func (s *State) add(h *held, c *Contribution) {
	for _, key := range Keys(c) {
		if at := s.entities[key]; len(at) == 0 || at[len(at)-1] != h { // a key may come twice
			s.entities[key] = append(at, h)
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

// remove makes contributions no longer found by their keys. Each list is gone
// through once, however many of it go.
func (s *State) remove(gone []*held) {
	keys, hosts := map[Entity]struct{}{}, map[string]struct{}{}
	for _, h := range gone {
		h.audiences = 0
		c := h.contribution()
		for _, key := range Keys(&c) {
			keys[key] = struct{}{}
		}
		if host, ok := c.urlHost(); ok {
			hosts[host] = struct{}{}
		}
		delete(s.changed, h)
	}
	forget(s.entities, keys)
	forget(s.urls, hosts)
	maps.Copy(s.removed, keys)
	s.count -= len(gone)
}

// forget takes what was removed from the lists under some keys.
func forget[K comparable](lists map[K][]*held, keys map[K]struct{}) {
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
	var gone []*held
	for _, unit := range s.units[submitter] {
		gone = append(gone, unit...)
	}
	delete(s.units, submitter)
	s.remove(gone)
}

// Advance moves the snapshot of the rules. Components are touched that have a
// contribution which that makes stale, or valid again.
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

// all yields what is held, in no order.
func (s *State) all(yield func(*held) bool) {
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
