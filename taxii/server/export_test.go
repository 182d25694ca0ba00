package server

import "strconv"

// Shelf is a shelf of its own.
type Shelf struct{ shelf *shelf }

func NewShelf(room int) Shelf { return Shelf{newShelf(room)} }

// Put puts a body of that many octets in the n-th place.
func (s Shelf) Put(n, octets int) {
	s.shelf.put(asked{query: strconv.Itoa(n)}, &sheet{body: make([]byte, octets)})
}

// Has tells whether the n-th place is taken.
func (s Shelf) Has(n int) bool { return s.shelf.find(asked{query: strconv.Itoa(n)}) != nil }

// Used is what the shelf counts, and what there is: octets and places.
func (s Shelf) Used() (counted, octets, places int) {
	for e := s.shelf.order.Front(); e != nil; e = e.Next() {
		octets += e.Value.(*place).size()
	}
	return s.shelf.used, octets, len(s.shelf.places) + s.shelf.order.Len()
}

// Member is a gzip member that is put together.
type Member struct{ member *member }

func (m *Member) begun() *member {
	if m.member == nil {
		begun := newMember(nil)
		m.member = &begun
	}
	return m.member
}

// Pack adds a piece compressed, Store as it is.
func (m *Member) Pack(piece []byte)  { f := newFragment(piece); m.begun().add(&f) }
func (m *Member) Store(piece []byte) { m.begun().store(piece) }

// End is the whole member.
func (m *Member) End() []byte { return m.begun().end() }
