package server_test

import (
	"crypto/tls"
	"encoding/base64"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"comity/taxii/audit"
	"comity/taxii/auth"
	"comity/taxii/exchange"
)

func basic(user, password string) header {
	return header{"Authorization", "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))}
}

// Requests without credentials are not slowed down, so there may be many.
func TestWithoutCredentialsEverythingIs401(t *testing.T) {
	w := newWorld(t)
	vendor, nobody := w.as("vendor/feed"), w.nobody()
	c := w.collection("sharing.reports")
	status := vendor.push(c, indicator(1, 0))
	one := c + "objects/" + id("indicator", 1) + "/"
	invented := "/igci/collections/00000000-0000-4000-8000-000000000000/"
	want := nobody.get(c).refused(401)
	for _, path := range append(endpoints(w, status.ID), "/igci/x-handling/", invented, invented+"objects/", "/igci/collections/sharing.reports/",
		c+"objects/?limit=0", "/nobody/", "/igci/status/none/") {
		a := nobody.get(path)
		got := a.refused(401)
		if challenges := a.header["Www-Authenticate"]; len(challenges) != 2 || challenges[0] != `Basic realm="comity", charset="UTF-8"` || !strings.HasPrefix(challenges[1], "Bearer ") {
			t.Errorf("%s: challenges %q", a.request, challenges)
		}
		if got.ErrorID = want.ErrorID; got != want {
			t.Errorf("%s says more than others: %+v", a.request, got)
		}
	}
	// Credentials come before Accept, method, type, size and the body.
	nobody.get(c, header{"Accept", "text/html"}).refused(401)
	nobody.do("PUT", c, "{}").refused(401)
	nobody.do("POST", c+"objects/", "{", header{"Content-Type", "text/plain"}).refused(401)
	nobody.do("POST", c+"objects/", envelopeOf(indicator(2, 0))).refused(401)
	nobody.delete(one).refused(401)
	vendor.get(one).want(200)
	vendor.get(c + "objects/" + id("indicator", 2) + "/").refused(404)
}

func TestOneTokenWorksInEveryPlace(t *testing.T) {
	w := newWorld(t)
	token := tokenOf("bureau/soc")
	for _, h := range []header{
		{"Authorization", "Bearer " + token},
		{"Authorization", "bearer  " + token},
		{"Authorization", "Token " + token},
		{"Authorization", "TOKEN " + token},
		basic("bureau/soc", token),
		basic("", token),
		basic("anybody at all", token),
		{"Authorization", strings.Replace(basic("", token).value, "Basic", "bAsIc", 1)},
		{"X-API-Key", token},
		{"x-api-key", token},
	} {
		a := w.nobody().get("/igci/x-handling/", h)
		if a.status != 200 || !strings.Contains(string(a.body), `"account":"bureau/soc"`) {
			t.Errorf("%s %s: %s", h.name, h.value, a)
		}
	}
}

// A cache knows that an answer depends on each header that may carry credentials.
func TestAnswersVaryByCredentials(t *testing.T) {
	w := newWorld(t)
	for _, a := range []*answer{w.as("vendor/feed").get("/taxii2/").want(200), w.nobody().get("/taxii2/").want(401)} {
		if got, want := a.header.Get("Vary"), "Accept, Accept-Encoding, Authorization, X-API-Key"; got != want {
			t.Errorf("%s: Vary %q, want %q", a.request, got, want)
		}
	}
}

func TestPasswordOpensItsAccount(t *testing.T) {
	w := newWorld(t)
	for _, h := range []header{
		basic("bureau/login", password),
		basic("Bureau/LOGIN", password),
		{"Authorization", strings.Replace(basic("bureau/login", password).value, "Basic", "basic", 1)},
	} {
		a := w.nobody().get("/igci/x-handling/", h)
		if a.status != 200 || !strings.Contains(string(a.body), `"account":"bureau/login"`) {
			t.Errorf("%s: %s", h.value, a)
		}
	}
}

func TestWrongCredentialsAreRefusedAlike(t *testing.T) {
	w := newWorld(t)
	past := noon.Add(-time.Second)
	w.amend(func(d *exchange.Directory) error {
		d.Tokens["revoked"] = &exchange.Token{ID: "revoked", Account: "bureau/soc", Digest: digest("revoked"), Revoked: true}
		d.Tokens["expired"] = &exchange.Token{ID: "expired", Account: "bureau/soc", Digest: digest("expired"), Expires: &past}
		d.Accounts["bureau/trends"].Disabled = true
		d.Accounts["bureau/clerk"].Expires = &past
		return nil
	})
	if nothing := w.nobody().get("/taxii2/").refused(401); nothing.Description != "no credentials were sent" {
		t.Errorf("without credentials: %+v", nothing)
	}
	want := w.nobody().get("/taxii2/", basic("bureau/login", "wrong")).refused(401)
	want.ErrorID = ""
	for _, h := range []header{
		basic("bureau/nobody", password),
		basic("bureau/soc", ""), // has no password at all
		{"Authorization", "Bearer comity_invented"},
		{"Authorization", "Bearer revoked"},
		{"Authorization", "Bearer expired"},
		{"Authorization", "Bearer " + tokenOf("bureau/trends")},
		{"Authorization", "Bearer " + tokenOf("bureau/clerk")},
		{"X-API-Key", "comity_invented"},
	} {
		a := w.nobody().get("/taxii2/", h)
		got := a.refused(401)
		if got.ErrorID = ""; got != want {
			t.Errorf("%s: %+v, want %+v", h.value, got, want)
		}
		if len(a.header["Www-Authenticate"]) != 2 {
			t.Errorf("%s: challenges %q", h.value, a.header["Www-Authenticate"])
		}
	}
}

func TestGarbageInAuthorizationIs401(t *testing.T) {
	w := newWorld(t)
	for _, value := range []string{
		"Basic", "Basic !!!", "Basic " + base64.StdEncoding.EncodeToString([]byte("no colon")), "Digest username=x", "Bearer", "Bearer  ",
		"Basic " + base64.StdEncoding.EncodeToString([]byte("a\x00b:\xff\xfe")), "\x80\xff", strings.Repeat("x", 10_000), "Basic Og==",
	} {
		w.nobody().get("/taxii2/", header{"Authorization", value}).refused(401)
	}
	// A token in the query opens nothing.
	w.nobody().get("/taxii2/?token=" + tokenOf("bureau/soc")).refused(401)
}

// Ten failures are answered at once; one account's do not delay another's
// success.
func TestFailuresNeverLockAnybodyOut(t *testing.T) {
	w := newWorld(t)
	bad := w.nobody()
	for range 11 {
		bad.get("/taxii2/", header{"Authorization", "Bearer wrong"}).refused(401)
	}
	start := time.Now()
	w.as("bureau/soc").get("/taxii2/").want(200)
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("a right token took %s", took)
	}
}

func TestRevocationActsOnTheNextRequest(t *testing.T) {
	w := newWorld(t)
	token, hash := auth.NewToken()
	w.amend(func(d *exchange.Directory) error {
		return d.AddToken(exchange.Token{ID: "new", Account: "bureau/soc", Digest: hash})
	})
	soc := w.nobody()
	soc.token = token
	soc.get("/taxii2/").want(200)
	w.amend(func(d *exchange.Directory) error { d.Tokens["new"].Revoked = true; return nil })
	soc.get("/taxii2/").refused(401)

	chief := w.as("bureau/chief")
	chief.get("/taxii2/").want(200)
	w.amend(func(d *exchange.Directory) error { d.Accounts["bureau/chief"].Disabled = true; return nil })
	chief.get("/taxii2/").refused(401)

	later := w.clock.now().Add(time.Hour)
	w.amend(func(d *exchange.Directory) error { d.Tokens["bureau/clerk"].Expires = &later; return nil })
	clerk := w.as("bureau/clerk")
	clerk.get("/taxii2/").want(200)
	w.clock.move(time.Hour)
	clerk.get("/taxii2/").refused(401)
}

func TestClientCertificateOpensItsAccount(t *testing.T) {
	w := newWorld(t)
	w.close()
	w.serve(true)
	with := func(certificates ...tls.Certificate) *client {
		c := w.nobody()
		transport := w.server.Client().Transport.(*http.Transport).Clone()
		transport.TLSClientConfig.Certificates = certificates
		c.http.Transport = transport
		return c
	}
	card := with(clientCA.card)
	if a := card.get("/igci/x-handling/").want(200); !strings.Contains(string(a.body), `"account":"bureau/card"`) {
		t.Errorf("%s", a)
	}
	with().get("/igci/x-handling/").refused(401)
	// Beside other credentials the certificate does not count.
	if a := card.get("/igci/x-handling/", basic("bureau/login", password)).want(200); !strings.Contains(string(a.body), `"account":"bureau/login"`) {
		t.Errorf("%s", a)
	}
	card.get("/igci/x-handling/", header{"Authorization", "Bearer wrong"}).refused(401)
	w.amend(func(d *exchange.Directory) error { d.Accounts["bureau/card"].Certificate = ""; return nil })
	card.get("/igci/x-handling/").refused(401)
	// One that another authority signed, or the account itself, is no proof.
	other := newCA()
	w.amend(func(d *exchange.Directory) error {
		d.Accounts["bureau/card"].Certificate = other.fingerprint
		return nil
	})
	c := with(other.card)
	r, _ := http.NewRequest("GET", w.config.PublicURL+"/taxii2/", nil)
	if response, err := c.http.Do(r); err == nil && response.StatusCode != 401 {
		t.Errorf("a certificate of an unknown authority opened: %s", response.Status)
	}
}

func TestTLS(t *testing.T) {
	w := newWorld(t)
	w.close()
	w.serve(true)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		transport := w.server.Client().Transport.(*http.Transport).Clone()
		transport.TLSClientConfig.MinVersion, transport.TLSClientConfig.MaxVersion = version, version
		soc := w.as("bureau/soc")
		soc.http.Transport = transport
		a := soc.get("/taxii2/").want(200)
		if roots := decode[discovery](a).APIRoots; !slices.Equal(roots, []string{w.server.URL + "/igci/"}) {
			t.Errorf("API roots %q", roots)
		}
	}
}

// The operator finds a refused login in the audit record, with its address.
func TestRefusedLoginIsOnRecord(t *testing.T) {
	w := newWorld(t)
	w.nobody().get("/taxii2/", basic("bureau/login", "wrong")).refused(401)
	found := false
	for _, e := range w.entries(audit.Refusal) {
		found = found || e.Remote == "127.0.0.1" && e.Account == "bureau/login" && e.Text == "login: wrong"
	}
	if !found {
		t.Error("the record has no such login")
	}
	if !strings.Contains(w.scrape(), `comity_refused_logins_total{reason="wrong"} 1`) {
		t.Error("the login is not counted")
	}
}
