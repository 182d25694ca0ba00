package exchange

import (
	"slices"

	"comity/stix"
	"comity/taxii/agreement"
)

// rank is a label or a level counted from one; none stands for no label.
type rank uint8

const none rank = 0

func rankOf[L stix.TLP | stix.PAP](level L) rank { return rank(level) + 1 }

// strictness is what markings say together. The zero value is no marking.
type strictness struct {
	tlp, pap rank
	use      bool    // they say what may be done: PAP or IEP
	barred   Actions // what may not
}

// and is the stricter of both in each respect.
func (s strictness) and(t strictness) strictness {
	return strictness{max(s.tlp, t.tlp), max(s.pap, t.pap), s.use || t.use, s.barred | t.barred}
}

// evidence is all that the handling of one object depends on.
type evidence struct {
	own        strictness // the markings of the whole
	granular   strictness // the markings of its parts
	inherited  strictness // of its neighbours, if it is of a kind that inherits
	referenced strictness // of what it refers to, directly or not
	meta       bool       // marking or extension definition
}

// rules are what a flow says of labels.
type rules struct {
	unmarked       rank // label of what has none; none: it is refused
	required       bool // a label must come from a marking
	floor, ceiling rank
	papMax         rank
	barred         Actions // where no marking says what may be done
}

func rulesOf(c *Collection) rules {
	t := &c.Terms
	papMax, _ := stix.ParsePAP(t.PAPMax) // red where the terms are silent
	r := rules{
		required: slices.Contains(t.Require, "tlp"),
		floor:    rankOf(t.Floor),
		ceiling:  rankOf(t.Max),
		papMax:   rankOf(papMax),
		barred:   c.Default,
	}
	if t.Unmarked != nil {
		r.unmarked = rankOf(*t.Unmarked)
	}
	return r
}

// decide is the precedence of §2.5: how an object is handled, and the term of
// the flow that refuses it, "" if it is admitted.
//
// Who may see it follows from the markings of the whole; without any from its
// neighbours; else from the flow's rule for the unmarked. What may be done with
// it follows in the same way, of itself: a TLP marking says nothing of use, nor
// a PAP marking of sharing. Definitions start from the floor. Then floor, parts
// and what it refers to make it stricter, never looser.
func (r *rules) decide(e evidence) (s strictness, refused string) {
	switch {
	case e.own.tlp != none:
		s.tlp = e.own.tlp
	case e.meta:
	case e.inherited.tlp != none:
		s.tlp = e.inherited.tlp
	case r.required:
		refused = "require"
	case r.unmarked == none:
		refused = "unmarked"
	default:
		s.tlp = r.unmarked
	}
	switch {
	case e.own.use:
		s.pap, s.barred = e.own.pap, e.own.barred
	case e.meta:
	case e.inherited.use:
		s.pap, s.barred = e.inherited.pap, e.inherited.barred
	default:
		s.barred = r.barred
	}
	s = s.and(strictness{tlp: r.floor}).and(e.granular).and(e.referenced)
	switch {
	case refused != "":
	case s.tlp > r.ceiling:
		refused = "tlp_max"
	case s.pap > r.papMax:
		refused = "pap_max"
	}
	return s, refused
}

// unknown is what a marking says whose definition is neither known nor sent.
func unknown(t *agreement.Terms) strictness {
	if t.UnknownMarking == agreement.Ignore {
		return strictness{}
	}
	return strictness{tlp: rankOf(stix.Red)}
}
