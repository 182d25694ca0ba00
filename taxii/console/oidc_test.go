package console_test

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"comity/taxii/console"
)

// issuer is a provider of OpenID Connect whose user says who it is.
type issuer struct {
	*httptest.Server
	key    *rsa.PrivateKey
	claims map[string]any // of the next id token, beside those that the protocol asks for
	nonce  string
	secret string // the client secret that came
}

func newIssuer(w *world) *issuer {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	w.must(err)
	p := &issuer{key: key}
	mux := http.NewServeMux()
	reply := func(rw http.ResponseWriter, v any) {
		rw.Header().Set("Content-Type", "application/json")
		json.NewEncoder(rw).Encode(v)
	}
	mux.HandleFunc("/.well-known/openid-configuration", func(rw http.ResponseWriter, _ *http.Request) {
		reply(rw, map[string]any{
			"issuer": p.URL, "authorization_endpoint": p.URL + "/authorize", "token_endpoint": p.URL + "/token", "jwks_uri": p.URL + "/keys",
			"id_token_signing_alg_values_supported": []string{"RS256"},
		})
	})
	mux.HandleFunc("/keys", func(rw http.ResponseWriter, _ *http.Request) {
		reply(rw, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "1", Algorithm: "RS256", Use: "sig"}}})
	})
	mux.HandleFunc("/token", func(rw http.ResponseWriter, r *http.Request) {
		_, p.secret, _ = r.BasicAuth()
		claims := map[string]any{"iss": p.URL, "aud": "comity", "sub": "1", "nonce": p.nonce, "iat": time.Now().Unix(), "exp": time.Now().Add(time.Minute).Unix()}
		for name, value := range p.claims {
			claims[name] = value
		}
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: key, KeyID: "1"}}, nil)
		w.must(err)
		text, err := json.Marshal(claims)
		w.must(err)
		signed, err := signer.Sign(text)
		w.must(err)
		token, err := signed.CompactSerialize()
		w.must(err)
		reply(rw, map[string]any{"access_token": "x", "token_type": "Bearer", "id_token": token})
	})
	p.Server = httptest.NewServer(mux)
	w.Cleanup(p.Close)
	return p
}

// A person signs in by the provider, which names the account in a claim. Nobody else does, no
// account is made, and only the browser that began a sign-in finishes it.
func TestSignInByOpenIDConnect(t *testing.T) {
	w := newWorld(t)
	p := newIssuer(w)
	w.server.Config.Handler = console.New(console.Config{PublicURL: w.server.URL, OIDC: console.OIDC{
		Issuer: p.URL, ClientID: "comity", ClientSecret: "s3cret", Claim: "comity_account",
	}}, w.console.Deps).Handler()
	w.browser().get("/console/sign-in").want(http.StatusOK).contains("/console/sign-in/oidc")
	// begin begins a sign-in, and returns the path by which the provider sends the browser back.
	begin := func(b *browser) string {
		to, err := url.Parse(b.get("/console/sign-in/oidc?next=/console/tokens").want(http.StatusSeeOther).header.Get("Location"))
		w.must(err)
		p.nonce = to.Query().Get("nonce")
		if to.Query().Get("code_challenge_method") != "S256" || to.Query().Get("redirect_uri") != w.server.URL+"/console/sign-in/oidc/return" {
			t.Fatalf("the browser is sent to %s", to)
		}
		return "/console/sign-in/oidc/return?code=c&state=" + to.Query().Get("state")
	}
	b := w.browser()
	p.claims = map[string]any{"comity_account": "Vendor/Vic"}
	b.get(begin(b)).wantRedirect("/console/tokens")
	b.get("/console/").want(http.StatusOK).contains("vendor/vic")
	if p.secret != "s3cret" {
		t.Errorf("the client secret is %q", p.secret)
	}
	for name, claims := range map[string]map[string]any{
		"no claim": {}, "an unknown account": {"comity_account": "vendor/none"}, "a service": {"comity_account": "vendor/feed"},
		"another type": {"comity_account": 1}, "another client": {"comity_account": "vendor/vic", "aud": "other"},
		"another nonce": {"comity_account": "vendor/vic", "nonce": "x"}, "expired": {"comity_account": "vendor/vic", "exp": 1},
		"another issuer": {"comity_account": "vendor/vic", "iss": "https://evil.example"},
	} {
		p.claims = claims
		b := w.browser()
		if a := b.get(begin(b)); a.status != http.StatusForbidden {
			t.Errorf("%s: status %d", name, a.status)
		}
		b.get("/console/").want(http.StatusSeeOther)
	}
	p.claims = map[string]any{"comity_account": "vendor/vic"}
	victim, attacker := w.browser(), w.browser()
	back := begin(attacker)
	victim.get(back).want(http.StatusForbidden)
	begin(victim)
	victim.get(back).want(http.StatusForbidden)
	victim.get("/console/").want(http.StatusSeeOther)
}

// A provider that leaves one request without an answer does not keep other persons from
// signing in.
func TestProviderThatHangsKeepsNobodyElseOut(t *testing.T) {
	w := newWorld(t)
	p := newIssuer(w)
	answers, asked, release := p.Config.Handler, make(chan struct{}), make(chan struct{})
	unblock := sync.OnceFunc(func() { close(release) })
	t.Cleanup(unblock)
	var first atomic.Bool
	p.Config.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if !first.Swap(true) {
			close(asked)
			<-release
		}
		answers.ServeHTTP(rw, r)
	})
	w.server.Config.Handler = console.New(console.Config{PublicURL: w.server.URL, OIDC: console.OIDC{Issuer: p.URL, ClientID: "comity"}}, w.console.Deps).Handler()
	done := make(chan struct{})
	go func() {
		defer close(done)
		http.Get(w.server.URL + "/console/sign-in/oidc")
	}()
	<-asked
	b := w.browser()
	b.client.Timeout = time.Minute // it would never end
	b.get("/console/sign-in/oidc").want(http.StatusSeeOther)
	unblock()
	<-done
}

// Without a provider its pages are not there.
func TestWithoutProviderThereIsNoSignInByIt(t *testing.T) {
	b := newWorld(t).browser()
	b.get("/console/sign-in/oidc").want(http.StatusNotFound)
	b.get("/console/sign-in/oidc/return?state=").want(http.StatusNotFound)
}
