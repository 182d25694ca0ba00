package agreement

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Change is one thing that one organisation gains or loses by a new version.
type Change struct {
	Organisation string
	Collection   string // its alias, "" if the agreement as a whole is meant
	Gains        string // in words, "" if it loses
	Loses        string // in words, "" if it gains
	Article      string // behind what is gained in the new version, or lost in the old: "4", of a parent "dea-x art. 4"
}

// Diff finds who gains and who loses what between two versions of an
// agreement, by organisation, then collection. Where one passes another by,
// as with a label that leaves as something else, each is told of its side.
// Parents is as for [Agreement.Explain]: of a child agreement the terms it
// takes from its parents are compared too. What neither widens nor narrows a
// right is given as its text before and after. The words of the articles are
// not compared.
func Diff(old, new *Agreement, parents func(id string) *Agreement) []Change {
	d := differ{old: old, new: new}
	before, after := standings(old, parents), standings(new, parents)
	keys := slices.Collect(maps.Keys(before))
	for key := range after {
		if _, ok := before[key]; !ok {
			keys = append(keys, key)
		}
	}
	for _, key := range keys {
		d.standing(key, before[key], after[key])
	}
	d.term()
	d.blocks()
	slices.SortFunc(d.changes, func(a, b Change) int {
		return cmp.Or(
			cmp.Compare(a.Organisation, b.Organisation), cmp.Compare(a.Collection, b.Collection),
			cmp.Compare(a.Article, b.Article), cmp.Compare(a.Gains+a.Loses, b.Gains+b.Loses))
	})
	return slices.Compact(d.changes)
}

// seat is an organisation at a collection.
type seat struct{ org, alias string }

// standing is what an organisation may do there.
type standing struct {
	agreement string
	writes    bool
	writer    string
	flow      *Flow
	windUp    Duration // zero if the flow ends with the term
	theirs    bool     // others than the centre write
	terms     Terms
	limits    []limit
}

// standings are those of all organisations, by seat.
func standings(a *Agreement, find func(id string) *Agreement) map[seat]*standing {
	all := map[seat]*standing{}
	parents := func(ids []string) (as []*Agreement) {
		for _, id := range ids {
			if find != nil && find(id) != nil {
				as = append(as, find(id))
			}
		}
		return as
	}
	add := func(c Collection, f *Flow, orgs []string, parents ...*Agreement) {
		terms := a.Terms(f.Name, parents...)
		s := standing{agreement: a.ID, writer: c.Writer, flow: f, theirs: c.Writer != a.Centre(), terms: terms, limits: terms.all()}
		if w := a.Term.WindUp; w != nil && slices.Contains(w.Flows, f.Name) {
			s.windUp = w.Lasts
		}
		for _, org := range orgs {
			one := s
			one.writes = org == c.Writer
			all[seat{org, c.Alias}] = &one
		}
	}
	for _, c := range a.Collections() {
		add(c, c.Flow, c.Organisations(), parents(c.Parents)...)
	}
	if a.Kind == ReaderLetter {
		for _, parent := range parents(a.Parents()) {
			for _, c := range a.Shared(parent) {
				add(c, a.Flow(c.Flow.Name), c.Readers, parent)
			}
		}
	}
	return all
}

// differ collects changes. Each is a gain in one direction and the same loss
// in the other, so that Diff of the two versions exchanged is its mirror.
type differ struct {
	old, new *Agreement
	changes  []Change
}

// gain adds what an organisation gains, if there are words for it.
func (d *differ) gain(at seat, article, words string) {
	if words != "" {
		d.changes = append(d.changes, Change{at.org, at.alias, words, "", article})
	}
}

func (d *differ) lose(at seat, article, words string) {
	if words != "" {
		d.changes = append(d.changes, Change{at.org, at.alias, "", words, article})
	}
}

// standing compares what an organisation may do at a collection; nil is
// nothing.
func (d *differ) standing(at seat, old, new *standing) {
	if old != nil && new != nil && old.writes == new.writes && old.writer == new.writer {
		d.terms(at, old, new)
		d.windUp(at, old, new)
		return
	}
	if old != nil {
		d.lose(at, old.flow.Article, old.right())
	}
	if new != nil {
		d.gain(at, new.flow.Article, new.right())
	}
}

func (s *standing) right() string {
	if s.writes {
		return "writing"
	}
	return "reading what " + s.writer + " writes"
}

// windUp compares how long a collection stays open after the term.
func (d *differ) windUp(at seat, old, new *standing) {
	left, right := old.windUp, new.windUp
	switch {
	case left.seconds() < right.seconds():
		d.gain(at, d.new.Term.Article, afterTerm(left, right))
	case left.seconds() > right.seconds():
		d.lose(at, d.old.Term.Article, afterTerm(right, left))
	}
}

func afterTerm(short, long Duration) string {
	text := "access for " + long.words() + " after the end"
	if !short.IsZero() {
		text += " instead of " + short.words()
	}
	return text
}

// term compares when the agreement holds, for the organisations bound by both.
func (d *differ) term() {
	old, new := &d.old.Term, &d.new.Term
	for _, m := range d.new.Members() {
		if _, ok := d.old.Member(m.Org); !ok {
			continue
		}
		at := seat{org: m.Org}
		if o, n := old.Expires, new.Expires; n.After(o) {
			d.gain(at, new.Article, between(o, n))
		} else if n.Before(o) {
			d.lose(at, old.Article, between(n, o))
		}
		if o, n := old.Effective, new.Effective; n.Before(o) {
			d.gain(at, new.Article, between(n, o))
		} else if n.After(o) {
			d.lose(at, old.Article, between(o, n))
		}
	}
}

func between(from, until time.Time) string {
	return fmt.Sprintf("access from %s until %s", instant(from), instant(until))
}
