package agreement

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// Explain writes an explanation in plain English: a head, a paragraph for each flow, then
// the terms that all flows share. Each sentence cites its article. Parents finds the
// agreements that members take part under, and returns nil for an unknown one; parents may
// be nil. The terms of a child agreement include those that it takes from its parents.
// Lines have at most 78 characters. The error is the writer's.
func (a *Agreement) Explain(w io.Writer, parents func(id string) *Agreement) error {
	e := explainer{Agreement: a, names: map[string]string{}}
	e.addNames(a)
	for _, id := range a.Parents() {
		var parent *Agreement
		if parents != nil {
			parent = parents(id)
		}
		if parent == nil {
			e.absent = append(e.absent, id)
			continue
		}
		e.parents = append(e.parents, parent)
		e.addNames(parent)
	}
	e.head()
	if a.Kind == ReaderLetter {
		e.letter()
	} else {
		for i := range a.Flows {
			e.flow(&a.Flows[i])
		}
	}
	e.sharedTerms()
	_, err := io.WriteString(w, strings.Join(e.paragraphs, "\n\n")+"\n")
	return err
}

// explainer collects paragraphs.
type explainer struct {
	*Agreement
	parents    []*Agreement
	absent     []string          // ids of unknown parents
	names      map[string]string // of organisations
	feeds      []feedGroup
	paragraphs []string
}

// sentence is one sentence without its full stop, and the clause behind it, zero if there is
// none.
type sentence struct {
	text string
	by   Clause
}

// theParent stands for the id of the parent in texts that are compared.
const theParent = "\x00"

// article is the clause of a block of this agreement.
func (e *explainer) article(b *Block) Clause { return Clause{e.ID, b.Article} }

// addNames adds the names of the agreement's parties.
func (e *explainer) addNames(a *Agreement) {
	for _, p := range a.Parties {
		if p.Name != "" {
			e.names[p.Org] = p.Name
		}
	}
}

// namesOf are the names of organisations, or the ids of those without a name.
func (e *explainer) namesOf(orgs ...string) []string {
	var ss []string
	for _, org := range orgs {
		if name := e.names[org]; name != "" {
			org = name
		}
		ss = append(ss, org)
	}
	return ss
}

// nameWith is the name of an organisation with its id and other details: "Alder Threat
// Research (alder, provider)".
func (e *explainer) nameWith(org string, details ...string) string {
	name := e.namesOf(org)[0]
	if name != org {
		details = append([]string{org}, details...)
	}
	if details == nil {
		return name
	}
	return name + " (" + strings.Join(details, ", ") + ")"
}

// paragraph adds a paragraph.
func (e *explainer) paragraph(text string) {
	e.paragraphs = append(e.paragraphs, wrap(text, 78))
}

// join joins sentences. In a row of sentences with the same clause only the last one cites
// it.
func (e *explainer) join(ss []sentence) string {
	var b strings.Builder
	for i, s := range ss {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(s.text)
		if s.by.Article != "" && (i+1 == len(ss) || ss[i+1].by != s.by) {
			b.WriteString(" (article " + s.by.Article)
			if s.by.Agreement != e.ID {
				b.WriteString(" of " + s.by.Agreement)
			}
			b.WriteByte(')')
		}
		b.WriteByte('.')
	}
	return b.String()
}

// masked joins sentences with theParent in place of the id of the only parent, so that equal
// terms under two agreements have equal texts.
func (e *explainer) masked(ss []sentence, parents []*Agreement) string {
	if len(parents) == 1 {
		ss = slices.Clone(ss)
		for i := range ss {
			if ss[i].by.Agreement == parents[0].ID {
				ss[i].by.Agreement = theParent
			}
		}
	}
	return e.join(ss)
}

// unmasked is a masked text for parents with equal terms: it names the parent if there is
// only one.
func unmasked(text string, parents []string) string {
	if len(parents) == 1 {
		return strings.ReplaceAll(text, theParent, parents[0])
	}
	return strings.ReplaceAll(text, theParent, "that agreement")
}

func (e *explainer) head() {
	e.paragraph(e.Title)
	head := fmt.Sprintf("%s is %s, version %d.", e.ID, map[Kind]string{
		Charter: "a charter", DataExchange: "a data exchange agreement", AdHocLetter: "an ad-hoc letter",
		Operation: "an operation", ReaderLetter: "a reader letter",
	}[e.Kind], e.Version)
	if e.Replaces != "" {
		head += " It replaces the version with the digest " + e.Replaces + "."
	}
	e.paragraph(head + " What the parties sign is the digest " + e.digest + ".")

	var parties []string
	for _, p := range e.Parties {
		parties = append(parties, e.nameWith(p.Org, p.Role))
	}
	members := []sentence{{"Parties are " + enumerate(parties), Clause{}}}
	for i := range e.Participants {
		p := &e.Participants[i]
		var orgs []string
		for _, org := range p.Orgs {
			orgs = append(orgs, e.nameWith(org))
		}
		members = append(members, sentence{
			fmt.Sprintf("Taking part as %s, %s: %s", p.Role, under(p), enumerate(orgs)), e.article(&p.Block)})
	}
	e.paragraph(e.join(members))
	e.paragraph(e.join(e.term()))
	if s := e.Scope; s != nil {
		e.paragraph(e.join([]sentence{{"It is about " + enumerate(spaced(s.Themes...)) + " in " + enumerate(s.Countries), e.article(&s.Block)}}))
	}
}

func (e *explainer) term() []sentence {
	t := &e.Term
	by := e.article(&t.Block)
	ss := []sentence{{fmt.Sprintf("It holds from %s until %s", instant(t.Effective), instant(t.Expires)), by}}
	if w := t.WindUp; w != nil {
		ss = append(ss, sentence{fmt.Sprintf("For %s after that, %s stay open", w.Lasts.words(), enumerate(w.Flows)), by})
	}
	if !t.Notice.IsZero() {
		ss = append(ss, sentence{"It can be left with notice of " + t.Notice.words(), by})
	}
	if t.Renewal != "" {
		ss = append(ss, sentence{"It is renewed " + spaced(t.Renewal)[0], by})
	}
	return ss
}

// under names the agreements that the organisations of a block take part under.
func under(p *Participant) string {
	if strings.Contains(p.Under, "{org}") {
		return "each under its own " + strings.ReplaceAll(p.Under, "{org}", "<id>")
	}
	return "under " + p.Under
}
