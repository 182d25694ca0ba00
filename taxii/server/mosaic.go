package server

import (
	"context"
	"math"
	"net/http"
	"slices"
	"time"

	"comity/store"
	"comity/taxii"
	"comity/taxii/exchange"
)

// mosaic is a gzip page that is put together from cells, and from what the store
// had to give beside them: the edges, where the page begins or ends in the middle of
// a cell, and what no cell was made of yet.
type mosaic struct {
	extent
	view   asked
	parts  []part
	cells  int // that are among the parts
	text   int // octets of the objects, with the commas between
	loose  int // of these, what is in no cell
	ending []byte
}

// part is objects joined by commas.
type part struct {
	cell *cell  // nil: they are not worth one
	text []byte // nil: they are in the cell, which is kept
}

// looseShare is the share of a page, as a divisor, up to which edges are sent as
// they are. Compressing them would take longer than all the rest.
const looseShare = 8

// mosaics tells whether a page may be one: it is sent compressed, and is one of
// those lists without filters that walks are made of.
func (s *Server) mosaics(r *http.Request, g exchange.Grant, a asked, m *taxii.Match) bool {
	v := &m.Versions
	return a.gzip && a.object == "" && s.shelf.room > 0 && r.Method == http.MethodGet && g.CanRead() &&
		m.IDs == nil && m.Types == nil && m.Specs == nil && !v.All && !v.First && !v.Last && v.At == nil
}

// collect finds the page that q asks for, in cells or in the store. If there is no
// mosaic, the Buffer of q.Into is the page. There is one only with a cell in it, which
// is more than gzipMin.
func (s *Server) collect(r *http.Request, c *caller, a asked, q store.Query, again bool) (e extent, m *mosaic, err error) {
	mosaics := !again && s.mosaics(r, c.grant, a, &q.Match)
	if mosaics {
		if m, err = s.gather(r.Context(), c.grant, a.view(), q); err != nil {
			return e, nil, err
		}
		if m != nil {
			return m.extent, m, nil
		}
	}
	q.Into.Buffer = append(q.Into.Buffer[:0], opening...)
	page, err := s.Store.Scan(r.Context(), c.grant, q)
	if err != nil {
		return e, nil, err
	}
	if !mosaics {
		return extentOf(page), nil, nil
	}
	m = &mosaic{view: a.view(), extent: extent{Standing: page.Standing}}
	if s.lay(m, page, micros(q.After)); m.cells == 0 {
		return m.extent, nil, nil
	}
	return m.extent, m, nil
}

// gather finds a page in cells that are kept, and scans only what they lack. It is
// nil if there are none where the page begins, or if it is not certain that a scan
// of the whole would find the same.
func (s *Server) gather(ctx context.Context, g exchange.Grant, view asked, q store.Query) (*mosaic, error) {
	date, at := micros(q.After), g.View().At
	chain, past := s.shelf.chain(view, at, date, q.Limit)
	if len(chain) == 0 || len(chain) == 1 && chain[0].first() <= date {
		return nil, nil
	}
	m := &mosaic{view: view, parts: make([]part, 0, len(chain)+8)}
	m.Standing = store.Standing{Asked: at, More: true}
	q.Into.Buffer = q.Into.Buffer[:0]
	limit, size := q.Limit, q.MaxBytes
	scan := func(n int) (*store.Page, error) {
		q.After, q.Limit, q.MaxBytes = time.UnixMicro(date), n, max(size-m.text-1, 1)
		page, err := s.Store.Scan(ctx, g, q)
		if err == nil {
			m.State, m.HighWater, m.Until = page.State, page.HighWater, sooner(m.Until, page.Until)
		}
		return page, err
	}
	if inside := chain[0]; inside.first() <= date {
		n := inside.behind(date)
		page, err := scan(n)
		if err != nil {
			return nil, err
		}
		if page.State.Past != past || !slices.Equal(page.Added, inside.dates[len(inside.dates)-n:]) {
			return nil, nil
		}
		m.addText(page, 0, n)
		chain, date = chain[1:], inside.last()
	}
	for _, c := range chain {
		if m.text+1+c.length > size {
			break
		}
		m.addCell(c)
		date, m.More = c.last(), c.more
	}
	if left := limit - m.count; left > 0 {
		page, err := scan(left)
		if err != nil {
			return nil, err
		}
		s.lay(m, page, date)
		m.More = page.More
	} else if !m.More {
		page, err := scan(1)
		if err != nil {
			return nil, err
		}
		m.More = page.Len() > 0
	} else if m.State == (store.State{}) { // nothing was scanned
		state, err := s.Store.State(ctx, g.ID())
		if err != nil {
			return nil, err
		}
		m.State = state
	}
	if m.State.Past != past || m.text > size || m.cells == 0 {
		return nil, nil
	}
	return m, nil
}

// lay adds a page that follows the date: what there are cells of as these, the rest
// as what may become some.
func (s *Server) lay(m *mosaic, page *store.Page, date int64) {
	if page.Len() == 0 {
		return
	}
	near := s.shelf.cells(m.view, page.State, page.Asked, date, page.Added[page.Len()-1])
	for i, j := 0, 0; i < page.Len(); i = j {
		first := page.Added[i]
		for len(near) > 0 && near[0].last() < first {
			near = near[1:]
		}
		border, inside := int64(math.MaxInt64), false // where a cell begins, or ends if this is inside one
		if len(near) > 0 {
			c := near[0]
			if j = i + len(c.dates); j <= page.Len() && slices.Equal(c.dates, page.Added[i:j]) {
				m.addCell(c)
				date = c.last()
				continue
			}
			if border, inside = c.first(), c.first() <= first; inside {
				border = c.last() + 1
			}
		}
		start := 0
		if i > 0 {
			start = page.Ends[i-1] + 1
		}
		for j = i + 1; j < page.Len() && j-i < cellObjects && page.Ends[j]-start <= cellText && page.Added[j] < border; {
			j++
		}
		full, more := j-i == cellObjects, j < page.Len() || page.More
		if inside || !full && !(more && page.Ends[j-1]-start >= cellLeast) {
			m.addText(page, i, j)
		} else {
			m.addFresh(page, i, j, date, more)
		}
		date = page.Added[j-1]
	}
}

func (m *mosaic) add(p part, text int, dates []int64, objects uint64) {
	if m.count == 0 {
		m.first = time.UnixMicro(dates[0]).UTC()
	} else {
		m.text++ // the comma
	}
	if p.cell != nil {
		m.cells++
	} else {
		m.loose += text
	}
	m.parts, m.text = append(m.parts, p), m.text+text
	m.count, m.objects, m.last = m.count+len(dates), m.objects+objects, time.UnixMicro(dates[len(dates)-1]).UTC()
}

func (m *mosaic) addCell(c *cell) {
	m.add(part{cell: c}, c.length, c.dates, c.objects)
	m.Until = sooner(m.Until, c.until)
}

// addText adds the objects from i to j, addFresh does it with the intent to make a
// cell of them.
func (m *mosaic) addText(page *store.Page, i, j int) {
	text := objects(page, i, j)
	m.add(part{text: text}, len(text), page.Added[i:j], identity(page, i, j))
}

func (m *mosaic) addFresh(page *store.Page, i, j int, after int64, more bool) {
	text := objects(page, i, j)
	c := &cell{
		after: after, dates: slices.Clone(page.Added[i:j]), objects: identity(page, i, j),
		more: more, asked: page.Asked, until: page.Until,
	}
	m.add(part{c, text}, len(text), c.dates, c.objects)
}

// objects are those from i to j of a page, joined by commas.
func objects(page *store.Page, i, j int) []byte {
	if i == 0 {
		return page.Objects[:page.Ends[j-1]]
	}
	return page.Objects[page.Ends[i-1]+1 : page.Ends[j-1]]
}

// micros is a date as cells have it; what is before all of them is 0.
func micros(t time.Time) int64 { return max(t.UnixMicro(), 0) }

// sooner is the sooner of two seconds, 0 being never.
func sooner(a, b uint32) uint32 {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// pack gives the parts of the page as it is sent, with their octets, and keeps the
// cells that were made for it.
func (m *mosaic) pack(s *shelf) (parts [][]byte, size int) {
	z := newMember(len(m.parts))
	z.store([]byte(opening))
	var fresh []*cell
	for i, p := range m.parts {
		switch {
		case p.text == nil:
			z.add(&p.cell.fragment, i > 0)
		case p.cell != nil:
			p.cell.fragment = newFragment(p.text)
			z.add(&p.cell.fragment, i > 0)
			fresh = append(fresh, p.cell)
		case m.loose*looseShare <= m.text:
			if i > 0 {
				z.store([]byte(","))
			}
			z.store(p.text)
		default:
			f := newFragment(p.text)
			z.add(&f, i > 0)
		}
	}
	z.store(m.ending)
	if fresh != nil {
		s.keep(m.view, m.State, fresh)
	}
	return z.end()
}
