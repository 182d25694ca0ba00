package exchange

import (
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"comity/stix"
	"comity/taxii/agreement"
)

// lent is one secondment: a person of one organisation who works for another.
type lent struct {
	by      *standing
	edition *edition // nil while the version is not signed
	terms   *agreement.Secondment
}

// addSecondments adds those of one version, signed or not: an account made
// before the agreement is signed must not be one like any other until then.
func (p *Policy) addSecondments(s *standing, e *edition, text *agreement.Agreement) {
	for i := range text.Secondments {
		t := &text.Secondments[i]
		account := strings.ToLower(t.Host + "/" + t.Person)
		p.lent[account] = append(p.lent[account], lent{s, e, t})
	}
}

// seconded tells whether the account is that of a person of another
// organisation.
func (p *Policy) seconded(pr Principal) bool { return pr.Home != "" || len(p.lent[pr.Account]) > 0 }

// secondment is the one under which the account works at that time; nil if
// there is none.
func (p *Policy) secondment(account string, now time.Time) *lent {
	for i := range p.lent[account] {
		l := &p.lent[account][i]
		home := p.orgs[l.terms.Home]
		if home == nil || home.Suspended || l.by.left(l.terms.Home, now) {
			continue
		}
		if !now.Before(l.terms.From) && now.Before(l.terms.Until) && l.by.at(now) == l.edition && l.by.state(now) == InForce {
			return l
		}
	}
	return nil
}

// Home is the organisation that lent the person behind an account; "" if it is
// not a seconded one. A seconded account works only while its secondment does.
func (p *Policy) Home(account string, now time.Time) (home string, works bool) {
	if len(p.lent[account]) == 0 {
		return "", true
	}
	if s := p.secondment(account, now); s != nil {
		return s.terms.Home, true
	}
	return "", false
}

// wall is what keeps a seconded person from a collection; nil if nothing does.
// A nil post is one that is over.
func (p *Policy) wall(post *lent, c *Collection) *Obstacle {
	if post == nil {
		return &Obstacle{Reason: "the secondment is over"}
	}
	kind := p.kind(c)
	if lets(post.terms, kind) {
		return nil
	}
	return &Obstacle{post.edition.text.ID, post.terms.Article, "a person seconded from " + post.terms.Home + " does not see " + kind}
}

// kind is a collection in the words of a secondment. What the centre wrote is
// fused, unless it is about what one reader sent; what anybody else wrote is raw.
func (p *Policy) kind(c *Collection) string {
	switch {
	case c.Writer != p.centre.ID:
		return "raw:" + c.Writer
	case c.Terms.About == "own-contributions" && len(c.Readers) > 0:
		return "raw:" + c.Readers[0]
	}
	return "fused"
}

func lets(t *agreement.Secondment, kind string) bool {
	return slices.Contains(t.Sees, kind) && !slices.Contains(t.NeverSees, kind)
}

// neverRed tells whether a secondment keeps TLP:RED from the person whatever
// else lets it through; no secondment does not.
func neverRed(post *lent) bool {
	return post != nil && slices.Contains(post.terms.NeverSees, "tlp:red")
}

// ceiling is the strictest label that a person may be named for.
func ceiling(pr Principal, c *Collection, post *lent) stix.TLP {
	if !pr.Person || neverRed(post) || !slices.Contains(c.Terms.RedRecipients, strings.Replace(pr.Account, "/", ":", 1)) {
		return stix.AmberStrict
	}
	return stix.Red
}

// Carried are the collections whose content the organisation must not push as
// its own at that time: a person it lent to the centre reads them there, and
// the article of the secondment lets nothing be taken home.
type Carried struct {
	Collections []*Collection
	Article     string // "article 9 of dea-x"
}

// Carried tells what org may not carry home; the zero value if it has lent
// nobody.
func (p *Policy) Carried(org string, now time.Time) (out Carried) {
	seen := map[uuid.UUID]bool{}
	for _, posts := range p.lent {
		for _, l := range posts {
			t := l.terms
			if t.Home != org || t.CarryHome || now.Before(t.From) || l.edition == nil || l.by.at(now) != l.edition {
				continue
			}
			out.Article = "article " + t.Article + " of " + l.edition.text.ID
			for _, c := range p.collections {
				theirs := c.Writer == t.Host || slices.Contains(c.Readers, t.Host)
				ours := c.Writer == org || slices.Contains(c.Readers, org)
				if theirs && !ours && lets(t, p.kind(c)) && !seen[c.ID] {
					seen[c.ID] = true
					out.Collections = append(out.Collections, c)
				}
			}
		}
	}
	return out
}
