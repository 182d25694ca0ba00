package store

import (
	"time"

	"comity/stix"
	"comity/stix/rawjson"
	"comity/taxii"
	"comity/taxii/exchange"
)

// Query asks for records of one collection. It chooses between the versions of an
// object that the caller may see and that are of the specification versions asked
// for. Versions at the same instant are first or last together.
type Query struct {
	taxii.Match
	After    time.Time // exclusive; zero: from the beginning
	Limit    int       // at least 1
	MaxBytes int       // a page ends before it grows larger, but holds one object at least; 0: no bound
	Detail   bool      // for upkeep: fill in Page.Details, and miss nothing that any process has acknowledged
	Into     *Page     // filled and returned, so that its memory is used again; nil: a new page
}

// Page is a page of objects.
type Page struct {
	Buffer  []byte   // the bytes that were in the Buffer of Query.Into, then Objects
	Objects []byte   // JSON objects joined by commas
	Ends    []int    // where each object ends in Objects
	Added   []int64  // date_added of each object, in µs since 1970
	Sums    []uint32 // CRC-32C of each object
	First   time.Time
	Last    time.Time // date_added of the first and the last entry; zero if empty
	Details []Detail  // of each object, if asked for
	Standing
}

// State identifies the state of a collection: a collection that has changed has
// another State. States are not comparable across restarts of the store.
type State struct {
	Past uint64 // changes when a record is removed, or a version is added to an id that was there
	End  uint64 // changes when any record is added
}

// Standing says how long a page remains the answer to its query.
type Standing struct {
	More  bool   // entries follow that the caller may see
	State State  // of the collection as it was read
	Asked uint32 // Unix second of the query: [exchange.View]
	Until uint32 // Unix second from which retention changes the answer; 0: never

	// HighWater is the last date_added that the collection had ever given when the
	// page was read: the page was chosen from the records that were added up to then.
	// It is zero if that is not known. Unlike State it outlives a restart.
	HighWater time.Time
}

// Holds tells whether the same query has the same answer in that state of the
// collection, if the same view asks at that Unix second. It may be false although
// the answer is the same. A full page holds whatever is added behind it.
func (s *Standing) Holds(now State, at uint32) bool {
	return now.Past == s.State.Past && (s.More || now.End == s.State.End) && at >= s.Asked && (s.Until == 0 || at < s.Until)
}

// Clear empties a page but for its Buffer, and keeps the memory of its slices.
func (p *Page) Clear() {
	*p = Page{Buffer: p.Buffer, Ends: p.Ends[:0], Added: p.Added[:0], Sums: p.Sums[:0], Details: p.Details[:0]}
}

// Detail is the part of a record beside its object.
type Detail struct {
	DateAdded time.Time
	Handling  exchange.Handling
}

// Len is the number of objects.
func (p *Page) Len() int { return len(p.Ends) }

// Object is the JSON of the i-th object.
func (p *Page) Object(i int) []byte {
	if i == 0 {
		return p.Objects[:p.Ends[0]]
	}
	return p.Objects[p.Ends[i-1]+1 : p.Ends[i]]
}

// IDs are those of the objects. One that cannot be read is left out.
func (p *Page) IDs() (ids []stix.ID) {
	for i := range p.Len() {
		if id, ok := rawjson.Text(rawjson.Member(p.Object(i), "id")); ok {
			ids = append(ids, stix.ID(id))
		}
	}
	return ids
}

// Manifest is a page of descriptions.
type Manifest struct {
	Records []Record
	Standing
}

// IDs are those of the records.
func (m *Manifest) IDs() (ids []stix.ID) {
	for _, r := range m.Records {
		ids = append(ids, r.ID)
	}
	return ids
}

// Record describes one stored version of an object.
type Record struct {
	ID        stix.ID
	Version   string // modified, else created, as spelled in the object; else date_added
	Spec      string // "2.0" or "2.1"
	DateAdded time.Time
}
