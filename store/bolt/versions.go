package bolt

import (
	"bytes"
	"math"
	"slices"

	"go.etcd.io/bbolt"

	"comity/stix"
	"comity/taxii"
	"comity/taxii/exchange"
)

// The specification versions, as they are ordered.
const (
	spec20 = 20
	spec21 = 21
)

func specOf(s string) byte {
	if s == "2.0" {
		return spec20
	}
	return spec21
}

func specText(spec byte) string {
	if spec == spec20 {
		return "2.0"
	}
	return "2.1"
}

// version is what choosing between the versions of one id takes.
type version struct {
	date     date
	instant  instant
	spec     byte
	handling exchange.Handling
	none     bool // no version of its own
}

// same tells whether v and w are the same version of one id.
func (v version) same(w version) bool {
	return v.none == w.none && (v.none || v.spec == w.spec && v.instant == w.instant)
}

// compare orders the versions of one id: by specification version, then by
// instant. It is the order of ver; its last is in live.
func (v version) compare(w version) int {
	switch {
	case v.spec != w.spec:
		return int(v.spec) - int(w.spec)
	case v.instant != w.instant:
		return bytes.Compare(v.instant[:], w.instant[:])
	case v.date < w.date:
		return -1
	case v.date > w.date:
		return 1
	}
	return 0
}

// differs tells whether the version w, next after v in the order of compare,
// makes their id a mixed one: somebody who may not see w could still see v, or
// asks for the versions of one specification. A newer version that is kept for
// longer does not: whoever comes too late for it does so for the older as well.
func (w version) differs(v version) bool {
	h, i := w.handling, v.handling
	return w.spec != v.spec || w.none != v.none || h.TLP != i.TLP || h.Barred != i.Barred || ends(h) < ends(i)
}

// ends is the second from which a record is gone.
func ends(h exchange.Handling) uint64 {
	if h.Until == 0 {
		return math.MaxUint64
	}
	return uint64(h.Until)
}

// anyDiffers tells whether an id of these versions, in the order of compare,
// is a mixed one.
func anyDiffers(vs []version) bool {
	for i := range vs[1:] {
		if vs[i+1].differs(vs[i]) {
			return true
		}
	}
	return false
}

// choice is the part of a query that chooses between the versions of one id.
type choice struct {
	view     exchange.View
	specs    []byte // nil: the highest that is visible, or every, says allSpecs
	specsSet bool
	allSpecs bool
	all      bool
	first    bool
	last     bool
	at       []instant
	until    uint32 // Unix second when the first of what was admitted ends; 0: none ends
}

func newChoice(view exchange.View, m taxii.Match) choice {
	c := choice{view: view, specsSet: m.Specs != nil, all: m.Versions.All, first: m.Versions.First, last: m.Versions.Last || m.Versions.IsLast()}
	for _, s := range m.Specs {
		if s == "2.0" || s == "2.1" {
			c.specs = append(c.specs, specOf(s))
		}
	}
	for _, t := range m.Versions.At {
		c.at = append(c.at, instantOf(t))
	}
	return c
}

// narrowed are the types that a query asks for, of those that the view leaves;
// nil is all.
func narrowed(asked []string, view *exchange.View) []string {
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

// onlyLast tells whether the newest version is all that is asked for.
func (c *choice) onlyLast() bool { return !c.all && !c.first && len(c.at) == 0 }

// admits tells whether a version is a candidate as far as it alone can say. What
// is not admitted for the time of the view would not be later.
func (c *choice) admits(spec byte, h exchange.Handling) bool {
	if !c.view.Sees(h) || c.specsSet && !slices.Contains(c.specs, spec) {
		return false
	}
	if h.Until != 0 && (c.until == 0 || h.Until < c.until) {
		c.until = h.Until
	}
	return true
}

// pick is which of all versions of one id the query means, law 6 and A-04 in
// one place: of the versions the caller may see, those of the specification
// versions asked for, or else of the highest one; of these the first, the last,
// those at an instant, or all. Versions at the same instant are first or last
// together. vs is not kept.
func (c *choice) pick(vs []version) []version {
	var candidates []version
	for _, v := range vs {
		if !c.admits(v.spec, v.handling) {
			continue
		}
		if !c.specsSet && !c.allSpecs && len(candidates) > 0 {
			if v.spec < candidates[0].spec {
				continue
			}
			if v.spec > candidates[0].spec {
				candidates = candidates[:0]
			}
		}
		candidates = append(candidates, v)
	}
	if c.all || len(candidates) == 0 {
		return candidates
	}
	byInstant := func(v, w version) int { return bytes.Compare(v.instant[:], w.instant[:]) }
	first, last := slices.MinFunc(candidates, byInstant).instant, slices.MaxFunc(candidates, byInstant).instant
	return slices.DeleteFunc(candidates, func(v version) bool {
		return !(c.first && v.instant == first || c.last && v.instant == last || slices.Contains(c.at, v.instant))
	})
}

// addVersion adds a version to an id that is there. It takes the same time however
// many versions there are, unless v is the first that differs from the others.
func (c *collectionTx) addVersion(key stix.Key, at date, v version, r record) error {
	c.past = true
	first, _, err := c.record(at)
	if err != nil {
		return err
	}
	newest := first.version(at)
	if multi := first.is(flagMulti); multi {
		if newest, err = c.newest(key); err != nil {
			return err
		}
	} else if err := c.ver.Put(verKey(key, newest), verValue(newest)); err != nil {
		return err
	}
	if err := c.ver.Put(verKey(key, v), verValue(v)); err != nil {
		return err
	}
	old, live, err := c.record(newest.date)
	if err != nil {
		return err
	}
	if !live {
		return damaged("the newest version of an id, added %s, is not in live", newest.date.time())
	}
	if v.compare(newest) > 0 {
		// Copied before it is dropped: bbolt may move what it points at.
		old = old.with(true)
		err = firstOf(c.dropLive(newest.date, old), c.putHist(newest.date, old), c.putLive(v.date, r))
	} else {
		if !old.is(flagMulti) {
			err = c.live.Put(newest.date.key(), old.with(true))
		}
		err = firstOf(err, c.putHist(v.date, r))
	}
	if err != nil {
		return err
	}
	return c.updateMixed(key, newest, v)
}

// updateMixed enters v into mixed if its id is there, and the whole id if v is what
// makes it a mixed one: then it differs from a version next to it.
func (c *collectionTx) updateMixed(key stix.Key, newest, v version) error {
	if c.mixed.Get(newest.date.key()) != nil {
		return c.mixed.Put(v.date.key(), bytes.Clone(key[:]))
	}
	before, after, err := c.neighbours(key, v)
	if err != nil || (before == nil || !v.differs(*before)) && (after == nil || !after.differs(v)) {
		return err
	}
	vs, err := c.group(key)
	if err != nil {
		return err
	}
	return putMixed(c.mixed, key, vs)
}

// neighbours are the versions next to v, which is in ver; nil if there is none.
func (c *collectionTx) neighbours(key stix.Key, v version) (before, after *version, err error) {
	cursor := c.ver.Cursor()
	for _, n := range []struct {
		to   **version
		step func() (k, value []byte)
	}{{&before, cursor.Prev}, {&after, cursor.Next}} {
		cursor.Seek(verKey(key, v))
		k, value := n.step()
		if !bytes.HasPrefix(k, key[:]) {
			continue
		}
		w, ok := parseVer(k, value)
		if !ok {
			return nil, nil, damaged("an entry of ver is malformed")
		}
		*n.to = &w
	}
	return before, after, nil
}

func putMixed(mixed *bbolt.Bucket, key stix.Key, vs []version) error {
	for _, v := range vs {
		if err := mixed.Put(v.date.key(), bytes.Clone(key[:])); err != nil {
			return err
		}
	}
	return nil
}
