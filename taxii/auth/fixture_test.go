package auth_test

import (
	"context"
	"encoding/base64"
	"maps"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"comity/taxii/auth"
	"comity/taxii/exchange"
)

const keyHeader = "X-API-Key"

// password has a colon and letters beyond ASCII.
const password = "pässwörd:日本"

// hash is made once: it costs what it is meant to cost.
var hash = sync.OnceValue(func() string { return mustHash(password) })

func mustHash(password string) string {
	hash, err := auth.HashPassword(password)
	if err != nil {
		panic(err)
	}
	return hash
}

// source is a directory in memory.
type source struct {
	mu         sync.Mutex
	generation uint64
	directory  *exchange.Directory
	broken     error
	loads      int
}

func (s *source) Generation(context.Context) (uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.generation, s.broken
}

// Directory is a copy, as a store gives it: what changes later does not show.
func (s *source) Directory(context.Context) (*exchange.Directory, uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.loads++
	d := *s.directory
	d.Organisations, d.Accounts, d.Tokens = maps.Clone(d.Organisations), map[string]*exchange.Account{}, map[string]*exchange.Token{}
	for id, a := range s.directory.Accounts {
		account := *a
		d.Accounts[id] = &account
	}
	for id, t := range s.directory.Tokens {
		token := *t
		d.Tokens[id] = &token
	}
	return &d, s.generation, s.broken
}

// amend changes the directory as a command would.
func (s *source) amend(change func(*exchange.Directory)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s.directory)
	s.generation++
}

// world is a directory with one organisation and its accounts, and the
// authenticator over it.
type world struct {
	*source
	*auth.Authenticator
	token string // of acme/feed
}

func newWorld(t testing.TB) *world {
	t.Helper()
	s := &source{generation: 1, directory: &exchange.Directory{
		Centre:        exchange.Centre{ID: "igci", Namespace: "https://igci.example/"},
		Organisations: map[string]*exchange.Organisation{},
		Accounts:      map[string]*exchange.Account{},
		Tokens:        map[string]*exchange.Token{},
		Agreements:    map[string]*exchange.Deposit{},
	}}
	if err := s.directory.AddOrganisation(exchange.Organisation{ID: "acme", Kind: "private-vendor", Name: "Acme", Country: "US"}); err != nil {
		t.Fatal(err)
	}
	for _, a := range []exchange.Account{
		{Org: "acme", Name: "feed", Password: hash(), Action: "block", For: "misp", Purposes: []string{"cybercrime"}},
		{Org: "acme", Name: "person", Person: true, Password: hash()},
		{Org: "acme", Name: "machine", Certificate: fingerprint},
		{Org: "acme", Name: "bare"},
	} {
		if err := s.directory.AddAccount(a); err != nil {
			t.Fatal(err)
		}
	}
	w := &world{source: s, Authenticator: auth.New(exchange.NewCurrent(s), time.Now, keyHeader)}
	w.token = w.addToken(t, "t1", "acme/feed")
	return w
}

func (w *world) addToken(t testing.TB, id, account string) string {
	t.Helper()
	token, digest := auth.NewToken()
	w.amend(func(d *exchange.Directory) {
		if err := d.AddToken(exchange.Token{ID: id, Account: account, Digest: digest}); err != nil {
			t.Fatal(err)
		}
	})
	return token
}

// with is a request with one header, given as it is.
func with(name, value string) *http.Request {
	r := httptest.NewRequest("GET", "https://igci.example/igci/collections/", nil)
	if name != "" {
		r.Header[http.CanonicalHeaderKey(name)] = []string{value}
	}
	return r
}

func basic(user, secret string) *http.Request {
	return with("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(user+":"+secret)))
}

func bearer(token string) *http.Request { return with("Authorization", "Bearer "+token) }
