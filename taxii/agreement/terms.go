package agreement

import (
	"cmp"
	"slices"

	"comity/stix"
)

// The words that [Terms] are written in.
const (
	Inherit        = "inherit"         // UnmarkedObservables: the label of what refers to it
	Default        = "default"         // UnmarkedObservables: as anything else unmarked
	AsRed          = "red"             // UnknownMarking: visible to RED recipients only
	Ignore         = "ignore"          // UnknownMarking: as if it were not there
	Accept         = "accept"          // UnknownTypes
	Reject         = "reject"          // UnknownTypes
	WithholdObject = "withhold-object" // Granular: absent for who may not see all of it
	Derive         = "derive"          // Granular: the centre issues a copy without the rest
)

// Terms are the conditions of one flow: what is written, what a child
// agreement takes from its parent, and the defaults of 2.4.
type Terms struct {
	Purposes []string
	Excluded []string

	Types        []string // nil is all; marking definitions and the like are always admitted
	Require      []string
	Withhold     []string
	About        string
	WriterReads  bool // the writer reads back what it wrote
	OwnerDeletes bool
	STIXVersions []string
	UnknownTypes string // Accept or Reject
	RefuseCustom bool   // custom content that no extension definition explains is refused
	LooseURLs    bool   // URLs that only lack percent-encoding are taken
	NewUUIDs     bool   // ids may have UUIDs of version 6 to 8

	Max, Floor          stix.TLP
	PAPMax              string    // clear, green, amber or red
	Unmarked            *stix.TLP // the label given to what has none; nil rejects it
	UnmarkedObservables string    // Inherit or Default
	UnknownMarking      string    // AsRed or Ignore
	Granular            string    // WithholdObject or Derive
	RedRecipients       []string  // "org:name"

	Quota        Quota         // 0 is no limit
	Onward       *Onward       // nil: nothing is passed on
	Attribution  *Attribution  // nil: the source is named to no one
	PersonalData *PersonalData // nil: nothing is forbidden
	Retention    *Retention    // nil: kept at most five years

	// By is the clause behind a term, so that a refusal can cite it. Terms
	// go by their key in the file ("object_types", "tlp_max", "categories",
	// "pushes_per_day"), the blocks above by their name ("personal_data").
	// Behind a default stands the article of the block it would be in.
	By map[string]Clause
}

// Clause is an article of an agreement.
type Clause struct{ Agreement, Article string }

// String is the clause as lint cites it: "dea-x art. 4".
func (c Clause) String() string { return c.Agreement + " art. " + c.Article }

// Terms are the effective conditions of one flow; the zero Terms if there is
// no such flow. Parents are the agreements that the participants take part
// under (see [Collection.Parents]); a nil one is passed over, and a party has
// none. Of a parent's flows in the same direction, seen from the centre, the
// loosest value of each term is taken; of several parents the strictest, since
// what is written for many readers may be no wider than any reader's own
// agreement. Where neither is stricter the first parent's stands. That the
// child is no wider is for [Check] to see.
func (a *Agreement) Terms(flow string, parents ...*Agreement) Terms {
	f := a.Flow(flow)
	if f == nil {
		return Terms{}
	}
	t, bound := defaults(), false
	for _, parent := range parents {
		if parent == nil {
			continue
		}
		bounds, _ := a.bounds(f, parent)
		if bound {
			t.tighten(bounds)
		} else {
			t, bound = bounds, true
		}
	}
	a.state(&t, f)
	return t
}

func defaults() Terms {
	return Terms{
		WriterReads: true, OwnerDeletes: true,
		STIXVersions: []string{"2.1"}, UnknownTypes: Accept,
		Max: stix.Red, PAPMax: "red",
		UnmarkedObservables: Inherit, UnknownMarking: AsRed, Granular: WithholdObject,
		By: map[string]Clause{},
	}
}

// bounds are the loosest terms of the parent's flows in the direction of f,
// and whether it has such a flow.
func (a *Agreement) bounds(f *Flow, parent *Agreement) (bounds Terms, found bool) {
	bounds = defaults()
	for i := range parent.Flows {
		g := &parent.Flows[i]
		if !a.sameDirection(f, parent, g) {
			continue
		}
		t := parent.Terms(g.Name)
		if found {
			loosest := bounds.limits()
			for i, l := range t.limits() {
				if loosest[i].wider(l) != "" {
					t.By[l.by()] = bounds.By[l.by()]
				}
				l.loosen(loosest[i])
			}
		}
		bounds, found = t, true
	}
	return bounds, found
}

// sameDirection compares who writes, the centre or others. In a reader letter
// a flow has its parent's by the name.
func (a *Agreement) sameDirection(f *Flow, parent *Agreement, g *Flow) bool {
	if a.Kind == ReaderLetter {
		return f.Name == g.Name
	}
	return f.fromCentre(a) && g.fromCentre(parent) || f.fromOthers(a) && g.fromOthers(parent)
}

func (f *Flow) fromCentre(a *Agreement) bool {
	return slices.Contains(f.From, a.Centre())
}

func (f *Flow) fromOthers(a *Agreement) bool {
	return slices.ContainsFunc(f.From, func(org string) bool { return org != a.Centre() })
}

// state puts what is written over t.
func (a *Agreement) state(t *Terms, f *Flow) {
	stated := a.written(f)
	mine := stated.limits()
	for i, l := range t.limits() {
		b, key := l.find(a, f)
		switch {
		case b == nil:
		case b.has(key):
			l.set(mine[i])
			t.By[l.by()] = Clause{a.ID, b.Article}
		case t.By[l.by()] == Clause{}:
			t.By[l.by()] = Clause{a.ID, b.Article}
		}
	}
	t.Onward = cmp.Or(a.Onward, t.Onward)
	t.Attribution = cmp.Or(a.Attribution, t.Attribution)
	t.PersonalData = cmp.Or(a.PersonalData, t.PersonalData)
	if mine := a.Retention; mine != nil {
		own := *mine
		if t.Retention != nil && own.Counted == "" {
			own.Counted = t.Retention.Counted // it counts as the parent does
		}
		t.Retention = &own
	}
	for _, name := range []string{"onward", "attribution", "personal_data", "retention"} {
		if b := a.block(name); b != nil {
			t.By[name] = Clause{a.ID, b.Article}
		}
	}
}

// written are the limits as the file has them, zero where it is silent.
func (a *Agreement) written(f *Flow) Terms {
	h := &a.Handling
	t := Terms{
		Types: f.ObjectTypes, Require: f.Require, Withhold: f.Withhold, About: f.About,
		WriterReads: f.WriterReads == "own", OwnerDeletes: f.OwnerDeletes != nil && *f.OwnerDeletes,
		STIXVersions: f.STIXVersions, UnknownTypes: f.UnknownTypes,
		RefuseCustom: f.RefuseCustom, LooseURLs: f.LooseURLs, NewUUIDs: f.NewUUIDs,
		Max: h.Max[f.Name], Floor: h.Floor[f.Name], PAPMax: h.PAPMax[f.Name],
		Unmarked:            h.Unmarked[f.Name].Default,
		UnmarkedObservables: h.UnmarkedObservables, UnknownMarking: h.UnknownMarking,
		Granular: h.Granular, RedRecipients: h.RedRecipients,
	}
	switch {
	case a.Kind == Operation && a.Scope != nil:
		t.Purposes = a.Scope.Purpose
	case a.Purpose != nil:
		t.Purposes, t.Excluded = a.Purpose.Categories, a.Purpose.Excluded
	}
	if a.Quota != nil {
		t.Quota = *a.Quota
	}
	return t
}
