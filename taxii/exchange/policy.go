// Package exchange says who may do what: organisations and their accounts, the
// grants that agreements in force yield, and the labels that objects carry.
//
// Grants are computed from agreements at each request and never stored: no
// command, endpoint or table sets one. The package opens no store and knows no
// protocol.
package exchange

import (
	"bytes"
	"crypto/sha256"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

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

// State is where an agreement stands in its life.
type State string

// The states, in the order they are passed through.
const (
	Deposited State = "deposited" // waits for signatures
	Signed    State = "signed"    // waits for its effective date
	InForce   State = "in force"
	Ended     State = "ended"
)

// Policy answers every question of access, from one generation of the
// directory. It is read-only and safe for concurrent use; the clock is an
// argument, so that a term begins and ends by itself.
type Policy struct {
	centre      Centre
	orgs        map[string]*Organisation
	agreements  map[string]*standing
	collections []*Collection // by id
	byName      map[string]*Collection
}

// standing is an agreement with what decides its state.
type standing struct {
	text   *agreement.Agreement
	signed bool
}

// NewPolicy reads the deposited agreements. It fails, Internal, if one of them
// can no longer be read: they were checked before they were taken.
func NewPolicy(d *Directory) (*Policy, error) {
	p := &Policy{
		centre:     d.Centre,
		orgs:       d.Organisations,
		agreements: map[string]*standing{},
		byName:     map[string]*Collection{},
	}
	for id, deposit := range d.Agreements {
		text, problems := agreement.Parse(deposit.File, []byte(deposit.Source))
		if err := problems.Err(); err != nil {
			return nil, &taxii.Error{Code: taxii.Internal, Msg: "agreement " + id + " cannot be read", Err: err}
		}
		p.agreements[id] = &standing{text: text, signed: deposit.Waived != ""}
	}
	for _, s := range p.agreements {
		for _, c := range s.text.Collections() {
			p.add(s.text, c)
		}
	}
	slices.SortFunc(p.collections, func(a, b *Collection) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	return p, nil
}

func (p *Policy) add(text *agreement.Agreement, from agreement.Collection) {
	var parent *agreement.Agreement
	if s := p.agreements[from.Under]; s != nil {
		parent = s.text
	}
	c := &Collection{
		ID:          CollectionID(p.centre.Namespace, text.ID, from.Flow.Name, from.Participant),
		Alias:       from.Alias,
		Title:       from.Title,
		Agreement:   text.ID,
		Flow:        from.Flow.Name,
		Participant: from.Participant,
		Writer:      from.Writer,
		Readers:     from.Readers,
		Terms:       text.Terms(from.Flow.Name, parent),
		Article:     from.Flow.Article,
		From:        text.Term.Effective,
		Until:       text.Term.Expires,
		under:       map[string]string{},
		parent:      from.Under,
	}
	for _, org := range from.Organisations() {
		m, _ := text.Member(org)
		c.under[org] = m.Under
	}
	p.collections = append(p.collections, c)
	p.byName[c.ID.String()] = c
	p.byName[c.Alias] = c
}

// CollectionID derives the id of a collection, a UUIDv4 that stays the same
// over reload, re-signing and backup: the first 16 bytes of the SHA-256 of the
// four strings, each ended by a zero byte, with version and variant set.
func CollectionID(namespace, agreementID, flow, participant string) uuid.UUID {
	h := sha256.New()
	for _, s := range []string{namespace, agreementID, flow, participant} {
		h.Write(append([]byte(s), 0))
	}
	id := uuid.UUID(h.Sum(nil)[:16])
	id[6] = id[6]&0x0f | 0x40
	id[8] = id[8]&0x3f | 0x80
	return id
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

// Collections are all there are, by id, whatever the state of their agreement.
func (p *Policy) Collections() []*Collection { return p.collections }

// Collection finds one by its id or alias.
func (p *Policy) Collection(name string) (*Collection, bool) {
	c, ok := p.byName[name]
	return c, ok
}

// Agreement finds the text of one; nil if there is none.
func (p *Policy) Agreement(id string) *agreement.Agreement {
	if s := p.agreements[id]; s != nil {
		return s.text
	}
	return nil
}

// Agreements are the ids of all that are deposited, sorted.
func (p *Policy) Agreements() []string { return slices.Sorted(maps.Keys(p.agreements)) }

// State is where an agreement stands at that time.
func (p *Policy) State(id string, now time.Time) State {
	s := p.agreements[id]
	switch {
	case s == nil || !s.signed:
		return Deposited
	case now.Before(s.text.Term.Effective):
		return Signed
	case now.Before(s.text.Term.Expires):
		return InForce
	}
	return Ended
}

// open tells whether org takes part in c at that time.
func (p *Policy) open(c *Collection, org string, now time.Time) bool {
	inForce := func(id string) bool { return id == "" || p.State(id, now) == InForce }
	o := p.orgs[org]
	return o != nil && !o.Suspended && inForce(c.Agreement) && inForce(c.parent) && inForce(c.under[org])
}

// grant is what the caller may do with c at that time; false if nothing.
func (p *Policy) grant(pr Principal, c *Collection, now time.Time) (Grant, bool) {
	own := c.Writer == pr.Org
	shares := slices.ContainsFunc(pr.Purposes, func(s string) bool { return slices.Contains(c.Terms.Purposes, s) })
	if !own && !slices.Contains(c.Readers, pr.Org) || !shares || !p.open(c, pr.Org, now) {
		return Grant{}, false
	}
	g := Grant{account: pr.Account, org: pr.Org, collection: c, id: c.ID, own: own, ceiling: stix.AmberStrict}
	g.read = !own || c.Terms.WriterReads || slices.Contains(c.Readers, pr.Org)
	g.write = own
	g.delete = g.write && g.read && c.Terms.OwnerDeletes // TAXII 2.1 §5.7 asks for both rights
	if pr.Person && slices.Contains(c.Terms.RedRecipients, strings.Replace(pr.Account, "/", ":", 1)) {
		g.ceiling = stix.Red
	}
	return g, true
}

// Grants are the caller's at that time, by collection id.
func (p *Policy) Grants(pr Principal, now time.Time) []Grant {
	var gs []Grant
	for _, c := range p.collections {
		if g, ok := p.grant(pr, c, now); ok {
			gs = append(gs, g)
		}
	}
	return gs
}

// Holders are the grants that the organisations of c have at that time,
// whatever the account: those of a service with every purpose.
func (p *Policy) Holders(c *Collection, now time.Time) []Grant {
	var gs []Grant
	for _, org := range append([]string{c.Writer}, c.Readers...) {
		if g, ok := p.grant(Principal{Org: org, Purposes: Purposes}, c, now); ok {
			gs = append(gs, g)
		}
	}
	return gs
}

// Decide gives the caller's grant on the collection of that id or alias. It is
// NotFound if there is no such collection or the caller has no right to it at
// all, which must look the same; Forbidden if it has another right.
func (p *Policy) Decide(pr Principal, name string, verb Verb, now time.Time) (Grant, error) {
	c, ok := p.byName[name]
	if !ok {
		return Grant{}, notFound()
	}
	g, ok := p.grant(pr, c, now)
	if !ok {
		return Grant{}, notFound()
	}
	switch {
	case verb == Read && !g.read:
		return Grant{}, g.forbidden("read")
	case verb == Write && !g.write:
		return Grant{}, g.forbidden("add to")
	case verb == Delete && !g.delete:
		return Grant{}, g.forbidden("delete from")
	}
	return g, nil
}

func notFound() error {
	return taxii.Errorf(taxii.NotFound, "there is no such collection, or not for you")
}

func (g Grant) forbidden(what string) error {
	return taxii.Errorf(taxii.Forbidden, "article %s of %s does not let %s %s this collection",
		g.collection.Article, g.collection.Agreement, g.org, what)
}
