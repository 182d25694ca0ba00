package admin

import (
	"bytes"
	"context"
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
	if p.Name = strings.TrimSpace(p.Name); p.Name == "" || len(p.Name) > 60 || strings.ContainsFunc(p.Name, stix.Unprintable) {
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

// DisableAccount disables or enables it; NotFound if there is no such account, Invalid if
// actors disable their own. The other errors are those of permit.
func (s *Service) DisableAccount(ctx context.Context, by Actor, in Disable) (out exchange.Account, err error) {
	err = s.amend(ctx, func(d *exchange.Directory) (entries []audit.Entry, err error) {
		if err := s.permitIn(d, by, in.Reason); err != nil {
			return nil, err
		}
		account, err := d.Account(in.ID)
		if err != nil {
			return nil, err
		}
		if in.Disabled && account.ID() == by.Account {
			return nil, taxii.Errorf(taxii.Invalid, "%s is your own account: another operator disables it", account.ID())
		}
		state := "enabled"
		if in.Disabled {
			state = "disabled"
		}
		if account.Disabled != in.Disabled {
			entries = directoryEntry(d, by, account.Org, "account %s %s%s", account.ID(), state, because(in.Reason))
			if account.Disabled = in.Disabled; in.Disabled {
				account.SignedOut = s.now()
			}
		}
		out = account.Public()
		return entries, nil
	})
	return out, err
}
