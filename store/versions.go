package store

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"
	"time"

	"comity/stix"
	"comity/taxii"
	"comity/taxii/exchange"
)

// Date is a date_added in µs since 1970, always whole milliseconds; 0 is none.
type Date uint64

// DateOf cuts a time to µs; one before 1970 is none.
func DateOf(t time.Time) Date { return Date(max(t.UnixMicro(), 0)) }

// Time is the date in UTC.
func (d Date) Time() time.Time { return time.UnixMicro(int64(d)).UTC() }

// Pointer is the date as an audit entry has it; nil if there is none.
func (d Date) Pointer() *time.Time {
	if d == 0 {
		return nil
	}
	t := d.Time()
	return &t
}

// DateAfter returns the date of a record that is added now, to a collection whose last date
// is last: the time rounded up to a millisecond, but always later than every date before. A
// date rounded down could be earlier than the time at which somebody has just polled, who
// would miss the record.
func DateAfter(last Date, now time.Time) Date {
	return max(DateOf(now.Add(time.Millisecond-1))/1000*1000, last+1000)
}

// Instant is a point in time that sorts as bytes: seconds since 1970 with the
// sign bit flipped, and nanoseconds.
type Instant [12]byte

// InstantOf keeps the nanoseconds, and not the zone.
func InstantOf(t time.Time) (i Instant) {
	binary.BigEndian.PutUint64(i[:], uint64(t.Unix())^1<<63)
	binary.BigEndian.PutUint32(i[8:], uint32(t.Nanosecond()))
	return i
}

// Time is the instant in UTC.
func (i Instant) Time() time.Time {
	return time.Unix(int64(binary.BigEndian.Uint64(i[:])^1<<63), int64(binary.BigEndian.Uint32(i[8:]))).UTC()
}

// The specification versions, as they are ordered.
const (
	Spec20 = 20
	Spec21 = 21
)

// SpecOf is the number of a specification version; every other than 2.0 is 2.1.
func SpecOf(s string) byte {
	if s == "2.0" {
		return Spec20
	}
	return Spec21
}

// SpecText is the inverse of SpecOf.
func SpecText(spec byte) string {
	if spec == Spec20 {
		return "2.0"
	}
	return "2.1"
}

// Version describes one version of an object, as far as the choice between the
// versions of one id depends on it.
type Version struct {
	Date     Date
	Instant  Instant
	Spec     byte
	Handling exchange.Handling
	None     bool // the object states no version: Instant is its date_added
}

// VersionOf describes an object that has not been added yet.
func VersionOf(o *stix.Object, h exchange.Handling) Version {
	v := o.Version()
	return Version{Instant: InstantOf(v.Time()), Spec: SpecOf(o.Spec), Handling: h, None: v.IsZero()}
}

// AddedAt returns v with that date.
func (v Version) AddedAt(d Date) Version {
	if v.Date = d; v.None {
		v.Instant = InstantOf(d.Time())
	}
	return v
}

// Same tells whether v and w are the same version of one id.
func (v Version) Same(w Version) bool {
	return v.None == w.None && (v.None || v.Spec == w.Spec && v.Instant == w.Instant)
}

// Compare orders the versions of one id: by specification version, then by instant,
// then by date. The last one is the newest.
func (v Version) Compare(w Version) int {
	switch {
	case v.Spec != w.Spec:
		return int(v.Spec) - int(w.Spec)
	case v.Instant != w.Instant:
		return bytes.Compare(v.Instant[:], w.Instant[:])
	case v.Date < w.Date:
		return -1
	case v.Date > w.Date:
		return 1
	}
	return 0
}

// Differs tells whether the version w, next after v in the order of Compare,
// makes their id a mixed one: a caller may get v in the place of w, because w is
// hidden from it or of a specification version that it did not ask for. A longer
// retention of w makes no difference: v is then gone no later than w.
func (w Version) Differs(v Version) bool {
	h, i := w.Handling, v.Handling
	return w.Spec != v.Spec || w.None != v.None || h.TLP != i.TLP || h.Barred != i.Barred || ends(h) < ends(i)
}

// ends is the second from which a record is gone.
func ends(h exchange.Handling) uint64 {
	if h.Until == 0 {
		return math.MaxUint64
	}
	return uint64(h.Until)
}

// AnyDiffer tells whether an id of these versions, in the order of Compare, is a mixed
// one: some callers are to get another version than the newest.
func AnyDiffer(vs []Version) bool {
	for i := range vs[1:] {
		if vs[i+1].Differs(vs[i]) {
			return true
		}
	}
	return false
}

// Choice is the part of a query that chooses between the versions of one id.
type Choice struct {
	View     exchange.View
	Specs    []byte // nil: the highest that is visible, or every, as AllSpecs says
	SpecsSet bool   // Specs counts, even if it is empty
	AllSpecs bool
	All      bool
	First    bool
	Last     bool
	At       []Instant
	Until    uint32 // Unix second when the first of what was admitted ends; 0: none ends
}

// NewChoice is what a query chooses for a view.
func NewChoice(view exchange.View, m taxii.Match) Choice {
	c := Choice{View: view, SpecsSet: m.Specs != nil, All: m.Versions.All, First: m.Versions.First, Last: m.Versions.Last || m.Versions.IsLast()}
	for _, s := range m.Specs {
		if s == "2.0" || s == "2.1" {
			c.Specs = append(c.Specs, SpecOf(s))
		}
	}
	for _, t := range m.Versions.At {
		c.At = append(c.At, InstantOf(t))
	}
	return c
}

// Narrowed are the types that a query asks for, of those that the view leaves;
// nil is all.
func Narrowed(asked []string, view *exchange.View) []string {
	switch {
	case view.Types == nil:
		return asked
	case asked == nil:
		return view.Types
	}
	left := []string{}
	for _, t := range asked {
		if slices.Contains(view.Types, t) {
			left = append(left, t)
		}
	}
	return left
}

// OnlyLast tells whether the query asks for the newest version and no other.
func (c *Choice) OnlyLast() bool { return !c.All && !c.First && len(c.At) == 0 }

// Admits tells whether a version is a candidate, without a look at the others. A
// version that is past its retention at the time of the view stays so, hence Until
// counts only the retention of admitted ones.
func (c *Choice) Admits(spec byte, h exchange.Handling) bool {
	if !c.View.Sees(h) || c.SpecsSet && !slices.Contains(c.Specs, spec) {
		return false
	}
	if h.Until != 0 && (c.Until == 0 || h.Until < c.Until) {
		c.Until = h.Until
	}
	return true
}

// Pick returns those of all versions of one id that the query asks for. Of the
// versions that the caller may see, it takes those of the specification versions
// asked for, or else of the highest one; of these the first, the last, those at an
// instant, or all. Versions at the same instant are first or last together. vs is
// not kept.
func (c *Choice) Pick(vs []Version) []Version {
	var candidates []Version
	for _, v := range vs {
		if !c.Admits(v.Spec, v.Handling) {
			continue
		}
		if !c.SpecsSet && !c.AllSpecs && len(candidates) > 0 {
			if v.Spec < candidates[0].Spec {
				continue
			}
			if v.Spec > candidates[0].Spec {
				candidates = candidates[:0]
			}
		}
		candidates = append(candidates, v)
	}
	if c.All || len(candidates) == 0 {
		return candidates
	}
	byInstant := func(v, w Version) int { return bytes.Compare(v.Instant[:], w.Instant[:]) }
	first, last := slices.MinFunc(candidates, byInstant).Instant, slices.MaxFunc(candidates, byInstant).Instant
	return slices.DeleteFunc(candidates, func(v Version) bool {
		return !(c.First && v.Instant == first || c.Last && v.Instant == last || slices.Contains(c.At, v.Instant))
	})
}
