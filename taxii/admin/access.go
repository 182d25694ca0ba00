package admin

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"comity/taxii"
	"comity/taxii/exchange"
)

// View selects the collections or grants of an account or an agreement, at a time.
type View struct {
	As        string // "org/name"; "" for the operator, who sees everything
	Agreement string
	At        *time.Time // nil for now
}

// Collection is one collection as an account or the operator sees it. For the operator,
// CanRead and CanWrite tell whether any organisation can.
type Collection struct {
	ID          string `json:"id"`
	Alias       string `json:"alias"`
	Title       string `json:"title"`
	Root        string `json:"root"`
	Agreement   string `json:"agreement"`
	Flow        string `json:"flow"`
	Participant string `json:"participant"`
	CanRead     bool   `json:"can_read"`
	CanWrite    bool   `json:"can_write"`
	Objects     int64  `json:"objects"` // versions included
}

// Collections are those on which the account has any right; all for the operator.
func (s *Service) Collections(ctx context.Context, in View) ([]Collection, error) {
	policy, d, err := s.policy(ctx)
	if err != nil {
		return nil, err
	}
	at := s.at(in.At)
	list := []Collection{}
	add := func(c *exchange.Collection, read, write bool) error {
		n, err := s.store.Count(ctx, c.ID)
		list = append(list, Collection{
			ID: c.ID.String(), Alias: c.Alias, Title: c.Title, Root: d.Centre.ID, Agreement: c.Agreement,
			Flow: c.Flow, Participant: c.Participant, CanRead: read, CanWrite: write, Objects: n,
		})
		return err
	}
	if in.As != "" {
		pr, err := principal(policy, d, in.As, at)
		if err != nil {
			return nil, err
		}
		for _, g := range policy.Grants(pr, at) {
			if err := add(g.Collection(), g.CanRead(), g.CanWrite()); err != nil {
				return nil, err
			}
		}
		return list, nil
	}
	for _, c := range policy.Collections(at) {
		var read, write bool
		for _, g := range policy.Holders(c, at) {
			read, write = read || g.CanRead(), write || g.CanWrite()
		}
		if err := add(c, read, write); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// Grant is the right of one organisation on one collection, with the clause behind it.
type Grant struct {
	Organisation string    `json:"organisation"`
	Collection   string    `json:"collection"` // alias
	CanRead      bool      `json:"can_read"`
	CanWrite     bool      `json:"can_write"`
	CanDelete    bool      `json:"can_delete"`
	Agreement    string    `json:"agreement"`
	Article      string    `json:"article"`
	Letter       string    `json:"letter,omitempty"` // the reader letter behind it
	From         time.Time `json:"from"`
	Until        time.Time `json:"until"`
	Digest       string    `json:"digest"` // of the agreement
}

// Grants are the grants of all organisations, by the alias of the collection, then by
// organisation. If the View names an
// agreement, they are those that rest on it. NotFound if there is no such agreement.
func (s *Service) Grants(ctx context.Context, in View) ([]Grant, error) {
	policy, d, err := s.policy(ctx)
	if err != nil {
		return nil, err
	}
	if in.Agreement != "" && d.Agreements[in.Agreement] == nil {
		return nil, taxii.Errorf(taxii.NotFound, "there is no agreement %s", in.Agreement)
	}
	at := s.at(in.At)
	list := []Grant{}
	for _, c := range policy.Collections(at) {
		for _, g := range policy.Holders(c, at) {
			if in.Agreement != "" && in.Agreement != c.Agreement && in.Agreement != g.Letter() {
				continue
			}
			list = append(list, Grant{
				Organisation: g.Principal().Org, Collection: c.Alias,
				CanRead: g.CanRead(), CanWrite: g.CanWrite(), CanDelete: g.CanDelete(),
				Agreement: c.Agreement, Article: c.Article, Letter: g.Letter(), From: c.From, Until: g.Until(),
				Digest: policy.Agreement(c.Agreement, at).Digest(),
			})
		}
	}
	slices.SortFunc(list, func(a, b Grant) int {
		return cmp.Or(strings.Compare(a.Collection, b.Collection), strings.Compare(a.Organisation, b.Organisation))
	})
	return list, nil
}
