package server

import (
	"container/list"
	"slices"
	"sort"

	"comity/store"
)

// A cell ends with so many objects, or before so many octets: what of a page does
// not fall on a cell is sent without being compressed, if it is little.
const (
	cellObjects = 64
	cellText    = 32 << 10
	// cellLeast is the text below which what is left for a cell, by the end of a
	// page or by another cell, is not worth one.
	cellLeast = 8 << 10
)

// cell is a run of objects that follow one another in what a view sees without any
// filter, compressed. A gzip page that nobody asked for before is put together from
// cells. One holds all that is visible from after, exclusive, to its last date; as
// records are only ever added behind, that stays so until something moves
// [store.State.Past] or ends by retention. It does not change once it is kept.
type cell struct {
	fragment
	after        int64   // this and what follows is date_added, in µs since 1970
	dates        []int64 // of each object
	objects      uint64  // their identity
	more         bool    // objects follow
	asked, until uint32  // as in [store.Standing]

	row   *row          // where it is kept
	place *list.Element // guarded by the mutex of the shelf
}

func (c *cell) first() int64 { return c.dates[0] }
func (c *cell) last() int64  { return c.dates[len(c.dates)-1] }
func (c *cell) size() int    { return overhead + len(c.data) + 8*len(c.dates) }

// behind is how many of the objects were added after a date.
func (c *cell) behind(date int64) int {
	if date < c.first() {
		return len(c.dates)
	}
	return len(c.dates) - sort.Search(len(c.dates), func(i int) bool { return c.dates[i] > date })
}

// holds tells whether the view sees the same at that Unix second.
func (c *cell) holds(at uint32) bool { return at >= c.asked && (c.until == 0 || at < c.until) }

// row is the cells of one view of a collection in one state of its past, in order.
// They do not overlap. It is guarded by the mutex of the shelf.
type row struct {
	view  asked
	past  uint64
	cells []*cell
	lasts []int64 // of each cell
}

// from is where the first cell is that ends behind a date.
func (r *row) from(date int64) int {
	return sort.Search(len(r.lasts), func(i int) bool { return r.lasts[i] > date })
}

func (r *row) insert(i int, c *cell) {
	r.cells, r.lasts = slices.Insert(r.cells, i, c), slices.Insert(r.lasts, i, c.last())
}

func (r *row) remove(i int) {
	r.cells, r.lasts = slices.Delete(r.cells, i, i+1), slices.Delete(r.lasts, i, i+1)
}

// view is what decides what a cell shows.
func (a asked) view() asked {
	return asked{collection: a.collection, own: a.own, ceiling: a.ceiling, action: a.action, types: a.types}
}

// rowOf is the row of a view, if it is of that state; one of an older state is
// dropped. The caller holds mu.
func (s *shelf) rowOf(view asked, past uint64) *row {
	r := s.rows[view]
	if r == nil || r.past == past {
		return r
	}
	for r.past < past && len(r.cells) > 0 {
		s.drop(r.cells[len(r.cells)-1].place)
	}
	return nil
}

// cells are those of a view that hold objects from after, exclusive, to last.
func (s *shelf) cells(view asked, state store.State, at uint32, after, last int64) (found []*cell) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.rowOf(view, state.Past)
	if r == nil {
		return nil
	}
	for _, c := range r.cells[r.from(after):] {
		if c.first() > last {
			break
		}
		if c.holds(at) {
			found = append(found, c)
			s.order.MoveToFront(c.place)
		}
	}
	return found
}

// chain are cells of a view that follow one another without a gap, with no more
// than limit objects behind the date. It is in the first, or that begins there. They
// are of that state of the past, which need not be that of the collection.
func (s *shelf) chain(view asked, at uint32, date int64, limit int) (found []*cell, past uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.rows[view]
	if r == nil {
		return nil, 0
	}
	for _, c := range r.cells[r.from(date):] {
		if limit -= c.behind(date); limit < 0 || c.after > date || !c.holds(at) {
			break
		}
		found, date = append(found, c), c.last()
		s.order.MoveToFront(c.place)
	}
	return found, r.past
}

// keep puts fresh cells of a view there. One that overlaps with what is there, as
// somebody else was faster, is not, nor is any of a state that is past.
func (s *shelf) keep(view asked, state store.State, fresh []*cell) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.rowOf(view, state.Past)
	if r == nil {
		if s.rows[view] != nil {
			return
		}
		r = &row{view: view, past: state.Past}
	}
	for _, c := range fresh {
		i := r.from(c.after)
		for i < len(r.cells) && r.cells[i].until != 0 && r.cells[i].until <= c.asked {
			s.drop(r.cells[i].place)
		}
		if i < len(r.cells) && r.cells[i].first() <= c.last() || c.size() > s.room/4 {
			continue
		}
		c.row, c.place = r, s.order.PushFront(c)
		r.insert(i, c)
		s.rows[view] = r
		s.used += c.size()
	}
	s.trim()
}
