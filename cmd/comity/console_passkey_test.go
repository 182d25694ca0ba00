package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
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
	data, err := os.MkdirTemp("", "comity-") // the path of a Unix socket must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(data) })
	const password = "correct horse battery"
	comity := func(ctx context.Context, args ...string) int {
		return run(ctx, append([]string{"--data", data}, args...), nil, io.Discard, testWriter{t})
	}
	for _, command := range []string{"init --centre igci --name Centre --country SG", "account add igci/ana --person"} {
		if code := comity(t.Context(), strings.Fields(command)...); code != 0 {
			t.Fatalf("%s: exit status %d", command, code)
		}
	}
	setUpCode := givePassword(t, data, "igci/ana", password)
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	free.Close()
	_, port, _ := net.SplitHostPort(free.Addr().String())
	host := "http://localhost:" + port // browsers know no passkeys for addresses
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan int)
	go func() { ended <- comity(ctx, "serve", "--listen", free.Addr().String(), "--public-url", host) }()
	t.Cleanup(func() { cancel(); <-ended })
	for n := 0; ; n++ {
		answer, err := http.Get(host + "/healthz")
		if err == nil {
			answer.Body.Close()
			break
		}
		if n == 300 {
			t.Fatal(err)
		}
		time.Sleep(50 * time.Millisecond)
	}
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
	secret, err := chromedp.Run(w.Context, chromedp.Evaluate[string](`document.querySelector("code.pick").textContent`))
	if err != nil {
		t.Fatal(err)
	}
	code, err := totp.GenerateCode(secret, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	w.do(chromedp.SetValue(`#setup`, setUpCode), chromedp.SetValue(`#code`, code), chromedp.Click(`form button`), chromedp.WaitReady(`.who`))

	w.do(chromedp.Navigate(host + "/console/passkeys"))
	w.inspect("passkeys")
	w.do(chromedp.SetValue(`#name`, "Laptop"), chromedp.Click(`form.card button`), chromedp.WaitReady(`tbody th`))
	w.do(chromedp.Click(`.who button`), chromedp.WaitReady(`#password`))
	enterPassword()
	w.inspect("second-factor-passkey")
	w.do(chromedp.Click(`form[data-passkey] button`), chromedp.WaitReady(`.who`))
	w.do(chromedp.Navigate(host+"/console/passkeys"), chromedp.WaitReady(`tbody th`), chromedp.Click(`tbody button`), chromedp.WaitReady(`#password`)) // the session began with it
}
