package exchange

import (
	"regexp"
	"strings"
	"time"

	"comity/taxii"
)

// Feed is a saved question, which a SOC tool of one account asks again and again. It
// carries no right: each answer has the objects that the account may read at that time.
// Package taxii/feed reads its Source.
type Feed struct {
	ID      string    `json:"id"`      // unique in the organisation of its account; part of its URL
	Account string    `json:"account"` // "org/name"
	Use     string    `json:"use"`     // the action that the tool carries out
	Source  string    `json:"source"`  // the feed file, as it was given
	Added   time.Time `json:"added"`   // when a feed of that id was first added

	// Rotation is how often its secrets were replaced. Those of the rotation before are
	// valid too, so that a tool can be given the new ones without a gap.
	Rotation int `json:"rotation,omitempty"`
}

// feedForm is the form of the id of a feed. It has no tilde, which separates the id
// from a secret in a path.
var feedForm = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,59}$`)

// FeedKey is the key of a feed in [Directory].Feeds. The account is "org/name".
func FeedKey(account, id string) string {
	org, _, _ := strings.Cut(account, "/")
	return org + "/" + id
}

// PutFeed takes a feed. It is Invalid if a field has a wrong form, or if the feed is for
// a use that its account was not made for: the account would get objects that it must
// not use so. It is NotFound if there is no such account, and Conflict if the
// organisation has a feed of that id and replace is false. A feed that replaces
// another one of the same account has its secrets.
func (d *Directory) PutFeed(f Feed, replace bool) error {
	account, err := d.Account(f.Account)
	if err != nil {
		return err
	}
	f.Account = account.ID()
	key := FeedKey(f.Account, f.ID)
	switch {
	case !feedForm.MatchString(f.ID):
		return taxii.Errorf(taxii.Invalid, "feed %q: an id has lower-case letters, digits, hyphens and underscores, at most 60", f.ID)
	case ActionOf(f.Use) == 0:
		return taxii.Errorf(taxii.Invalid, "feed %s: use %q is none of %s", f.ID, f.Use, strings.Join(ActionNames, ", "))
	case f.Use != account.Action && f.Use != "search":
		return taxii.Errorf(taxii.Invalid, "feed %s: its use is %s, but account %s was made for %s: make an account with --action %s", f.ID, f.Use, f.Account, account.Action, f.Use)
	case d.Feeds[key] != nil && !replace:
		return taxii.Errorf(taxii.Conflict, "feed %s exists already; --replace puts the new one in its place", key)
	}
	if before := d.Feeds[key]; before != nil {
		f.Added, f.Rotation = before.Added, before.Rotation
	}
	if d.Feeds == nil {
		d.Feeds = map[string]*Feed{}
	}
	d.Feeds[key] = &f
	return nil
}

// Feed finds a feed by "org/id"; NotFound if there is none.
func (d *Directory) Feed(key string) (*Feed, error) {
	if f := d.Feeds[key]; f != nil {
		return f, nil
	}
	return nil, taxii.Errorf(taxii.NotFound, "there is no feed %s; comity feed list shows those there are", key)
}
