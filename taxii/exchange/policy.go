// Package exchange says who may do what: organisations and their accounts, the
// grants that agreements in force yield, and the labels that objects carry.
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

// Verb is what a caller wants to do with a collection.
type Verb uint8

// The verbs. Open needs any right at all.
const (
	Open Verb = iota
	Read
	Write
	Delete
)

// Policy answers every question of access, from one generation of the
// directory. It is read-only and safe for concurrent use; the clock is an
// argument, so that a term begins and ends by itself.
type Policy struct {
	centre      Centre
	orgs        map[string]*Organisation
	agreements  map[string]*lifecycle
	collections []*Collection            // by id; one for each edition that has it
	byName      map[string][]*Collection // by id and by alias
	byOrg       map[string][]*Collection // whose writer or reader it is, by id
	secondments map[string][]secondment  // by account
	parsed      map[string]*agreement.Agreement
}

// NewPolicy reads the deposited agreements. It fails, Internal, if one of them
// can no longer be read: they were checked before they were taken.
func NewPolicy(d *Directory) (*Policy, error) { return (&Policy{}).Renew(d) }

// Renew is the policy of a newer generation of the directory. Agreements that p has
// parsed are not parsed again.
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
			if v.Digest != "" && v.Digest != text.Digest() {
				return nil, &taxii.Error{Code: taxii.Internal, Msg: "agreement " + id + " cannot be trusted", Err: errors.New("its text has another digest than the one recorded when it was deposited: run comity check")}
			}
			n.parsed[v.Source] = text
			s.latest = text
			var e *edition
			if v.Signed != nil {
				e = &edition{text: text, members: text.Members()}
				if len(s.editions) > 0 {
					e.since = later(*v.Signed, text.Term.Effective)
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

// Centre is what the directory says of the centre.
func (p *Policy) Centre() Centre { return p.centre }

// CentreName is what the centre is called.
func (p *Policy) CentreName() string {
	if o := p.orgs[p.centre.ID]; o != nil {
		return o.Name
	}
	return p.centre.ID
}

// Organisation is what the directory says of one; nil if there is none.
func (p *Policy) Organisation(id string) *Organisation { return p.orgs[id] }

// Collections are all there are at that time, by id, whatever the state of
// their agreement.
func (p *Policy) Collections(now time.Time) []*Collection {
	return slices.DeleteFunc(slices.Clone(p.collections), func(c *Collection) bool { return !c.current(now) })
}

// Collection finds one by its id or alias, as it is at that time.
func (p *Policy) Collection(name string, now time.Time) (*Collection, bool) {
	for _, c := range p.byName[name] {
		if c.current(now) {
			return c, true
		}
	}
	return nil, false
}

// Agreement finds the text of one that counts at that time, or the latest
// while none is signed; nil if there is none.
func (p *Policy) Agreement(id string, now time.Time) *agreement.Agreement {
	s := p.agreements[id]
	if s == nil {
		return nil
	}
	if e := s.at(now); e != nil {
		return e.text
	}
	return s.latest
}

// Agreements are the ids of all that are deposited, sorted.
func (p *Policy) Agreements() []string { return slices.Sorted(maps.Keys(p.agreements)) }

// Member tells whether an organisation is bound by an agreement, in any of its
// versions.
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
	_, ok := s.latest.Member(org)
	return ok
}

// State is where an agreement stands at that time; Deposited if there is none.
func (p *Policy) State(id string, now time.Time) State {
	if s := p.agreements[id]; s != nil {
		return s.state(now)
	}
	return Deposited
}

// Next is when the state of some agreement may next change by itself; zero if
// none will.
func (p *Policy) Next(now time.Time) (next time.Time) {
	for _, s := range p.agreements {
		for _, t := range s.transitions() {
			if t.After(now) && (next.IsZero() || t.Before(next)) {
				next = t
			}
		}
	}
	return next
}

// Obstacle is why somebody has no right, with the clause behind it. It is for
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

// whyClosed is why a collection is closed to everybody at that time; nil if it is open.
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

// whyNoPart is why an organisation cannot take part under an agreement; nil if
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

// whyExcluded is why org takes no part in c at that time although c is open; nil if it
// does.
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

// grant is what the caller may do with c at that time, or why it may do nothing.
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
		return p.shared(pr, c, now)
	}
	if why := p.whyExcluded(c, pr.Org, now); why != nil {
		return Grant{}, why
	}
	if !shares(pr.Purposes, c.Terms.Purposes) {
		return Grant{}, c.purpose(pr)
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

// shared is the right of an organisation to which a bureau opens c by a reader letter; it
// sees up to TLP:AMBER.
func (p *Policy) shared(pr Principal, c *Collection, now time.Time) (Grant, *Obstacle) {
	why := &Obstacle{c.Agreement, c.Article, pr.Org + " is neither writer nor reader of the flow"}
	for i := range c.shares {
		s := &c.shares[i]
		if s.org != pr.Org || s.letter.at(now) != s.edition {
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
		case !shares(pr.Purposes, c.Terms.Purposes) || !shares(pr.Purposes, s.terms.Purposes):
			why = c.purpose(pr)
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

// shares tells whether two lists have an element in common.
func shares(s, t []string) bool {
	return slices.ContainsFunc(s, func(v string) bool { return slices.Contains(t, v) })
}

// purpose is the obstacle of an account that was made for other purposes.
func (c *Collection) purpose(pr Principal) *Obstacle {
	by := c.Terms.By["categories"]
	return &Obstacle{by.Agreement, by.Article, "purpose: the account " + pr.Account + " has none of this flow"}
}

// Grants are the caller's at that time, by collection id.
func (p *Policy) Grants(pr Principal, now time.Time) []Grant {
	var gs []Grant
	for _, c := range p.byOrg[pr.Org] {
		if g, why := p.grant(pr, c, now); why == nil {
			gs = append(gs, g)
		}
	}
	return gs
}

// Holders are the grants that organisations have on c at that time, as a service account
// with every purpose would have them.
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

// Decide gives the caller's grant on the collection of that id or alias. It is
// NotFound if there is no such collection or the caller has no right to it at
// all, which must look the same; Forbidden if it has another right. Its cause is
// an [*Obstacle] where there is a collection.
func (p *Policy) Decide(pr Principal, name string, verb Verb, now time.Time) (Grant, error) {
	c, ok := p.Collection(name, now)
	if !ok {
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
