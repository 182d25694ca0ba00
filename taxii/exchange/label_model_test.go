package exchange_test

import (
	"fmt"
	"strings"
	"testing"

	"comity/stix"
	"comity/taxii/exchange"
)

// labelState is one object while its label is computed. TLP and PAP are numbered from 1; 0 is
// none.
type labelState struct {
	o         *stix.Object
	refs      map[stix.ID]bool // includes markings without a level
	own, part strictness
	all       strictness
	refused   string
}

type strictness struct {
	tlp, pap int
	use      bool
	barred   exchange.Actions
}

func (l *strictness) add(m strictness) {
	l.tlp, l.pap, l.use, l.barred = max(l.tlp, m.tlp), max(l.pap, m.pap), l.use || m.use, l.barred|m.barred
}

// expectedVerdicts computes the verdicts that judge should return, by the rules as they are written.
func expectedVerdicts(t testing.TB, c *exchange.Collection, push []testObject) []string {
	all := make([]*labelState, len(push))
	for i, th := range push {
		all[i] = &labelState{o: th.object(t), refs: map[stix.ID]bool{}}
	}
	for _, s := range all {
		if s.o.Forged() {
			s.refused = forgery
			s.all.tlp = 1 + int(c.Terms.Floor)
			continue
		}
		s.o.References(func(property string, to stix.ID) {
			if property != "created_by_ref" {
				s.refs[to] = true
			}
		})
		for _, mark := range s.o.Markings {
			s.own.add(effectOf(mark, s, all, push, c))
		}
		for _, mark := range s.o.Granular {
			s.part.add(effectOf(mark, s, all, push, c))
		}
	}
	for i, s := range all {
		if s.refused != "" {
			continue
		}
		meta := s.o.Type == "marking-definition"
		label := inherited(i, all, c, func(l strictness) bool { return l.tlp > 0 }, map[int]bool{})
		use := inherited(i, all, c, func(l strictness) bool { return l.use }, map[int]bool{})
		switch {
		case s.own.tlp > 0:
			s.all.tlp = s.own.tlp
		case meta:
		case label.tlp > 0:
			s.all.tlp = label.tlp
		case c.Terms.Unmarked == nil:
			s.refused = unmarked
		default:
			s.all.tlp = 1 + int(*c.Terms.Unmarked)
		}
		switch {
		case s.own.use:
			s.all.add(strictness{pap: s.own.pap, barred: s.own.barred})
		case meta:
		case use.use:
			s.all.add(strictness{pap: use.pap, barred: use.barred})
		default:
			s.all.add(strictness{barred: c.Default})
		}
		s.all.add(s.part)
		s.all.add(strictness{tlp: 1 + int(c.Terms.Floor)})
	}
	for range push { // the longest way of a label visits every object
		for _, s := range all {
			for to := range s.refs {
				for _, other := range all {
					if other.o.ID == to {
						s.all.add(other.all)
					}
				}
				for name, h := range alreadyHeld {
					if id(name) == to {
						s.all.add(strictness{tlp: 1 + int(h.Handling.TLP), barred: h.Handling.Barred})
					}
				}
			}
		}
	}
	verdicts := make([]string, len(push))
	for i, s := range all {
		tlp, pap := stix.TLP(s.all.tlp-1), stix.PAP(s.all.pap-1)
		switch {
		case s.refused != "":
			verdicts[i] = s.refused
		case tlp > c.Terms.Max:
			verdicts[i] = fmt.Sprintf("article 4: %s above %s", strings.ToUpper(tlp.String()), strings.ToUpper(c.Terms.Max.String()))
		case s.all.pap > 0 && pap.String() == "red" && c.Terms.PAPMax == "amber":
			verdicts[i] = redAboveAmber
		default:
			verdicts[i] = tlp.String() + " without " + s.all.barred.String()
		}
	}
	return verdicts
}

// effectOf returns the effect of one marking of s: by its id, or by every definition of that
// id. A marking that is not the standard's counts as a reference too.
func effectOf(mark stix.ID, s *labelState, all []*labelState, push []testObject, c *exchange.Collection) (effect strictness) {
	if tlp, ok := stix.MarkingTLP(mark); ok {
		return strictness{tlp: 1 + int(tlp)}
	}
	if pap, ok := stix.MarkingPAP(mark); ok {
		barred := map[stix.PAP]exchange.Actions{stix.PAPAmber: exchange.Block | exchange.Notify, stix.PAPRed: exchange.Lookup | exchange.Block | exchange.Notify}
		return strictness{pap: 1 + int(pap), use: true, barred: barred[pap]}
	}
	s.refs[mark] = true
	known := false
	for i, other := range all {
		if other.o.ID == mark {
			known = true
			effect.add(effectOfDefinition(push[i].Extra))
		}
	}
	for name, h := range alreadyHeld {
		if id(name) == mark {
			known = true
			effect.add(effectOfDefinition(strings.Trim(string(h.Definition), "{}") + "}}"))
		}
	}
	if !known && c.Terms.UnknownMarking != "ignore" {
		return strictness{tlp: 1 + int(stix.Red)}
	}
	return effect
}

// effectOfDefinition returns the effect of the definitions of drawPush and inHand.
func effectOfDefinition(extra string) strictness {
	switch extra {
	case iep("internally-visible-actions", "must-not"):
		return strictness{use: true, barred: exchange.AllActions &^ exchange.Search}
	case iep("externally-visible-indirect-actions", "must-not"):
		return strictness{use: true, barred: exchange.Block | exchange.Notify}
	case iep("externally-visible-direct-actions", "must-not"):
		return strictness{use: true, barred: exchange.Notify}
	case acs("deny", "deny"):
		return strictness{tlp: 1 + int(stix.Red)}
	}
	return strictness{}
}

// inherited returns the strictest of the own markings of the neighbours of i. A neighbour without
// one passes on those of its own neighbours, if it may inherit. Versions of one object are
// neighbours.
func inherited(i int, all []*labelState, c *exchange.Collection, speaks func(strictness) bool, seen map[int]bool) (best strictness) {
	silent := func(s *labelState) bool {
		return !speaks(s.own) && c.Terms.UnmarkedObservables == "inherit" &&
			(s.o.Type == "relationship" || s.o.Type == "ipv4-addr" || s.o.Type == "identity")
	}
	if !silent(all[i]) {
		return strictness{}
	}
	seen[i] = true
	for j, other := range all {
		sameID := other.o.ID == all[i].o.ID && silent(other)
		if seen[j] || !sameID && !all[i].refs[other.o.ID] && !other.refs[all[i].o.ID] {
			continue
		}
		if silent(other) {
			best.add(inherited(j, all, c, speaks, seen))
		} else {
			best.add(other.own)
		}
	}
	return best
}
