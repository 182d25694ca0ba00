package server

import (
	"bytes"
	"container/list"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/google/uuid"
	"github.com/klauspost/compress/gzip"

	"comity/stix"
	"comity/store"
	"comity/taxii"
	"comity/taxii/exchange"
)

// asked is everything that decides what a page shows, beside the state of its
// collection and the time. Only those who share all of it share a page.
type asked struct {
	collection uuid.UUID
	own        bool
	ceiling    stix.TLP
	action     exchange.Actions
	types      string
	object     string // of the path; "" for a list
	query      string // as it was sent
	emptyList  bool
	gzip       bool
}

func askedFor(r *http.Request, c *caller) asked {
	v := c.grant.View()
	a := asked{
		collection: c.grant.ID(), own: v.Own, ceiling: v.Ceiling, action: v.Action,
		object: c.path["object"], query: r.URL.RawQuery, emptyList: c.EmptyList(), gzip: takesGzip(r),
	}
	if v.Types != nil {
		a.types = ";" + strings.Join(v.Types, ",")
	}
	return a
}

// extent is what a page holds, and for how long.
type extent struct {
	store.Standing
	count       int
	first, last time.Time
	objects     uint64 // their identity
}

func extentOf(page *store.Page) extent {
	return extent{page.Standing, page.Len(), page.First, page.Last, identity(page, 0, page.Len())}
}

// identity is the sum of a hash of each object from i to j of a page, so that those
// of its parts add up to that of a page: of its date, under which a collection has
// one record for ever, and, as a store that was restored may give it again, of a
// checksum.
func identity(page *store.Page, i, j int) (sum uint64) {
	var b [12]byte
	for ; i < j; i++ {
		binary.BigEndian.PutUint64(b[:], uint64(page.Added[i]))
		binary.BigEndian.PutUint32(b[8:], page.Sums[i])
		sum += xxhash.Sum64(b[:])
	}
	return sum
}

// sheet is a page that was answered. It does not change.
type sheet struct {
	extent
	match   taxii.Match // of the query, as after
	after   time.Time
	tag     string
	spelled string      // date_added of the last object, for the log; "" if there is none
	header  http.Header // what is said of it, but for its length
	body    []byte      // as it is sent; nil if it is not kept
	packed  bool        // the body is compressed
}

// newSheet is the sheet of a page whose objects have that ending. Its tag is made of
// nothing but what the caller gets, so that it tells nothing of what is hidden. It is a
// weak one, the same for the compressed page (RFC 9110 §8.8.1).
func newSheet(e extent, q store.Query, ending []byte) *sheet {
	digest := sha256.Sum256(append(binary.BigEndian.AppendUint64(make([]byte, 0, 256), e.objects), ending...))
	p := &sheet{extent: e, match: q.Match, after: q.After, tag: `W/"` + base64.RawURLEncoding.EncodeToString(digest[:15]) + `"`}
	p.header = http.Header{"Etag": {p.tag}}
	setDates(p.header, e.first, e.last, q.After, e.count == 0)
	if p.count == 0 {
		p.body = ending
	} else {
		p.spelled = taxii.FormatTime(p.last)
	}
	return p
}

// kept tells whether the body can be had from the sheet.
func (p *sheet) kept() bool { return p.body != nil }

// with is the sheet with its body, as it is sent to a caller who asks so.
func (p *sheet) with(a asked, body []byte) *sheet {
	full := *p
	if full.packed = a.gzip && len(body) >= gzipMin; full.packed {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		z.Write(body)
		z.Close() // neither can fail
		body = b.Bytes()
	}
	full.body = bytes.Clone(body)
	return &full
}

// write answers with the page, whose header was written.
func (p *sheet) write(w *response) {
	w.begin(http.StatusOK, len(p.body), p.packed)
	w.Write(p.body)
}

// hasAlready tells whether the caller says that it has the page with this tag.
func hasAlready(r *http.Request, tag string) bool {
	for _, line := range r.Header["If-None-Match"] {
		for given := range strings.SplitSeq(line, ",") {
			given = strings.TrimSpace(given)
			if given == "*" || strings.TrimPrefix(given, "W/") == tag[len("W/"):] {
				return true
			}
		}
	}
	return false
}

// shelf keeps sheets and cells, those that were used last. A sheet that is asked for
// again while it holds is kept with its body.
type shelf struct {
	room   int        // octets
	mu     sync.Mutex // guards what follows
	used   int
	places map[asked]*list.Element
	rows   map[asked]*row // by view; none is empty
	order  list.List      // of *place and *cell, the last used in front
}

type place struct {
	asked asked
	sheet *sheet
}

// overhead is about what a place or a cell takes beside its texts and its body.
const overhead = 512

func (p *place) size() int {
	return overhead + len(p.asked.types) + len(p.asked.object) + len(p.asked.query) + len(p.sheet.body)
}

func newShelf(room int) *shelf {
	return &shelf{room: room, places: map[asked]*list.Element{}, rows: map[asked]*row{}}
}

// find is the sheet that was put there last, nil if it is gone.
func (s *shelf) find(a asked) *sheet {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.places[a]
	if e == nil {
		return nil
	}
	s.order.MoveToFront(e)
	return e.Value.(*place).sheet
}

// put takes a sheet in the place of the one that was asked for the same way. What
// would take more than a quarter of the shelf is not put there.
func (s *shelf) put(a asked, p *sheet) {
	fresh := &place{a, p}
	if fresh.size() > s.room/4 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if old := s.places[a]; old != nil {
		s.drop(old)
	}
	s.places[a] = s.order.PushFront(fresh)
	s.used += fresh.size()
	s.trim()
}

// trim drops what was not used for longest until the rest has room. The caller
// holds mu.
func (s *shelf) trim() {
	for s.used > s.room {
		s.drop(s.order.Back())
	}
}

// drop takes something off. The caller holds mu.
func (s *shelf) drop(e *list.Element) {
	switch p := s.order.Remove(e).(type) {
	case *place:
		delete(s.places, p.asked)
		s.used -= p.size()
	case *cell:
		s.used -= p.size()
		if p.row.remove(p.row.from(p.after)); len(p.row.cells) == 0 {
			delete(s.rows, p.row.view)
		}
	}
}

// onShelf is the sheet on the shelf, if it is what the store would answer now.
func (s *Server) onShelf(ctx context.Context, g exchange.Grant, a asked) (*sheet, error) {
	p := s.shelf.find(a)
	if p == nil {
		return nil, nil
	}
	state, err := s.Store.State(ctx, g.ID())
	if err != nil || !p.Holds(state, g.View().At) {
		return nil, err
	}
	return p, nil
}
