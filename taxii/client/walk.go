package client

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"io"
	"iter"
	"net/http"
	"strconv"
	"time"

	"comity/taxii"
)

// Query says what a walk reads.
type Query struct {
	taxii.Match
	From  Position // where to begin
	Limit int      // objects of a page; 0: as many as the server likes
}

// Objects walks the objects of a collection, oldest added first (TAXII 2.1 §5.4). It reads
// the next page while the caller is busy with one, so it holds two.
//
// It follows next. Where the server gives none, refuses the one that it gave, or its answer
// is lost, the walk goes on with added_after, a little before the end of the last page, and
// leaves out what it had already: some servers move on with each use of a next, and many
// give the same date to all objects of a push. A walk that does not advance ends with
// BadGateway.
func (c *Client) Objects(ctx context.Context, collection string, q Query) iter.Seq2[*Page, error] {
	return c.walk(ctx, c.collection(collection)+"objects/", q, (*rawPage).readObjects)
}

// Object walks the versions of one object (TAXII 2.1 §5.6).
func (c *Client) Object(ctx context.Context, collection, id string, q Query) iter.Seq2[*Page, error] {
	return c.walk(ctx, c.object(collection, id), q, (*rawPage).readObjects)
}

// Manifest walks the records of a collection (TAXII 2.1 §5.3).
func (c *Client) Manifest(ctx context.Context, collection string, q Query) iter.Seq2[taxii.ManifestRecord, error] {
	return elements[taxii.ManifestRecord](c.walk(ctx, c.collection(collection)+"manifest/", q, (*rawPage).readObjects))
}

// Versions walks the names of the versions of one object (TAXII 2.1 §5.8).
func (c *Client) Versions(ctx context.Context, collection, id string, q Query) iter.Seq2[string, error] {
	return elements[string](c.walk(ctx, c.object(collection, id)+"versions/", q, (*rawPage).readVersions))
}

// elements decodes the elements of all pages.
func elements[T any](pages iter.Seq2[*Page, error]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		for page, err := range pages {
			if err != nil {
				yield(none, err)
				return
			}
			for _, raw := range page.Objects {
				var v T
				if err := json.Unmarshal(raw, &v); err != nil {
					yield(none, &taxii.Error{Code: taxii.BadGateway, Msg: "the answer is malformed", Err: err})
					return
				}
				if !yield(v, nil) {
					return
				}
			}
		}
	}
}

// The bounds of a walk that does not advance.
const (
	maxIdlePages = 100 // pages without a new object that say that more follow
	maxIdleLaps  = 10  // requests by date without a new object
)

// maxKnown is how many objects a walk that came to its end lets the next walk read again.
const maxKnown = 1000

// maxAhead is how many objects of dates that are to come a position knows.
const maxAhead = 10 * maxKnown

// MaxSkew is how far the dates of a server may be ahead of our clock.
const MaxSkew = 24 * time.Hour

// walk is a walk over the pages of a list.
type walk struct {
	client  *Client
	list    string // URL
	query   Query
	read    func(*rawPage, io.Reader) error
	raw     *rawPage
	page    *Page
	noticed map[string]bool // the faults of the server that were told

	position Position        // after the last page
	seen     []uint64        // the hashes in position
	after    time.Time       // added_after of the requests
	next     string          // of the next request
	last     time.Time       // the latest date so far
	dated    bool            // position.AddedAfter is a way to go on
	disorder bool            // dates went backwards
	settled  Position        // after the last page that ended before dates that are to come
	ahead    []uint64        // the hashes of the objects after it
	skip     map[uint64]bool // objects that were yielded already; nil: none can come again
	earlier  map[uint64]bool // objects that an earlier walk yielded

	size  int            // elements of the last page
	used  string         // the next that it was asked with
	pages map[uint64]int // the hashes of the pages, each with the lap in which it came last
	lap   int            // counts the requests by date

	idleLaps  int // requests by date since the last new object
	idlePages int // pages since the last new object
}

func (c *Client) walk(ctx context.Context, list string, q Query, read func(*rawPage, io.Reader) error) iter.Seq2[*Page, error] {
	return func(yield func(*Page, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		reader := *c
		notices, steps, left := make(chan string), make(chan step), make(chan struct{})
		reader.config.Notice = func(sentence string) {
			select {
			case notices <- sentence:
			case <-left:
			}
		}
		w := walk{client: &reader, list: list, query: q, read: read, noticed: map[string]bool{}, pages: map[uint64]int{}, dated: q.From.Next == ""}
		go w.run(ctx, steps, left)
		defer func() {
			close(left)
			cancel()
			for range steps { // until run has returned
			}
		}()
		for {
			select {
			case sentence := <-notices:
				c.config.Notice(sentence)
			case s, ok := <-steps:
				if !ok || s != (step{}) && !yield(s.page, s.err) {
					return
				}
			}
		}
	}
}

// step is a page of a walk, or the error that ended it. The empty step waits until the caller
// is through with the page before it.
type step struct {
	page *Page
	err  error
}

// run reads the pages and hands each on, until the caller has left. The caller has one of the
// two pages while run reads into the memory of the other.
func (w *walk) run(ctx context.Context, steps chan<- step, left <-chan struct{}) {
	defer close(steps)
	hand := func(s step) bool {
		select {
		case steps <- s:
			return true
		case <-left:
			return false
		}
	}
	var raw [2]rawPage
	var page [2]Page
	w.begin()
	for n, more := 0, true; more; {
		w.raw, w.page = &raw[n%2], &page[n%2]
		var err error
		if more, err = w.nextPage(ctx); err != nil {
			hand(step{err: err})
			return
		}
		if len(w.page.Objects)+len(w.page.Faults) == 0 && (more || len(w.raw.hashes) == 0) {
			continue
		}
		if !hand(step{page: w.page}) {
			return
		}
		// A next that is stored must not be used up before.
		if w.position.Next != "" && !hand(step{}) {
			return
		}
		n++
	}
}

// begin sets the walk to where its query begins.
func (w *walk) begin() {
	w.position, w.settled = w.query.From, w.query.From
	w.seen = decodeHashes(w.position.Seen)
	w.earlier = setOf(w.seen)
	w.resume()
	w.next = w.position.Next
}

// resume lets the next request go on at the position, by date.
func (w *walk) resume() {
	w.after = w.position.AddedAfter
	w.skip = nil
	if len(w.seen) > 0 {
		w.skip = setOf(w.seen)
	}
	w.next, w.used = "", ""
	w.lap++
}

// restartByDate lets the walk go on by date, without next. It is a fault if that was often in vain.
func (w *walk) restartByDate() error {
	if w.idleLaps++; w.idleLaps > maxIdleLaps {
		return w.fault("the pages repeat themselves: next goes in circles")
	}
	w.resume()
	return nil
}

// fault is an error that ends the walk.
func (w *walk) fault(format string, args ...any) error {
	return taxii.Errorf(taxii.BadGateway, "%s: "+format, append([]any{w.list}, args...)...)
}

// notice tells of a fault of the server, once a walk.
func (w *walk) notice(sentence string) {
	if !w.noticed[sentence] {
		w.noticed[sentence] = true
		w.client.config.Notice(w.list + ": " + sentence)
	}
}

// nextPage reads the next page, and reports whether another one follows.
func (w *walk) nextPage(ctx context.Context) (more bool, err error) {
	for {
		used := w.next
		err := w.fetch(ctx)
		if err != nil {
			if used == "" || ctx.Err() != nil || !w.mayGoOn(err) {
				return false, err
			}
			w.notice("a next failed, so the walk goes on by date: " + err.Error())
			if w.query.Limit == 0 {
				w.query.Limit = w.size // some servers take next only beside limit
			}
			if err := w.restartByDate(); err != nil {
				return false, err
			}
			continue
		}
		hash := w.raw.hash()
		lap, repeated := w.pages[hash]
		if used != "" && repeated && lap == w.lap && len(w.raw.hashes)+len(w.raw.faults) > 0 {
			if !w.dated {
				return false, w.fault("the pages repeat themselves: next goes in circles")
			}
			w.notice("a page came twice, so the walk goes on by date")
			if err := w.restartByDate(); err != nil {
				return false, err
			}
			continue
		}
		w.pages[hash], w.used, w.size = w.lap, used, len(w.raw.hashes)
		return w.take(repeated)
	}
}

// mayGoOn tells whether a request by date may succeed where one by next failed. Without
// dates the walk begins anew, and only if the server has forgotten a next that was stored.
func (w *walk) mayGoOn(err error) bool {
	switch taxii.CodeOf(err) {
	case taxii.Unauthorized, taxii.Forbidden, taxii.TooMany:
		return false
	case taxii.Invalid, taxii.NotFound:
		return w.dated || w.next == w.query.From.Next
	}
	return w.dated
}

// fetch asks for the next page.
func (w *walk) fetch(ctx context.Context) error {
	values := w.query.Values()
	limit := w.query.Limit
	if w.next == "" && len(w.skip) > 0 && (limit > 0 || w.size > 0) {
		limit = max(limit, w.size) + len(w.skip) // or all might be known
	}
	if limit > 0 {
		values.Set("limit", strconv.Itoa(limit))
	}
	if !w.after.IsZero() {
		values.Set("added_after", formatDate(w.after))
	}
	if w.next != "" {
		values.Set("next", w.next)
	}
	r := get(w.list)
	if len(values) > 0 {
		r.url += "?" + values.Encode()
	}
	// A next that stays the same moves on with each use, so that a page that was lost is not
	// sent again.
	r.once = w.next != "" && w.dated && (w.used == "" || w.used == w.next)
	r.read = func(h http.Header, body io.Reader) error {
		w.raw.reset()
		w.raw.readDates(h)
		return w.read(w.raw, body)
	}
	return w.client.send(ctx, r)
}

// formatDate spells a date with as many digits as it has, and at least six.
func formatDate(t time.Time) string {
	if t.Nanosecond()%1000 != 0 {
		return t.UTC().Format(time.RFC3339Nano)
	}
	return taxii.FormatTime(t)
}

// take makes the page that was read the page of the walk, without what was yielded already.
// repeated tells that all of it was.
func (w *walk) take(repeated bool) (more bool, err error) {
	raw, page := w.raw, w.page
	*page = Page{Objects: page.Objects[:0], First: raw.first, Last: raw.last}
	if !repeated {
		page.Faults = raw.faults
	}
	for i := range raw.ends {
		if h := raw.hashes[i]; !repeated && !w.skip[h] && !w.earlier[h] {
			page.Objects = append(page.Objects, raw.element(i))
		}
	}
	skipped := len(raw.ends) - len(page.Objects)
	if w.skip != nil && skipped == 0 && raw.last.After(w.last) {
		w.skip = nil
	}
	byDate := w.next == "" && !w.last.IsZero()
	if w.idlePages++; len(page.Objects)+len(page.Faults) > 0 {
		w.idleLaps, w.idlePages = 0, 0
	}
	more = raw.more
	w.checkDates()
	switch {
	case !more:
		w.next = ""
	case w.idlePages > maxIdlePages+len(w.earlier):
		return false, w.fault("%d pages in a row have no new object, and say that more follow", w.idlePages)
	case raw.next != "":
		w.next = raw.next
	case w.disorder:
		return false, w.fault("the answer says that more follow without a next, and its dates go backwards")
	case !w.dated:
		return false, w.fault("the answer says that more follow, but has neither next nor X-TAXII-Date-Added-Last")
	case byDate && len(page.Objects) == 0 && len(raw.hashes) > 0 && !raw.last.After(w.last):
		return false, w.fault("%d objects and more share one date, and there is no next: ask for more objects at once", len(raw.hashes))
	}
	w.advance(more)
	if more && raw.next == "" {
		w.notice("the answer says that more follow without a next, so the walk goes on by date")
		w.resume()
	}
	page.More, page.Position = more, w.storable()
	return more, nil
}

// checkDates tells what is wrong with the dates of a page.
func (w *walk) checkDates() {
	raw := w.raw
	switch {
	case len(raw.hashes)+len(raw.faults) == 0:
	case raw.badDate:
		w.dated = false
		w.notice("X-TAXII-Date-Added-First or -Last is no timestamp")
	case raw.last.IsZero():
		w.dated = false
		w.notice("the answer lacks X-TAXII-Date-Added-Last, so a later walk cannot go on where this one ends")
	case raw.last.Before(w.last), !raw.first.IsZero() && raw.last.Before(raw.first):
		w.disorder, w.dated = true, false
		w.notice("the dates go backwards")
	case !w.disorder:
		w.dated = true
	}
}

// advance moves the position behind the page.
func (w *walk) advance(more bool) {
	raw := w.raw
	if len(raw.hashes)+len(raw.faults) == 0 {
		return
	}
	if raw.last.After(w.last) {
		w.last = raw.last
	}
	switch {
	case w.dated:
	case more:
		w.position.Next = raw.next
		return
	case w.disorder:
		w.position = Position{AddedAfter: w.last}
		return
	default:
		w.position.Next = ""
		return
	}
	// An earlier page may have objects of the date at which this one ends.
	if same := !raw.last.After(w.position.AddedAfter.Add(time.Microsecond)); !same {
		w.seen = w.seen[:0]
	}
	known := setOf(w.seen)
	for _, h := range raw.hashes {
		if !known[h] {
			w.seen = append(w.seen, h)
		}
	}
	after := raw.last
	// Other objects of this date may follow: on the next page or, from a server whose dates
	// are whole seconds, within the second.
	if wholeSeconds := after.Nanosecond() == 0 && len(w.seen) <= maxKnown; len(raw.hashes) > 0 && (more || wholeSeconds) {
		after = after.Add(-time.Microsecond)
	}
	if after.Before(w.query.From.AddedAfter) {
		after = w.query.From.AddedAfter
	}
	w.position = Position{AddedAfter: after, Seen: encodeHashes(w.seen)}
}

// storable is the position after the page for a later walk. A server whose clock was wrong
// for a while may date objects in a far year, and later ones in this year again. So the
// position stays before the page of such a date, and knows its objects.
func (w *walk) storable() Position {
	if !w.position.AddedAfter.After(w.client.config.Now().Add(MaxSkew)) {
		w.settled, w.ahead = w.position, nil
		return w.position
	}
	w.notice("the server dates objects " + taxii.FormatTime(w.raw.last) + ", which is to come, so they are read again by each later walk")
	if w.ahead == nil {
		w.ahead = decodeHashes(w.settled.Seen)
	}
	known := setOf(w.ahead)
	for _, h := range w.raw.hashes {
		if !known[h] && len(w.ahead) < maxAhead {
			known[h], w.ahead = true, append(w.ahead, h)
		}
	}
	return Position{AddedAfter: w.settled.AddedAfter, Seen: encodeHashes(w.ahead)}
}

func setOf(hashes []uint64) map[uint64]bool {
	set := make(map[uint64]bool, len(hashes))
	for _, h := range hashes {
		set[h] = true
	}
	return set
}

func encodeHashes(hashes []uint64) []byte {
	b := make([]byte, 0, 8*len(hashes))
	for _, h := range hashes {
		b = binary.BigEndian.AppendUint64(b, h)
	}
	return b
}

func decodeHashes(b []byte) (hashes []uint64) {
	for ; len(b) >= 8; b = b[8:] {
		hashes = append(hashes, binary.BigEndian.Uint64(b))
	}
	return hashes
}
