package stix

import "encoding/binary"

// name is where the name of a member is, with its first bytes.
type name struct {
	first    uint64
	from, to int
}

// nameSet is the names of one object, of which none may come twice: those of
// its scanner from base on.
type nameSet struct {
	*scanner
	base int
	some uint64              // a bit for each name so far, which others may share
	many map[string]struct{} // all of them, once they are many
}

// manyNames is from how many names on a map finds one faster than comparing.
const manyNames = 48

// add is false if the name is there already.
func (n *nameSet) add(from, to int) bool {
	if n.many != nil {
		before := len(n.many)
		n.many[string(n.b[from:to])] = struct{}{}
		return len(n.many) > before
	}
	one := name{n.first(from, to), from, to}
	bit := uint64(1) << ((one.first + uint64(to-from)) * 0x9e3779b97f4a7c15 >> 58)
	if n.some&bit != 0 {
		for _, other := range n.names[n.base:] {
			if other.first == one.first && string(n.b[other.from:other.to]) == string(n.b[from:to]) {
				return false
			}
		}
	}
	n.some |= bit
	n.names = append(n.names, one)
	if len(n.names)-n.base == manyNames {
		n.many = make(map[string]struct{}, 2*manyNames)
		for _, other := range n.names[n.base:] {
			n.many[string(n.b[other.from:other.to])] = struct{}{}
		}
	}
	return true
}

// first is the first eight bytes between from and to, or zeros behind fewer.
func (s *scanner) first(from, to int) uint64 {
	if from+8 > len(s.b) {
		var room [8]byte
		copy(room[:], s.b[from:to])
		return binary.LittleEndian.Uint64(room[:])
	}
	w := binary.LittleEndian.Uint64(s.b[from:])
	if n := to - from; n < 8 {
		w &= 1<<(8*n) - 1
	}
	return w
}
