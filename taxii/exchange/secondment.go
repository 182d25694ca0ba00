package exchange

import (
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"comity/stix"
	"comity/taxii/agreement"
)

// secondment sends a person of one organisation to work for another for a while.
type secondment struct {
	agreement *lifecycle // the agreement that contains it
	edition   *edition   // nil while the version is not signed
	terms     *agreement.Secondment
}

// addSecondments adds the secondments of one version, signed or not. The account of a
// seconded person may exist before the agreement is signed, and must not have the
// rights of the host's own staff until then.
func (p *Policy) addSecondments(s *lifecycle, e *edition, text *agreement.Agreement) {
	for i := range text.Secondments {
		t := &text.Secondments[i]
		account := strings.ToLower(t.Host + "/" + t.Person)
		p.secondments[account] = append(p.secondments[account], secondment{s, e, t})
	}
}

// seconded tells whether the account is that of a person of another
// organisation.
func (p *Policy) seconded(pr Principal) bool {
	return pr.Home != "" || len(p.secondments[pr.Account]) > 0
}

// secondment is the one under which the account works at that time; nil if there is
// none.
func (p *Policy) secondment(account string, now time.Time) *secondment {
	for i := range p.secondments[account] {
		s := &p.secondments[account][i]
		home := p.orgs[s.terms.Home]
		if home == nil || home.Suspended || s.agreement.left(s.terms.Home, now) {
			continue
		}
		if !now.Before(s.terms.From) && now.Before(s.terms.Until) && s.agreement.editionAt(now) == s.edition && s.agreement.state(now) == InForce {
			return s
		}
	}
	return nil
}

// Home is the organisation from which the person behind an account is seconded; "" if
// the person is not seconded. A seconded account works only while its secondment does.
func (p *Policy) Home(account string, now time.Time) (home string, works bool) {
	if len(p.secondments[account]) == 0 {
		return "", true
	}
	if s := p.secondment(account, now); s != nil {
		return s.terms.Home, true
	}
	return "", false
}

// barrier is the obstacle between a seconded person and a collection; nil if there is
// none. A nil posting is a secondment that is over.
func (p *Policy) barrier(posting *secondment, c *Collection) *Obstacle {
	if posting == nil {
		return &Obstacle{Reason: "the secondment is over"}
	}
	kind := p.kind(c)
	if allows(posting.terms, kind) {
		return nil
	}
	return &Obstacle{posting.edition.text.ID, posting.terms.Article, "a person seconded from " + posting.terms.Home + " does not see " + kind}
}

// kind names a collection as the keys sees and never_sees of a secondment do: "fused"
// if the centre writes it, "raw:ORG" if another organisation writes it or if it is about
// the contributions of its only reader.
func (p *Policy) kind(c *Collection) string {
	switch {
	case c.Writer != p.centre.ID:
		return "raw:" + c.Writer
	case c.Terms.About == "own-contributions" && len(c.Readers) > 0:
		return "raw:" + c.Readers[0]
	}
	return "fused"
}

// allows tells whether a secondment lets the person see that kind of collection.
func allows(t *agreement.Secondment, kind string) bool {
	return slices.Contains(t.Sees, kind) && !slices.Contains(t.NeverSees, kind)
}

// neverRed tells whether a secondment keeps TLP:RED from the person in every case; false
// without a secondment.
func neverRed(posting *secondment) bool {
	return posting != nil && slices.Contains(posting.terms.NeverSees, "tlp:red")
}

// ceiling is the strictest label that the caller sees. RED is for persons whom the
// agreement names.
func ceiling(pr Principal, c *Collection, posting *secondment) stix.TLP {
	if !pr.Person || neverRed(posting) || !slices.Contains(c.Terms.RedRecipients, strings.Replace(pr.Account, "/", ":", 1)) {
		return stix.AmberStrict
	}
	return stix.Red
}

// SecondmentSources are collections whose content an organisation must not push as its
// own: a person whom it seconded reads them at the host, and the secondment forbids
// carrying data home.
type SecondmentSources struct {
	Collections []*Collection
	Article     string // "article 9 of dea-x"
}

// SecondmentSources are those of org at that time; the zero value if it has seconded
// nobody.
func (p *Policy) SecondmentSources(org string, now time.Time) (out SecondmentSources) {
	seen := map[uuid.UUID]bool{}
	for _, list := range p.secondments {
		for _, s := range list {
			t := s.terms
			if t.Home != org || t.CarryHome || now.Before(t.From) || s.edition == nil || s.agreement.editionAt(now) != s.edition {
				continue
			}
			out.Article = "article " + t.Article + " of " + s.edition.text.ID
			for _, c := range p.collections {
				ofHost := c.Writer == t.Host || slices.Contains(c.Readers, t.Host)
				ofHome := c.Writer == org || slices.Contains(c.Readers, org)
				if ofHost && !ofHome && allows(t, p.kind(c)) && !seen[c.ID] {
					seen[c.ID] = true
					out.Collections = append(out.Collections, c)
				}
			}
		}
	}
	return out
}
