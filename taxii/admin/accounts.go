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

func (a *Admin) addAccount(ctx context.Context, in AddAccount) (out exchange.Account, err error) {
	if in.Secret != "" {
		in.Password = auth.HashPassword(in.Secret)
	}
	in.Added = a.now()
	err = a.amend(ctx, func(d *exchange.Directory) ([]audit.Entry, error) {
		if err := d.AddAccount(in.Account); err != nil {
			return nil, err
		}
		added, err := d.Account(in.ID())
		if err != nil {
			return nil, err
		}
		out = added.Public()
		return changed(d, out.Org, "account %s added", out.ID()), nil
	})
	return out, err
}

func (a *Admin) accounts(ctx context.Context, _ None) ([]exchange.Account, error) {
	d, _, err := a.store.Directory(ctx)
	if err != nil {
		return nil, err
	}
	list := []exchange.Account{}
	for _, account := range sorted(d.Accounts) {
		list = append(list, account.Public())
	}
	return list, nil
}

func (a *Admin) disableAccount(ctx context.Context, in Name) (out exchange.Account, err error) {
	err = a.amend(ctx, func(d *exchange.Directory) (entries []audit.Entry, err error) {
		account, err := d.Account(in.ID)
		if err != nil {
			return nil, err
		}
		if !account.Disabled {
			entries = changed(d, account.Org, "account %s disabled", account.ID())
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

func (a *Admin) addToken(ctx context.Context, in AddToken) (NewToken, error) {
	token, digest := auth.NewToken()
	var id [4]byte
	rand.Read(id[:])
	out := NewToken{ID: hex.EncodeToString(id[:]), Token: token, Expires: in.Expires}
	err := a.amend(ctx, func(d *exchange.Directory) ([]audit.Entry, error) {
		account, err := d.Account(in.Account)
		if err != nil {
			return nil, err
		}
		out.Account = account.ID()
		return changed(d, account.Org, "token %s of %s added", out.ID, out.Account),
			d.AddToken(exchange.Token{ID: out.ID, Account: out.Account, Digest: digest, Expires: in.Expires, Added: a.now()})
	})
	return out, err
}

func (a *Admin) tokens(ctx context.Context, _ None) ([]*exchange.Token, error) {
	d, _, err := a.store.Directory(ctx)
	if err != nil {
		return nil, err
	}
	return sorted(d.Tokens), nil
}

func (a *Admin) revokeToken(ctx context.Context, in Name) (out exchange.Token, err error) {
	err = a.amend(ctx, func(d *exchange.Directory) (entries []audit.Entry, err error) {
		t, err := d.Token(in.ID)
		if err != nil {
			return nil, err
		}
		if !t.Revoked {
			account, err := d.Account(t.Account)
			if err != nil {
				return nil, err
			}
			entries = changed(d, account.Org, "token %s of %s revoked", t.ID, t.Account)
		}
		t.Revoked = true
		out = *t
		return entries, nil
	})
	return out, err
}
