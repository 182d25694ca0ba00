package agreement

import (
	"fmt"
	"slices"
)

// Check finds the problems between agreements in which [Parse] found no error: ids given
// twice, and child agreements that are wider than a parent. It looks for a parent among
// the files, then with find, which may be nil. An absent parent is an error if strict is
// true, as at load, and else a warning, as at check. Check does not look for problems in
// the agreements that find returns.
func Check(files []*Agreement, find func(id string) *Agreement, strict bool) Problems {
	var ps Problems
	byID := map[string]*Agreement{}
	for _, a := range files {
		if first := byID[a.ID]; first != nil {
			ps = append(ps, Problem{File: a.File, Line: a.lineOf("id"),
				Msg: fmt.Sprintf("id: %s is also the id of %s: give each agreement its own", a.ID, first.File)})
			continue
		}
		byID[a.ID] = a
	}
	for _, a := range files {
		c := checker{linter{a: a}}
		for _, id := range a.Parents() {
			parent := byID[id]
			if parent == nil && find != nil {
				parent = find(id)
			}
			if parent == nil {
				c.reportAbsent(id, strict)
				continue
			}
			c.checkParent(parent)
		}
		ps = append(ps, c.problems...)
	}
	ps.sort()
	return ps
}

// checker compares one child with its parents.
type checker struct{ linter }

func (c *checker) reportAbsent(id string, strict bool) {
	const msg = "there is no agreement %s to take part under: give its file too, or load it first"
	b := c.participant(id)
	if strict {
		c.fail(b, "under", msg, id)
	} else {
		c.warn(b, "under", msg, id)
	}
}

// participant is the first block with organisations under the agreement.
func (c *checker) participant(parent string) *Block {
	for i := range c.a.Participants {
		p := &c.a.Participants[i]
		if slices.ContainsFunc(p.Orgs, func(org string) bool { return p.under(org) == parent }) {
			return &p.Block
		}
	}
	return &Block{place: c.a.place}
}

// checkParent checks the participants under a parent, and each of their flows.
func (c *checker) checkParent(parent *Agreement) {
	if parent.Parents() != nil && c.a.Kind != ReaderLetter || parent.Kind == ReaderLetter {
		c.fail(c.participant(parent.ID), "under", "%s is a child agreement itself: name a charter, data exchange agreement or ad-hoc letter", parent.ID)
		return
	}
	if c.a.Kind == ReaderLetter {
		c.checkLetter(parent)
		return
	}
	var orgs []string
	for _, m := range c.a.Members() {
		if m.Under != parent.ID {
			continue
		}
		orgs = append(orgs, m.Org)
		if _, ok := parent.Member(m.Org); !ok {
			c.fail(c.participant(parent.ID), "under", "%s is no party to %s", m.Org, parent.ID)
		}
	}
	for i := range c.a.Flows {
		f := &c.a.Flows[i]
		concerns := func(col Collection) bool { return intersect(orgs, col.Organisations()) }
		if slices.ContainsFunc(c.a.expand(f), concerns) {
			c.checkTerms(f, parent)
		}
	}
}

// checkLetter checks that every flow of a reader letter opens a collection of the parent.
func (c *checker) checkLetter(parent *Agreement) {
	shared := map[string]bool{}
	for _, col := range c.a.Shared(parent) {
		shared[col.Flow.Name] = true
	}
	for i := range c.a.Flows {
		f := &c.a.Flows[i]
		if !shared[f.Name] {
			c.fail(&f.Block, "name", "in %s there is no flow %s that the bureau reads: name one there is", parent.ID, f.Name)
			continue
		}
		c.checkTerms(f, parent)
	}
}

// checkTerms reports each term of the flow that is wider than in the parent.
func (c *checker) checkTerms(f *Flow, parent *Agreement) {
	bounds, found := c.a.bounds(f, parent)
	if !found {
		c.fail(&f.Block, "from", "widening: %s has no flow in this direction to narrow", parent.ID)
		return
	}
	if f.fromCentre(c.a) && f.fromOthers(c.a) {
		c.fail(&f.Block, "from", "the centre and others write: under another agreement, make a flow for each direction")
		return
	}
	terms := c.a.Terms(f.Name, parent)
	if theirs, mine := bounds.Retention, c.a.Retention; theirs != nil && mine != nil && !theirs.Keep.IsZero() && terms.Retention.Counted != theirs.Counted {
		c.fail(&mine.Block, "counted", "widening: counts from %q, not %q (%s)", mine.Counted, theirs.Counted, bounds.By["retention"])
	}
	theirs := bounds.allLimits()
	for i, l := range terms.allLimits() {
		msg := l.wider(theirs[i])
		b, key := l.find(c.a, f)
		if msg == "" || b == nil {
			continue
		}
		by := parent.ID
		if clause, ok := bounds.By[l.clauseKey()]; ok {
			by = clause.String()
		}
		p := Problem{
			File: c.a.File, Line: b.lineOf(key), Article: b.Article,
			Msg: fmt.Sprintf("widening: %s %s (%s)", b.name(key), msg, by),
		}
		if !slices.Contains(c.problems, p) { // handling is the same for many flows
			c.problems = append(c.problems, p)
		}
	}
}
