package agreement

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// Explain writes what the agreement allows in plain English: a head, a
// paragraph per flow, then what holds for all of them, each with the articles
// it rests on. Parents finds the agreements that members take part under, nil
// if there are none or one is not known; a child agreement is explained with
// the terms it takes from them. Lines have at most 78 characters. The error is
// the writer's.
func (a *Agreement) Explain(w io.Writer, parents func(id string) *Agreement) error {
	e := explainer{Agreement: a, names: map[string]string{}}
	e.name(a)
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
		e.name(parent)
	}
	e.head()
	if a.Kind == ReaderLetter {
		e.letter()
	} else {
		for i := range a.Flows {
			e.flow(&a.Flows[i])
		}
	}
	e.rest()
	_, err := io.WriteString(w, strings.Join(e.paragraphs, "\n\n")+"\n")
	return err
}

// explainer collects paragraphs.
type explainer struct {
	*Agreement
	parents    []*Agreement
	absent     []string          // ids of parents not known
	names      map[string]string // of organisations
	paragraphs []string
}

// sentence rests on a clause, the zero one if on none. It has no full stop.
type sentence struct {
	text string
	by   Clause
}

// theParent stands for the id of a parent while texts are compared.
const theParent = "\x00"

// article is what a sentence cites for a clause of this agreement.
func (e *explainer) article(b *Block) Clause { return Clause{e.ID, b.Article} }

func (e *explainer) name(a *Agreement) {
	for _, p := range a.Parties {
		if p.Name != "" {
			e.names[p.Org] = p.Name
		}
	}
}

// called are organisations by their names, those without one by their id.
func (e *explainer) called(orgs ...string) []string {
	var ss []string
	for _, org := range orgs {
		if name := e.names[org]; name != "" {
			org = name
		}
		ss = append(ss, org)
	}
	return ss
}

// introduced is an organisation by its name, with its id and what else is known
// of it: "Alder Threat Research (alder, provider)".
func (e *explainer) introduced(org string, more ...string) string {
	name := e.called(org)[0]
	if name != org {
		more = append([]string{org}, more...)
	}
	if more == nil {
		return name
	}
	return name + " (" + strings.Join(more, ", ") + ")"
}

// say adds a paragraph.
func (e *explainer) say(text string) {
	e.paragraphs = append(e.paragraphs, wrap(text, 78))
}

// text puts sentences together. Of sentences in a row that rest on the same
// clause the last one cites it.
func (e *explainer) text(ss []sentence) string {
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

// masked is the text with the only parent's id taken out, so that the same
// terms under two agreements read the same.
func (e *explainer) masked(ss []sentence, parents []*Agreement) string {
	if len(parents) == 1 {
		ss = slices.Clone(ss)
		for i := range ss {
			if ss[i].by.Agreement == parents[0].ID {
				ss[i].by.Agreement = theParent
			}
		}
	}
	return e.text(ss)
}

// unmasked is the text for the parents it holds under: the one it came from,
// or several that say the same.
func unmasked(text string, parents []string) string {
	if len(parents) == 1 {
		return strings.ReplaceAll(text, theParent, parents[0])
	}
	return strings.ReplaceAll(text, theParent, "that agreement")
}

func (e *explainer) head() {
	e.say(e.Title)
	head := fmt.Sprintf("%s is %s, version %d.", e.ID, map[Kind]string{
		Charter: "a charter", DataExchange: "a data exchange agreement", AdHocLetter: "an ad-hoc letter",
		Operation: "an operation", ReaderLetter: "a reader letter",
	}[e.Kind], e.Version)
	if e.Replaces != "" {
		head += " It replaces the version with the digest " + e.Replaces + "."
	}
	e.say(head + " What the parties sign is the digest " + e.digest + ".")

	var parties []string
	for _, p := range e.Parties {
		parties = append(parties, e.introduced(p.Org, p.Role))
	}
	who := []sentence{{"Parties are " + enumerate(parties), Clause{}}}
	for i := range e.Participants {
		p := &e.Participants[i]
		var orgs []string
		for _, org := range p.Orgs {
			orgs = append(orgs, e.introduced(org))
		}
		who = append(who, sentence{
			fmt.Sprintf("Taking part as %s, %s: %s", p.Role, under(p), enumerate(orgs)), e.article(&p.Block)})
	}
	e.say(e.text(who))
	e.say(e.text(e.term()))
	if s := e.Scope; s != nil {
		e.say(e.text([]sentence{{"It is about " + enumerate(spaced(s.Themes...)) + " in " + enumerate(s.Countries), e.article(&s.Block)}}))
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

// under says under what the organisations of a block take part.
func under(p *Participant) string {
	if strings.Contains(p.Under, "{org}") {
		return "each under its own " + strings.ReplaceAll(p.Under, "{org}", "<id>")
	}
	return "under " + p.Under
}
