package fusion

import (
	"hash/maphash"
	"slices"
)

// name is one by which contributions are looked up.
type name struct {
	role   role
	who    string // the submitter, or the kind
	object string // the object, the subject, the key, or the host
}

type role byte

const (
	said  role = iota + 1 // what an organisation said with an object
	unit                  // what it says of a subject
	key                   // what is about an entity
	below                 // what is of kind Other and about a URL on a host
)

func statement(c *Contribution) name { return name{said, c.Submitter, string(c.Object)} }

func keyName(e Entity) name { return name{key, string(e.Kind), e.Key} }

// names are all names of a contribution. What was added has no subject.
func names(c *Contribution, put bool) []name {
	all := append(make([]name, 0, 4), statement(c))
	if put {
		all = append(all, name{unit, c.Submitter, string(c.Subject)})
	}
	for _, e := range Keys(c) {
		all = with(all, keyName(e))
	}
	if c.Kind == Other && c.Value.Type == "url" {
		all = append(all, name{below, "", c.Value.Host().Text})
	}
	return all
}

// hasher gives names that nobody can foresee to meet the same hash.
func hasher() func(name) uint32 {
	seed := maphash.MakeSeed()
	return func(by name) uint32 { return uint32(maphash.Comparable(seed, by)) }
}

// hashes are those of all names, each once: a slot is under a hash or is not.
func (s *State) hashes(c *Contribution, put bool) []uint32 {
	all := make([]uint32, 0, 4)
	for _, by := range names(c, put) {
		all = with(all, s.hash(by))
	}
	return all
}

// many is from how many slots on it is cheaper to look through the whole index
// than for each of their names.
const many = 1 << 8

// unname takes slots out of the index.
func (s *State) unname(all []uint32) {
	if len(all) < many {
		for _, n := range all {
			c := s.contribution(n)
			for _, hash := range s.hashes(&c, s.isPut(n)) {
				s.index.remove(hash, n)
			}
		}
		return
	}
	for _, n := range all {
		s.pool.slot(n).marks |= isSeen
	}
	s.index.sweep(func(n uint32) bool { return s.pool.slot(n).marks&isSeen != 0 })
}

// named is the slots with a name.
func (s *State) named(by name) (all []uint32) {
	for n := range s.index.find(s.hash(by)) {
		if c := s.contribution(n); slices.Contains(names(&c, s.isPut(n)), by) {
			all = append(all, n)
		}
	}
	return all
}

func (s *State) isPut(n uint32) bool { return s.pool.slot(n).marks&wasPut != 0 }
