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
// verified client certificate. Anything else is Unauthorized with a
// [Refusal], in the same words for all that send credentials, and repeated failures of one address or account are answered late.
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
	f, err := a.find(r, newest, given, now)
	if err != nil {
		return exchange.Principal{}, nil, err
	}
	if f.Reason == "" {
		if p, ok := principal(newest, f.account, now); ok {
			p.Token = f.Token
			return p, newest.Policy, nil
		}
		f.Reason = "expired" // the secondment is over
	}
	if !given.empty() && !given.basic {
		a.failures.wait(r.Context(), address(r), strings.ToLower(given.user))
	}
	refused := &taxii.Error{Code: taxii.Unauthorized, Msg: "these credentials open nothing here", Err: &f.Refusal}
	if f.Reason == "none" {
		refused.Msg = "no credentials were sent"
	}
	return exchange.Principal{}, nil, refused
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

// Refusal is why a login was refused, for the log and the audit record. The other party
// learns only whether it sent credentials.
type Refusal struct {
	Reason  string // "none", "unknown", "wrong", "expired", "revoked", "disabled" or "throttled"
	Remote  string // network address of the caller
	Account string // "" if there is none of that name
	Token   string // id, "" if there is none
}

// Error implements error.
func (r *Refusal) Error() string { return "login refused: " + r.Reason }

// found is the account that credentials belong to. Without a reason to refuse them it
// is usable.
type found struct {
	account *exchange.Account
	Refusal
}

var errTooMany = &taxii.Error{Code: taxii.TooMany, Msg: "too many passwords were tried; try again later", RetryAfter: slowest}

// find finds the account that the credentials belong to.
func (a *Authenticator) find(r *http.Request, newest *exchange.Snapshot, given credentials, now time.Time) (f found, err error) {
	f.Remote = address(r)
	var token *exchange.Token
	if given.secret != "" {
		token = newest.Token(sha256.Sum256([]byte(given.secret)))
	}
	right := true
	switch user := strings.ToLower(given.user); {
	case token != nil:
		f.Token, f.account = token.ID, newest.Directory.Accounts[token.Account]
	case !given.basic:
		f.account = newest.CertificateHolder(given.certificate)
	default:
		f.account = newest.Directory.Accounts[user]
		if _, ok := principal(newest, f.account, now); ok && a.passwords.remembers(f.account, given.secret) {
			break // of others even the right password costs what a wrong one does
		}
		if a.failures.wait(r.Context(), f.Remote, user) {
			right, err = a.passwords.verify(r.Context(), f.account, given.secret)
		} else {
			err = errTooMany
		}
	}
	if f.account != nil {
		f.Account = f.account.ID()
	}
	switch {
	case err == errTooMany:
		f.Reason = "throttled"
		throttled := *errTooMany
		throttled.Err = &f.Refusal
		err = &throttled
	case err != nil:
	case given.empty():
		f.Reason = "none"
	case f.account == nil:
		f.Reason = "unknown"
	case !right:
		f.Reason = "wrong"
	case token != nil && token.Revoked:
		f.Reason = "revoked"
	case f.account.Disabled:
		f.Reason = "disabled"
	case !f.account.Usable(now) || token != nil && !token.Usable(now):
		f.Reason = "expired"
	}
	return f, err
}

// address is the caller's network address without its port.
func address(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}
