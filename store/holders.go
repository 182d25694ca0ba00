package store

import (
	"bytes"
	"cmp"
	"maps"
	"slices"

	"github.com/google/uuid"

	"comity/stix"
	"comity/taxii"
	"comity/taxii/audit"
	"comity/taxii/exchange"
)

// HolderSearch finds the accounts that hold some given records of one collection. An engine
// adds the records first, and then passes the deliveries and gaps whose span overlaps theirs.
type HolderSearch struct {
	known    map[stix.Key]int // index in ids
	ids      []stix.ID
	versions [][]Version // all versions of each of ids
	targets  []target    // in the order of dates
	accounts map[string]*account
}

// NewHolderSearch makes a search for no records yet.
func NewHolderSearch() *HolderSearch {
	return &HolderSearch{known: map[stix.Key]int{}, accounts: map[string]*account{}}
}

// Add adds a record that is still there: version v of the object id. all returns every
// version of the object, and is called once for each object.
func (h *HolderSearch) Add(id stix.ID, v Version, all func() ([]Version, error)) error {
	key := id.Key()
	n, known := h.known[key]
	if !known {
		versions, err := all()
		if err != nil {
			return err
		}
		n = len(h.ids)
		h.known[key] = n
		h.ids, h.versions = append(h.ids, id), append(h.versions, versions)
	}
	at, _ := slices.BinarySearchFunc(h.targets, v.Date, target.compare)
	h.targets = slices.Insert(h.targets, at, target{v, n})
	return nil
}

// Span returns the first and the last date of the records; ok is false if there is none.
func (h *HolderSearch) Span() (first, last Date, ok bool) {
	if len(h.targets) == 0 {
		return 0, 0, false
	}
	return h.targets[0].Date, h.targets[len(h.targets)-1].Date, true
}

// Holders returns the accounts that the deliveries so far gave any of the records, sorted
// by account.
func (h *HolderSearch) Holders() (holders []Holder) {
	for _, name := range slices.Sorted(maps.Keys(h.accounts)) {
		a := h.accounts[name]
		holder := Holder{Account: name, Org: a.org}
		for i, id := range h.ids {
			if a.has[i] {
				holder.IDs = append(holder.IDs, id)
			}
		}
		holders = append(holders, holder)
	}
	return holders
}

// target is one of the records whose holders the search looks for.
type target struct {
	Version
	object int // index in ids
}

func (t target) compare(d Date) int { return cmp.Compare(t.Date, d) }

// account is an account with the objects that it holds.
type account struct {
	org string
	has []bool // by index in ids
}

// Deliver adds the records that one delivery or gap gave its account.
func (h *HolderSearch) Deliver(e *audit.Entry) {
	view, match := exchange.Operator(uuid.Nil).View(), taxii.Match{} // an entry without them hid nothing
	if e.View != nil {
		view = *e.View
	}
	if e.Match != nil {
		match = *e.Match
	}
	types := Narrowed(match.Types, &view)
	shown := newPastQuery(e, view, match)
	from, _ := slices.BinarySearchFunc(h.targets, DateOf(*e.From), target.compare)
	for _, p := range h.targets[from:] {
		if p.Date > DateOf(*e.To) {
			return
		}
		a := h.accounts[e.Account]
		if a != nil && a.has[p.object] {
			continue
		}
		id := h.ids[p.object]
		if match.IDs != nil && !slices.Contains(match.IDs, string(id)) || types != nil && !slices.Contains(types, id.Type()) ||
			!shown.has(h.versions[p.object], p) {
			continue
		}
		if a == nil {
			a = &account{org: e.Org, has: make([]bool, len(h.ids))}
			h.accounts[e.Account] = a
		}
		a.has[p.object] = true
	}
}

// pastQuery decides which versions a recorded query may have shown.
//
// A version can hide another version of its id, but the lack of a version hides none. So
// a version counts as shown unless it was hidden by versions that were certainly there on
// every page: those added up to the entry's HighWater whose retention had not ended when
// the last page was asked for. A version that was removed since cannot be considered.
type pastQuery struct {
	Choice                     // as of the first page
	last        Choice         // as of the last page
	provenUntil Date           // versions added up to here were there on every page
	rivals      map[int]rivals // by object
}

// rivals are, among the versions of one object that were there on every page and have the
// specification version that the query shows, the first and the last.
type rivals struct {
	spec        byte // 0: there are none
	first, last Instant
}

func newPastQuery(e *audit.Entry, view exchange.View, match taxii.Match) *pastQuery {
	s := &pastQuery{Choice: NewChoice(view, match), rivals: map[int]rivals{}}
	if e.Act == audit.Gap { // the queries in a gap are not known
		s.All, s.AllSpecs = true, true
		return s
	}
	if e.HighWater != nil {
		s.provenUntil = DateOf(*e.HighWater)
	}
	if e.Ended != nil && view.At != 0 {
		view.At = uint32(e.Ended.Unix())
	}
	s.last = NewChoice(view, match)
	return s
}

// has tells whether the query may have shown p, which is in the span of its entry. all
// has the versions of the object of p.
func (s *pastQuery) has(all []Version, p target) bool {
	if !s.Admits(p.Spec, p.Handling) {
		return false
	}
	r, known := s.rivals[p.object]
	if !known {
		r = s.rivalsAmong(all)
		s.rivals[p.object] = r
	}
	oneSpec := !s.SpecsSet && !s.AllSpecs
	if r.spec == 0 || oneSpec && p.Spec > r.spec {
		r.first, r.last = p.Instant, p.Instant
	} else if oneSpec && p.Spec < r.spec {
		return false
	}
	return s.All || s.First && bytes.Compare(p.Instant[:], r.first[:]) <= 0 || s.Choice.Last && bytes.Compare(p.Instant[:], r.last[:]) >= 0 ||
		slices.Contains(s.At, p.Instant)
}

// rivalsAmong finds the rivals among the versions of one object.
func (s *pastQuery) rivalsAmong(all []Version) (r rivals) {
	for _, v := range all {
		if v.Date > s.provenUntil || !s.last.Admits(v.Spec, v.Handling) || !s.SpecsSet && !s.AllSpecs && v.Spec < r.spec {
			continue
		}
		if r.spec == 0 || !s.SpecsSet && !s.AllSpecs && v.Spec > r.spec {
			r = rivals{v.Spec, v.Instant, v.Instant}
		}
		if bytes.Compare(v.Instant[:], r.first[:]) < 0 {
			r.first = v.Instant
		}
		if bytes.Compare(v.Instant[:], r.last[:]) > 0 {
			r.last = v.Instant
		}
	}
	return r
}
