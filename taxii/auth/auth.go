// Package auth turns the credentials of a request into an exchange.Principal.
// It decides who is asking, never what they may do.
package auth

import (
	"crypto/sha256"
	"net"
	"net/http"
	"strings"
	"time"

	"comity/taxii"
	"comity/taxii/exchange"
)

// Authenticator checks credentials against the newest directory. It is safe
// for concurrent use.
type Authenticator struct {
	current   *exchange.Current
	now       func() time.Time
	keyHeader string
	passwords *passwords
	failures  *failures
}

// New makes an Authenticator. keyHeader names the header that may carry a
// token alone, such as X-API-Key.
func New(current *exchange.Current, now func() time.Time, keyHeader string) *Authenticator {
	return &Authenticator{
		current:   current,
		now:       now,
		keyHeader: keyHeader,
		passwords: newPasswords(),
		failures:  newFailures(),
	}
}

// Headers are those that may carry credentials.
func (a *Authenticator) Headers() []string { return []string{"Authorization", a.keyHeader} }

// Authenticate finds who sends the request, and the policy of the directory that
// says so: by a token as Bearer, as Token, as the password of Basic with any user
// name, or alone in the key header; by account and password as Basic; or by a
// verified client certificate. Anything else is Unauthorized, always with the
// same words, and repeated failures of one address or account are answered late.
// So is a seconded person's account outside the secondment.
//
// A password that was not verified lately waits before it is hashed, if its address
// or account has had many; TooMany if it would wait too long. A known token never
// waits.
func (a *Authenticator) Authenticate(r *http.Request) (exchange.Principal, *exchange.Policy, error) {
	newest, err := a.current.Snapshot(r.Context())
	if err != nil {
		return exchange.Principal{}, nil, err
	}
	now := a.now()
	given := parse(r, a.keyHeader)
	account, token, err := a.verify(r, newest, given, now)
	if err != nil {
		return exchange.Principal{}, nil, err
	}
	if p, ok := principal(newest, account, now); ok {
		p.Token = token
		return p, newest.Policy, nil
	}
	if !given.empty() && !given.basic {
		a.failures.wait(r.Context(), address(r), strings.ToLower(given.user))
	}
	return exchange.Principal{}, nil, taxii.Errorf(taxii.Unauthorized, "these credentials open nothing here")
}

// principal is who acts through the account, if it may be used now; nil may not.
func principal(s *exchange.Snapshot, account *exchange.Account, now time.Time) (p exchange.Principal, ok bool) {
	if account == nil || !account.Usable(now) {
		return p, false
	}
	p = account.Principal()
	p.Home, ok = s.Policy.Home(p.Account, now)
	return p, ok
}

// verify finds the account that the credentials belong to, nil if none, and the
// id of the token where it is one.
func (a *Authenticator) verify(r *http.Request, newest *exchange.Snapshot, given credentials, now time.Time) (account *exchange.Account, token string, err error) {
	if given.secret != "" {
		if t := newest.Token(sha256.Sum256([]byte(given.secret))); t != nil {
			if !t.Usable(now) {
				return nil, "", nil
			}
			return newest.Directory.Accounts[t.Account], t.ID, nil
		}
	}
	if !given.basic {
		return newest.CertificateHolder(given.certificate), "", nil
	}
	user := strings.ToLower(given.user)
	account = newest.Directory.Accounts[user]
	if _, ok := principal(newest, account, now); ok && a.passwords.remembers(account, given.secret) {
		return account, "", nil // of others even the right password costs what a wrong one does
	}
	if !a.failures.wait(r.Context(), address(r), user) {
		return nil, "", errTooMany
	}
	right, err := a.passwords.verify(r.Context(), account, given.secret)
	if !right {
		account = nil
	}
	return account, "", err
}

var errTooMany = &taxii.Error{Code: taxii.TooMany, Msg: "too many passwords were tried; try again later", RetryAfter: slowest}

// address is the caller's network address without its port.
func address(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}
