// Package auth turns the credentials of a request into an exchange.Principal.
// It identifies the account and does not decide its rights.
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
	uses      uses
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

// Headers are the names of the headers that may carry credentials.
func (a *Authenticator) Headers() []string {
	if a.keyHeader == "" {
		return []string{"Authorization"}
	}
	return []string{"Authorization", a.keyHeader}
}

// Authenticate returns the principal of a request, and the policy of the directory in
// which it was found. It takes a token as Bearer, as Token, as the password of Basic
// with any user name, or alone in the key header; account and password as Basic; or a
// verified client certificate. All other requests are Unauthorized with a [Refusal], and
// so is the account of a seconded person outside the secondment. The message is the same
// for all refused credentials, and repeated failures of one address or account are
// delayed.
//
// The password of a person with a second factor opens nothing here, since it would open
// without that factor what the console guards with it: such a person uses a token.
//
// After many attempts from its address or account, a password that was not verified
// lately is delayed before it is hashed; it is TooMany if the delay would be too long. A
// known token is never delayed.
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
		if p, ok := newest.Principal(f.account, now); ok {
			p.Token = f.Token
			if f.Token != "" {
				a.uses.add(f.Token, Use{now, f.Remote})
			}
			markAuthenticated(r)
			return p, newest.Policy, nil
		}
		f.Reason = "expired" // the secondment is over
	}
	if !given.empty() && !given.basic {
		a.failures.wait(r.Context(), Address(r), strings.ToLower(given.user))
	}
	refused := &taxii.Error{Code: taxii.Unauthorized, Msg: "these credentials open nothing here", Err: &f.Refusal}
	if f.Reason == "none" {
		refused.Msg = "no credentials were sent"
	}
	return exchange.Principal{}, nil, refused
}

// SignIn returns the account of a person whose password this is, for a session of the web
// console. A token is no password here. All other callers are Unauthorized with a [Refusal],
// and so are service accounts and those of suspended organisations. Attempts are delayed as
// for Authenticate, and count together with those.
func (a *Authenticator) SignIn(r *http.Request, account, password string) (*exchange.Account, error) {
	newest, err := a.current.Snapshot(r.Context())
	if err != nil {
		return nil, err
	}
	now := a.now()
	f, err := a.find(r, newest, credentials{basic: true, passwordOnly: true, user: account, secret: password}, now)
	if err != nil {
		return nil, err
	}
	if f.Reason == "" {
		f.Reason = refusePerson(newest, f.account, now)
	}
	if f.Reason == "" {
		return f.account, nil
	}
	return nil, &taxii.Error{Code: taxii.Unauthorized, Msg: "these credentials open nothing here", Err: &f.Refusal}
}

// Person is the caller that a person is in a session of the web console. ok is false if the
// account may not be used now.
func Person(newest *exchange.Snapshot, account *exchange.Account, now time.Time) (p exchange.Principal, ok bool) {
	if account == nil || refusePerson(newest, account, now) != "" {
		return p, false
	}
	return newest.Principal(account, now)
}

// refusePerson is the reason to refuse the account a session; "" if there is none.
func refusePerson(newest *exchange.Snapshot, account *exchange.Account, now time.Time) string {
	org := newest.Directory.Organisations[account.Org]
	if org == nil || org.Suspended {
		return "suspended"
	}
	if !account.Person {
		return "service"
	}
	if _, ok := newest.Principal(account, now); !ok {
		return "expired"
	}
	return ""
}

// Refusal is the reason why a login was refused, for the log and the audit record. The
// client learns only whether it sent credentials.
type Refusal struct {
	Reason  string // "none", "unknown", "wrong", "expired", "revoked", "disabled", "suspended", "service", "second factor" or "throttled"
	Remote  string // network address of the caller
	Account string // "" if there is none of that name
	Token   string // id, "" if there is none
}

// Error implements error.
func (r *Refusal) Error() string { return "login refused: " + r.Reason }

// login is the account that credentials belong to. If the Reason is empty, the account
// is usable.
type login struct {
	account *exchange.Account
	Refusal
}

var errTooMany = &taxii.Error{Code: taxii.TooMany, Msg: "too many passwords were tried; try again later", RetryAfter: maxDelay}

// find returns the account that the credentials belong to, or the reason to refuse them.
func (a *Authenticator) find(r *http.Request, newest *exchange.Snapshot, given credentials, now time.Time) (f login, err error) {
	f.Remote = Address(r)
	var token *exchange.Token
	if given.secret != "" && !given.passwordOnly {
		token = newest.Token(sha256.Sum256([]byte(given.secret)))
	}
	right, factorMissing := true, false
	switch user := strings.ToLower(given.user); {
	case token != nil:
		f.Token, f.account = token.ID, newest.Directory.Accounts[token.Account]
	case !given.basic:
		f.account = newest.CertificateHolder(given.certificate)
	default:
		f.account = newest.Directory.Accounts[user]
		factorMissing = f.account != nil && f.account.HasSecondFactor() && !given.passwordOnly
		if _, ok := newest.Principal(f.account, now); ok && !factorMissing && a.passwords.remembers(f.account, given.secret) {
			break // for unusable accounts, a right password takes the same time as a wrong one
		}
		if a.failures.wait(r.Context(), f.Remote, user) {
			right, err = a.passwords.verify(r.Context(), f.account, given.secret)
		} else if err = r.Context().Err(); err == nil {
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
	case factorMissing:
		f.Reason = "second factor"
	case token != nil && token.Revoked:
		f.Reason = "revoked"
	case f.account.Disabled:
		f.Reason = "disabled"
	case !f.account.Usable(now) || token != nil && !token.Usable(now):
		f.Reason = "expired"
	}
	return f, err
}

// Address is the caller's network address without its port.
func Address(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}
