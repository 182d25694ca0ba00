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

// File is one file that the command read.
type File struct{ Name, Source string }

// LoadAgreements deposits agreement files.
type LoadAgreements struct {
	Files []File
	Waive string // why missing signatures are waived; "" to wait for them
}

// LoadAgreements deposits all files or none. If the text of a file is deposited already,
// its new signatures are added; if the agreement has another text, the file amends it. The
// error is Invalid, with every problem in the files.
func (s *Service) LoadAgreements(ctx context.Context, by Actor, in LoadAgreements) ([]Agreement, error) {
	var files []*agreement.Agreement
	var problems agreement.Problems
	for _, f := range in.Files {
		parsed, found := agreement.Parse(f.Name, []byte(f.Source))
		problems = append(problems, found...)
		if parsed != nil {
			files = append(files, parsed)
		}
	}
	if err := problems.Err(); err != nil {
		return nil, err
	}
	var l *loader
	err := s.amend(ctx, func(d *exchange.Directory) (_ []audit.Entry, err error) {
		if l, err = newLoader(d, by, s.now(), in.Waive); err != nil {
			return nil, err
		}
		for i, f := range files {
			if err := l.deposit(f, in.Files[i].Source); err != nil {
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
		for _, p := range append(problems.Warnings(), l.warnings...) {
			if p.File == f.File {
				row.Warnings = append(row.Warnings, p.String())
			}
		}
		loaded = append(loaded, row)
	}
	return loaded, nil
}

// distinct are the files with different texts. Of files with one text it keeps the first;
// the others only add signatures.
func distinct(files []*agreement.Agreement) (texts []*agreement.Agreement) {
	for _, f := range files {
		if !slices.ContainsFunc(texts, func(t *agreement.Agreement) bool { return t.Digest() == f.Digest() }) {
			texts = append(texts, f)
		}
	}
	return texts
}

// loader is one run of LoadAgreements.
type loader struct {
	directory *exchange.Directory
	by        Actor
	histories map[string]*history // by id, with the files deposited so far
	now       time.Time
	waive     string

	warnings agreement.Problems
	entries  []audit.Entry
}

func newLoader(d *exchange.Directory, by Actor, now time.Time, waive string) (*loader, error) {
	l := &loader{directory: d, by: by, histories: map[string]*history{}, now: now, waive: waive}
	for id, deposit := range d.Agreements {
		h, err := readHistory(deposit)
		if err != nil {
			return nil, err
		}
		l.histories[id] = h
	}
	return l, nil
}

// deposit deposits one file, or adds its signatures to the version with the same text.
func (l *loader) deposit(f *agreement.Agreement, source string) error {
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
	if err := l.checkSuccession(f, h, n); err != nil {
		return err
	}
	if n >= 0 {
		if err := l.addSignatures(f, h, n); err != nil {
			return err
		}
	} else {
		if err := l.checkMembers(f); err != nil {
			return err
		}
		l.warnings = append(l.warnings, l.checkPersons(f)...)
		n = len(h.Versions)
		h.Versions = append(h.Versions, exchange.Version{File: f.File, Source: source, Digest: f.Digest(), Deposited: l.now})
		h.texts = append(h.texts, f)
		l.record(f, "version %d deposited", f.Version)
		l.recordSignatures(f, nil)
	}
	l.completeSigning(h, n)
	return nil
}

// record adds an entry about an agreement.
func (l *loader) record(text *agreement.Agreement, format string, args ...any) {
	l.entries = append(l.entries, agreementEntry(l.directory, l.by, text, "", format, args...))
}

// checkSuccession refuses a text that cannot follow the current one. n is the index of the
// text if it is deposited already, else -1.
func (l *loader) checkSuccession(f *agreement.Agreement, h *history, n int) error {
	if n >= 0 && (h.Versions[n].Signed != nil || h.lastSigned() < 0) {
		return nil
	}
	for _, act := range h.Acts {
		if act.Kind == exchange.End {
			return taxii.Errorf(taxii.Conflict, "%s: %s was ended on %s; give a new agreement an id of its own",
				f.File, f.ID, act.At.UTC().Format(time.DateOnly))
		}
	}
	if current := h.current(); current != nil {
		return f.Amends(current).Err()
	}
	return nil
}

// checkMembers refuses members that are not in the directory or that are suspended.
func (l *loader) checkMembers(f *agreement.Agreement) error {
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

// checkPersons warns of persons in the text who have no account.
func (l *loader) checkPersons(f *agreement.Agreement) (warnings agreement.Problems) {
	check := func(b *agreement.Block, id, role string) {
		p := agreement.Problem{File: f.File, Line: b.Line, Article: b.Article, Warning: true}
		switch account := l.directory.Accounts[id]; {
		case account == nil:
			p.Msg = "there is no account " + id + ", " + role + ": add it with comity account add " + id + " --person"
		case !account.Person:
			p.Msg = "the account " + id + ", " + role + ", is a service: name a person"
		default:
			return
		}
		warnings = append(warnings, p)
	}
	for i := range f.Secondments {
		s := &f.Secondments[i]
		check(&s.Block, s.Host+"/"+s.Person, "of the seconded person")
	}
	for _, name := range f.Handling.RedRecipients {
		check(&f.Handling.Block, strings.Replace(name, ":", "/", 1), "a recipient of TLP:RED")
	}
	return warnings
}

// addSignatures adds to version n the signatures of f that verify and are new.
func (l *loader) addSignatures(f *agreement.Agreement, h *history, n int) error {
	v, before, key := &h.Versions[n], h.texts[n], keysIn(l.directory)
	signers := f.SignedBy(key)
	valid := slices.DeleteFunc(slices.Clone(f.Signatures), func(s agreement.Signature) bool {
		return !slices.Contains(signers, s.Org) || s.Key != key(s.Org)
	})
	added := agreement.MergeSignatures(before.Signatures, valid)[len(before.Signatures):]
	if len(added) == 0 {
		return nil
	}
	v.Source = string(agreement.AppendSignatures([]byte(v.Source), added...))
	text, problems := agreement.Parse(v.File, []byte(v.Source))
	if err := problems.Err(); err != nil {
		return err
	}
	h.texts[n] = text
	l.recordSignatures(text, before)
	return nil
}

// recordSignatures adds an entry for each new signature of a text. before is the text
// without them; nil if all are new.
func (l *loader) recordSignatures(text, before *agreement.Agreement) {
	key := keysIn(l.directory)
	for _, org := range text.SignedBy(key) {
		if before == nil || !slices.Contains(before.SignedBy(key), org) {
			l.record(text, "version %d signed by %s", text.Version, org)
		}
	}
}

// completeSigning marks version n as signed if no signature is missing, or if the missing
// ones are waived.
func (l *loader) completeSigning(h *history, n int) {
	v, text, now := &h.Versions[n], h.texts[n], l.now
	orgs := missing(text, l.directory)
	if v.Signed != nil || len(orgs) > 0 && l.waive == "" {
		return
	}
	if len(orgs) > 0 {
		v.Waived = l.waive
		l.record(text, "version %d counts without the signatures of %s: %s", text.Version, strings.Join(orgs, ", "), l.waive)
	}
	v.Signed = &now
}

// check compares the files with their parent agreements, and the child agreements that are
// deposited with the files. A child may be wider neither than the current text of its
// parent nor than a text of it that waits for signatures.
func (l *loader) check(files []*agreement.Agreement) error {
	current := func(id string) *agreement.Agreement { return l.text(id, (*history).current) }
	latest := func(id string) *agreement.Agreement { return l.text(id, (*history).latest) }
	policy, err := exchange.NewPolicy(l.directory)
	if err != nil {
		return err
	}
	loaded := func(id string) bool {
		return slices.ContainsFunc(files, func(f *agreement.Agreement) bool { return f.ID == id })
	}
	problems := agreement.Check(files, latest, true) // finds ids given twice, too
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
	var unique agreement.Problems
	for _, p := range problems {
		if !slices.Contains(unique, p) {
			unique = append(unique, p)
		}
	}
	l.warnings = append(l.warnings, unique.Warnings()...)
	return unique.Err()
}

// text is the text that choose returns for an agreement; nil if there is no such agreement.
func (l *loader) text(id string, choose func(*history) *agreement.Agreement) *agreement.Agreement {
	if h := l.histories[id]; h != nil {
		return choose(h)
	}
	return nil
}
