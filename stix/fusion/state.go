package fusion

import (
	"slices"
	"time"

	"comity/stix"
)

// State holds contributions for several audiences, numbered from 0, and fuses
// those that one of them may benefit from when it is asked. A change costs what
// the components it touches cost, not what is held; a contribution costs less
// than 200 bytes, however many audiences have it. It is not safe for use by
// several goroutines.
type State struct {
	rules     Rules
	audiences []func(*Contribution) bool

	words words
	pool  pool
	index index
	hash  func(name) uint32

	touched []uint32            // slots that changed and were not reported yet
	gone    map[Entity]struct{} // keys of what was removed since
	expires time.Time           // nothing goes stale between rules.At and then; zero is never
	sums    *sums               // nil until somebody asks
	record  []byte              // for encoding, used again
}

// maxAudiences is the width of slot.audiences.
const maxAudiences = 32

// everyone is all audiences.
const everyone = ^uint32(0)

// NewState holds nothing yet. There is one function for each audience, at most
// 32, that says which contributions it may benefit from; nil means all. Rules are
// copied.
func NewState(rules *Rules, audiences ...func(*Contribution) bool) *State {
	if len(audiences) > maxAudiences {
		panic("fusion: more than 32 audiences")
	}
	return &State{
		rules: *rules, audiences: audiences, words: words{number: map[string]uint64{}},
		pool: newPool(), index: newIndex(), hash: hasher(), gone: map[Entity]struct{}{},
	}
}

// bit is that of an audience. It panics if [NewState] was not told of it.
func (s *State) bit(audience int) uint32 {
	_ = s.audiences[audience]
	return 1 << audience
}

// Len is how many contributions are held. One that several audiences have, or
// that came twice, counts once; what was put counts apart from what was added.
func (s *State) Len() int { return s.pool.held }

// Add takes in contributions. Of an object the newest version counts that each
// audience may benefit from, whichever comes first; the version that is held
// already changes nothing. An object's contributions of one version have to come
// together, as [Read] gives them.
func (s *State) Add(contributions []Contribution) {
	groups := map[name][]*Contribution{}
	for i := range contributions {
		by := statement(&contributions[i])
		groups[by] = append(groups[by], &contributions[i])
	}
	for by, group := range groups {
		for audience, admits := range s.audiences {
			newest := newestOf(group, admits)
			old := slices.DeleteFunc(s.named(by), s.isPut)
			if newest != nil && !s.has(old, audience, newest[0].Version) {
				s.replace(old, newest, audience, false)
			}
		}
	}
}

// newestOf is the contributions of the newest version that is admitted.
func newestOf(group []*Contribution, admits func(*Contribution) bool) (newest []*Contribution) {
	for _, c := range group {
		switch {
		case admits != nil && !admits(c):
		case newest == nil || newest[0].Version.Before(c.Version):
			newest = []*Contribution{c}
		case newest[0].Version.Equal(c.Version):
			newest = append(newest, c)
		}
	}
	return newest
}

// has tells whether an audience has a version of an object, or a newer one.
func (s *State) has(old []uint32, audience int, version time.Time) bool {
	return slices.ContainsFunc(old, func(n uint32) bool {
		return s.pool.slot(n).audiences&s.bit(audience) != 0 && !s.contribution(n).Version.Before(version)
	})
}

// Put replaces what an audience has of a subject, as one organisation sent it;
// nil removes it. The audience's function is not asked. A subject is whatever the
// caller reads as a unit, and the contributions are taken to be of that submitter
// and subject. Add does not look at what was put, nor Put at what was added.
func (s *State) Put(submitter string, subject stix.ID, audience int, contributions []Contribution) {
	next := make([]*Contribution, len(contributions))
	for i, c := range contributions {
		c.Submitter, c.Subject = submitter, subject
		next[i] = &c
	}
	s.replace(s.named(name{unit, submitter, string(subject)}), next, audience, true)
}

// replace gives an audience the next contributions instead of those that it has
// among the old. What is equal to an old one, whoever has that, is that.
func (s *State) replace(old []uint32, next []*Contribution, audience int, put bool) {
	bit := s.bit(audience)
	known, keep := make(map[string]uint32, len(old)), make(map[uint32]bool, len(next))
	for _, n := range old {
		known[string(s.pool.record(n))] = n
	}
	for _, c := range next {
		s.record = s.words.encode(s.record[:0], c)
		n, ok := known[string(s.record)]
		switch {
		case !ok:
			n = s.hold(c, bit, put)
			known[string(s.record)] = n
		case s.pool.slot(n).audiences&bit == 0:
			s.unsum(c)
			s.touch(n)
			s.pool.slot(n).audiences |= bit
		}
		keep[n] = true
	}
	var lost []uint32
	for _, n := range old {
		switch slot := s.pool.slot(n); {
		case keep[n] || slot.audiences&bit == 0:
		case slot.audiences == bit:
			lost = append(lost, n)
		default:
			c := s.contribution(n)
			s.unsum(&c)
			s.touch(n)
			slot.audiences &^= bit
		}
	}
	s.release(lost...)
}

// hold keeps c, whose record is s.record.
func (s *State) hold(c *Contribution, audience uint32, put bool) (n uint32) {
	s.unsum(c)
	n = s.pool.hold(s.record, audience)
	if put {
		s.pool.slot(n).marks |= wasPut
	}
	for _, hash := range s.hashes(c, put) {
		s.index.add(hash, n)
	}
	s.touch(n)
	s.open(n)
	if c.Until.After(s.rules.At) && (s.expires.IsZero() || c.Until.Before(s.expires)) {
		s.expires = c.Until
	}
	return n
}

// release removes what the slots hold.
func (s *State) release(all ...uint32) {
	for _, n := range all {
		c := s.contribution(n)
		s.unsum(&c)
		for _, key := range Keys(&c) {
			s.gone[key] = struct{}{}
		}
	}
	s.unname(all)
	for _, n := range all {
		s.pool.release(n)
	}
}

func (s *State) touch(n uint32) {
	if slot := s.pool.slot(n); slot.marks&isTouched == 0 {
		slot.marks |= isTouched
		s.touched = append(s.touched, n)
	}
}

// Withdraw removes the contributions that which names, with all others of the
// same object, and returns how many objects went.
func (s *State) Withdraw(which func(*Contribution) bool) (objects int) {
	gone := map[name]struct{}{}
	for n := range s.all {
		if c := s.contribution(n); which(&c) {
			gone[statement(&c)] = struct{}{}
		}
	}
	var slots []uint32
	for by := range gone {
		slots = append(slots, s.named(by)...)
	}
	s.release(slots...)
	return len(gone)
}

// Remove removes what one organisation said with one object.
func (s *State) Remove(submitter string, object stix.ID) {
	s.release(s.named(name{said, submitter, string(object)})...)
}

// Drop removes everything that one organisation sent.
func (s *State) Drop(submitter string) {
	var slots []uint32
	for n := range s.all {
		if s.contribution(n).Submitter == submitter {
			slots = append(slots, n)
		}
	}
	s.release(slots...)
}

// Advance moves the snapshot of the rules. Components are touched that have a
// contribution which that makes stale, or valid again.
func (s *State) Advance(at time.Time) {
	before := s.rules.At
	if !at.Before(before) && (s.expires.IsZero() || at.Before(s.expires)) {
		s.rules.At = at
		return
	}
	s.expires = time.Time{}
	for n := range s.all {
		c := s.contribution(n)
		if c.stale(before) != c.stale(at) {
			s.unsum(&c)
			s.touch(n)
		}
		if c.Until.After(at) && (s.expires.IsZero() || c.Until.Before(s.expires)) {
			s.expires = c.Until
		}
	}
	s.rules.At = at
}

// all yields the slots that hold something.
func (s *State) all(yield func(uint32) bool) {
	for n := uint32(1); n < s.pool.slots.n; n++ {
		if s.pool.slot(n).audiences != 0 && !yield(n) {
			return
		}
	}
}

func (s *State) contribution(n uint32) Contribution { return s.words.decode(s.pool.record(n)) }
