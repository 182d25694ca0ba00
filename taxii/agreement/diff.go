package agreement

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Change is one right that one organisation gains or loses by a new version.
type Change struct {
	Organisation string
	Collection   string // its alias, "" if the agreement as a whole is meant
	Gains        string // the right as text, "" if it loses one
	Loses        string // the right as text, "" if it gains one
	Article      string // in the new version for a gain, in the old one for a loss: "4", "dea-x art. 4" in a parent, "" for a default
}

// Diff finds the changes between two versions of an agreement, in the order of organisation
// and collection. A change for one side is often one for the other, too: if a reader may
// pass data on with another label, the writer loses a protection.
// Parents is as for [Agreement.Explain]: the terms that a child agreement takes from its
// parents are compared, too. A change that neither widens nor narrows a right is given as
// the loss of the old text and the gain of the new one. The words of the articles are not
// compared.
func Diff(old, new *Agreement, parents func(id string) *Agreement) []Change {
	d := differ{old: old, new: new}
	before, after := accessOf(old, parents), accessOf(new, parents)
	keys := slices.Collect(maps.Keys(before))
	for key := range after {
		if _, ok := before[key]; !ok {
			keys = append(keys, key)
		}
	}
	for _, key := range keys {
		d.compareAccess(key, before[key], after[key])
	}
	d.compareTerm()
	d.compareBlocks()
	slices.SortFunc(d.changes, func(a, b Change) int {
		return cmp.Or(
			cmp.Compare(a.Organisation, b.Organisation), cmp.Compare(a.Collection, b.Collection),
			cmp.Compare(a.Article, b.Article), cmp.Compare(a.Gains+a.Loses, b.Gains+b.Loses))
	})
	return slices.Compact(d.changes)
}

// accessKey names an organisation and a collection, by its alias.
type accessKey struct{ org, alias string }

// access is the access of an organisation to a collection.
type access struct {
	agreement      string
	writes         bool
	writer         string
	flow           *Flow
	windUp         Duration // zero if the flow ends with the term
	centreReceives bool     // another organisation than the centre writes
	terms          Terms
	limits         []limit
}

// accessOf is the access of all organisations to all collections of an agreement.
func accessOf(a *Agreement, find func(id string) *Agreement) map[accessKey]*access {
	all := map[accessKey]*access{}
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
		shared := access{agreement: a.ID, writer: c.Writer, flow: f, centreReceives: c.Writer != a.Centre(), terms: terms, limits: terms.allLimits()}
		if w := a.Term.WindUp; w != nil && slices.Contains(w.Flows, f.Name) {
			shared.windUp = w.Lasts
		}
		for _, org := range orgs {
			own := shared
			own.writes = org == c.Writer
			all[accessKey{org, c.Alias}] = &own
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

// differ collects changes. If the two versions are exchanged, each gain becomes the same
// loss, and each loss the same gain.
type differ struct {
	old, new *Agreement
	changes  []Change
}

// gain adds a gain, unless the text is empty.
func (d *differ) gain(key accessKey, article, text string) {
	if text != "" {
		d.changes = append(d.changes, Change{key.org, key.alias, text, "", article})
	}
}

// lose adds a loss, unless the text is empty.
func (d *differ) lose(key accessKey, article, text string) {
	if text != "" {
		d.changes = append(d.changes, Change{key.org, key.alias, "", text, article})
	}
}

// compareAccess compares the access of an organisation to a collection; nil stands for no
// access.
func (d *differ) compareAccess(key accessKey, old, new *access) {
	if old != nil && new != nil && old.writes == new.writes && old.writer == new.writer {
		d.compareTerms(key, old, new)
		d.compareWindUp(key, old, new)
		return
	}
	if old != nil {
		d.lose(key, old.flow.Article, old.right())
	}
	if new != nil {
		d.gain(key, new.flow.Article, new.right())
	}
}

// right is the text of the right to write or read.
func (a *access) right() string {
	if a.writes {
		return "writing"
	}
	return "reading what " + a.writer + " writes"
}

// compareWindUp compares the times for which a collection stays open after the term.
func (d *differ) compareWindUp(key accessKey, old, new *access) {
	switch o, n := old.windUp, new.windUp; {
	case o.seconds() < n.seconds():
		d.gain(key, d.new.Term.Article, afterTerm(o, n))
	case o.seconds() > n.seconds():
		d.lose(key, d.old.Term.Article, afterTerm(n, o))
	}
}

// afterTerm is the text of access after the term.
func afterTerm(short, long Duration) string {
	text := "access for " + long.words() + " after the end"
	if !short.IsZero() {
		text += " instead of " + short.words()
	}
	return text
}

// compareTerm compares the terms of the two versions, for the organisations that are members
// in both.
func (d *differ) compareTerm() {
	old, new := &d.old.Term, &d.new.Term
	for _, m := range d.new.Members() {
		if _, ok := d.old.Member(m.Org); !ok {
			continue
		}
		key := accessKey{org: m.Org}
		if o, n := old.Expires, new.Expires; n.After(o) {
			d.gain(key, new.Article, between(o, n))
		} else if n.Before(o) {
			d.lose(key, old.Article, between(n, o))
		}
		if o, n := old.Effective, new.Effective; n.Before(o) {
			d.gain(key, new.Article, between(n, o))
		} else if n.After(o) {
			d.lose(key, old.Article, between(o, n))
		}
	}
}

// between is the text of access for a time.
func between(from, until time.Time) string {
	return fmt.Sprintf("access from %s until %s", instant(from), instant(until))
}
