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

// strictness is the combined effect of markings. The zero value stands for no
// marking.
type strictness struct {
	tlp, pap  rank
	limitsUse bool    // there is a PAP or IEP marking
	barred    Actions // by the PAP and IEP markings
}

// combine is the stricter of both in each respect.
func (s strictness) combine(t strictness) strictness {
	return strictness{max(s.tlp, t.tlp), max(s.pap, t.pap), s.limitsUse || t.limitsUse, s.barred | t.barred}
}

// labelInputs are all inputs to the decision about one object.
type labelInputs struct {
	own        strictness // of its object markings
	granular   strictness // of its granular markings
	inherited  strictness // of its neighbours, if it is of a kind that inherits
	referenced strictness // of the objects that it refers to, directly or not
	meta       bool       // marking or extension definition
}

// rules are the terms of a flow that concern labels.
type rules struct {
	unmarked       rank // label of an unmarked object; none: it is refused
	required       bool // a label must come from a marking
	floor, ceiling rank
	papMax         rank
	barred         Actions // for an object without a PAP or IEP marking
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

// decide gives the strictness of an object, and the term of the flow that refuses
// it, "" if it is admitted.
//
// The TLP label comes from the object markings. Without any it comes from the
// neighbours, and without those from the flow's rule for unmarked objects. The
// barred actions are found in the same way, but apart from the label: a TLP marking
// does not limit use, and a PAP marking does not limit sharing. Definitions start
// from the floor. Then the floor, the granular markings and the referenced objects
// can make the result stricter, never looser.
func (r *rules) decide(in labelInputs) (s strictness, refused string) {
	switch {
	case in.own.tlp != none:
		s.tlp = in.own.tlp
	case in.meta:
	case in.inherited.tlp != none:
		s.tlp = in.inherited.tlp
	case r.required:
		refused = "require"
	case r.unmarked == none:
		refused = "unmarked"
	default:
		s.tlp = r.unmarked
	}
	switch {
	case in.own.limitsUse:
		s.pap, s.barred = in.own.pap, in.own.barred
	case in.meta:
	case in.inherited.limitsUse:
		s.pap, s.barred = in.inherited.pap, in.inherited.barred
	default:
		s.barred = r.barred
	}
	s = s.combine(strictness{tlp: r.floor}).combine(in.granular).combine(in.referenced)
	switch {
	case refused != "":
	case s.tlp > r.ceiling:
		refused = "tlp_max"
	case s.pap > r.papMax:
		refused = "pap_max"
	}
	return s, refused
}

// effectOfUnknown is the effect of a marking whose definition is neither in the
// push nor in the collection.
func effectOfUnknown(t *agreement.Terms) strictness {
	if t.UnknownMarking == agreement.Ignore {
		return strictness{}
	}
	return strictness{tlp: rankOf(stix.Red)}
}
