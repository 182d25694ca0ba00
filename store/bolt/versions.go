package bolt

import (
	"bytes"
	"slices"

	"comity/stix"
	"comity/store"
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
	date    date
	instant instant
	spec    byte
	label   stix.TLP
	none    bool // no version of its own
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

// differs tells whether two versions of an id make it a mixed one.
func (v version) differs(w version) bool {
	return v.label != w.label || v.spec != w.spec || v.none != w.none
}

func anyDiffers(vs []version) bool {
	return slices.ContainsFunc(vs, func(v version) bool { return v.differs(vs[0]) })
}

// choice is the part of a query that chooses between the versions of one id.
type choice struct {
	grant    exchange.Grant
	specs    []byte // nil: the highest that is visible, or every, says allSpecs
	specsSet bool
	allSpecs bool
	all      bool
	first    bool
	last     bool
	at       []instant
}

func newChoice(g exchange.Grant, q store.Query) choice {
	c := choice{grant: g, specsSet: q.Specs != nil, all: q.Versions.All, first: q.Versions.First, last: q.Versions.Last || q.Versions.IsLast()}
	for _, s := range q.Specs {
		if s == "2.0" || s == "2.1" {
			c.specs = append(c.specs, specOf(s))
		}
	}
	for _, t := range q.Versions.At {
		c.at = append(c.at, instantOf(t))
	}
	return c
}

// onlyLast tells whether the newest version is all that is asked for.
func (c *choice) onlyLast() bool { return !c.all && !c.first && len(c.at) == 0 }

// admits tells whether a version is a candidate as far as it alone can say.
func (c *choice) admits(spec byte, label stix.TLP) bool {
	return c.grant.Sees(label) && (!c.specsSet || slices.Contains(c.specs, spec))
}

// pick is which of all versions of one id the query means, law 6 and A-04 in
// one place: of the versions the caller may see, those of the specification
// versions asked for, or else of the highest one; of these the first, the last,
// those at an instant, or all. Versions at the same instant are first or last
// together. vs is not kept.
func (c *choice) pick(vs []version) []version {
	var candidates []version
	for _, v := range vs {
		if !c.admits(v.spec, v.label) {
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
