package admin

import (
	"context"

	"comity/taxii/audit"
	"comity/taxii/exchange"
	"comity/taxii/feed"
)

// FeedFile is a feed file.
type FeedFile struct {
	Name    string // of the file, for errors
	Source  string
	Replace bool // the feed of that id, if there is one
}

// definition reads a feed file, and finds the caller that its account would be.
func (s *Service) definition(in FeedFile, policy *exchange.Policy, d *exchange.Directory) (*feed.Definition, exchange.Principal, error) {
	def, err := feed.ParseDefinition(in.Name, []byte(in.Source))
	if err != nil {
		return nil, exchange.Principal{}, err
	}
	p, err := principal(policy, d, def.Account, s.now())
	return def, p, err
}

// AddFeed takes a feed file. The errors are those of [feed.ParseDefinition] and
// [exchange.Directory.PutFeed]; NotFound or Forbidden also if the account may not read one of
// its collections, or if no agreement allows such a feed of them.
func (s *Service) AddFeed(ctx context.Context, by Actor, in FeedFile) (*feed.Page, error) {
	policy, current, err := s.policy(ctx)
	if err != nil {
		return nil, err
	}
	def, p, err := s.definition(in, policy, current)
	if err != nil {
		return nil, err
	}
	if err := s.amend(ctx, func(d *exchange.Directory) ([]audit.Entry, error) {
		f := exchange.Feed{ID: def.ID, Account: def.Account, Use: def.Use, Source: in.Source, Added: s.now()}
		verb := "added"
		if _, err := d.Feed(exchange.FeedKey(p.Account, def.ID)); err == nil {
			verb = "replaced"
		}
		if err := d.PutFeed(f, in.Replace); err != nil {
			return nil, err
		}
		renewed, err := policy.Renew(d)
		if err != nil {
			return nil, err
		}
		if err := feed.Allowed(renewed, p, def, s.now()); err != nil {
			return nil, err
		}
		return directoryEntry(d, by, p.Org, "feed %s of %s %s", def.ID, p.Account, verb), nil
	}); err != nil {
		return nil, err
	}
	return s.Feed(ctx, exchange.FeedKey(p.Account, def.ID))
}

// PreviewFeed describes the feed that a file would make, and keeps nothing. The errors are
// those of AddFeed, but for a feed of that id.
func (s *Service) PreviewFeed(ctx context.Context, in FeedFile) (*feed.Page, error) {
	policy, d, err := s.policy(ctx)
	if err != nil {
		return nil, err
	}
	def, p, err := s.definition(in, policy, d)
	if err != nil {
		return nil, err
	}
	f := exchange.Feed{ID: def.ID, Account: def.Account, Use: def.Use, Source: in.Source}
	if err := (&exchange.Directory{Accounts: d.Accounts}).PutFeed(f, false); err != nil {
		return nil, err
	}
	return s.feeds.Preview(ctx, p, def)
}

// Feeds lists all feeds, by organisation and id.
func (s *Service) Feeds(ctx context.Context) ([]exchange.Feed, error) {
	newest, err := s.current.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	list := []exchange.Feed{}
	for _, f := range sorted(newest.Directory.Feeds) {
		list = append(list, *f)
	}
	return list, nil
}

// Feed describes a feed, by "org/id"; NotFound if there is none.
func (s *Service) Feed(ctx context.Context, key string) (*feed.Page, error) {
	policy, d, err := s.policy(ctx)
	if err != nil {
		return nil, err
	}
	f, err := d.Feed(key)
	if err != nil {
		return nil, err
	}
	p, err := principal(policy, d, f.Account, s.now())
	if err != nil {
		return nil, err
	}
	return s.feeds.Describe(ctx, p, f.ID)
}

// FeedSecrets lists the secrets of a feed, by "org/id". The errors are those of
// [feed.Service.Secrets].
func (s *Service) FeedSecrets(ctx context.Context, key string) ([]feed.Secret, error) {
	return s.feeds.Secrets(ctx, key)
}

// RotateFeed makes new secrets of a feed, by "org/id", and returns what FeedSecrets does.
// The last secrets stay valid until the next rotation; those before them are not valid any
// more.
func (s *Service) RotateFeed(ctx context.Context, by Actor, key string) ([]feed.Secret, error) {
	if _, err := s.feeds.Secrets(ctx, key); err != nil {
		return nil, err
	}
	if err := s.amend(ctx, func(d *exchange.Directory) ([]audit.Entry, error) {
		f, err := d.Feed(key)
		if err != nil {
			return nil, err
		}
		f.Rotation++
		account, err := d.Account(f.Account)
		if err != nil {
			return nil, err
		}
		return directoryEntry(d, by, account.Org, "feed %s of %s has new secrets", f.ID, f.Account), nil
	}); err != nil {
		return nil, err
	}
	return s.feeds.Secrets(ctx, key)
}

// RemoveFeed removes a feed, by "org/id"; NotFound if there is none.
func (s *Service) RemoveFeed(ctx context.Context, by Actor, key string) (out exchange.Feed, err error) {
	err = s.amend(ctx, func(d *exchange.Directory) ([]audit.Entry, error) {
		f, err := d.Feed(key)
		if err != nil {
			return nil, err
		}
		out = *f
		delete(d.Feeds, key)
		account, err := d.Account(f.Account)
		if err != nil {
			return nil, err
		}
		return directoryEntry(d, by, account.Org, "feed %s of %s removed", f.ID, f.Account), nil
	})
	if err == nil {
		err = s.feeds.Forget(ctx, key)
	}
	return out, err
}

// TestFeed sends a message to the receiver of a feed, by "org/id". The errors are those of
// [feed.Service.TestWebhook].
func (s *Service) TestFeed(ctx context.Context, key string) (*feed.WebhookTest, error) {
	return s.feeds.TestWebhook(ctx, key)
}
