package exchange

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"comity/taxii/agreement"
)

// Collection is one collection of one edition of an agreement.
type Collection struct {
	ID          uuid.UUID
	Alias       string
	Title       string
	Agreement   string
	Flow        string
	Participant string // "" if the flow makes one collection only
	Writer      string // organisation
	Readers     []string
	Terms       agreement.Terms
	Default     Actions     // barred for objects without a PAP or IEP marking
	From, Until time.Time   // in force from From, exclusive of Until
	Article     string      // the article on the flow
	Held        []uuid.UUID // the collections that share its quota objects_held

	lifecycle *lifecycle
	edition   *edition
	windUp    bool              // open during the wind-up too
	parent    string            // another agreement whose end closes the collection, "" if there is none
	under     map[string]string // by organisation: the agreement that it takes part under
	shares    []share
}

// share opens a collection to another organisation by a reader letter of a bureau.
type share struct {
	org, bureau string
	letter      *lifecycle
	edition     *edition
	terms       agreement.Terms
	types       []string // nil: all types of the collection
}

// compareWidth orders the shares of one reader, the widest first: the first one in force
// counts.
func (s share) compareWidth(t share) int {
	all := func(types []string) int { return min(len(types), 1) }
	return cmp.Or(-cmp.Compare(s.terms.Max, t.terms.Max), all(s.types)-all(t.types), strings.Compare(s.edition.text.ID, t.edition.text.ID))
}

// Shared tells whether any reader letter opens the collection, at any time.
func (c *Collection) Shared() bool { return len(c.shares) > 0 }

// FeedsAtEnd is the value of at_end for an organisation without access at that time: that of
// the reader letter that opened the collection to it, else that of the flow.
func (c *Collection) FeedsAtEnd(org string, now time.Time) string {
	for _, s := range c.shares {
		if s.org == org && s.letter.editionAt(now) == s.edition {
			return s.edition.text.Feeds.Narrow(c.Terms.Feeds).AtEnd
		}
	}
	return c.Terms.Feeds.AtEnd
}

// current tells whether the collection's edition is the one in force at that time.
func (c *Collection) current(now time.Time) bool { return c.lifecycle.editionAt(now) == c.edition }

// participant is the organisation that takes part under the collection's parent.
func (c *Collection) participant() string {
	if c.under[c.Participant] == c.parent {
		return c.Participant
	}
	return c.Writer
}

// expand adds the collections of all editions and indexes them.
func (p *Policy) expand() {
	for _, s := range p.agreements {
		for _, e := range s.editions {
			for _, c := range e.text.Collections() {
				p.add(s, e, c)
			}
		}
	}
	slices.SortFunc(p.collections, func(a, b *Collection) int {
		return cmp.Or(bytes.Compare(a.ID[:], b.ID[:]), a.edition.since.Compare(b.edition.since))
	})
	for _, s := range p.agreements {
		for _, e := range s.editions {
			if e.text.Kind == agreement.ReaderLetter {
				p.share(s, e)
			}
		}
	}
	for _, c := range p.collections {
		slices.SortFunc(c.shares, share.compareWidth)
	}
	if len(p.collections) > 0 {
		decoy := *p.collections[0]
		decoy.Writer, decoy.Readers, decoy.shares = "", nil, nil
		p.decoy = &decoy
	}
	quotas := map[string][]uuid.UUID{}
	quotaKey := func(c *Collection) string { return c.Terms.By["objects_held"].Agreement + "/" + c.Writer }
	for _, c := range p.collections {
		p.byName[c.ID.String()] = append(p.byName[c.ID.String()], c)
		p.byName[c.Alias] = append(p.byName[c.Alias], c)
		p.index(c.Writer, c)
		for _, org := range c.Readers {
			p.index(org, c)
		}
		for _, s := range c.shares {
			p.index(s.org, c)
		}
		if ids := quotas[quotaKey(c)]; !slices.Contains(ids, c.ID) {
			quotas[quotaKey(c)] = append(ids, c.ID)
		}
	}
	for _, c := range p.collections {
		c.Held = quotas[quotaKey(c)]
	}
}

// index adds a collection to those that an organisation writes or reads.
func (p *Policy) index(org string, c *Collection) {
	if list := p.byOrg[org]; len(list) == 0 || list[len(list)-1] != c {
		p.byOrg[org] = append(list, c)
	}
}

// add adds one collection of an edition.
func (p *Policy) add(s *lifecycle, e *edition, from agreement.Collection) {
	text := e.text
	c := &Collection{
		ID:          CollectionID(p.centre.Namespace, text.ID, from.Flow.Name, from.Participant),
		Alias:       from.Alias,
		Title:       from.Title,
		Agreement:   text.ID,
		Flow:        from.Flow.Name,
		Participant: from.Participant,
		Writer:      from.Writer,
		Readers:     from.Readers,
		Article:     from.Flow.Article,
		From:        text.Term.Effective,
		Until:       text.Term.Expires,
		lifecycle:   s,
		edition:     e,
		windUp:      text.Term.WindUp != nil && slices.Contains(text.Term.WindUp.Flows, from.Flow.Name),
		parent:      from.Under,
		under:       map[string]string{},
	}
	for _, org := range from.Organisations() {
		m, _ := text.Member(org)
		c.under[org] = m.Under
	}
	var parents []*agreement.Agreement
	iep := text.Handling.IEP
	for _, id := range from.Parents {
		if parent := p.agreements[id]; parent != nil {
			parents = append(parents, parent.latestSigned())
			if text.Handling.IEP == nil {
				c.Default |= barredBy(parent.latestSigned().Handling.IEP)
			}
		}
	}
	c.Default |= barredBy(iep)
	c.Terms = text.Terms(from.Flow.Name, parents...)
	e.collections = append(e.collections, c)
	p.collections = append(p.collections, c)
}

// latestSigned is the text that child agreements take their terms from: the one signed
// last, or the latest while none is signed.
func (s *lifecycle) latestSigned() *agreement.Agreement {
	if n := len(s.editions); n > 0 {
		return s.editions[n-1].text
	}
	return s.latest
}

// share opens collections to the readers of a reader letter.
func (p *Policy) share(letter *lifecycle, e *edition) {
	for _, id := range e.text.Parents() {
		parent := p.agreements[id]
		if parent == nil {
			continue
		}
		for _, parentEdition := range parent.editions {
			for _, opened := range e.text.Shared(parentEdition.text) {
				i := slices.IndexFunc(parentEdition.collections, func(c *Collection) bool { return c.Alias == opened.Alias })
				if i < 0 {
					continue
				}
				c := parentEdition.collections[i]
				terms := e.text.Terms(c.Flow, parentEdition.text)
				for _, org := range opened.Readers {
					c.shares = append(c.shares, share{
						org: org, bureau: bureauOf(e.text, c), letter: letter, edition: e,
						terms: terms, types: narrower(terms.Types, c.Terms.Types),
					})
				}
			}
		}
	}
}

// bureauOf is the party of a letter that reads the collection, "" if none does.
func bureauOf(letter *agreement.Agreement, c *Collection) string {
	for _, party := range letter.Parties {
		if slices.Contains(c.Readers, party.Org) {
			return party.Org
		}
	}
	return ""
}

// narrower is types, with the types that are always admitted, or nil if it contains all.
// nil stands for every type.
func narrower(types, all []string) []string {
	if types == nil {
		return nil
	}
	if all == nil || slices.ContainsFunc(all, func(t string) bool { return !slices.Contains(types, t) }) {
		return append(slices.Clone(types), "marking-definition", "extension-definition", "language-content")
	}
	return nil
}

// Written are the collections that an organisation writes under an agreement: those of
// the agreement itself, and those of agreements that it takes part in under it. Each is
// listed once, however many editions it has.
func (p *Policy) Written(org, id string) []*Collection {
	var list []*Collection
	for _, c := range p.byOrg[org] {
		if c.Writer == org && (c.Agreement == id || c.under[org] == id) &&
			!slices.ContainsFunc(list, func(d *Collection) bool { return d.ID == c.ID }) {
			list = append(list, c)
		}
	}
	return list
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
