package agreement

import (
	"fmt"
	"slices"
)

// Check finds what is wrong among agreements, each of which [Parse] found in
// due form: ids given twice, and child agreements that are wider than a
// parent (lint (8) of 2.4). A parent is looked for among the files, then with
// find, which may be nil. Where it is absent, strict says whether that is an
// error, as at load, or a warning, as at check. The problems are those of the
// files; what find gives is taken as it is.
func Check(files []*Agreement, find func(id string) *Agreement, strict bool) Problems {
	var ps Problems
	byID := map[string]*Agreement{}
	for _, a := range files {
		if first := byID[a.ID]; first != nil {
			ps = append(ps, Problem{File: a.File, Line: a.at("id"),
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
				c.absent(id, strict)
				continue
			}
			c.under(parent)
		}
		ps = append(ps, c.problems...)
	}
	ps.sort()
	return ps
}

// checker compares one child with its parents.
type checker struct{ linter }

func (c *checker) absent(id string, strict bool) {
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

// under checks the participants under a parent, and each flow they are in.
func (c *checker) under(parent *Agreement) {
	if parent.Parents() != nil && c.a.Kind != ReaderLetter || parent.Kind == ReaderLetter {
		c.fail(c.participant(parent.ID), "under", "%s is a child agreement itself: name a charter, data exchange agreement or ad-hoc letter", parent.ID)
		return
	}
	if c.a.Kind == ReaderLetter {
		c.letter(parent)
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
			c.narrows(f, parent)
		}
	}
}

// letter checks that every flow of a reader letter shares something.
func (c *checker) letter(parent *Agreement) {
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
		c.narrows(f, parent)
	}
}

// narrows reports each term of the flow that is wider than in the parent.
func (c *checker) narrows(f *Flow, parent *Agreement) {
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
	theirs := bounds.all()
	for i, l := range terms.all() {
		msg := l.wider(theirs[i])
		b, key := l.find(c.a, f)
		if msg == "" || b == nil {
			continue
		}
		by := parent.ID
		if clause, ok := bounds.By[l.by()]; ok {
			by = clause.String()
		}
		p := Problem{
			File: c.a.File, Line: b.at(key), Article: b.Article,
			Msg: fmt.Sprintf("widening: %s %s (%s)", b.name(key), msg, by),
		}
		if !slices.Contains(c.problems, p) { // handling is the same for many flows
			c.problems = append(c.problems, p)
		}
	}
}
