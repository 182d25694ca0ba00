package agreement

import (
	"slices"
	"strings"
)

// Collection holds the objects that one organisation writes under one flow.
type Collection struct {
	Flow        *Flow
	Participant string   // "" unless the flow makes several collections
	Writer      string   // the one organisation that writes
	Readers     []string // in the order of the file, without the writer: see [Terms.WriterReads]
	Alias       string   // "agreement.flow" or "agreement.flow.participant"
	Title       string   // unique among all agreements ignoring case, without '.' and ','
	Under       string   // another agreement whose end closes the collection, "" if there is none
	Parents     []string // the agreements its organisations take part under, each once, in the order of the members
}

// Organisations are the writer and the readers.
func (c Collection) Organisations() []string {
	return append([]string{c.Writer}, c.Readers...)
}

// Collections expands the flows, in the order of the file: one collection for each writing
// organisation and, if a flow is per participant, for each participant. An ad-hoc letter
// has no collections. A reader letter has none either, since it opens collections of its
// parent (see [Agreement.Shared]).
func (a *Agreement) Collections() []Collection {
	if a.Kind == AdHocLetter || a.Kind == ReaderLetter {
		return nil
	}
	var cs []Collection
	for i := range a.Flows {
		cs = append(cs, a.expand(&a.Flows[i])...)
	}
	return cs
}

// Shared are the collections of the parent that a reader letter opens to its participants:
// those of the flows in the letter that the letter's bureau reads. Their flows are the
// parent's, and their readers are the participants.
func (a *Agreement) Shared(parent *Agreement) []Collection {
	var bureaus []string
	for _, p := range a.Parties {
		if p.Role != RoleCentre {
			bureaus = append(bureaus, p.Org)
		}
	}
	var cs []Collection
	for _, c := range parent.Collections() {
		f := a.Flow(c.Flow.Name)
		if f == nil || !intersect(bureaus, c.Readers) {
			continue
		}
		c.Readers = nil
		for m := range a.members {
			if m.Under == parent.ID && (slices.Contains(f.To, m.Org) || slices.Contains(f.To, Each) || slices.Contains(f.To, AllParticipants)) {
				c.Readers = append(c.Readers, m.Org)
			}
		}
		cs = append(cs, c)
	}
	return cs
}

// expand makes the collections of one flow.
func (a *Agreement) expand(f *Flow) []Collection {
	var cs []Collection
	for _, subject := range a.subjects(f) {
		writers := a.resolve(f.From, subject)
		readers := a.resolve(f.To, subject)
		for _, w := range writers {
			c := Collection{Flow: f, Participant: subject.Org, Writer: w.Org}
			if len(writers) > 1 {
				c.Participant = w.Org
			}
			for _, r := range readers {
				if r.Org != w.Org {
					c.Readers = append(c.Readers, r.Org)
				}
			}
			if subject.Under != "" {
				c.Under = subject.Under
			} else {
				c.Under = w.Under
			}
			c.Parents = a.parentsOf(c.Organisations())
			c.Alias, c.Title = a.names(c)
			cs = append(cs, c)
		}
	}
	return cs
}

// parentsOf are the agreements that the organisations take part under.
func (a *Agreement) parentsOf(orgs []string) []string {
	var ids []string
	for m := range a.members {
		if m.Under != "" && slices.Contains(orgs, m.Org) && !slices.Contains(ids, m.Under) {
			ids = append(ids, m.Under)
		}
	}
	return ids
}

// subjects are the participants for which a flow makes a collection each. A flow that makes
// one for each writer only has one zero Member.
func (a *Agreement) subjects(f *Flow) []Member {
	if f.Per == "" || f.Per == PerOperation {
		return []Member{{}}
	}
	return slices.DeleteFunc(a.Members(), func(m Member) bool {
		return m.Role == RoleCentre || f.Per != Each && f.Per != m.Role
	})
}

// resolve turns the names in from or to into members, each once.
func (a *Agreement) resolve(names []string, subject Member) []Member {
	var ms []Member
	for m := range a.members {
		named := slices.Contains(names, m.Org) ||
			slices.Contains(names, AllParticipants) && m.Role != RoleCentre ||
			slices.Contains(names, Each) && m.Org == subject.Org
		if named && !slices.ContainsFunc(ms, func(n Member) bool { return n.Org == m.Org }) {
			ms = append(ms, m)
		}
	}
	return ms
}

// names are the alias and the title of a collection. Both begin with the agreement's id,
// which is unique and has no spaces, so they are unique too.
func (a *Agreement) names(c Collection) (alias, title string) {
	alias = a.ID + "." + c.Flow.Name
	title = a.ID + " " + c.Flow.Name
	if c.Participant != "" {
		m, _ := a.Member(c.Participant)
		alias += "." + shortName(m)
		title += " " + c.Participant
	}
	// Some clients cut titles at dots and commas.
	words := strings.Fields(strings.NewReplacer(".", " ", ",", " ").Replace(a.Title))
	if len(words) > 0 {
		title += ": " + strings.Join(words, " ")
	}
	return alias, title
}

// shortName is the name of a participant in an alias: kh for the national bureau ncb-kh.
func shortName(m Member) string {
	if m.Kind == "national-bureau" {
		return strings.TrimPrefix(m.Org, "ncb-")
	}
	return m.Org
}

func intersect(s, t []string) bool {
	return slices.ContainsFunc(s, func(v string) bool { return slices.Contains(t, v) })
}
