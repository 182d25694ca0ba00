package agreement

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// lint finds the problems of a single file. The decoder has checked the form of each field
// already. If it found a field missing, the rules that need the field report nothing.
func lint(a *Agreement) Problems {
	l := linter{a: a}
	l.articles()
	l.members()
	l.times()
	l.purpose()
	l.flows()
	l.handling()
	l.references()
	l.unsupported()
	return l.problems
}

type linter struct {
	a        *Agreement
	problems Problems
}

// fail reports a key of a block, "" for the block itself.
func (l *linter) fail(b *Block, key, msg string, args ...any) {
	if l.problems.full() {
		return
	}
	l.problems = append(l.problems, Problem{
		File: l.a.File, Line: b.lineOf(key), Article: b.Article,
		Msg: b.name(key) + ": " + fmt.Sprintf(msg, args...),
	})
}

// failFile reports a key at the top of the file, or its absence.
func (l *linter) failFile(key, msg string, args ...any) {
	l.problems = append(l.problems, Problem{
		File: l.a.File, Line: l.a.lineOf(key),
		Msg: key + ": " + fmt.Sprintf(msg, args...),
	})
}

func (l *linter) warn(b *Block, key, msg string, args ...any) {
	before := len(l.problems)
	l.fail(b, key, msg, args...)
	for i := range l.problems[before:] {
		l.problems[before+i].Warning = true
	}
}

// articles checks that each block names an article, and that each binding article has a
// block. A signature may name an article, but carries out none.
func (l *linter) articles() {
	carriedOut := map[string]bool{}
	for _, b := range l.a.blocks {
		signature := b.name("") == "signature"
		switch {
		case b.Article == "" && !signature:
			l.fail(b, "", `names no article: add article = "…"`)
		case b.Article != "" && l.a.Article(b.Article) == nil:
			l.fail(b, "article", "there is no article %s: name the one it carries out", b.Article)
		case !signature:
			carriedOut[b.Article] = true
		}
	}
	for i := range l.a.Articles {
		at := &l.a.Articles[i]
		as := &Block{place: at.place, Article: at.N}
		if l.a.Article(at.N) != at && at.N != "" {
			l.fail(as, "n", "there are two articles %s: number them apart", at.N)
		} else if at.Binding && !carriedOut[at.N] {
			l.fail(as, "", `binding, and no block carries it out: add one with article = %q, or write binding = false`, at.N)
		}
	}
}

// members checks that each organisation is named once, and that one party is the centre.
func (l *linter) members() {
	seen := map[string]bool{}
	check := func(b *Block, key, org string) {
		if org == Each || org == AllParticipants {
			l.fail(b, key, "%s is a word of flows, no organisation", org)
		} else if seen[org] && org != "" {
			l.fail(b, key, "%s is named twice: a party does not take part again", org)
		}
		seen[org] = true
	}
	for i := range l.a.Parties {
		p := &l.a.Parties[i]
		check(&p.Block, "org", p.Org)
		if centre := l.a.Centre(); p.Role == RoleCentre && p.Org != centre {
			l.fail(&p.Block, "role", "%s is the centre already: there is one", centre)
		}
	}
	for i := range l.a.Participants {
		p := &l.a.Participants[i]
		for j, org := range p.Orgs {
			check(&p.Block, element("orgs", j), org)
		}
		if p.Role == RoleCentre {
			l.fail(&p.Block, "role", "the centre is a party: give it a [[party]]")
		}
	}
	if l.a.Parties != nil && l.a.Centre() == "" && l.a.Kind != ReaderLetter {
		l.failFile("party", `no party has the role centre: give one role = "centre"`)
	}
	if l.a.Kind == ReaderLetter && l.a.Participants == nil {
		l.failFile("participant", "missing; a reader letter names its readers, and under which agreement they read")
	}
}

// times checks that times are in order, and that data is neither kept nor held too long.
func (l *linter) times() {
	if f := l.a.Fusion; f != nil && f.Window != nil && !f.Window.From.Before(f.Window.To) {
		l.fail(&f.Block, "window", "to is not after from: a window ends after it began")
	}
	if r := l.a.Retention; r != nil && r.NeverOver.seconds() > mostKept {
		l.fail(&r.Block, "never_over", "%s is over five years: write P5Y or less", r.NeverOver)
	}
	if f := l.a.Feeds; f != nil && f.Hold.seconds() > mostKept {
		l.fail(&f.Block, "hold", "%s is over five years: write P5Y or less", f.Hold)
	}
	t := &l.a.Term
	if w := t.WindUp; w != nil {
		for i, name := range w.Flows {
			l.checkFlow(&t.Block, element("wind_up.flows", i), name)
		}
	}
	if t.Effective.IsZero() || t.Expires.IsZero() {
		return
	}
	if !t.Effective.Before(t.Expires) {
		l.fail(&t.Block, "expires", "not after effective: an agreement ends after it began")
	}
	if t.Signed.After(t.Expires) {
		l.fail(&t.Block, "signed", "after expires: an agreement is signed before it ends")
	}
	if s := t.Snapshot; !s.IsZero() && (s.Before(t.Effective) || s.After(t.Expires)) {
		l.fail(&t.Block, "snapshot", "outside the term: choose a time from effective to expires")
	}
}

// purpose checks that there is a purpose; that of an operation is in its scope.
func (l *linter) purpose() {
	switch {
	case l.a.Kind == Operation && l.a.Scope == nil:
		l.failFile("scope", "missing; an operation needs one, with its purpose")
	case l.a.Kind != Operation && l.a.Purpose == nil:
		l.failFile("purpose", "missing; it is required, with its categories")
	}
}

// references checks the organisations in secondments, the audit block and signatures: they
// are members, secondments are within the term, and only parties sign.
func (l *linter) references() {
	a := l.a
	for i := range a.Secondments {
		s := &a.Secondments[i]
		l.checkMember(&s.Block, "home", s.Home)
		l.checkMember(&s.Block, "host", s.Host)
		if s.From.IsZero() || s.Until.IsZero() || a.Term.Expires.IsZero() {
			continue
		}
		if !s.From.Before(s.Until) {
			l.fail(&s.Block, "until", "not after from: a secondment ends after it began")
		}
		if s.From.Before(a.Term.Effective) {
			l.fail(&s.Block, "from", "before the term: the agreement is effective from %s", a.Term.Effective.Format(time.RFC3339))
		}
		if s.Until.After(a.Term.Expires) {
			l.fail(&s.Block, "until", "after the term: the agreement expires %s", a.Term.Expires.Format(time.RFC3339))
		}
	}
	if a.Audit != nil {
		for i, org := range a.Audit.Witness {
			l.checkMember(&a.Audit.Block, element("witness", i), org)
		}
	}
	for i := range a.Signatures {
		s := &a.Signatures[i]
		if !slices.ContainsFunc(a.Parties, func(p Party) bool { return p.Org == s.Org }) && s.Org != "" {
			l.fail(&s.Block, "org", "%s is no party: only parties sign", s.Org)
		}
	}
}

// unsupported warns of blocks and keys that this version reads but does not carry out.
func (l *linter) unsupported() {
	const msg = "not carried out by this version"
	if b := l.a.Deconfliction; b != nil {
		l.warn(&b.Block, "", msg)
	}
	if b := l.a.Publish; b != nil {
		l.warn(&b.Block, "", msg)
	}
	h := &l.a.Handling
	if h.HandlingCode != nil {
		l.warn(&h.Block, "handling_code", msg)
	}
	if h.Granular == Derive {
		l.warn(&h.Block, "granular", "derive is "+msg+"; objects are withheld")
	}
}

// checkMember reports an organisation that is neither party nor participant.
func (l *linter) checkMember(b *Block, key, org string) {
	if _, ok := l.a.Member(org); ok || org == "" || l.problems.full() {
		return
	}
	var orgs []string
	for _, m := range l.a.Members() {
		orgs = append(orgs, m.Org)
	}
	l.fail(b, key, "%s is no party or participant%s", org, cmp.Or(hint(org, orgs), ": name one, or add it"))
}

// checkFlow reports a name that is not the name of a flow.
func (l *linter) checkFlow(b *Block, key, name string) {
	if l.a.Flow(name) != nil || l.problems.full() {
		return
	}
	var names []string
	for _, f := range l.a.Flows {
		names = append(names, f.Name)
	}
	l.fail(b, key, "there is no flow %s%s", name, cmp.Or(hint(name, names), ": name one of "+strings.Join(names, ", ")))
}
