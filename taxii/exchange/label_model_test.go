package exchange_test

import (
	"fmt"
	"strings"
	"testing"

	"comity/stix"
	"comity/taxii/exchange"
)

// slow is the state of one object on the way to its verdict. TLP and PAP are counted
// from 1; 0 is none.
type slow struct {
	o         *stix.Object
	refs      map[stix.ID]bool // markings of no level included
	own, part level
	all       level
	refused   string
}

type level struct {
	tlp, pap int
	use      bool
	barred   exchange.Actions
}

func (l *level) add(m level) {
	l.tlp, l.pap, l.use, l.barred = max(l.tlp, m.tlp), max(l.pap, m.pap), l.use || m.use, l.barred|m.barred
}

// slowly says what judge would.
func slowly(t testing.TB, c *exchange.Collection, push []thing) []string {
	all := make([]*slow, len(push))
	for i, th := range push {
		all[i] = &slow{o: th.object(t), refs: map[stix.ID]bool{}}
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
			s.own.add(meaning(mark, s, all, push, c))
		}
		for _, mark := range s.o.Granular {
			s.part.add(meaning(mark, s, all, push, c))
		}
	}
	for i, s := range all {
		if s.refused != "" {
			continue
		}
		meta := s.o.Type == "marking-definition"
		label := reach(i, all, c, func(l level) bool { return l.tlp > 0 }, map[int]bool{})
		use := reach(i, all, c, func(l level) bool { return l.use }, map[int]bool{})
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
			s.all.add(level{pap: s.own.pap, barred: s.own.barred})
		case meta:
		case use.use:
			s.all.add(level{pap: use.pap, barred: use.barred})
		default:
			s.all.add(level{barred: c.Default})
		}
		s.all.add(s.part)
		s.all.add(level{tlp: 1 + int(c.Terms.Floor)})
	}
	for range push { // as often as a label can travel on
		for _, s := range all {
			for to := range s.refs {
				for _, other := range all {
					if other.o.ID == to {
						s.all.add(other.all)
					}
				}
				for name, h := range inHand {
					if id(name) == to {
						s.all.add(level{tlp: 1 + int(h.Handling.TLP), barred: h.Handling.Barred})
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

// meaning is what one marking of s says: by its id, or by every definition of
// that id. One that is none of the standard's is referred to as well.
func meaning(mark stix.ID, s *slow, all []*slow, push []thing, c *exchange.Collection) (says level) {
	if tlp, ok := stix.MarkingTLP(mark); ok {
		return level{tlp: 1 + int(tlp)}
	}
	if pap, ok := stix.MarkingPAP(mark); ok {
		barred := map[stix.PAP]exchange.Actions{stix.PAPAmber: exchange.Block | exchange.Notify, stix.PAPRed: exchange.Lookup | exchange.Block | exchange.Notify}
		return level{pap: 1 + int(pap), use: true, barred: barred[pap]}
	}
	s.refs[mark] = true
	known := false
	for i, other := range all {
		if other.o.ID == mark {
			known = true
			says.add(content(push[i].Extra))
		}
	}
	for name, h := range inHand {
		if id(name) == mark {
			known = true
			says.add(content(strings.Trim(string(h.Definition), "{}") + "}}"))
		}
	}
	if !known && c.Terms.UnknownMarking != "ignore" {
		return level{tlp: 1 + int(stix.Red)}
	}
	return says
}

// content is the effect of the definitions of drawPush and inHand.
func content(extra string) level {
	switch extra {
	case iep("internally-visible-actions", "must-not"):
		return level{use: true, barred: exchange.AllActions &^ exchange.Search}
	case iep("externally-visible-indirect-actions", "must-not"):
		return level{use: true, barred: exchange.Block | exchange.Notify}
	case iep("externally-visible-direct-actions", "must-not"):
		return level{use: true, barred: exchange.Notify}
	case acs("deny", "deny"):
		return level{tlp: 1 + int(stix.Red)}
	}
	return level{}
}

// reach is what speaks among the own markings next to i or to silent neighbours
// like it; versions of one object are neighbours.
func reach(i int, all []*slow, c *exchange.Collection, speaks func(level) bool, seen map[int]bool) (best level) {
	silent := func(s *slow) bool {
		return !speaks(s.own) && c.Terms.UnmarkedObservables == "inherit" &&
			(s.o.Type == "relationship" || s.o.Type == "ipv4-addr" || s.o.Type == "identity")
	}
	if !silent(all[i]) {
		return level{}
	}
	seen[i] = true
	for j, other := range all {
		sameID := other.o.ID == all[i].o.ID && silent(other)
		if seen[j] || !sameID && !all[i].refs[other.o.ID] && !other.refs[all[i].o.ID] {
			continue
		}
		if silent(other) {
			best.add(reach(j, all, c, speaks, seen))
		} else {
			best.add(other.own)
		}
	}
	return best
}
