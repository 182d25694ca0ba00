package stix

import "encoding/binary"

// name is the place of the name of a member, with its first bytes.
type name struct {
	first    uint64
	from, to int
}

// nameSet has the names of one object, of which none may occur twice. They are the names
// of its scanner from base on.
type nameSet struct {
	*scanner
	base   int
	filter uint64              // Bloom filter of the names
	index  map[string]struct{} // all names, from manyNames on
}

// manyNames is the number of names from which a map is faster than comparing.
const manyNames = 48

// add is false if the name is there already.
func (n *nameSet) add(from, to int) bool {
	if n.index != nil {
		before := len(n.index)
		n.index[string(n.b[from:to])] = struct{}{}
		return len(n.index) > before
	}
	one := name{n.first(from, to), from, to}
	bit := uint64(1) << ((one.first + uint64(to-from)) * 0x9e3779b97f4a7c15 >> 58)
	if n.filter&bit != 0 {
		for _, other := range n.names[n.base:] {
			if other.first == one.first && string(n.b[other.from:other.to]) == string(n.b[from:to]) {
				return false
			}
		}
	}
	n.filter |= bit
	n.names = append(n.names, one)
	if len(n.names)-n.base == manyNames {
		n.index = make(map[string]struct{}, 2*manyNames)
		for _, other := range n.names[n.base:] {
			n.index[string(n.b[other.from:other.to])] = struct{}{}
		}
	}
	return true
}

// first is the first eight bytes between from and to, padded with zeros.
func (s *scanner) first(from, to int) uint64 {
	if from+8 > len(s.b) {
		var buffer [8]byte
		copy(buffer[:], s.b[from:to])
		return binary.LittleEndian.Uint64(buffer[:])
	}
	w := binary.LittleEndian.Uint64(s.b[from:])
	if n := to - from; n < 8 {
		w &= 1<<(8*n) - 1
	}
	return w
}
