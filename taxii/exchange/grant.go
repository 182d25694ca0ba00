package exchange

import (
	"time"

	"github.com/google/uuid"

	"comity/stix"
	"comity/taxii/agreement"
)

// Principal is a caller: authenticated by taxii/auth, or named by an operator in taxii/admin.
type Principal struct {
	Account  string // "org/name"
	Org      string
	Home     string // of a person seconded to Org; "" for others
	Token    string // id of the token it came with, "" for none
	Operator string // the user on the machine who runs a command as the account; "" for a request
	Person   bool
	Purposes []string
	Action   string
	For      string
}

// Grant has the rights of one caller on one collection at one moment. Only
// [Policy] and [Operator] make useful ones; the zero Grant sees nothing.
type Grant struct {
	principal  Principal
	policy     *Policy
	collection *Collection
	id         uuid.UUID
	share      *share // the reader letter it comes from; nil if it comes from the agreement itself
	view       View
	write      bool
	delete     bool
}

// Operator is a grant of every right on one collection, expired objects included, on
// behalf of no account. It is for the operator's commands and for acts of the centre
// itself, never for a request.
func Operator(collection uuid.UUID) Grant {
	return Grant{id: collection, write: true, delete: true, view: View{Reads: true, Own: true, Ceiling: stix.Red}}
}

// ID is the collection's id.
func (g Grant) ID() uuid.UUID { return g.id }

// Collection is the collection of the grant; nil for an operator's.
func (g Grant) Collection() *Collection { return g.collection }

// Principal is the caller; zero for an operator's grant.
func (g Grant) Principal() Principal { return g.principal }

// CanRead tells whether objects may be read.
func (g Grant) CanRead() bool { return g.view.Reads }

// CanWrite tells whether objects may be added.
func (g Grant) CanWrite() bool { return g.write }

// CanDelete tells whether objects may be deleted.
func (g Grant) CanDelete() bool { return g.delete }

// View decides which objects the caller sees.
func (g Grant) View() View { return g.view }

// SecondmentSources are those of the caller's organisation; see
// [Policy.SecondmentSources].
func (g Grant) SecondmentSources() SecondmentSources {
	if g.policy == nil {
		return SecondmentSources{}
	}
	return g.policy.SecondmentSources(g.principal.Org, time.Unix(int64(g.view.At), 0))
}

// Letter is the reader letter that the grant comes from; "" for most.
func (g Grant) Letter() string {
	if g.share == nil {
		return ""
	}
	return g.share.edition.text.ID
}

// Feeds are the terms on which feeds may be made of the objects: those of the flow, narrowed
// by the reader letter if the grant comes from one. An operator's grant allows no feed.
func (g Grant) Feeds() agreement.Feeds {
	if g.collection == nil {
		return agreement.Feeds{}
	}
	feeds := g.collection.Terms.Feeds
	if g.share != nil {
		feeds = g.share.edition.text.Feeds.Narrow(feeds)
	}
	return feeds
}

// Until is the time at which the grant ends, by the first term to end: that of its
// agreement, of the reader letter, or of an agreement that the organisation takes part
// under. It is zero for an operator's grant.
func (g Grant) Until() time.Time {
	if g.collection == nil {
		return time.Time{}
	}
	c, now := g.collection, time.Unix(int64(g.view.At), 0)
	until := c.lifecycle.ends(c.edition.text, now)
	if c.windUp && !now.Before(until) {
		until = c.edition.text.Term.WindUp.Lasts.After(until)
	}
	org := g.principal.Org
	if g.share != nil {
		org = g.share.bureau
	}
	for _, id := range []string{g.Letter(), c.parent, c.under[org]} {
		if s := g.policy.agreements[id]; s != nil {
			if ends := s.ends(s.editionAt(now).text, now); ends.Before(until) {
				until = ends
			}
		}
	}
	return until
}
