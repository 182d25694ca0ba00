package agreement

import (
	"cmp"
	"slices"

	"comity/stix"
)

// The values of the fields of [Terms].
const (
	Inherit        = "inherit"         // UnmarkedObservables: they take the label of their neighbours
	Default        = "default"         // UnmarkedObservables: they are handled like other unmarked objects
	AsRed          = "red"             // UnknownMarking: visible to RED recipients only
	Ignore         = "ignore"          // UnknownMarking: it has no effect
	Accept         = "accept"          // UnknownTypes
	Reject         = "reject"          // UnknownTypes
	WithholdObject = "withhold-object" // Granular: withheld from readers who may not see all of it
	Derive         = "derive"          // Granular: the centre issues a copy without the rest
	EmptyAtEnd     = "empty"           // Feeds.AtEnd: a feed has no entries after the end of access, so tools let go
	GoneAtEnd      = "gone"            // Feeds.AtEnd: a feed does not exist after the end of access; most tools keep their copy
)

// Terms are the conditions of one flow: those of its agreement, those that a child
// agreement takes from its parent, and the defaults.
type Terms struct {
	Purposes []string
	Excluded []string

	Types        []string // nil is all; marking and extension definitions are always admitted
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
	Unmarked            *stix.TLP // the label given to an unmarked object; nil rejects it
	UnmarkedObservables string    // Inherit or Default
	UnknownMarking      string    // AsRed or Ignore
	Granular            string    // WithholdObject or Derive
	RedRecipients       []string  // "org:name"

	Quota        Quota         // 0 is no limit
	Feeds        Feeds         // for security tools
	Onward       *Onward       // nil: nothing is passed on
	Attribution  *Attribution  // nil: the source is named to no one
	PersonalData *PersonalData // nil: nothing is forbidden
	Retention    *Retention    // nil: kept at most five years

	// By is the clause behind each term, so that a refusal can cite it. The key of a
	// term is its key in the file ("object_types", "tlp_max", "categories",
	// "pushes_per_day", "hold"), that of a block above is its name ("personal_data"). For a
	// default it is the article of the block that could set it.
	By map[string]Clause
}

// Clause is an article of an agreement.
type Clause struct{ Agreement, Article string }

// String writes the clause as problems cite it: "dea-x art. 4".
func (c Clause) String() string { return c.Agreement + " art. " + c.Article }

// Terms are the effective conditions of one flow; the zero Terms if there is no such flow.
// Parents are the agreements that the participants take part under (see
// [Collection.Parents]); nil ones are ignored.
//
// A term that the agreement does not set comes from the parents. Of the flows of one parent
// in the same direction, seen from the centre, it is the loosest value. Of several parents
// it is the strictest, since data for many readers may be handled no wider than any
// reader's own agreement allows; if neither is stricter, it is the first parent's. Terms
// does not check that the agreement itself is no wider; [Check] does.
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
	a.override(&t, f)
	return t
}

func defaults() Terms {
	return Terms{
		WriterReads: true, OwnerDeletes: true,
		STIXVersions: []string{"2.1"}, UnknownTypes: Accept,
		Max: stix.Red, PAPMax: "red",
		UnmarkedObservables: Inherit, UnknownMarking: AsRed, Granular: WithholdObject,
		Feeds: defaultFeeds(),
		By:    map[string]Clause{},
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
					t.By[l.clauseKey()] = bounds.By[l.clauseKey()]
				}
				l.loosen(loosest[i])
			}
		}
		bounds, found = t, true
	}
	return bounds, found
}

// sameDirection tells whether the centre writes in both flows, or others in both. The flow
// of a reader letter corresponds to the parent's flow of its name.
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

// override replaces the terms that the agreement sets itself in t.
func (a *Agreement) override(t *Terms, f *Flow) {
	own := a.ownTerms(f)
	ownLimits := own.limits()
	for i, l := range t.limits() {
		b, key := l.find(a, f)
		switch {
		case b == nil:
		case b.has(key):
			l.set(ownLimits[i])
			t.By[l.clauseKey()] = Clause{a.ID, b.Article}
		case t.By[l.clauseKey()] == Clause{}:
			t.By[l.clauseKey()] = Clause{a.ID, b.Article}
		}
	}
	t.Onward = cmp.Or(a.Onward, t.Onward)
	t.Attribution = cmp.Or(a.Attribution, t.Attribution)
	t.PersonalData = cmp.Or(a.PersonalData, t.PersonalData)
	if a.Retention != nil {
		retention := *a.Retention
		if t.Retention != nil && retention.Counted == "" {
			retention.Counted = t.Retention.Counted // the parent's
		}
		t.Retention = &retention
	}
	for _, name := range []string{"onward", "attribution", "personal_data", "retention"} {
		if b := a.block(name); b != nil {
			t.By[name] = Clause{a.ID, b.Article}
		}
	}
}

// ownTerms are the terms that have limits, with their values in the file; zero if the file
// does not set them.
func (a *Agreement) ownTerms(f *Flow) Terms {
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
	if a.Feeds != nil {
		t.Feeds = *a.Feeds
	}
	return t
}
