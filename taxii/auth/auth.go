// Package auth turns the credentials of a request into an exchange.Principal.
// It decides who is asking, never what they may do.
package auth

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"comity/taxii"
	"comity/taxii/exchange"
)

// Source is where the directory comes from: the store.
type Source interface {
	Generation(ctx context.Context) (uint64, error)
	Directory(ctx context.Context) (*exchange.Directory, uint64, error)
}

// Authenticator checks credentials against the newest directory. It is safe
// for concurrent use.
type Authenticator struct {
	source    Source
	now       func() time.Time
	keyHeader string
	passwords *passwords
	failures  *failures

	loading sync.Mutex // held while a new generation is read
	current atomic.Pointer[register]
}

// New makes an Authenticator. keyHeader names the header that may carry a
// token alone, such as X-API-Key.
func New(source Source, now func() time.Time, keyHeader string) *Authenticator {
	return &Authenticator{
		source:    source,
		now:       now,
		keyHeader: keyHeader,
		passwords: newPasswords(),
		failures:  newFailures(),
	}
}

// register is one generation of the directory, ready for look-ups.
type register struct {
	generation   uint64
	directory    *exchange.Directory
	policy       *exchange.Policy
	tokens       map[[32]byte]*exchange.Token
	certificates map[string]*exchange.Account // by SHA-256, hexadecimal
}

// register returns the newest generation, reading it if it has moved. What
// was revoked is gone from the next request on.
func (a *Authenticator) register(ctx context.Context) (*register, error) {
	generation, err := a.source.Generation(ctx)
	if err != nil {
		return nil, err
	}
	if r := a.current.Load(); r != nil && r.generation == generation {
		return r, nil
	}
	a.loading.Lock()
	defer a.loading.Unlock()
	if r := a.current.Load(); r != nil && r.generation == generation {
		return r, nil
	}
	directory, generation, err := a.source.Directory(ctx)
	if err != nil {
		return nil, err
	}
	r := &register{
		generation:   generation,
		directory:    directory,
		tokens:       map[[32]byte]*exchange.Token{},
		certificates: map[string]*exchange.Account{},
	}
	before := &exchange.Policy{}
	if known := a.current.Load(); known != nil {
		before = known.policy
	}
	if r.policy, err = before.Renew(directory); err != nil {
		return nil, err
	}
	for _, t := range directory.Tokens {
		var digest [32]byte
		if n, err := hex.Decode(digest[:], []byte(t.Digest)); err == nil && n == len(digest) {
			r.tokens[digest] = t
		}
	}
	for _, account := range directory.Accounts {
		if account.Certificate != "" {
			r.certificates[account.Certificate] = account
		}
	}
	a.current.Store(r)
	return r, nil
}

// Authenticate finds who sends the request, and the policy of the directory that
// says so: by a token as Bearer, as Token, as the password of Basic with any user
// name, or alone in the key header; by account and password as Basic; or by a
// verified client certificate. Anything else is Unauthorized, always with the
// same words, and repeated failures of one address or account are answered late.
// So is a seconded person's account outside the secondment.
func (a *Authenticator) Authenticate(r *http.Request) (exchange.Principal, *exchange.Policy, error) {
	reg, err := a.register(r.Context())
	if err != nil {
		return exchange.Principal{}, nil, err
	}
	now := a.now()
	given := parse(r, a.keyHeader)
	if account, token := a.verify(r.Context(), reg, given, now); account != nil && account.Usable(now) {
		p, works := account.Principal(), false
		if p.Home, works = reg.policy.Home(p.Account, now); works {
			p.Token = token
			return p, reg.policy, nil
		}
	}
	if !given.empty() {
		a.failures.slow(r.Context(), address(r), strings.ToLower(given.user))
	}
	return exchange.Principal{}, nil, taxii.Errorf(taxii.Unauthorized, "these credentials open nothing here")
}

// verify finds the account that the credentials belong to, nil if none, and the
// id of the token where it is one.
func (a *Authenticator) verify(ctx context.Context, reg *register, given credentials, now time.Time) (account *exchange.Account, token string) {
	if given.secret != "" {
		if t := reg.tokens[sha256.Sum256([]byte(given.secret))]; t != nil {
			if !t.Usable(now) {
				return nil, ""
			}
			return reg.directory.Accounts[t.Account], t.ID
		}
	}
	if given.basic {
		account := reg.directory.Accounts[strings.ToLower(given.user)]
		if a.passwords.verify(ctx, account, given.secret) {
			return account, ""
		}
		return nil, ""
	}
	return reg.certificates[given.certificate], ""
}

// address is the caller's network address without its port.
func address(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}
