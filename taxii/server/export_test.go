package server

import (
	"bytes"
	"net/http"
	"strconv"

	"github.com/gorilla/mux"

	"comity/store"
)

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
		octets += e.Value.(interface{ size() int }).size()
	}
	return s.shelf.used, octets, len(s.shelf.places) + s.shelf.order.Len()
}

// Member is a gzip member that is put together.
type Member struct{ member *member }

func (m *Member) begun() *member {
	if m.member == nil {
		m.member = newMember(0)
	}
	return m.member
}

// Pack adds a piece compressed, behind a comma if it is joined, Store as it is.
func (m *Member) Pack(piece []byte, joined bool) {
	f := newFragment(piece)
	m.begun().add(&f, joined)
}
func (m *Member) Store(piece []byte) { m.begun().store(piece) }

// End is the whole member.
func (m *Member) End() []byte {
	parts, _ := m.begun().end()
	return bytes.Join(parts, nil)
}

// Keep puts a cell of that many octets there, of a view in a state of the past, that
// holds the dates from first to last.
func (s Shelf) Keep(view int, past uint64, first, last int64, octets int) {
	c := &cell{fragment: fragment{data: make([]byte, octets)}, after: first - 1}
	for d := first; d <= last; d++ {
		c.dates = append(c.dates, d)
	}
	s.shelf.keep(asked{types: strconv.Itoa(view)}, store.State{Past: past}, []*cell{c})
}

// Rows is the dates of the cells that a view has, in order, and how many cells there
// are in all rows.
func (s Shelf) Rows(view int) (dates []int64, cells int) {
	for v, r := range s.shelf.rows {
		cells += len(r.cells)
		for _, c := range r.cells {
			if v.types == strconv.Itoa(view) {
				dates = append(dates, c.dates...)
			}
		}
	}
	return dates, cells
}

// Router is the router of a handler that New made.
func Router(h http.Handler) *mux.Router { return h.(plainSlashes).router }

// Rows are the methods of routes, by path.
func Rows() map[string][]string {
	rows := map[string][]string{}
	for i := range routes {
		rows[routes[i].path] = append(rows[routes[i].path], routes[i].methods()...)
	}
	return rows
}
