package admin

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"comity/taxii"
	"comity/taxii/agreement"
	"comity/taxii/audit"
	"comity/taxii/exchange"
)

// File is a file as the command read it.
type File struct{ Name, Source string }

// LoadAgreements deposits agreement files.
type LoadAgreements struct {
	Files []File
	Waive string // why missing signatures are waived; "" to wait for them
}

// LoadAgreements deposits all of the files or none. A file whose text is deposited already
// adds its signatures; one with another text amends its agreement. Invalid with every
// problem that is found in the files.
func (s *Service) LoadAgreements(ctx context.Context, by Actor, in LoadAgreements) ([]Agreement, error) {
	var files []*agreement.Agreement
	var formal agreement.Problems
	for _, f := range in.Files {
		parsed, found := agreement.Parse(f.Name, []byte(f.Source))
		formal = append(formal, found...)
		if parsed != nil {
			files = append(files, parsed)
		}
	}
	if err := formal.Err(); err != nil {
		return nil, err
	}
	var l *loading
	err := s.amend(ctx, func(d *exchange.Directory) (_ []audit.Entry, err error) {
		if l, err = newLoading(d, by, s.now(), in.Waive); err != nil {
			return nil, err
		}
		for i, f := range files {
			if err := l.take(f, in.Files[i].Source); err != nil {
				return nil, err
			}
		}
		return l.entries, l.check(distinct(files))
	})
	if err != nil {
		return nil, err
	}
	loaded := []Agreement{}
	for _, f := range distinct(files) {
		row, err := s.Agreement(ctx, ShowAgreement{ID: f.ID})
		if err != nil {
			return nil, err
		}
		row.Source = ""
		for _, p := range append(formal.Warnings(), l.warnings...) {
			if p.File == f.File {
				row.Warnings = append(row.Warnings, p.String())
			}
		}
		loaded = append(loaded, row)
	}
	return loaded, nil
}

// distinct are the files without copies of a text, which only bring signatures.
func distinct(files []*agreement.Agreement) (texts []*agreement.Agreement) {
	for _, f := range files {
		if !slices.ContainsFunc(texts, func(t *agreement.Agreement) bool { return t.Digest() == f.Digest() }) {
			texts = append(texts, f)
		}
	}
	return texts
}

// loading is one run of LoadAgreements.
type loading struct {
	directory *exchange.Directory
	by        Actor
	histories map[string]*history // by id, as they grow
	now       time.Time
	waive     string

	warnings agreement.Problems
	entries  []audit.Entry
}

func newLoading(d *exchange.Directory, by Actor, now time.Time, waive string) (*loading, error) {
	l := &loading{directory: d, by: by, histories: map[string]*history{}, now: now, waive: waive}
	for id, deposit := range d.Agreements {
		h, err := readHistory(deposit)
		if err != nil {
			return nil, err
		}
		l.histories[id] = h
	}
	return l, nil
}

// take deposits one file, or adds its signatures to what is deposited.
func (l *loading) take(f *agreement.Agreement, source string) error {
	d := l.directory
	if centre := f.Centre(); centre != "" && centre != d.Centre.ID {
		return taxii.Errorf(taxii.Invalid, "%s: its centre is %s, and this data folder is that of %s", f.File, centre, d.Centre.ID)
	}
	h := l.histories[f.ID]
	if h == nil {
		h = &history{Deposit: &exchange.Deposit{ID: f.ID}}
		l.histories[f.ID], d.Agreements[f.ID] = h, h.Deposit
	}
	l.warnings = append(l.warnings, f.SignatureProblems(keysIn(d))...)
	n := slices.IndexFunc(h.Versions, func(v exchange.Version) bool { return v.Digest == f.Digest() })
	if err := l.mayFollow(f, h, n); err != nil {
		return err
	}
	if n >= 0 {
		if err := l.merge(f, h, n); err != nil {
			return err
		}
	} else {
		if err := l.admitted(f); err != nil {
			return err
		}
		l.warnings = append(l.warnings, l.people(f)...)
		n = len(h.Versions)
		h.Versions = append(h.Versions, exchange.Version{File: f.File, Source: source, Digest: f.Digest(), Deposited: l.now})
		h.texts = append(h.texts, f)
		l.note(f, "version %d deposited", f.Version)
		l.signed(f, nil)
	}
	l.complete(h, n)
	return nil
}

func (l *loading) note(text *agreement.Agreement, format string, args ...any) {
	l.entries = append(l.entries, agreementEntry(l.directory, l.by, text, "", format, args...))
}

// mayFollow refuses a text that cannot come after the present one. n is its index if it is
// deposited already, else -1.
func (l *loading) mayFollow(f *agreement.Agreement, h *history, n int) error {
	if n >= 0 && (h.Versions[n].Signed != nil || h.counts() < 0) {
		return nil
	}
	for _, act := range h.Acts {
		if act.Kind == exchange.End {
			return taxii.Errorf(taxii.Conflict, "%s: %s was ended on %s; give a new agreement an id of its own",
				f.File, f.ID, act.At.UTC().Format(time.DateOnly))
		}
	}
	if old := h.current(); old != nil {
		return f.Amends(old).Err()
	}
	return nil
}

// admitted refuses members that are not in the directory or suspended.
func (l *loading) admitted(f *agreement.Agreement) error {
	for _, m := range f.Members() {
		switch o := l.directory.Organisations[m.Org]; {
		case o == nil:
			return taxii.Errorf(taxii.Invalid, "%s: there is no organisation %s; add it with comity org add", f.File, m.Org)
		case o.Suspended:
			return taxii.Errorf(taxii.Invalid, "%s: organisation %s is suspended", f.File, m.Org)
		}
	}
	return nil
}

// people warns of persons whom the text names and who have no account.
func (l *loading) people(f *agreement.Agreement) (warnings agreement.Problems) {
	warn := func(b *agreement.Block, id, what string) {
		p := agreement.Problem{File: f.File, Line: b.Line, Article: b.Article, Warning: true}
		switch account := l.directory.Accounts[id]; {
		case account == nil:
			p.Msg = "there is no account " + id + ", " + what + ": add it with comity account add " + id + " --person"
		case !account.Person:
			p.Msg = "the account " + id + ", " + what + ", is a service: name a person"
		default:
			return
		}
		warnings = append(warnings, p)
	}
	for i := range f.Secondments {
		s := &f.Secondments[i]
		warn(&s.Block, s.Host+"/"+s.Person, "of the seconded person")
	}
	for _, name := range f.Handling.RedRecipients {
		warn(&f.Handling.Block, strings.Replace(name, ":", "/", 1), "a recipient of TLP:RED")
	}
	return warnings
}

// merge adds those signatures of f to version n that verify and are new.
func (l *loading) merge(f *agreement.Agreement, h *history, n int) error {
	v, was, key := &h.Versions[n], h.texts[n], keysIn(l.directory)
	good := f.SignedBy(key)
	given := slices.DeleteFunc(slices.Clone(f.Signatures), func(s agreement.Signature) bool {
		return !slices.Contains(good, s.Org) || s.Key != key(s.Org)
	})
	more := agreement.MergeSignatures(was.Signatures, given)[len(was.Signatures):]
	if len(more) == 0 {
		return nil
	}
	v.Source = string(agreement.AppendSignatures([]byte(v.Source), more...))
	text, problems := agreement.Parse(v.File, []byte(v.Source))
	if err := problems.Err(); err != nil {
		return err
	}
	h.texts[n] = text
	l.signed(text, was)
	return nil
}

// signed notes the new signatures of a text; was is the text before, nil if it is new.
func (l *loading) signed(text, was *agreement.Agreement) {
	key := keysIn(l.directory)
	for _, org := range text.SignedBy(key) {
		if was == nil || !slices.Contains(was.SignedBy(key), org) {
			l.note(text, "version %d signed by %s", text.Version, org)
		}
	}
}

// complete notes that version n needs no more signatures, if none is missing or the
// missing ones are waived.
func (l *loading) complete(h *history, n int) {
	v, text, now := &h.Versions[n], h.texts[n], l.now
	orgs := missing(text, l.directory)
	if v.Signed != nil || len(orgs) > 0 && l.waive == "" {
		return
	}
	if len(orgs) > 0 {
		v.Waived = l.waive
		l.note(text, "version %d counts without the signatures of %s: %s", text.Version, strings.Join(orgs, ", "), l.waive)
	}
	v.Signed = &now
}

// check holds the files against the agreements they take part under, and what is
// deposited under them against the files. A child may be wider neither than the
// text of its parent that counts nor than the one that waits for signatures.
func (l *loading) check(files []*agreement.Agreement) error {
	current := func(id string) *agreement.Agreement { return l.text(id, (*history).current) }
	latest := func(id string) *agreement.Agreement { return l.text(id, (*history).latest) }
	policy, err := exchange.NewPolicy(l.directory)
	if err != nil {
		return err
	}
	loaded := func(id string) bool {
		return slices.ContainsFunc(files, func(f *agreement.Agreement) bool { return f.ID == id })
	}
	problems := agreement.Check(files, latest, true) // also finds ids given twice
	for _, id := range slices.Sorted(maps.Keys(l.histories)) {
		state := policy.State(id, l.now)
		if !loaded(id) && (state == exchange.Ended || state == exchange.Withdrawn) {
			continue
		}
		h := l.histories[id]
		for _, child := range append(h.waiting(), h.current()) {
			if loaded(id) || slices.ContainsFunc(child.Parents(), loaded) {
				one := []*agreement.Agreement{child}
				problems = append(problems, agreement.Check(one, current, true)...)
				problems = append(problems, agreement.Check(one, latest, true)...)
			}
		}
	}
	var each agreement.Problems
	for _, p := range problems {
		if !slices.Contains(each, p) {
			each = append(each, p)
		}
	}
	l.warnings = append(l.warnings, each.Warnings()...)
	return each.Err()
}

// text is the text that which finds; nil if there is no such agreement.
func (l *loading) text(id string, which func(*history) *agreement.Agreement) *agreement.Agreement {
	if h := l.histories[id]; h != nil {
		return which(h)
	}
	return nil
}
