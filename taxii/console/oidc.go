package console

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"comity/taxii"
	"comity/taxii/auth"
)

// OIDC is a provider of OpenID Connect that persons may sign in by. Its administrator decides
// who is which account, and asks for the second factor.
type OIDC struct {
	Issuer       string // URL
	ClientID     string
	ClientSecret string
	Claim        string // of the id token: "org/name" of the account
}

// provider is the provider of OpenID Connect. Its configuration is read when somebody first
// signs in, so that the server starts without it.
type provider struct{ found atomic.Pointer[oidc.Provider] }

func (p *provider) get(issuer string) (*oidc.Provider, error) {
	if found := p.found.Load(); found != nil {
		return found, nil
	}
	found, err := oidc.NewProvider(withTimeout(context.Background()), issuer) // it reads keys with this context later on
	if err != nil {
		return nil, err
	}
	p.found.Store(found)
	return found, nil
}

// withTimeout bounds the time of each request to the provider.
func withTimeout(ctx context.Context) context.Context {
	return oidc.ClientContext(ctx, &http.Client{Timeout: 10 * time.Second})
}

// oidcState is what a sign-in by the provider began with. A cookie holds it, so that
// nobody can finish the sign-in of another browser.
type oidcState struct{ State, Nonce, Verifier, Next string }

// oidcClient is the provider and the client that the server is to it.
func (c *Console) oidcClient() (*oidc.Provider, *oauth2.Config, error) {
	if c.config.OIDC.Issuer == "" {
		return nil, nil, errNotThere
	}
	p, err := c.provider.get(c.config.OIDC.Issuer)
	if err != nil {
		return nil, nil, &taxii.Error{Code: taxii.Unavailable, Msg: "The provider of the sign-in does not answer. Try again later.", Err: err}
	}
	return p, &oauth2.Config{
		ClientID: c.config.OIDC.ClientID, ClientSecret: c.config.OIDC.ClientSecret, Endpoint: p.Endpoint(),
		RedirectURL: c.config.PublicURL + root + "sign-in/oidc/return", Scopes: []string{oidc.ScopeOpenID, "profile"},
	}, nil
}

// oidcCookie sets the cookie with the state of a sign-in; "" removes it.
func (c *Console) oidcCookie(v *visit, value string) {
	c.setCookie(v, c.cookieName()+"-oidc", value, 600)
}

// beginOIDC sends the browser to the provider.
func (c *Console) beginOIDC(v *visit) error {
	if err := c.needTLS(); err != nil {
		return err
	}
	_, client, err := c.oidcClient()
	if err != nil {
		return err
	}
	began := oidcState{State: rand.Text(), Nonce: rand.Text(), Verifier: oauth2.GenerateVerifier(), Next: nextOf(v.r.FormValue("next"))}
	text, err := json.Marshal(began)
	if err != nil {
		return err
	}
	c.oidcCookie(v, base64.RawURLEncoding.EncodeToString(text))
	v.redirect(client.AuthCodeURL(began.State, oidc.Nonce(began.Nonce), oauth2.S256ChallengeOption(began.Verifier)))
	return nil
}

// finishOIDC begins the session of the account that the provider names. It makes no account.
func (c *Console) finishOIDC(v *visit) error {
	p, client, err := c.oidcClient()
	if err != nil {
		return err
	}
	refused := func(why error) error {
		c.Log.Warn("sign-in by the provider refused", "request_id", v.id, "err", why)
		c.Recorder.RefuseLogin(auth.Address(v.r), "unknown", "", "")
		return &taxii.Error{Code: taxii.Forbidden, Msg: "This sign-in opens nothing here. Begin it again, or ask the operator of this server.", Err: why}
	}
	var began oidcState
	cookie, err := v.r.Cookie(c.cookieName() + "-oidc")
	if err != nil {
		return refused(err)
	}
	text, err := base64.RawURLEncoding.DecodeString(cookie.Value)
	if err != nil || json.Unmarshal(text, &began) != nil || began.State == "" ||
		subtle.ConstantTimeCompare([]byte(began.State), []byte(v.r.FormValue("state"))) != 1 {
		return refused(errors.New("another browser began it, or none"))
	}
	c.oidcCookie(v, "")
	ctx := withTimeout(v.r.Context())
	token, err := client.Exchange(ctx, v.r.FormValue("code"), oauth2.VerifierOption(began.Verifier))
	if err != nil {
		return refused(err)
	}
	raw, _ := token.Extra("id_token").(string)
	id, err := p.Verifier(&oidc.Config{ClientID: client.ClientID}).Verify(ctx, raw)
	if err != nil {
		return refused(err)
	}
	if subtle.ConstantTimeCompare([]byte(id.Nonce), []byte(began.Nonce)) != 1 {
		return refused(errors.New("the id token has another nonce"))
	}
	var claims map[string]any
	if err := id.Claims(&claims); err != nil {
		return refused(err)
	}
	name, _ := claims[c.config.OIDC.Claim].(string)
	account := v.snapshot.Directory.Accounts[strings.ToLower(name)]
	if _, ok := auth.Person(v.snapshot, account, v.now); !ok {
		return refused(fmt.Errorf("claim %s is %q, which is no account of a person that may sign in", c.config.OIDC.Claim, name))
	}
	if err := c.begin(v, account, session{Complete: true}); err != nil {
		return err
	}
	v.redirect(nextOf(began.Next))
	return nil
}
