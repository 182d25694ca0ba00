package admin

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"comity/stix"
	"comity/taxii"
	"comity/taxii/audit"
	"comity/taxii/auth"
	"comity/taxii/exchange"
)

// AddAccount is a new account with its password in clear text; "" for none.
type AddAccount struct {
	exchange.Account
	Secret string
}

// ChangedAccount is an account after an act. If the person has a password and no second factor,
// SetUpCode is the code to set one up with, which is never shown again.
type ChangedAccount struct {
	exchange.Account
	SetUpCode string `json:"set_up_code,omitempty"`
}

// AddAccount adds it; the errors are those of [exchange.Directory.AddAccount].
func (s *Service) AddAccount(ctx context.Context, by Actor, in AddAccount) (out ChangedAccount, err error) {
	in.SetUp = ""
	if in.Person && in.Secret != "" {
		out.SetUpCode, in.SetUp = auth.NewSetUpCode()
	}
	if in.Secret != "" {
		if in.Password, err = auth.HashPassword(in.Secret); err != nil {
			return out, err
		}
	}
	if err := s.future(in.Expires); err != nil {
		return out, err
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
		out.Account = added.Public()
		return directoryEntry(d, by, out.Org, "account %s added", out.ID()), nil
	})
	return out, err
}

// EditAccount changes fields of an account. A nil field stays as it is.
type EditAccount struct {
	ID                       string // "org/name"
	Purposes                 []string
	Action, For, Certificate *string
	Post                     *string
	Secret                   *string    // a new password in clear text
	Expires                  *time.Time // the zero time for never
	ResetSecondFactor        bool       // the person sets up another one, with a new code
}

// EditAccount changes it; the errors are those of [exchange.Directory.EditAccount]. It is
// also Invalid if Expires has passed.
func (s *Service) EditAccount(ctx context.Context, by Actor, in EditAccount) (out ChangedAccount, err error) {
	never := in.Expires != nil && in.Expires.IsZero()
	if !never {
		if err := s.future(in.Expires); err != nil {
			return out, err
		}
	}
	var password string
	if in.Secret != nil {
		if password, err = auth.HashPassword(*in.Secret); err != nil {
			return out, err
		}
	}
	err = s.amend(ctx, func(d *exchange.Directory) ([]audit.Entry, error) {
		account, err := d.Account(in.ID)
		if err != nil {
			return nil, err
		}
		edited := *account
		var changes changes
		if in.Purposes != nil && !slices.Equal(in.Purposes, edited.Purposes) {
			changes.add("purposes %s instead of %s", strings.Join(in.Purposes, ", "), strings.Join(edited.Purposes, ", "))
			edited.Purposes = in.Purposes
		}
		changes.text("action", &edited.Action, in.Action)
		changes.text("client", &edited.For, in.For)
		changes.text("certificate", &edited.Certificate, in.Certificate)
		changes.text("post", &edited.Post, in.Post)
		if password != "" {
			changes.add("a new password")
			edited.Password = password
		}
		if in.ResetSecondFactor && edited.SecondFactor != "" {
			changes.add("no second factor until the next sign-in")
			edited.SecondFactor, edited.Passkeys = "", nil
		}
		out.SetUpCode = ""
		if edited.Person && edited.Password != "" && !edited.HasSecondFactor() && (password != "" || in.ResetSecondFactor) {
			changes.add("a new set-up code")
			out.SetUpCode, edited.SetUp = auth.NewSetUpCode()
		}
		switch {
		case in.Expires == nil:
		case never && edited.Expires != nil:
			changes.add("it does not expire")
			edited.Expires = nil
		case !never && (edited.Expires == nil || !in.Expires.Equal(*edited.Expires)):
			changes.add("it expires %s", taxii.FormatTime(*in.Expires))
			edited.Expires = in.Expires
		}
		out.Account = edited.Public()
		return changes.entries(d, by, out.Org, "account "+out.ID()), d.EditAccount(edited)
	})
	return out, err
}

// SetSecondFactor sets the secret of the second factor of an account that has none:
// [exchange.Account.SecondFactor]. NotFound if there is no such account, Conflict if it has
// one, Forbidden if setUpCode is not the one that the operator gave for it. The code works once.
func (s *Service) SetSecondFactor(ctx context.Context, by Actor, id, secret, setUpCode string) error {
	return s.amend(ctx, func(d *exchange.Directory) ([]audit.Entry, error) {
		account, err := d.Account(id)
		if err != nil {
			return nil, err
		}
		if account.HasSecondFactor() {
			return nil, taxii.Errorf(taxii.Conflict, "account %s has a second factor already", id)
		}
		if !auth.IsSetUpCode(account, setUpCode) {
			return nil, taxii.Errorf(taxii.Forbidden, "this is not the set-up code of account %s", id)
		}
		account.SecondFactor, account.SetUp = secret, ""
		return directoryEntry(d, by, account.Org, "account %s has a second factor now", account.ID()), nil
	})
}

// maxPasskeys bounds the passkeys of one account.
const maxPasskeys = 10

// AddPasskey adds a passkey of the actor. Invalid without a name, Conflict if the actor has
// no other second factor, already has that passkey, or has too many.
func (s *Service) AddPasskey(ctx context.Context, by Actor, p exchange.Passkey) error {
	switch p.Name = strings.TrimSpace(p.Name); {
	case p.Name == "" || len(p.Name) > 60 || strings.ContainsFunc(p.Name, stix.Unprintable):
		return taxii.Errorf(taxii.Invalid, "a passkey has a name of at most 60 bytes, such as the name of the device")
	}
	p.Added = s.now()
	return s.amend(ctx, func(d *exchange.Directory) ([]audit.Entry, error) {
		account, err := d.Account(by.Account)
		if err != nil {
			return nil, err
		}
		switch {
		case !account.HasSecondFactor():
			return nil, taxii.Errorf(taxii.Conflict, "account %s has no second factor yet", account.ID())
		case len(account.Passkeys) >= maxPasskeys:
			return nil, taxii.Errorf(taxii.Conflict, "account %s has %d passkeys: remove one first", account.ID(), maxPasskeys)
		case slices.ContainsFunc(account.Passkeys, func(old exchange.Passkey) bool { return bytes.Equal(old.ID, p.ID) }):
			return nil, taxii.Errorf(taxii.Conflict, "account %s has this passkey already", account.ID())
		}
		account.Passkeys = append(account.Passkeys, p)
		return directoryEntry(d, by, account.Org, "passkey %q of %s added", p.Name, account.ID()), nil
	})
}

// RemovePasskey removes a passkey of the actor, by the id of the credential; NotFound if
// there is none.
func (s *Service) RemovePasskey(ctx context.Context, by Actor, id []byte) error {
	return s.amend(ctx, func(d *exchange.Directory) ([]audit.Entry, error) {
		account, err := d.Account(by.Account)
		if err != nil {
			return nil, err
		}
		n := slices.IndexFunc(account.Passkeys, func(p exchange.Passkey) bool { return bytes.Equal(p.ID, id) })
		if n < 0 {
			return nil, taxii.Errorf(taxii.NotFound, "there is no such passkey")
		}
		name := account.Passkeys[n].Name
		account.Passkeys = slices.Delete(account.Passkeys, n, n+1)
		return directoryEntry(d, by, account.Org, "passkey %q of %s removed", name, account.ID()), nil
	})
}

// future refuses a time that has passed.
func (s *Service) future(t *time.Time) error {
	if t != nil && !t.After(s.now()) {
		return taxii.Errorf(taxii.Invalid, "%s has passed: choose a later time", taxii.FormatTime(*t))
	}
	return nil
}

// Accounts are all accounts, by id, without their passwords.
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

// Disable disables an account, or enables it again.
type Disable struct {
	ID       string // "org/name"
	Disabled bool
	Reason   string // an operator of the machine need not give one
}

// DisableAccount disables or enables it; NotFound if there is no such account. The other
// errors are those of permit.
func (s *Service) DisableAccount(ctx context.Context, by Actor, in Disable) (out exchange.Account, err error) {
	if err := s.permit(ctx, by, in.Reason); err != nil {
		return out, err
	}
	err = s.amend(ctx, func(d *exchange.Directory) (entries []audit.Entry, err error) {
		account, err := d.Account(in.ID)
		if err != nil {
			return nil, err
		}
		state := "enabled"
		if in.Disabled {
			state = "disabled"
		}
		if account.Disabled != in.Disabled {
			entries = directoryEntry(d, by, account.Org, "account %s %s%s", account.ID(), state, because(in.Reason))
		}
		account.Disabled = in.Disabled
		out = account.Public()
		return entries, nil
	})
	return out, err
}

// AddToken describes a new token of an account.
type AddToken struct {
	Account string
	Expires *time.Time
}

// NewToken is a token with its secret, which is never shown again.
type NewToken struct {
	ID      string     `json:"id"`
	Account string     `json:"account"`
	Token   string     `json:"token"`
	Expires *time.Time `json:"expires,omitempty"`
}

// AddToken makes a token; NotFound if there is no such account, Invalid if Expires has
// passed.
func (s *Service) AddToken(ctx context.Context, by Actor, in AddToken) (NewToken, error) {
	if err := s.future(in.Expires); err != nil {
		return NewToken{}, err
	}
	out, token := s.newToken(in.Expires)
	err := s.amend(ctx, func(d *exchange.Directory) ([]audit.Entry, error) {
		account, err := d.Account(in.Account)
		if err != nil {
			return nil, err
		}
		out.Account, token.Account = account.ID(), account.ID()
		return directoryEntry(d, by, account.Org, "token %s of %s added", out.ID, out.Account), d.AddToken(token)
	})
	return out, err
}

// newToken makes a token of no account yet, and its record for the directory.
func (s *Service) newToken(expires *time.Time) (NewToken, exchange.Token) {
	secret, digest := auth.NewToken()
	var random [4]byte
	rand.Read(random[:])
	id := hex.EncodeToString(random[:])
	return NewToken{ID: id, Token: secret, Expires: expires}, exchange.Token{ID: id, Digest: digest, Expires: expires, Added: s.now()}
}

// RotateToken names a token that a new one takes the place of. The old one works for Overlap
// more, so that clients can change over one after the other.
type RotateToken struct {
	ID      string
	Overlap time.Duration
}

// RotateToken makes the new token, which expires when the old one would have. NotFound if
// there is no such token, Conflict if it is revoked or has expired.
func (s *Service) RotateToken(ctx context.Context, by Actor, in RotateToken) (out NewToken, err error) {
	err = s.amend(ctx, func(d *exchange.Directory) ([]audit.Entry, error) {
		old, err := d.Token(in.ID)
		if err != nil {
			return nil, err
		}
		now := s.now()
		if !old.Usable(now) {
			return nil, taxii.Errorf(taxii.Conflict, "token %s is revoked or has expired: make another one", in.ID)
		}
		account, err := d.Account(old.Account)
		if err != nil {
			return nil, err
		}
		var token exchange.Token
		out, token = s.newToken(old.Expires)
		out.Account, token.Account = old.Account, old.Account
		if until := now.Add(in.Overlap); old.Expires == nil || until.Before(*old.Expires) {
			old.Expires = &until
		}
		return directoryEntry(d, by, account.Org, "token %s of %s added in the place of %s", out.ID, out.Account, old.ID), d.AddToken(token)
	})
	return out, err
}

// Token is a token with its last use, which may be some minutes late; nil if none is known.
type Token struct {
	exchange.Token
	Used *auth.Use `json:"used,omitempty"`
}

// Tokens are all tokens, by id, with those that have expired or were revoked.
func (s *Service) Tokens(ctx context.Context) ([]Token, error) {
	newest, err := s.current.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	text, err := s.store.Document(ctx, usesDocument)
	if err != nil {
		return nil, err
	}
	uses, err := parseUses(text)
	if err != nil {
		return nil, err
	}
	list := []Token{}
	for _, t := range sorted(newest.Directory.Tokens) {
		row := Token{Token: *t}
		if use, ok := uses[t.ID]; ok {
			row.Used = &use
		}
		list = append(list, row)
	}
	return list, nil
}

// usesDocument is the name of the document with the last use of each token.
const usesDocument = "token-uses"

func parseUses(text []byte) (map[string]auth.Use, error) {
	uses := map[string]auth.Use{}
	if text == nil {
		return uses, nil
	}
	if err := json.Unmarshal(text, &uses); err != nil {
		return nil, fmt.Errorf("read the last uses of tokens: %w", err)
	}
	return uses, nil
}

// RecordUses keeps uses of tokens, by the id of the token.
func (s *Service) RecordUses(ctx context.Context, uses map[string]auth.Use) error {
	if len(uses) == 0 {
		return nil
	}
	newest, err := s.current.Snapshot(ctx)
	if err != nil {
		return err
	}
	return s.store.AmendDocument(ctx, usesDocument, func(old []byte) ([]byte, []audit.Entry, error) {
		kept, err := parseUses(old)
		if err != nil {
			return nil, nil, err
		}
		for id, use := range uses {
			if use.Time.After(kept[id].Time) {
				kept[id] = use
			}
		}
		maps.DeleteFunc(kept, func(id string, _ auth.Use) bool { return newest.Directory.Tokens[id] == nil })
		text, err := json.Marshal(kept)
		return text, nil, err
	})
}

// RevokeToken names a token that is revoked for good.
type RevokeToken struct {
	ID     string
	Reason string // an operator of the machine and the owner of the token need not give one
}

// RevokeToken revokes it; NotFound if there is no such token. The other errors are those of
// permit, unless the token is the actor's own.
func (s *Service) RevokeToken(ctx context.Context, by Actor, in RevokeToken) (out exchange.Token, err error) {
	newest, err := s.current.Snapshot(ctx)
	if err != nil {
		return out, err
	}
	if t := newest.Directory.Tokens[in.ID]; t == nil || t.Account != by.Account {
		if err := s.permit(ctx, by, in.Reason); err != nil {
			return out, err
		}
	}
	err = s.amend(ctx, func(d *exchange.Directory) (entries []audit.Entry, err error) {
		t, err := d.Token(in.ID)
		if err != nil {
			return nil, err
		}
		if !t.Revoked {
			account, err := d.Account(t.Account)
			if err != nil {
				return nil, err
			}
			entries = directoryEntry(d, by, account.Org, "token %s of %s revoked%s", t.ID, t.Account, because(in.Reason))
		}
		t.Revoked = true
		out = *t
		return entries, nil
	})
	return out, err
}
