package main

import (
	"net"
	"testing"
	"time"

	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"
	"github.com/pquerna/otp/totp"
)

// A person sets up the second factor, adds a passkey with a browser's authenticator, signs in
// with it in the place of a code, and removes it.
func TestConsoleInABrowserTakesPasskeys(t *testing.T) {
	w := &window{t, chromium(t)}
	r := newTestExchange(t, time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
	_, port, _ := net.SplitHostPort(r.ex.address)
	host := "http://localhost:" + port // browsers know no passkeys for addresses
	r.serve.Listen, r.serve.PublicURL = r.ex.address, host
	r.end()
	r.start()
	r.comity("account", "add", "igci/ana", "--person")
	const password = "correct horse battery"
	setUpCode := givePassword(t, r.data, "igci/ana", password)
	if _, err := chromedp.Call(w.Context, webauthn.Enable, webauthn.EnableParams{}); err != nil {
		t.Fatal(err)
	}
	if _, err := chromedp.Call(w.Context, webauthn.AddVirtualAuthenticator, webauthn.AddVirtualAuthenticatorParams{Options: &webauthn.VirtualAuthenticatorOptions{
		Protocol: "ctap2", Transport: "internal", HasUserVerification: true, IsUserVerified: true, AutomaticPresenceSimulation: true,
	}}); err != nil {
		t.Fatal(err)
	}
	enterPassword := func() {
		w.do(chromedp.Navigate(host+"/console/sign-in"), chromedp.SetValue(`#account`, "igci/ana"), chromedp.SetValue(`#password`, password), chromedp.Click(`form button`), chromedp.WaitReady(`#code`))
	}
	enterPassword()
	secret := w.text(`code.pick`)
	code := func() string {
		code, err := totp.GenerateCode(secret, r.now())
		if err != nil {
			t.Fatal(err)
		}
		return code
	}
	w.do(chromedp.SetValue(`#setup`, setUpCode), chromedp.SetValue(`#code`, code()), chromedp.Click(`form button`), chromedp.WaitReady(`.who`))

	w.do(chromedp.Navigate(host + "/console/passkeys"))
	w.inspect("passkeys")
	r.set(r.now().Add(time.Minute)) // to the next code
	w.do(chromedp.SetValue(`#code`, code()), chromedp.Click(`form.card button`), chromedp.WaitReady(`#name`))
	w.inspect("passkey-made")
	w.do(chromedp.SetValue(`#name`, "Laptop"), chromedp.Click(`form.card button`), chromedp.WaitReady(`tbody th`))
	w.do(chromedp.Click(`.who button`), chromedp.WaitReady(`#password`))
	enterPassword()
	w.inspect("second-factor-passkey")
	w.do(chromedp.Click(`form[data-passkey] button`), chromedp.WaitReady(`.who`))
	w.do(chromedp.Navigate(host+"/console/passkeys"), chromedp.WaitReady(`tbody th`), chromedp.Click(`tbody button`), chromedp.WaitReady(`#password`)) // the session began with it
}
