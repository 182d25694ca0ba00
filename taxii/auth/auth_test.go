package auth_test

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"comity/taxii"
	"comity/taxii/auth"
	"comity/taxii/exchange"
)

// certificate stands for one that the TLS layer verified.
var (
	certificate = &x509.Certificate{Raw: []byte("a certificate in DER")}
	fingerprint = func() string { sum := sha256.Sum256(certificate.Raw); return hex.EncodeToString(sum[:]) }()
)

func overTLS(r *http.Request, verified bool, chain ...*x509.Certificate) *http.Request {
	r.TLS = &tls.ConnectionState{PeerCertificates: chain}
	if verified {
		r.TLS.VerifiedChains = [][]*x509.Certificate{chain}
	}
	return r
}

// Each of these is a way in which some client product sends its credentials.
func TestEveryWayToBringCredentials(t *testing.T) {
	w := newWorld(t)
	blank := base64.StdEncoding.EncodeToString([]byte(":" + w.token))
	tests := []struct {
		name string
		r    *http.Request
		want string // account
	}{
		{"token as Bearer", bearer(w.token), "acme/feed"},
		{"token as bearer", with("Authorization", "bearer "+w.token), "acme/feed"},
		{"token as BEARER", with("Authorization", "BEARER "+w.token), "acme/feed"},
		{"token as Bearer, more spaces", with("Authorization", "Bearer   "+w.token+" "), "acme/feed"},
		{"token as Token", with("Authorization", "Token "+w.token), "acme/feed"},
		{"token as token", with("Authorization", "token "+w.token), "acme/feed"},
		{"token as password of its account", basic("acme/feed", w.token), "acme/feed"},
		{"token as password of any user", basic("taxii", w.token), "acme/feed"},
		{"token as password of another account", basic("acme/person", w.token), "acme/feed"},
		{"token as password of a blank user", basic("", w.token), "acme/feed"},
		{"token as password, scheme in small letters", with("Authorization", "basic "+blank), "acme/feed"},
		{"token alone in the key header", with(keyHeader, w.token), "acme/feed"},
		{"token alone in the key header, in small letters", with("x-api-key", w.token), "acme/feed"},
		{"password with colon and UTF-8", basic("acme/feed", password), "acme/feed"},
		{"password, scheme in small letters", with("Authorization", "bASIC "+base64.StdEncoding.EncodeToString([]byte("acme/feed:"+password))), "acme/feed"},
		{"password, user in capitals", basic("ACME/Feed", password), "acme/feed"},
		{"password of a person", basic("acme/person", password), "acme/person"},
		{"client certificate", overTLS(with("", ""), true, certificate), "acme/machine"},
		{"client certificate beside a token: the token", overTLS(bearer(w.token), true, certificate), "acme/feed"},
		{"key header beside Authorization: the latter", func() *http.Request { r := bearer(w.token); r.Header.Set(keyHeader, "x"); return r }(), "acme/feed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, _, err := w.Authenticate(tt.r)
			if err != nil || got.Account != tt.want {
				t.Errorf("%q, %v; want %s", got.Account, err, tt.want)
			}
		})
	}
}

// Answers name these headers in Vary, where an empty name would be no header.
func TestHeadersThatMayCarryCredentials(t *testing.T) {
	for keyHeader, want := range map[string][]string{"X-API-Key": {"Authorization", "X-API-Key"}, "": {"Authorization"}} {
		if got := auth.New(nil, time.Now, keyHeader).Headers(); !slices.Equal(got, want) {
			t.Errorf("with the key header %q: %q, want %q", keyHeader, got, want)
		}
	}
}

func TestAPrincipalIsWhatTheAccountIs(t *testing.T) {
	w := newWorld(t)
	for account, want := range map[string]exchange.Principal{
		"acme/feed":   {Account: "acme/feed", Org: "acme", Purposes: []string{"cybercrime"}, Action: "block", For: "misp"},
		"acme/person": {Account: "acme/person", Org: "acme", Person: true, Purposes: exchange.Purposes, Action: "search"},
	} {
		got, _, err := w.Authenticate(basic(account, password))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}

// A client whose credentials are refused cannot tell why; the operator
// can.
func TestEveryRefusalIsTheSame(t *testing.T) {
	w := newWorld(t)
	now := time.Now()
	past := now.Add(-time.Hour)
	former := &x509.Certificate{Raw: []byte("a former certificate")}
	sum := sha256.Sum256(former.Raw)
	w.amend(func(d *exchange.Directory) {
		a := exchange.Account{Org: "acme", Name: "former", Password: hash(), Certificate: hex.EncodeToString(sum[:]), Expires: &past}
		if err := d.AddAccount(a); err != nil {
			t.Fatal(err)
		}
	})
	revoked, expired := w.addToken(t, "t2", "acme/feed"), w.addToken(t, "t3", "acme/feed")
	ofDisabled, ofExpired, ofNobody := w.addToken(t, "t4", "acme/bare"), w.addToken(t, "t5", "acme/former"), w.addToken(t, "t6", "acme/person")
	w.amend(func(d *exchange.Directory) {
		d.Tokens["t2"].Revoked = true
		d.Tokens["t3"].Expires = &past
		d.Accounts["acme/bare"].Disabled = true
		d.Accounts["acme/bare"].Password = hash()
		delete(d.Accounts, "acme/person")
	})
	refusals := map[string]*http.Request{
		"no credentials":                    with("", ""),
		"unknown account":                   basic("acme/nobody", password),
		"account that is gone":              basic("acme/person", password),
		"wrong password":                    basic("acme/feed", password+"x"),
		"no password":                       basic("acme/feed", ""),
		"disabled account":                  basic("acme/bare", password),
		"expired account":                   basic("acme/former", password),
		"hash instead of the password":      basic("acme/feed", hash()),
		"unknown token":                     bearer("comity_AAAA"),
		"revoked token":                     bearer(revoked),
		"revoked token as password":         basic("acme/feed", revoked),
		"expired token":                     bearer(expired),
		"token of a disabled account":       bearer(ofDisabled),
		"token of an expired account":       bearer(ofExpired),
		"token of an account that is gone":  bearer(ofNobody),
		"digest instead of the token":       bearer(w.directory.Tokens["t1"].Digest),
		"token with a letter more":          bearer(w.token + "x"),
		"password as token":                 bearer(password),
		"unknown token in the key header":   with(keyHeader, "x"),
		"token in another header":           with("X-Token", w.token),
		"certificate of nobody":             overTLS(with("", ""), true, &x509.Certificate{Raw: []byte("another")}),
		"certificate nobody verified":       overTLS(with("", ""), false, certificate),
		"certificate further up the chain":  overTLS(with("", ""), true, &x509.Certificate{Raw: []byte("leaf")}, certificate),
		"certificate of an expired account": overTLS(with("", ""), true, former),
		"TLS without certificate":           overTLS(with("", ""), false),
		"certificate beside a wrong token":  overTLS(bearer("x"), true, certificate),
	}
	for name, header := range map[string]string{
		"empty": "", "a blank": " ", "scheme alone": "Bearer", "scheme and blanks": "Bearer   ", "Basic alone": "Basic", "no scheme": w.token,
		"no base64": "Basic %%%", "no padding": "Basic YTpi=", "no colon": "Basic " + base64.StdEncoding.EncodeToString([]byte("acme/feed")),
		"colon alone": "Basic Og==", "another scheme": "Digest username=\"acme/feed\"", "Negotiate": "Negotiate AAAA", "NUL": "Bearer \x00", "NUL in Basic": "Basic " + base64.StdEncoding.EncodeToString([]byte("acme/feed\x00:"+password)),
		"invalid UTF-8": "Bearer \xff\xfe", "invalid UTF-8 in Basic": "Basic " + base64.StdEncoding.EncodeToString([]byte("\xff:\xff")),
		"very long": "Bearer " + strings.Repeat("A", 1<<20), "very long Basic": "Basic " + strings.Repeat("QUFB", 1<<18), "a tab": "Bearer\t" + w.token, "a comma": "Bearer a, Basic b",
	} {
		refusals["header: "+name] = with("Authorization", header)
	}
	reasons := map[string]auth.Refusal{
		"no credentials":                   {Reason: "none"},
		"TLS without certificate":          {Reason: "none"},
		"unknown account":                  {Reason: "unknown"},
		"wrong password":                   {Reason: "wrong", Account: "acme/feed"},
		"disabled account":                 {Reason: "disabled", Account: "acme/bare"},
		"expired account":                  {Reason: "expired", Account: "acme/former"},
		"unknown token":                    {Reason: "unknown"},
		"revoked token":                    {Reason: "revoked", Account: "acme/feed", Token: "t2"},
		"expired token":                    {Reason: "expired", Account: "acme/feed", Token: "t3"},
		"token of a disabled account":      {Reason: "disabled", Account: "acme/bare", Token: "t4"},
		"token of an account that is gone": {Reason: "unknown", Token: "t6"},
		"certificate of nobody":            {Reason: "unknown"},
	}
	n := 0
	for name, r := range refusals {
		if n++; n%9 == 0 {
			w.Authenticator = auth.New(exchange.NewCurrent(w.source), time.Now, keyHeader) // so that nothing here is slowed down
		}
		got, _, err := w.Authenticate(r)
		var refused *taxii.Error
		var refusal *auth.Refusal
		if !errors.As(err, &refused) || !errors.As(err, &refusal) {
			t.Fatalf("%s: %v, want a refusal", name, err)
		}
		want := taxii.Error{Code: taxii.Unauthorized, Msg: "these credentials open nothing here", Err: refusal}
		if refusal.Reason == "none" {
			want.Msg = "no credentials were sent"
		}
		if diff := cmp.Diff(want, *refused); diff != "" {
			t.Errorf("%s: the error differs (-want +got):\n%s", name, diff)
		}
		if reason, named := reasons[name]; named {
			reason.Remote = "192.0.2.1"
			if diff := cmp.Diff(reason, *refusal); diff != "" {
				t.Errorf("%s: the reason differs (-want +got):\n%s", name, diff)
			}
		}
		if diff := cmp.Diff(exchange.Principal{}, got); diff != "" {
			t.Errorf("%s: principal %+v, want none", name, got)
		}
	}
	if _, _, err := w.Authenticate(bearer(w.token)); err != nil {
		t.Errorf("and the right one: %v", err)
	}
}

// The key header can be switched off.
func TestNoKeyHeaderUnlessItHasAName(t *testing.T) {
	w := newWorld(t)
	a := auth.New(exchange.NewCurrent(w.source), time.Now, "")
	if _, _, err := a.Authenticate(with(keyHeader, w.token)); taxii.CodeOf(err) != taxii.Unauthorized {
		t.Errorf("%v, want Unauthorized", err)
	}
}

// A change of the directory takes effect with the next request, and the directory is
// read only after a change.
func TestRevocationActsAtOnce(t *testing.T) {
	w := newWorld(t)
	machine := func() *http.Request { return overTLS(with("", ""), true, certificate) }
	in := func(r *http.Request) bool { _, _, err := w.Authenticate(r); return err == nil }
	for range 3 {
		if !in(bearer(w.token)) || !in(basic("acme/person", password)) || !in(machine()) {
			t.Fatal("somebody is not let in to begin with")
		}
	}
	if w.loads != 1 {
		t.Errorf("the directory was read %d times, want once", w.loads)
	}
	w.amend(func(d *exchange.Directory) { d.Tokens["t1"].Revoked = true })
	if in(bearer(w.token)) {
		t.Error("a revoked token is let in")
	}
	if !in(basic("acme/feed", password)) {
		t.Error("the account of a revoked token is locked out")
	}
	w.amend(func(d *exchange.Directory) {
		d.Accounts["acme/feed"].Disabled = true
		d.Accounts["acme/machine"].Certificate = ""
	})
	if in(basic("acme/feed", password)) {
		t.Error("a disabled account is let in by its remembered password")
	}
	if in(machine()) {
		t.Error("a certificate that was taken away is let in")
	}
	if w.loads != 3 {
		t.Errorf("the directory was read %d times, want once a change", w.loads)
	}
}

func TestTokensAndAccountsEndByTheClock(t *testing.T) {
	w := newWorld(t)
	now := time.Now()
	end := now.Add(time.Hour)
	w.amend(func(d *exchange.Directory) {
		d.Tokens["t1"].Expires = &end
		d.Accounts["acme/person"].Expires = &end
	})
	a := auth.New(exchange.NewCurrent(w.source), func() time.Time { return now }, keyHeader)
	for _, tt := range []struct {
		at   time.Time
		want bool
	}{{end.Add(-1), true}, {end, false}, {end.Add(1), false}} {
		now = tt.at
		for name, r := range map[string]*http.Request{"token": bearer(w.token), "account": basic("acme/person", password)} {
			if _, _, err := a.Authenticate(r); (err == nil) != tt.want {
				t.Errorf("%s at %v of %v: %v", name, tt.at, end, err)
			}
		}
	}
}

func TestPolicyIsOfTheNewestDirectory(t *testing.T) {
	w := newWorld(t)
	_, p, err := w.Authenticate(bearer(w.token))
	if err != nil || p.CentreName() != "igci" {
		t.Fatalf("%v, %v", p, err)
	}
	if _, again, err := w.Authenticate(bearer(w.token)); err != nil || again != p {
		t.Errorf("read again although nothing changed, %v", err)
	}
	w.amend(func(d *exchange.Directory) {
		d.Organisations["igci"] = &exchange.Organisation{ID: "igci", Name: "The centre"}
	})
	if _, p, err = w.Authenticate(bearer(w.token)); err != nil || p.CentreName() != "The centre" {
		t.Errorf("%v, %v; want the centre's new name", p, err)
	}
}

// A store that fails is our fault, not the caller's: no 401.
func TestAFailingStoreIsNotARefusal(t *testing.T) {
	w := newWorld(t)
	broken := errors.New("the disk broke")
	w.broken = broken
	if _, _, err := w.Authenticate(bearer(w.token)); !errors.Is(err, broken) {
		t.Errorf("%v, want the store's error", err)
	}
}

func TestNewTokensAreRandomAndKeptAsDigest(t *testing.T) {
	seen := map[string]bool{}
	for range 100 {
		token, digest := auth.NewToken()
		sum := sha256.Sum256([]byte(token))
		if digest != hex.EncodeToString(sum[:]) {
			t.Fatalf("digest %s of %s", digest, token)
		}
		random, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(token, "comity_"))
		if err != nil || len(random) != 32 || !strings.HasPrefix(token, "comity_") || seen[token] {
			t.Fatalf("token %s: %d bytes, %v", token, len(random), err)
		}
		seen[token] = true
	}
}

// Once a person has a second factor, the password opens nothing over TAXII: it would open
// without that factor what the console guards with it. A token of the person does, and the
// console asks for the factor after the password.
func TestPasswordAloneOpensNothingBesideASecondFactor(t *testing.T) {
	w := newWorld(t)
	token := w.addToken(t, "t9", "acme/person")
	if _, _, err := w.Authenticate(basic("acme/person", password)); err != nil {
		t.Fatal(err)
	}
	w.amend(func(d *exchange.Directory) { d.Accounts["acme/person"].SecondFactor = "JBSWY3DPEHPK3PXP" })
	_, _, err := w.Authenticate(basic("acme/person", password))
	var refusal *auth.Refusal
	if taxii.CodeOf(err) != taxii.Unauthorized || !errors.As(err, &refusal) || refusal.Reason != "second factor" {
		t.Errorf("the password: %v, %+v", err, refusal)
	}
	if p, _, err := w.Authenticate(basic("acme/person", token)); err != nil || p.Account != "acme/person" {
		t.Errorf("the token: %+v, %v", p, err)
	}
	if account, err := w.SignIn(with("", ""), "acme/person", password); err != nil || !account.HasSecondFactor() {
		t.Errorf("the sign-in: %v", err)
	}
}

// The last use of each token is known with its address, and is saved once; again if it could
// not be saved. A refused token and a password are no use of a token.
func TestLastUseOfATokenIsKnown(t *testing.T) {
	w := newWorld(t)
	for _, r := range []*http.Request{bearer(w.token), with(keyHeader, w.token), basic("acme/feed", password), bearer("comity_none")} {
		r.RemoteAddr = "192.0.2.7:1234"
		w.Authenticate(r)
	}
	var uses map[string]auth.Use
	save := func(err error) error {
		return w.SaveUses(func(saved map[string]auth.Use) error { uses = saved; return err })
	}
	full := errors.New("the disk is full")
	if err := save(full); err != full {
		t.Errorf("the error of the store is lost: %v", err)
	}
	save(nil)
	if len(uses) != 1 {
		t.Fatalf("uses %v, want those of one token", uses)
	}
	for id, use := range uses {
		if use.Address != "192.0.2.7" || use.Time.IsZero() {
			t.Errorf("token %s: %+v", id, use)
		}
	}
	if save(nil); len(uses) != 0 {
		t.Errorf("saved again: %v", uses)
	}
}
