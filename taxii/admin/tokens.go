package admin

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"time"

	"comity/taxii"
	"comity/taxii/audit"
	"comity/taxii/auth"
	"comity/taxii/exchange"
)

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

// AddToken makes a token; NotFound if there is no such account, or if it is not the account of
// a person in the console; Invalid if Expires has passed.
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
		if !s.owns(d, by, account) {
			return nil, errNotForYou()
		}
		out.Account, token.Account = account.ID(), account.ID()
		return directoryEntry(d, by, account.Org, "token %s of %s added", out.ID, out.Account), d.AddToken(token)
	})
	return out, err
}

// owns tells whether the actor may make tokens of an account: an operator of the machine, or
// the person of the account while it can be used.
func (s *Service) owns(d *exchange.Directory, by Actor, account *exchange.Account) bool {
	return by.Account == "" || by.Account == account.ID() && account.Usable(s.now()) && !d.Organisations[account.Org].Suspended
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
// there is no such token, or if it is not one of a person in the console; Conflict if it is
// revoked or has expired.
func (s *Service) RotateToken(ctx context.Context, by Actor, in RotateToken) (out NewToken, err error) {
	err = s.amend(ctx, func(d *exchange.Directory) ([]audit.Entry, error) {
		old, err := d.Token(in.ID)
		if err != nil {
			return nil, err
		}
		account, err := d.Account(old.Account)
		if err != nil {
			return nil, err
		}
		if !s.owns(d, by, account) {
			return nil, errNotForYou()
		}
		now := s.now()
		if !old.Usable(now) {
			return nil, taxii.Errorf(taxii.Conflict, "token %s is revoked or has expired: make another one", in.ID)
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
	err = s.amend(ctx, func(d *exchange.Directory) (entries []audit.Entry, err error) {
		t := d.Tokens[in.ID]
		if t == nil || t.Account != by.Account {
			if err := s.permitIn(d, by, in.Reason); err != nil {
				return nil, err
			}
		}
		if t, err = d.Token(in.ID); err != nil {
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
