package admin

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"maps"
	"slices"
	"time"

	"comity/taxii"
	"comity/taxii/auth"
	"comity/taxii/exchange"
)

// Init names the centre of a new data folder.
type Init struct {
	ID, Name, Country string
	Namespace         string // ids the centre derives live in it; "" for one made from ID
}

func (a *Admin) initialise(ctx context.Context, in Init) (exchange.Centre, error) {
	if in.Namespace == "" {
		in.Namespace = "urn:comity:" + in.ID
	}
	centre := exchange.Centre{ID: in.ID, Namespace: in.Namespace}
	err := a.store.Amend(ctx, func(d *exchange.Directory) error {
		if d.Centre.ID != "" {
			return taxii.Errorf(taxii.Conflict, "this data folder is of the centre %s already", d.Centre.ID)
		}
		if in.ID == "taxii2" || in.ID == "healthz" || in.ID == "readyz" {
			return taxii.Errorf(taxii.Invalid, "%s is a path of the server; choose another id", in.ID)
		}
		d.Centre = centre
		return d.AddOrganisation(exchange.Organisation{
			ID: in.ID, Kind: "international-body", Name: in.Name, Country: in.Country, Added: a.now(),
		})
	})
	return centre, err
}

func (a *Admin) addOrganisation(ctx context.Context, o exchange.Organisation) (exchange.Organisation, error) {
	o.Added = a.now()
	return o, a.amend(ctx, func(d *exchange.Directory) error { return d.AddOrganisation(o) })
}

func (a *Admin) organisations(ctx context.Context, _ None) ([]*exchange.Organisation, error) {
	d, _, err := a.store.Directory(ctx)
	if err != nil {
		return nil, err
	}
	return sorted(d.Organisations), nil
}

// Suspend stops or restores all grants of an organisation.
type Suspend struct {
	ID        string
	Suspended bool
}

func (a *Admin) suspend(ctx context.Context, in Suspend) (out exchange.Organisation, err error) {
	return out, a.amend(ctx, func(d *exchange.Directory) error {
		o, err := d.Organisation(in.ID)
		if err != nil {
			return err
		}
		o.Suspended = in.Suspended
		out = *o
		return nil
	})
}

// AddAccount is a new account with its password in the clear, "" for none.
type AddAccount struct {
	exchange.Account
	Secret string
}

func (a *Admin) addAccount(ctx context.Context, in AddAccount) (exchange.Account, error) {
	if in.Secret != "" {
		in.Password = auth.HashPassword(in.Secret)
	}
	in.Added = a.now()
	var out exchange.Account
	return out, a.amend(ctx, func(d *exchange.Directory) error {
		if err := d.AddAccount(in.Account); err != nil {
			return err
		}
		added, err := d.Account(in.ID())
		if err == nil {
			out = added.Public()
		}
		return err
	})
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

// Name names one thing.
type Name struct{ ID string }

func (a *Admin) disableAccount(ctx context.Context, in Name) (out exchange.Account, err error) {
	return out, a.amend(ctx, func(d *exchange.Directory) error {
		account, err := d.Account(in.ID)
		if err != nil {
			return err
		}
		account.Disabled = true
		out = account.Public()
		return nil
	})
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
	return out, a.amend(ctx, func(d *exchange.Directory) error {
		account, err := d.Account(in.Account)
		if err != nil {
			return err
		}
		out.Account = account.ID()
		return d.AddToken(exchange.Token{ID: out.ID, Account: out.Account, Digest: digest, Expires: in.Expires, Added: a.now()})
	})
}

func (a *Admin) tokens(ctx context.Context, _ None) ([]*exchange.Token, error) {
	d, _, err := a.store.Directory(ctx)
	if err != nil {
		return nil, err
	}
	return sorted(d.Tokens), nil
}

func (a *Admin) revokeToken(ctx context.Context, in Name) (out exchange.Token, err error) {
	return out, a.amend(ctx, func(d *exchange.Directory) error {
		t, err := d.Token(in.ID)
		if err != nil {
			return err
		}
		t.Revoked = true
		out = *t
		return nil
	})
}

// sorted is the values of a map by their keys; never nil.
func sorted[V any](m map[string]V) []V {
	list := make([]V, 0, len(m))
	for _, key := range slices.Sorted(maps.Keys(m)) {
		list = append(list, m[key])
	}
	return list
}
