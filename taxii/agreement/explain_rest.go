package agreement

import (
	"fmt"
	"slices"
	"strings"
)

// sharedTerms adds paragraphs on the blocks that hold for all flows: first those that a
// child agreement takes from its parents if it has none, then its own.
func (e *explainer) sharedTerms() {
	e.feedParagraphs()
	if e.Kind != ReaderLetter {
		e.inherited("Personal data", e.PersonalData != nil, (*explainer).personalData)
		e.inherited("Keeping", e.Retention != nil, (*explainer).retention)
		e.inherited("Volumes", e.Quota != nil, (*explainer).quota)
		e.inherited("Audit", e.Audit != nil, (*explainer).audit)
		e.inherited("End and withdrawal", e.Termination != nil, (*explainer).termination)
	}
	if ss := e.feedback(); ss != nil {
		e.paragraph("Feedback. " + e.join(ss))
	}
	for i := range e.Secondments {
		e.paragraph("Secondment. " + e.join(e.secondment(&e.Secondments[i])))
	}
	l := linter{a: e.Agreement}
	l.unsupported()
	var blocks []string
	for _, p := range l.problems {
		block, msg, _ := strings.Cut(p.Msg, ": ")
		_, instead, _ := strings.Cut(msg, "; ")
		blocks = append(blocks, block+" (article "+p.Article+")"+prefixed(", for which ", instead))
	}
	if blocks != nil {
		e.paragraph("Signed, but not carried out by this version: " + enumerate(blocks) + ".")
	}
	if e.absent != nil {
		e.paragraph("Not known here: " + enumerate(e.absent) + ". What members may do under it is narrower than said above.")
	}
}

// prefixed is the text with a prefix; "" if the text is empty.
func prefixed(prefix, text string) string {
	if text == "" {
		return ""
	}
	return prefix + text
}

// inherited adds a paragraph on a block. If the agreement has no such block of its own, it
// adds one for each parent, or one for parents with equal texts.
func (e *explainer) inherited(title string, own bool, describe func(e *explainer) []sentence) {
	if own || e.parents == nil {
		e.paragraph(title + ". " + e.join(describe(e)))
		return
	}
	var texts []string
	under := map[string][]string{}
	for _, p := range e.parents {
		text := e.masked(describe(&explainer{Agreement: p, names: e.names}), []*Agreement{p})
		if !slices.Contains(texts, text) {
			texts = append(texts, text)
		}
		under[text] = append(under[text], p.ID)
	}
	for _, text := range texts {
		e.paragraph(fmt.Sprintf("%s, under %s. %s", title, enumerate(under[text]), unmasked(text, under[text])))
	}
}

func (e *explainer) personalData() []sentence {
	p := e.PersonalData
	if p == nil || len(p.Forbidden) == 0 {
		return []sentence{{"Nothing is forbidden", Clause{}}}
	}
	by := e.article(&p.Block)
	ss := []sentence{{"Not to be sent: " + enumerate(p.Forbidden), by}}
	if len(p.AllowIf) > 0 {
		ss = append(ss, sentence{"Allowed all the same: " + enumerate(p.AllowIf), by})
	}
	if p.OnFind != "" {
		ss = append(ss, sentence{"What is found is " + phrases(map[string]string{"quarantine": "set aside, and the sender told"}, p.OnFind)[0], by})
	}
	return ss
}

func (e *explainer) retention() []sentence {
	r := e.Retention
	if r == nil {
		return []sentence{{"Data is kept for five years at most", Clause{}}}
	}
	by := e.article(&r.Block)
	var ss []sentence
	if !r.Keep.IsZero() {
		since := phrases(map[string]string{"last_seen": "the day it was last seen"}, r.Counted)[0]
		ss = append(ss, sentence{"Data is kept for " + r.Keep.words() + prefixed(", counted from ", since), by})
	}
	most := "five years"
	if !r.NeverOver.IsZero() {
		most = r.NeverOver.words()
	}
	ss = append(ss, sentence{"It is never kept for more than " + most + " after receipt", by})
	if !r.Review.IsZero() {
		ss = append(ss, sentence{"What is kept is reviewed every " + strings.TrimPrefix(r.Review.words(), "1 "), by})
	}
	if r.Leaves != "" {
		ss = append(ss, sentence{"Of what is deleted a " + spaced(r.Leaves)[0] + " remains", by})
	}
	return ss
}

func (e *explainer) quota() []sentence {
	if e.Quota == nil {
		return []sentence{{"There is no limit", Clause{}}}
	}
	return []sentence{{"A sender may make at most " + enumerate(e.Quota.words()), e.article(&e.Quota.Block)}}
}

func (e *explainer) audit() []sentence {
	a := e.Audit
	if a == nil {
		return []sentence{{"A party may see every use of its data at any time", Clause{}}}
	}
	by := e.article(&a.Block)
	right := "at any time"
	if a.Right != "" && a.Right != "anytime" {
		right = spaced(a.Right)[0]
	}
	ss := []sentence{{"A party may see every use of its data " + right, by}}
	if len(a.Export) > 0 {
		ss = append(ss, sentence{"Its export has " + enumerate(spaced(a.Export...)), by})
	}
	if len(a.Witness) > 0 {
		text := "The record is witnessed by " + enumerate(e.namesOf(a.Witness...))
		if m, _ := e.Member(a.Witness[0]); len(a.Witness) == 1 && len(e.Members()) == 2 {
			text = "The record is witnessed by the " + m.Role // equal under many agreements
		}
		if a.Checkpoints != "" {
			text += ", with " + a.Checkpoints + " checkpoints"
		}
		ss = append(ss, sentence{text, by})
	}
	return ss
}

func (e *explainer) feedback() []sentence {
	f := e.Feedback
	if f == nil {
		return nil
	}
	by := e.article(&f.Block)
	var ss []sentence
	if !f.Acknowledge.IsZero() {
		ss = append(ss, sentence{"Receipt is acknowledged within " + f.Acknowledge.words(), by})
	}
	if !f.Outcome.IsZero() {
		ss = append(ss, sentence{"The outcome is told within " + f.Outcome.words() + prefixed(", ", spaced(f.Detail)[0]), by})
	}
	if f.CountryVisible {
		ss = append(ss, sentence{"The country is named", by})
	} else {
		ss = append(ss, sentence{"The country is not named", by})
	}
	return ss
}

func (e *explainer) termination() []sentence {
	t := e.Termination
	if t == nil {
		return []sentence{{"A provider may withdraw its data", Clause{}}}
	}
	by := e.article(&t.Block)
	var ss []sentence
	add := func(given bool, format string, args ...any) {
		if given {
			ss = append(ss, sentence{fmt.Sprintf(format, args...), by})
		}
	}
	meaning := map[string]string{
		"suspend-now": "suspends the flows at once", "stop-and-keep-to-term": "the flows stop and the data is kept to its term",
		"provider-may-withdraw": "a provider may withdraw its data", "rework": "worked out again without it",
	}
	word := func(w string) string { return phrases(meaning, w)[0] }
	add(t.OnBreach != "", "A breach %s", word(t.OnBreach))
	add(!t.BreachNotice.IsZero(), "It is reported within %s", t.BreachNotice.words())
	add(t.OnExpiry != "", "At the end of the term %s", word(t.OnExpiry))
	add(t.OnNotice != "", "After notice %s", word(t.OnNotice))
	add(!t.WithdrawWithin.IsZero(), "What is withdrawn is removed within %s", t.WithdrawWithin.words())
	add(t.Derived != "", "What rested on it is %s", word(t.Derived))
	add(t.RecallNotices, "Whoever fetched it gets a recall notice")
	add(len(t.Survives) > 0, "The clauses on %s outlast the agreement", strings.ReplaceAll(enumerate(t.Survives), "_", " "))
	return ss
}

func (e *explainer) secondment(s *Secondment) []sentence {
	by := e.article(&s.Block)
	home, host := e.namesOf(s.Home)[0], e.namesOf(s.Host)[0]
	ss := []sentence{{fmt.Sprintf("%s lends %s to %s from %s until %s", home, s.Person, host, instant(s.From), instant(s.Until)), by}}
	if s.Post != "" {
		ss = append(ss, sentence{"The post is: " + s.Post, by})
	}
	if len(s.Sees) > 0 {
		ss = append(ss, sentence{"The person sees " + enumerate(e.visible(s.Sees)), by})
	}
	if len(s.NeverSees) > 0 {
		ss = append(ss, sentence{"The person never sees " + enumerate(e.visible(s.NeverSees)), by})
	}
	if s.CarryHome {
		ss = append(ss, sentence{"Data may be carried home", by})
	} else {
		ss = append(ss, sentence{"Nothing may be carried home", by})
	}
	if len(s.SecondPair) > 0 {
		acts := phrases(map[string]string{"publish-report": "publish a report"}, s.SecondPair...)
		ss = append(ss, sentence{"A second person from elsewhere is needed to " + enumerate(acts), by})
	}
	return ss
}

// visible describes the data that a seconded person sees.
func (e *explainer) visible(words []string) []string {
	var ss []string
	for _, w := range words {
		if org, raw := strings.CutPrefix(w, "raw:"); raw {
			ss = append(ss, "what "+spaced(e.namesOf(org)...)[0]+" sent, as it came")
		} else {
			ss = append(ss, phrases(map[string]string{"fused": "findings", "tlp:red": "TLP:RED"}, w)...)
		}
	}
	return ss
}
