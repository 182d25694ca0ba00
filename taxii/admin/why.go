package admin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"comity/stix"
	"comity/store"
	"comity/taxii"
	"comity/taxii/agreement"
	"comity/taxii/audit"
	"comity/taxii/exchange"
)

// AskWhy names an object and the account that sees it or does not.
type AskWhy struct {
	Object string
	As     string     // "org/name"
	At     *time.Time // nil for now
}

// Why explains whether an account sees an object.
type Why struct {
	Object      string          `json:"object"`
	Account     string          `json:"account"`
	Facts       []Fact          `json:"facts"`       // about the account
	Collections []WhyCollection `json:"collections"` // that hold a version of the object, by alias
	Refusals    []WhyRefusal    `json:"refusals"`    // of the object in pushes: the latest ones, oldest first
	Visible     bool            `json:"visible"`
}

// WhyRefusal is one refusal of the object in a push.
type WhyRefusal struct {
	Submission string    `json:"submission"`
	Account    string    `json:"account"`
	Collection string    `json:"collection"` // alias, or id if it has none any more
	At         time.Time `json:"at"`
	Reason     string    `json:"reason"` // the message in the status; a rule or an article once the status has expired
}

// WhyCollection explains whether the account sees the object in one collection.
type WhyCollection struct {
	Collection string       `json:"collection"` // alias
	Facts      []Fact       `json:"facts"`
	Versions   []WhyVersion `json:"versions"` // oldest date_added first
	Visible    bool         `json:"visible"`
}

// WhyVersion explains whether the account sees one version.
type WhyVersion struct {
	Version   string    `json:"version"` // modified, else created, else date_added
	DateAdded time.Time `json:"date_added"`
	Facts     []Fact    `json:"facts"`
	Visible   bool      `json:"visible"`
}

// Fact is one step of an explanation.
type Fact struct {
	Text    string `json:"fact"`
	Article string `json:"article,omitempty"` // the clause it rests on: "dea-acme art. 3"
	Against bool   `json:"against,omitempty"` // this fact alone hides the object
}

// Why explains whether an account sees an object, from the account to the markings.
func (s *Service) Why(ctx context.Context, in AskWhy) (out Why, err error) {
	id, ok := stix.ParseID(in.Object)
	if !ok {
		return out, taxii.Errorf(taxii.Invalid, "%q is no id of a STIX object", in.Object)
	}
	policy, d, err := s.policy(ctx)
	if err != nil {
		return out, err
	}
	account, err := d.Account(in.As)
	if err != nil {
		return out, err
	}
	e := explanation{policy: policy, directory: d, now: s.at(in.At), object: id}
	out = Why{Object: string(id), Account: account.ID(), Collections: []WhyCollection{}, Refusals: []WhyRefusal{}}
	works := e.account(account, &out)
	collections := policy.Collections(e.now)
	slices.SortFunc(collections, func(c, d *exchange.Collection) int { return strings.Compare(c.Alias, d.Alias) })
	for _, c := range collections {
		row := WhyCollection{Collection: c.Alias}
		records, err := s.records(ctx, c, id)
		if err != nil {
			return out, err
		}
		if len(records) == 0 {
			continue
		}
		g, reads := e.collection(c, &row)
		for _, r := range records {
			v := WhyVersion{Version: r.version(), DateAdded: r.DateAdded}
			v.Visible = e.version(c, g, r, &v) && reads && works
			row.Versions = append(row.Versions, v)
			row.Visible = row.Visible || v.Visible
		}
		out.Collections = append(out.Collections, row)
		out.Visible = out.Visible || row.Visible
	}
	out.Refusals, err = s.refusals(ctx, policy, string(id))
	return out, err
}

// maxRefusals is the number of refusals in the explanation of one object.
const maxRefusals = 10

// refusals are the latest refusals of an object in the audit record. An entry names a
// bounded number of refused objects, so some objects of a push with many refusals are not
// found.
func (s *Service) refusals(ctx context.Context, policy *exchange.Policy, id string) ([]WhyRefusal, error) {
	list := []WhyRefusal{}
	for link, err := range store.Links(ctx, s.store, 0) {
		if err != nil {
			return nil, err
		}
		if !bytes.Contains(link.Body, []byte(id)) {
			continue // most entries need not be read
		}
		e, err := link.Entry()
		if err != nil {
			return nil, err
		}
		i := slices.IndexFunc(e.Subjects, func(of audit.Subject) bool { return of.ID == id })
		if e.Act != audit.Submission || e.Refused == 0 || i < 0 {
			continue
		}
		refusal := WhyRefusal{Submission: e.Text, Account: e.Account, Collection: e.Collection, At: e.Time, Reason: e.Subjects[i].Reason}
		if c, ok := policy.Collection(e.Collection, s.now()); ok {
			refusal.Collection = c.Alias
		}
		list = append(list, refusal)
	}
	list = list[max(0, len(list)-maxRefusals):]
	for i := range list {
		submission, err := s.Submission(ctx, list[i].Submission)
		if err != nil {
			continue // the status has expired
		}
		for _, f := range submission.Failures {
			if f.ID == id {
				list[i].Reason = f.Message
			}
		}
	}
	return list, nil
}

// storedVersion is a version of an object with the details that the store keeps beside it.
type storedVersion struct {
	stix.Object
	store.Detail
}

func (v *storedVersion) version() string {
	switch {
	case !v.Modified.IsZero():
		return v.Modified.String()
	case !v.Created.IsZero():
		return v.Created.String()
	}
	return taxii.FormatTime(v.DateAdded)
}

// records are all versions of an object in a collection.
func (s *Service) records(ctx context.Context, c *exchange.Collection, id stix.ID) (list []storedVersion, err error) {
	q := store.Query{Match: taxii.Match{IDs: []string{string(id)}, Specs: []string{"2.0", "2.1"}, Versions: taxii.Versioning{All: true}}}
	err = store.Each(ctx, s.store, exchange.Operator(c.ID), q, func(o *stix.Object, d store.Detail) error {
		list = append(list, storedVersion{*o, d})
		return nil
	})
	return list, err
}

// explanation collects the facts about one object and one account.
type explanation struct {
	policy    *exchange.Policy
	directory *exchange.Directory
	now       time.Time
	object    stix.ID
	principal exchange.Principal
}

func clause(c agreement.Clause) string {
	if c.Article == "" {
		return c.Agreement
	}
	return c.String()
}

// account adds the facts about the account, and tells whether it works.
func (e *explanation) account(account *exchange.Account, out *Why) (works bool) {
	add := func(against bool, format string, args ...any) {
		out.Facts = append(out.Facts, Fact{Text: fmt.Sprintf(format, args...), Against: against})
		works = works && !against
	}
	cite := func() { out.Facts[len(out.Facts)-1].Article = clause(e.secondment(account)) }
	works = true
	kind := "a service"
	if account.Person {
		kind = "a person"
	}
	add(false, "%s is %s that acts for %s", account.ID(), kind, account.Org)
	switch {
	case account.Disabled:
		add(true, "the account is disabled")
	case !account.Usable(e.now):
		add(true, "the account has expired on %s", day(*account.Expires))
	}
	e.principal = account.Principal()
	home, holds := e.policy.Home(account.ID(), e.now)
	switch {
	case !holds:
		add(true, "the person's secondment does not hold")
		cite()
	case home != "":
		add(false, "the person is seconded from %s", home)
		cite()
		e.principal.Home = home
	}
	add(false, "its purposes are %s; what it does with data is: %s", strings.Join(account.Purposes, ", "), account.Action)
	return works
}

// secondment is the clause by which the person of an account is seconded.
func (e *explanation) secondment(account *exchange.Account) (by agreement.Clause) {
	for _, id := range e.policy.Agreements() {
		if s := e.policy.Agreement(id, e.now).Secondment(account.Org, account.Name); s != nil {
			by = agreement.Clause{Agreement: id, Article: s.Article}
		}
	}
	return by
}

// collection adds the facts about a collection: the grant by which the account reads it, or
// the reason why it does not.
func (e *explanation) collection(c *exchange.Collection, out *WhyCollection) (g exchange.Grant, reads bool) {
	add := func(by agreement.Clause, format string, args ...any) {
		out.Facts = append(out.Facts, Fact{Text: fmt.Sprintf(format, args...), Article: clause(by)})
	}
	e.agreement(c.Agreement, add)
	if m, ok := e.policy.Agreement(c.Agreement, e.now).Member(e.principal.Org); ok && m.Under != "" {
		e.agreement(m.Under, add)
	}
	add(agreement.Clause{Agreement: c.Agreement, Article: c.Article}, "flow %s: %s writes, %s reads", c.Flow, c.Writer, strings.Join(c.Readers, ", "))
	add(c.Terms.By["categories"], "it is for %s", strings.Join(c.Terms.Purposes, ", "))
	if since, ok := e.directory.Shut[c.ID.String()]; ok {
		out.Facts = append(out.Facts, Fact{Text: "it takes nothing any more since " + day(since)})
	}
	g, err := e.policy.Decide(e.principal, c.ID.String(), exchange.Read, e.now)
	if err != nil {
		f := Fact{Text: "not readable: " + err.Error(), Against: true}
		var why *exchange.Obstacle
		if errors.As(err, &why) {
			f.Text, f.Article = "not readable: "+why.Reason, clause(agreement.Clause{Agreement: why.Agreement, Article: why.Article})
		}
		out.Facts = append(out.Facts, f)
		return g, false
	}
	if letter := g.Letter(); letter != "" {
		add(agreement.Clause{Agreement: letter}, "readable by the reader letter %s until %s", letter, day(g.Until()))
	} else {
		add(agreement.Clause{Agreement: c.Agreement, Article: c.Article}, "readable until %s", day(g.Until()))
	}
	return g, true
}

// agreement adds the facts about an agreement: its state and its signatures.
func (e *explanation) agreement(id string, add func(by agreement.Clause, format string, args ...any)) {
	text := e.policy.Agreement(id, e.now)
	if text == nil {
		add(agreement.Clause{Agreement: id}, "agreement %s is not deposited", id)
		return
	}
	add(agreement.Clause{Agreement: id, Article: text.Term.Article}, "agreement %s, version %d, is %s; its term ends on %s",
		id, text.Version, e.policy.State(id, e.now), day(text.Term.Expires))
	signed := text.SignedBy(keysIn(e.directory))
	signatures := "not signed"
	if len(signed) > 0 {
		signatures = "signed by " + strings.Join(signed, ", ")
	}
	for _, v := range e.directory.Agreements[id].Versions {
		if v.Digest == text.Digest() && v.Waived != "" {
			signatures += "; other signatures were waived: " + v.Waived
		}
	}
	add(agreement.Clause{}, "%s, %s", text.Digest(), signatures)
}

// version adds the facts about one version, and tells whether the grant shows it. The zero
// Grant stands for none; then there are only facts about the version itself.
func (e *explanation) version(c *exchange.Collection, g exchange.Grant, v storedVersion, out *WhyVersion) (sees bool) {
	add := func(by agreement.Clause, against bool, text string) {
		out.Facts = append(out.Facts, Fact{text, clause(by), against})
	}
	handling, view := v.Handling, g.View()
	by := c.Terms.By["tlp_max"]
	text, marked := describeMarkings(&v.Object)
	if !marked {
		by = c.Terms.By["unmarked"]
	}
	add(agreement.Clause{}, false, text)
	add(by, view.Reads && !view.Own && handling.TLP > view.Ceiling, "it is kept as "+label(handling.TLP))
	if handling.Barred != 0 {
		add(c.Terms.By["pap_max"], view.Reads && !view.Own && handling.Barred&view.Action != 0, "it is kept from: "+handling.Barred.String())
	}
	if handling.Until != 0 {
		until := time.Unix(int64(handling.Until), 0)
		add(c.Terms.By["retention"], !e.now.Before(until), "it is kept until "+taxii.FormatTime(until))
	}
	switch {
	case !view.Reads:
	case view.Own:
		add(agreement.Clause{}, false, "nothing is withheld from the organisation that sent it")
	default:
		add(agreement.Clause{}, false, fmt.Sprintf("the account sees up to %s, for: %s", label(view.Ceiling), view.Action))
		if view.Types != nil && !slices.Contains(view.Types, v.Type) {
			add(agreement.Clause{Agreement: g.Letter()}, true, "the reader letter leaves out "+v.Type)
			return false
		}
	}
	return view.Sees(handling)
}

// describeMarkings describes the markings of an object, and tells whether one is a TLP
// marking.
func describeMarkings(o *stix.Object) (text string, tlp bool) {
	var names []string
	add := func(marks []stix.ID, of string) {
		for _, m := range marks {
			name := string(m)
			if l, ok := stix.MarkingTLP(m); ok {
				name, tlp = label(l), true
			} else if level, ok := stix.MarkingPAP(m); ok {
				name = "PAP:" + strings.ToUpper(level.String())
			}
			names = append(names, name+of)
		}
	}
	add(o.Markings, "")
	add(o.Granular, " on a part of it")
	if len(names) == 0 {
		return "it is not marked: its label comes from what it refers to, or the flow's rule", false
	}
	return "it is marked " + strings.Join(slices.Compact(names), ", "), tlp
}

func label(t stix.TLP) string { return "TLP:" + strings.ToUpper(t.String()) }

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }
