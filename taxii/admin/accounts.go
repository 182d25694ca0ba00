package admin

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"time"

	"comity/taxii/audit"
	"comity/taxii/auth"
	"comity/taxii/exchange"
)

// AddAccount is a new account with its password in the clear, "" for none.
type AddAccount struct {
	exchange.Account
	Secret string
}

// AddAccount adds it; see [exchange.Directory.AddAccount] for what it refuses.
func (s *Service) AddAccount(ctx context.Context, by Actor, in AddAccount) (out exchange.Account, err error) {
	if in.Secret != "" {
		in.Password = auth.HashPassword(in.Secret)
	}
	in.Added = s.now()
	err = s.amend(ctx, func(d *exchange.Directory) ([]audit.Entry, error) {
		if err := d.AddAccount(in.Account); err != nil {
			return nil, err
		}
		added, err := d.Account(in.ID())
		if err != nil {
			return nil, err
		}
		out = added.Public()
		return directoryEntry(d, by, out.Org, "account %s added", out.ID()), nil
	})
	return out, err
}

// Accounts are all there are, by id, without their passwords.
func (s *Service) Accounts(ctx context.Context) ([]exchange.Account, error) {
	newest, err := s.current.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	list := []exchange.Account{}
	for _, account := range sorted(newest.Directory.Accounts) {
		list = append(list, account.Public())
	}
	return list, nil
}

// DisableAccount lets an account do nothing any more; NotFound if there is none.
func (s *Service) DisableAccount(ctx context.Context, by Actor, id string) (out exchange.Account, err error) {
	err = s.amend(ctx, func(d *exchange.Directory) (entries []audit.Entry, err error) {
		account, err := d.Account(id)
		if err != nil {
			return nil, err
		}
		if !account.Disabled {
			entries = directoryEntry(d, by, account.Org, "account %s disabled", account.ID())
		}
		account.Disabled = true
		out = account.Public()
		return entries, nil
	})
	return out, err
}

// AddToken asks for a token of an account.
type AddToken struct {
	Account string
	Expires *time.Time
}

// NewToken is a token, the only time it is shown.
type NewToken struct {
	ID      string     `json:"id"`
	Account string     `json:"account"`
	Token   string     `json:"token"`
	Expires *time.Time `json:"expires,omitempty"`
}

// AddToken makes a token; NotFound if there is no such account.
func (s *Service) AddToken(ctx context.Context, by Actor, in AddToken) (NewToken, error) {
	token, digest := auth.NewToken()
	var id [4]byte
	rand.Read(id[:])
	out := NewToken{ID: hex.EncodeToString(id[:]), Token: token, Expires: in.Expires}
	err := s.amend(ctx, func(d *exchange.Directory) ([]audit.Entry, error) {
		account, err := d.Account(in.Account)
		if err != nil {
			return nil, err
		}
		out.Account = account.ID()
		return directoryEntry(d, by, account.Org, "token %s of %s added", out.ID, out.Account),
			d.AddToken(exchange.Token{ID: out.ID, Account: out.Account, Digest: digest, Expires: in.Expires, Added: s.now()})
	})
	return out, err
}

// Tokens are all that were ever made, by id.
func (s *Service) Tokens(ctx context.Context) ([]*exchange.Token, error) {
	newest, err := s.current.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	return sorted(newest.Directory.Tokens), nil
}

// RevokeToken lets a token open nothing any more; NotFound if there is none.
func (s *Service) RevokeToken(ctx context.Context, by Actor, id string) (out exchange.Token, err error) {
	err = s.amend(ctx, func(d *exchange.Directory) (entries []audit.Entry, err error) {
		t, err := d.Token(id)
		if err != nil {
			return nil, err
		}
		if !t.Revoked {
			account, err := d.Account(t.Account)
			if err != nil {
				return nil, err
			}
			entries = directoryEntry(d, by, account.Org, "token %s of %s revoked", t.ID, t.Account)
		}
		t.Revoked = true
		out = *t
		return entries, nil
	})
	return out, err
}
