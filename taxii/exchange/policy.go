// Package exchange decides all access: it has the organisations and their accounts,
// the grants that follow from agreements in force, and the handling of objects.
//
// Grants are computed from agreements at each request and never stored: no
// command, endpoint or table sets one. The package opens no store and knows no
// protocol.
package exchange

import (
	"errors"
	"maps"
	"slices"
	"time"

	"comity/stix"
	"comity/taxii"
	"comity/taxii/agreement"
)

// Verb is the right that a caller asks for.
type Verb uint8

// The verbs. Any right is enough for Open.
const (
	Open Verb = iota
	Read
	Write
	Delete
)

// Policy answers all questions of access from one generation of the directory. It is
// read-only and safe for concurrent use. The time is an argument, so that a term begins
// and ends without a new generation.
type Policy struct {
	centre      Centre
	orgs        map[string]*Organisation
	agreements  map[string]*lifecycle
	collections []*Collection                   // sorted by id; one for each edition
	byName      map[string][]*Collection        // by id and by alias
	decoy       *Collection                     // without writer and readers; nil if there is no collection
	byOrg       map[string][]*Collection        // by writer and reader; each list is sorted by id
	secondments map[string][]secondment         // by account
	parsed      map[string]*agreement.Agreement // by source
}

// NewPolicy reads the deposited agreements. The error is Internal if one of them can no
// longer be read, since all were checked when they were deposited.
func NewPolicy(d *Directory) (*Policy, error) { return (&Policy{}).Renew(d) }

// Renew makes the policy of a newer generation of the directory. It does not parse
// agreements again that p has parsed.
func (p *Policy) Renew(d *Directory) (*Policy, error) {
	n := &Policy{
		centre:      d.Centre,
		orgs:        d.Organisations,
		agreements:  map[string]*lifecycle{},
		byName:      map[string][]*Collection{},
		byOrg:       map[string][]*Collection{},
		secondments: map[string][]secondment{},
		parsed:      map[string]*agreement.Agreement{},
	}
	for _, id := range slices.Sorted(maps.Keys(d.Agreements)) {
		deposit := d.Agreements[id]
		s := &lifecycle{acts: deposit.Acts}
		for _, v := range deposit.Versions {
			text := p.parsed[v.Source]
			if text == nil {
				var problems agreement.Problems
				text, problems = agreement.Parse(v.File, []byte(v.Source))
				if err := problems.Err(); err != nil {
					return nil, &taxii.Error{Code: taxii.Internal, Msg: "agreement " + id + " cannot be read", Err: err}
				}
			}
			if v.Digest != text.Digest() {
				return nil, &taxii.Error{Code: taxii.Internal, Msg: "agreement " + id + " cannot be trusted", Err: errors.New("its text has another digest than the one recorded when it was deposited: run comity check")}
			}
			n.parsed[v.Source] = text
			s.latest = text
			var e *edition
			if v.Signed != nil {
				e = &edition{text: text, members: text.Members()}
				if len(s.editions) > 0 {
					e.since = taxii.Latest(*v.Signed, text.Term.Effective)
				}
				s.editions = append(s.editions, e)
			}
			n.addSecondments(s, e, text)
		}
		n.agreements[id] = s
	}
	n.expand()
	return n, nil
}

// Centre is the centre of the directory.
func (p *Policy) Centre() Centre { return p.centre }

// CentreName is the name of the centre's organisation, or its id.
func (p *Policy) CentreName() string {
	if o := p.orgs[p.centre.ID]; o != nil {
		return o.Name
	}
	return p.centre.ID
}

// Organisation finds one by id; nil if there is none.
func (p *Policy) Organisation(id string) *Organisation { return p.orgs[id] }

// Collections are all collections at that time, by id, whatever the state of their
// agreement.
func (p *Policy) Collections(now time.Time) []*Collection {
	return slices.DeleteFunc(slices.Clone(p.collections), func(c *Collection) bool { return !c.current(now) })
}

// CollectionsOf are the collections that an organisation writes, or reads by an agreement or
// a reader letter, in their edition at that time, whether or not it has access then.
func (p *Policy) CollectionsOf(org string, now time.Time) []*Collection {
	return slices.DeleteFunc(slices.Clone(p.byOrg[org]), func(c *Collection) bool { return !c.current(now) })
}

// Collection finds a collection by its id or alias, in its edition at that time.
func (p *Policy) Collection(name string, now time.Time) (*Collection, bool) {
	for _, c := range p.byName[name] {
		if c.current(now) {
			return c, true
		}
	}
	return nil, false
}

// Agreement finds the text of an agreement that is in force at that time, or the latest
// one while none is signed; nil if there is no such agreement.
func (p *Policy) Agreement(id string, now time.Time) *agreement.Agreement {
	s := p.agreements[id]
	if s == nil {
		return nil
	}
	if e := s.editionAt(now); e != nil {
		return e.text
	}
	return s.latest
}

// Agreements are the ids of all that are deposited, sorted.
func (p *Policy) Agreements() []string { return slices.Sorted(maps.Keys(p.agreements)) }

// Member tells whether an organisation is bound by an agreement, in any of its signed
// versions; while none is signed, whether the latest one names it.
func (p *Policy) Member(id, org string) bool {
	s := p.agreements[id]
	if s == nil {
		return false
	}
	for _, e := range s.editions {
		if _, ok := e.text.Member(org); ok {
			return true
		}
	}
	return len(s.editions) == 0 && names(s.latest, org)
}

// Invited tells whether the latest version of an agreement names an organisation that is no
// member yet, because that version is not signed.
func (p *Policy) Invited(id, org string) bool {
	s := p.agreements[id]
	return s != nil && !p.Member(id, org) && names(s.latest, org)
}

func names(text *agreement.Agreement, org string) bool {
	_, ok := text.Member(org)
	return ok
}

// State is the state of an agreement at that time; Deposited if there is none.
func (p *Policy) State(id string, now time.Time) State {
	if s := p.agreements[id]; s != nil {
		return s.state(now)
	}
	return Deposited
}

// Next is the next time at which the state of an agreement may change by itself; zero if
// there is none.
func (p *Policy) Next(now time.Time) (next time.Time) {
	for id := range p.agreements {
		if t := p.NextOf(id, now); !t.IsZero() && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	return next
}

// NextOf is the next time at which the state of that agreement may change by itself; zero
// if there is none.
func (p *Policy) NextOf(id string, now time.Time) (next time.Time) {
	s := p.agreements[id]
	if s == nil {
		return next
	}
	for _, t := range s.transitions() {
		if t.After(now) && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	return next
}

// Transitions are the times after from, up to to, at which agreements may have given or
// taken access to collections. They are in no order.
func (p *Policy) Transitions(from, to time.Time) (times []time.Time) {
	for _, s := range p.agreements {
		for _, t := range s.transitions() {
			if t.After(from) && !t.After(to) {
				times = append(times, t)
			}
		}
	}
	return times
}

// Obstacle is the reason why a caller has no right, with the clause behind it. It is for
// the audit record and for the operator: a caller must not see it.
type Obstacle struct {
	Agreement, Article, Reason string
}

func (o *Obstacle) Error() string {
	if o.Article == "" {
		return o.Reason
	}
	return o.Reason + " (" + agreement.Clause{Agreement: o.Agreement, Article: o.Article}.String() + ")"
}

// whyClosed is the reason why a collection is closed to everybody at that time; nil if it
// is open.
func (p *Policy) whyClosed(c *Collection, now time.Time) *Obstacle {
	switch state := c.lifecycle.state(now); {
	case state == WindUp && c.windUp || state == InForce:
	default:
		return &Obstacle{c.Agreement, c.edition.text.Term.Article, "the agreement is " + string(state)}
	}
	if c.lifecycle.left(c.Writer, now) || c.lifecycle.left(c.Participant, now) {
		return &Obstacle{Agreement: c.Agreement, Reason: "its participant has withdrawn"}
	}
	if c.parent != "" {
		return p.whyNoPart(c.parent, c.participant(), now)
	}
	return nil
}

// whyNoPart is the reason why an organisation cannot take part under an agreement; nil if
// it can.
func (p *Policy) whyNoPart(under, org string, now time.Time) *Obstacle {
	s := p.agreements[under]
	if s == nil {
		return &Obstacle{Agreement: under, Reason: "the agreement is not deposited"}
	}
	if state := s.state(now); state != InForce {
		return &Obstacle{Agreement: under, Article: s.latest.Term.Article, Reason: "the agreement is " + string(state)}
	}
	if s.left(org, now) {
		return &Obstacle{Agreement: under, Reason: org + " has withdrawn"}
	}
	return nil
}

// whyExcluded is the reason why org has no access to c at that time although c is open;
// nil if it has.
func (p *Policy) whyExcluded(c *Collection, org string, now time.Time) *Obstacle {
	switch o := p.orgs[org]; {
	case o == nil:
		return &Obstacle{Reason: "there is no organisation " + org}
	case o.Suspended:
		return &Obstacle{Reason: "organisation " + org + " is suspended"}
	case c.lifecycle.left(org, now):
		return &Obstacle{Agreement: c.Agreement, Reason: org + " has withdrawn"}
	case c.under[org] != "":
		return p.whyNoPart(c.under[org], org, now)
	}
	return nil
}

// grant is the caller's grant on c at that time, or the reason why there is none.
func (p *Policy) grant(pr Principal, c *Collection, now time.Time) (Grant, *Obstacle) {
	if !c.current(now) {
		return Grant{}, &Obstacle{Agreement: c.Agreement, Reason: "an amendment took its place"}
	}
	if why := p.whyClosed(c, now); why != nil {
		return Grant{}, why
	}
	var posting *secondment
	if p.seconded(pr) {
		posting = p.secondment(pr.Account, now)
		if why := p.barrier(posting, c); why != nil {
			return Grant{}, why
		}
	}
	own := c.Writer == pr.Org
	if !own && !slices.Contains(c.Readers, pr.Org) {
		return p.sharedGrant(pr, c, now)
	}
	if why := p.whyExcluded(c, pr.Org, now); why != nil {
		return Grant{}, why
	}
	if !intersect(pr.Purposes, c.Terms.Purposes) {
		return Grant{}, c.wrongPurpose(pr)
	}
	g := Grant{principal: pr, policy: p, collection: c, id: c.ID, write: own}
	g.view = View{
		Reads:   c.Terms.WriterReads || slices.Contains(c.Readers, pr.Org),
		Own:     own && !neverRed(posting),
		Ceiling: ceiling(pr, c, posting),
		Action:  actionOfAccount(pr),
		At:      unix(now),
	}
	g.delete = g.write && g.view.Reads && c.Terms.OwnerDeletes // TAXII 2.1 §5.7 asks for both rights
	return g, nil
}

// sharedGrant is the grant of an organisation to which a bureau opens c by a reader
// letter, or the reason why there is none. It shows objects up to TLP:AMBER.
func (p *Policy) sharedGrant(pr Principal, c *Collection, now time.Time) (Grant, *Obstacle) {
	why := &Obstacle{c.Agreement, c.Article, pr.Org + " is neither writer nor reader of the flow"}
	for i := range c.shares {
		s := &c.shares[i]
		if s.org != pr.Org || s.letter.editionAt(now) != s.edition {
			continue
		}
		state := s.letter.state(now)
		o := p.orgs[pr.Org]
		switch {
		case state != InForce:
			why = &Obstacle{s.edition.text.ID, s.edition.text.Term.Article, "the letter is " + string(state)}
		case o == nil || o.Suspended:
			why = &Obstacle{Reason: "organisation " + pr.Org + " is suspended"}
		case s.letter.left(pr.Org, now):
			why = &Obstacle{Agreement: s.edition.text.ID, Reason: pr.Org + " has withdrawn"}
		case s.letter.left(s.bureau, now):
			why = &Obstacle{Agreement: s.edition.text.ID, Reason: s.bureau + " has withdrawn"}
		case p.whyExcluded(c, s.bureau, now) != nil:
			why = p.whyExcluded(c, s.bureau, now)
		case !intersect(pr.Purposes, c.Terms.Purposes) || !intersect(pr.Purposes, s.terms.Purposes):
			why = c.wrongPurpose(pr)
		default:
			return Grant{principal: pr, policy: p, collection: c, id: c.ID, share: s, view: View{
				Reads:   true,
				Ceiling: min(s.terms.Max, stix.Amber),
				Action:  actionOfAccount(pr),
				Types:   s.types,
				At:      unix(now),
			}}, nil
		}
	}
	return Grant{}, why
}

// intersect tells whether two lists have an element in common.
func intersect(s, t []string) bool {
	return slices.ContainsFunc(s, func(v string) bool { return slices.Contains(t, v) })
}

// wrongPurpose is the obstacle of an account that was made for other purposes.
func (c *Collection) wrongPurpose(pr Principal) *Obstacle {
	by := c.Terms.By["categories"]
	return &Obstacle{by.Agreement, by.Article, "purpose: the account " + pr.Account + " has none of this flow"}
}

// Grants are all grants of the caller at that time, by collection id.
func (p *Policy) Grants(pr Principal, now time.Time) []Grant {
	var gs []Grant
	for _, c := range p.byOrg[pr.Org] {
		if g, why := p.grant(pr, c, now); why == nil {
			gs = append(gs, g)
		}
	}
	return gs
}

// Holders are the grants on c at that time: for each organisation that has access, the
// grant of a service account with every purpose.
func (p *Policy) Holders(c *Collection, now time.Time) []Grant {
	orgs := append([]string{c.Writer}, c.Readers...)
	for _, s := range c.shares {
		if !slices.Contains(orgs, s.org) {
			orgs = append(orgs, s.org)
		}
	}
	var gs []Grant
	for _, org := range orgs {
		if g, why := p.grant(Principal{Org: org, Purposes: Purposes}, c, now); why == nil {
			gs = append(gs, g)
		}
	}
	return gs
}

// Decide gives the caller's grant on the collection of that id or alias. The
// error is NotFound if there is no such collection, or if the caller has no right to it,
// because the two must look the same. It is Forbidden if the caller has another right
// only. Its cause is an [*Obstacle] if the collection exists.
func (p *Policy) Decide(pr Principal, name string, verb Verb, now time.Time) (Grant, error) {
	c, ok := p.Collection(name, now)
	if !ok {
		if p.decoy != nil { // otherwise the time of the answer would tell hidden collections from absent ones
			p.grant(pr, p.decoy, now)
		}
		return Grant{}, notFound(nil)
	}
	g, why := p.grant(pr, c, now)
	if why != nil {
		return Grant{}, notFound(why)
	}
	switch {
	case verb == Read && !g.view.Reads:
		return Grant{}, g.forbidden("read")
	case verb == Write && !g.write:
		return Grant{}, g.forbidden("add to")
	case verb == Delete && !g.delete:
		return Grant{}, g.forbidden("delete from")
	}
	return g, nil
}

func notFound(why *Obstacle) error {
	err := taxii.Errorf(taxii.NotFound, "there is no such collection, or not for you")
	if why != nil {
		err.Err = why
	}
	return err
}

func (g Grant) forbidden(what string) error {
	c := g.collection
	err := taxii.Errorf(taxii.Forbidden, "article %s of %s does not let %s %s this collection", c.Article, c.Agreement, g.principal.Org, what)
	err.Err = &Obstacle{c.Agreement, c.Article, "no right to " + what + " the collection"}
	return err
}
