package console_test

import (
	"html"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/descope/virtualwebauthn"

	"comity/taxii/admin"
	"comity/taxii/console"
)

// device is a device that makes and gives passkeys.
type device struct {
	*world
	site       virtualwebauthn.RelyingParty
	device     virtualwebauthn.Authenticator
	credential virtualwebauthn.Credential
}

// newDevice is one for a console under a host name, since browsers know no passkeys for
// addresses.
func newDevice(w *world) *device {
	origin := strings.Replace(w.server.URL, "127.0.0.1", "localhost", 1)
	w.console = console.New(console.Config{PublicURL: origin}, w.console.Deps)
	w.server.Config.Handler = w.console.Handler()
	return &device{w, virtualwebauthn.RelyingParty{ID: "localhost", Name: "comity", Origin: origin}, virtualwebauthn.NewAuthenticator(), newCredential()}
}

// newCredential makes a key. virtualwebauthn leaves out zeros at the beginning of a coordinate,
// which the standard does not allow: nobody takes one key in a hundred.
func newCredential() virtualwebauthn.Credential {
	for {
		if c := virtualwebauthn.NewCredential(virtualwebauthn.KeyTypeEC2); len(c.Key.AttestationData()) == 77 { // in CBOR
			return c
		}
	}
}

var askedForm = regexp.MustCompile(`data-asked="([^"]*)"`)

// asked is what a page asks the browser for.
func (d *device) asked(page *answer) string {
	d.Helper()
	found := askedForm.FindStringSubmatch(page.want(http.StatusOK).body)
	if found == nil {
		d.Fatalf("the page asks for no passkey:\n%s", page.body)
	}
	return html.UnescapeString(found[1])
}

// add makes a passkey in a browser that has signed in.
func (d *device) add(b *browser, secret string) {
	d.Helper()
	d.move(time.Minute) // to the next code
	options, err := virtualwebauthn.ParseAttestationOptions(d.asked(b.post("/console/passkeys", "code", d.code(secret))))
	d.must(err)
	made := virtualwebauthn.CreateAttestationResponse(d.site, d.device, d.credential, *options)
	d.device.Options.UserHandle = []byte(options.UserID)
	b.post("/console/passkeys", "credential", made, "name", "Phone").wantRedirect("/console/passkeys")
	d.device.AddCredential(d.credential)
}

// give answers what the page for the second factor asks for.
func (d *device) give(page *answer) string {
	d.Helper()
	options, err := virtualwebauthn.ParseAssertionOptions(d.asked(page))
	d.must(err)
	d.credential.Counter++
	return virtualwebauthn.CreateAssertionResponse(d.site, d.device, d.credential, *options)
}

// A person adds a passkey, signs in with password and passkey, and removes it. The session
// that began with it ends, and the code works on.
func TestPasskeyTakesThePlaceOfACode(t *testing.T) {
	w := newWorld(t)
	d := newDevice(w)
	first := w.browser()
	secret := first.signIn("vendor/vic")
	d.add(first, secret)
	first.get("/console/passkeys").want(http.StatusOK).contains("Phone")
	first.get("/console/audit").contains("passkey &#34;Phone&#34; of vendor/vic added")

	second := w.browser()
	second.post("/console/sign-in", "account", "vendor/vic", "password", password).want(http.StatusSeeOther)
	given := d.give(second.get("/console/sign-in/code"))
	second.post("/console/sign-in/passkey", "credential", given, "next", "/console/tokens").wantRedirect("/console/tokens")
	second.get("/console/").want(http.StatusOK)

	id := regexp.MustCompile(`/console/passkeys/[^"]+`).FindString(first.get("/console/passkeys").body)
	w.as("bureau/dara").post(id).want(http.StatusNotFound)
	first.post(id).wantRedirect("/console/passkeys")
	second.get("/console/").want(http.StatusSeeOther)
	first.get("/console/").want(http.StatusOK)
	w.move(time.Minute)
	second.post("/console/sign-in", "account", "vendor/vic", "password", password).want(http.StatusSeeOther)
	if strings.Contains(second.get("/console/sign-in/code").body, "data-asked") {
		t.Error("a passkey is asked for that was removed")
	}
	second.post("/console/sign-in/code", "code", w.code(secret)).wantRedirect("/console/")
}

// The answer of a device is taken once, in the session that asked for it, and for its account
// alone. A passkey whose counter went back may be a copy.
func TestPasskeyIsTakenOnceAndForItsAccount(t *testing.T) {
	w := newWorld(t)
	d := newDevice(w)
	first := w.browser()
	d.add(first, first.signIn("vendor/vic"))
	w.browser().signIn("bureau/dara")

	asking := func(account string) *browser {
		b := w.browser()
		b.post("/console/sign-in", "account", account, "password", password).want(http.StatusSeeOther)
		return b
	}
	vic, thief := asking("vendor/vic"), asking("vendor/vic")
	given := d.give(vic.get("/console/sign-in/code"))
	thief.get("/console/sign-in/code")
	thief.post("/console/sign-in/passkey", "credential", given).want(http.StatusForbidden)
	thief.post("/console/sign-in/passkey", "credential", given).want(http.StatusForbidden)
	thief.get("/console/").want(http.StatusSeeOther)
	dara := asking("bureau/dara")
	dara.get("/console/sign-in/code")
	dara.post("/console/sign-in/passkey", "credential", given).want(http.StatusBadRequest)
	w.browser().post("/console/sign-in/passkey", "credential", given).want(http.StatusSeeOther)
	vic.post("/console/sign-in/passkey", "credential", given).wantRedirect("/console/")

	copied := asking("vendor/vic")
	d.credential.Counter = 0
	copied.post("/console/sign-in/passkey", "credential", d.give(copied.get("/console/sign-in/code"))).want(http.StatusForbidden)
}

// Who finds a browser that was left open adds no passkey to stay: the page takes a code of the
// moment first, and no challenge of a sign-in serves in its place.
func TestAPasskeyIsAddedWithAFreshCode(t *testing.T) {
	w := newWorld(t)
	d := newDevice(w)
	b := w.browser()
	secret := b.signIn("vendor/vic")
	b.get("/console/passkeys").want(http.StatusOK).contains("Code of the authenticator app")
	for _, code := range []string{"", "000000", w.code(secret)} { // the last one was used to sign in
		if page := b.post("/console/passkeys", "code", code).want(http.StatusForbidden); askedForm.MatchString(page.body) {
			t.Errorf("code %q begins a passkey", code)
		}
	}
	d.add(b, secret)
	other := &device{w, d.site, virtualwebauthn.NewAuthenticator(), newCredential()}
	made := virtualwebauthn.CreateAttestationResponse(other.site, other.device, other.credential, virtualwebauthn.AttestationOptions{Challenge: []byte("none")})
	b.post("/console/sign-in/code", "code", "000000").wantRedirect("/console/")
	b.post("/console/passkeys", "credential", made, "name", "Mine").want(http.StatusBadRequest).contains("No passkey was asked for")
}

// Resetting the second factor takes the passkeys away, too.
func TestResetTakesPasskeysAway(t *testing.T) {
	w := newWorld(t)
	d := newDevice(w)
	b := w.browser()
	d.add(b, b.signIn("vendor/vic"))
	_, err := w.admin.EditAccount(t.Context(), admin.Actor{}, admin.EditAccount{ID: "vendor/vic", ResetSecondFactor: true})
	w.must(err)
	again := w.browser()
	again.post("/console/sign-in", "account", "vendor/vic", "password", password).want(http.StatusSeeOther)
	if strings.Contains(again.get("/console/sign-in/code").want(http.StatusOK).body, "data-asked") {
		t.Error("a passkey is asked for after the reset")
	}
}

// Browsers know no passkeys for an address, so none is offered there.
func TestNoPasskeyIsOfferedWithoutAHostName(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	b.signIn("vendor/vic")
	page := b.get("/console/passkeys").want(http.StatusOK).contains("only for a server with a host name")
	if strings.Contains(page.body, "data-asked") {
		t.Error("a passkey can be made")
	}
	b.post("/console/passkeys", "credential", "{}", "name", "Phone").want(http.StatusNotFound)
}
