package main

import (
	"errors"
	"fmt"
	"net/url"

	"comity/taxii/console"
)

// oidcFlags let persons sign in to the console by a provider of OpenID Connect.
type oidcFlags struct {
	OIDCIssuer       string `name:"oidc-issuer" placeholder:"URL" env:"COMITY_OIDC_ISSUER" help:"Let persons sign in to the console by this provider of OpenID Connect. It redirects to /console/sign-in/oidc/return."`
	OIDCClientID     string `name:"oidc-client-id" placeholder:"ID" env:"COMITY_OIDC_CLIENT_ID" help:"What the provider calls this server."`
	OIDCClientSecret string `name:"oidc-client-secret" placeholder:"FILE" env:"COMITY_OIDC_CLIENT_SECRET" help:"File with the secret that the provider knows this server by."`
	OIDCClaim        string `name:"oidc-claim" placeholder:"NAME" default:"comity_account" env:"COMITY_OIDC_CLAIM" help:"Claim of the id token that names the account, as ORG/NAME (default ${default}). Users must not be able to change it."`
}

// read is the provider, with its secret from the file. It is zero without the flags.
func (f *oidcFlags) read() (out console.OIDC, err error) {
	if f.OIDCIssuer == "" {
		if f.OIDCClientID != "" || f.OIDCClientSecret != "" {
			return out, errors.New("--oidc-client-id and --oidc-client-secret need --oidc-issuer")
		}
		return out, nil
	}
	u, err := url.Parse(f.OIDCIssuer)
	if err != nil || u.Host == "" || u.Scheme != "https" && !loopback(u.Host) && !loopback(u.Host+":80") {
		return out, fmt.Errorf("--oidc-issuer %s: write a URL with https", f.OIDCIssuer)
	}
	if f.OIDCClientID == "" || f.OIDCClientSecret == "" {
		return out, errors.New("--oidc-issuer needs --oidc-client-id and --oidc-client-secret")
	}
	secret, err := secretOf(f.OIDCClientSecret)
	if err != nil {
		return out, err
	}
	return console.OIDC{Issuer: f.OIDCIssuer, ClientID: f.OIDCClientID, ClientSecret: secret, Claim: f.OIDCClaim}, nil
}
