package main

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/coreos/go-oidc/v3/oidc/oidctest"
	"github.com/pquerna/otp/totp"

	"comity/taxii/demo"
)

// tabTo presses the tabulator key until an element has the focus, which must be visible.
func (w *window) tabTo(selector string) {
	w.Helper()
	for range 300 {
		focus, err := chromedp.Run(w.Context, chromedp.Evaluate[string](`(() => {
			const e = document.activeElement
			if (!e.matches(`+"`"+selector+"`"+`)) return ""
			const box = e.getBoundingClientRect()
			if (getComputedStyle(e).outlineStyle == "none") return "the focus has no outline"
			return box.width && box.bottom > 0 && box.top < innerHeight ? "there" : "the focus is not in the window"
		})()`))
		switch {
		case err != nil || focus != "" && focus != "there":
			w.Fatalf("%s: %s, %v", selector, focus, err)
		case focus == "there":
			return
		}
		w.do(chromedp.KeyEvent(kb.Tab))
	}
	w.Fatalf("the tabulator key does not reach %s", selector)
}

// enter moves to an element, presses Enter, and waits for an element of the next page.
func (w *window) enter(selector, next string) {
	w.Helper()
	w.tabTo(selector)
	w.do(chromedp.KeyEvent(kb.Enter), chromedp.WaitReady(next))
}

// typeInto moves to a field, and types a text in the place of what is there.
func (w *window) typeInto(selector, text string) {
	w.Helper()
	w.tabTo(selector)
	w.do(chromedp.KeyEvent("a", chromedp.KeyModifiers(chromedp.ModifierCtrl)), chromedp.KeyEvent(text))
}

// text is the text of the page, or of its first element that matches.
func (w *window) text(selector string) string {
	w.Helper()
	text, err := chromedp.Run(w.Context, chromedp.Evaluate[string](`document.querySelector(`+"`"+selector+"`"+`)?.textContent ?? ""`))
	if err != nil {
		w.Fatal(err)
	}
	return text
}

// One person drafts the reports. Another one uses the keyboard alone: sets the second factor up,
// pushes an object with a mistake and mends it by the receipt, publishes the reports, and signs out.
func TestKeyboardIsEnoughInABrowser(t *testing.T) {
	w := &window{t, chromium(t)}
	links, data := demonstration(t, "small")
	host, board := consoleHost(links), "/console/operations/"+demoOperation
	atReports := chromedp.WaitReady(`#reports:target`) // where drafting and publishing lead
	w.do(chromedp.Navigate(links[drafter]), chromedp.Navigate(host+board), chromedp.SetValue(`#number`, "CAR-2017-KH-C2"), chromedp.SetValue(`#note`, "Seen again in May."), chromedp.Click(`form[action$="/draft"] button`))
	w.do(atReports, chromedp.Click(`.who button`), chromedp.WaitReady(`#password`))

	const password = "correct horse battery"
	setUpCode := givePassword(t, data, publisher, password)
	w.resize(look{1280, 800, "light"})
	w.typeInto(`#account`, publisher)
	w.typeInto(`#password`, password)
	w.do(chromedp.KeyEvent(kb.Enter), chromedp.WaitReady(`#setup`))
	code, err := totp.GenerateCode(w.text(`code.pick`), demo.Snapshot.Add(2*time.Second)) // the clock of the demonstration
	if err != nil {
		t.Fatal(err)
	}
	w.typeInto(`#setup`, setUpCode)
	w.typeInto(`#code`, code)
	w.do(chromedp.KeyEvent(kb.Enter), chromedp.WaitReady(`.who`))

	w.enter(`main a[href="/console/collections/dea-alder.outbound"]`, `main a[href$="/push"]`)
	w.enter(`main a[href$="/push"]`, `#text`)
	wrong := `{"objects":[{"type":"identity","spec_version":"2.1","id":"` + string(demo.Identity("igci")) + `","created":"2017-04-13T00:00:00.000Z","modified":"2017-04-13","name":"a","object_marking_refs":["marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb"],"created_by_ref":"` + string(demo.Identity("igci")) + `"}]}`
	w.typeInto(`#text`, wrong)
	w.enter(`button[formaction$=check]`, `section[role=status] a[href*="/console/rules#"]`)
	if receipt := w.text(`section[role=status]`); !strings.Contains(receipt, "/modified") {
		t.Errorf("the receipt does not say where: %s", receipt)
	}
	w.typeInto(`#text`, strings.Replace(wrong, `"2017-04-13"`, `"2017-04-13T00:00:00.000Z"`, 1))
	w.enter(`button[formaction$=check]`, `button[formaction$=push]`)
	w.enter(`button[formaction$=push]`, `main a[href="/console/receipts"]`)
	w.enter(`nav a[href="/console/operations"]`, `main a[href="`+board+`"]`)
	w.enter(`main a[href="`+board+`"]`, `form[action$="/publish"]`)
	w.tabTo(`form[action$="/publish"] button`)
	w.do(chromedp.KeyEvent(kb.Enter), atReports)
	w.enter(`.who button`, `#password`)
	dara := as(t, links, bureauPerson)
	if report := dara.get(board + "/reports/CAR-2017-KH-C2"); !strings.Contains(report, "Seen again in May.") {
		t.Error("the report is not published")
	}
}

// A bureau reports an outcome, takes the set-up text of a feed that works as it is once the token
// is in its place, and rotates a token, whereupon both work. Times tell the local one on hover.
func TestBureauActsInABrowser(t *testing.T) {
	w := &window{t, chromium(t)}
	if _, err := chromedp.Call(w.Context, emulation.SetTimezoneOverride, emulation.SetTimezoneOverrideParams{TimezoneID: "Asia/Phnom_Penh"}); err != nil {
		t.Fatal(err)
	}
	links, data := demonstration(t, "small")
	host := consoleHost(links)
	outcomes := host + "/console/operations/" + demoOperation + "/outcomes"
	w.do(chromedp.Navigate(links[bureauPerson]), chromedp.Navigate(outcomes), chromedp.Click(`tbody input[name=finding]`), chromedp.SetValue(`#status`, "sinkholed"), chromedp.SetValue(`#text`, "by the registry"),
		chromedp.Click(`form[method=post]:not(.who) button`), chromedp.WaitReady(`[role=status]`))
	if done := w.text(`[role=status]`); !strings.Contains(done, "1 reported") {
		t.Errorf("the page says %q", done)
	}

	w.do(chromedp.Navigate(host+"/console/feeds"), chromedp.Click(`tbody a`), chromedp.WaitReady(`pre code.pick`))
	setUp := regexp.MustCompile(`curl -u '([^:]+):TOKEN' (http\S+)`).FindStringSubmatch(w.text(`main`))
	if setUp == nil {
		t.Fatalf("the page has no command:\n%s", w.text(`main`))
	}
	var out strings.Builder
	if code := run(t.Context(), []string{"--data", data, "token", "add", setUp[1]}, nil, &out, testWriter{t}); code != 0 {
		t.Fatalf("token add ends with %d", code)
	}
	if status := statusFor(t, setUp[2], setUp[1], strings.TrimSpace(out.String())); status != http.StatusOK {
		t.Errorf("the feed answers %d to its set-up text", status)
	}

	w.do(chromedp.Navigate(host+"/console/tokens"), chromedp.Click(`form[action="/console/tokens"] button`), chromedp.WaitReady(`code.pick`))
	first := w.text(`code.pick`)
	local, err := chromedp.Run(w.Context, chromedp.Evaluate[string](`document.querySelector("tbody time").title`))
	if err != nil || !strings.Contains(local, "GMT+7") {
		t.Errorf("the local time of the token is %q, %v", local, err)
	}
	w.do(chromedp.Click(`button[value=rotate]`), chromedp.WaitReady(`code.pick`))
	for _, token := range []string{first, w.text(`code.pick`)} {
		if status := statusFor(t, host+"/igci/collections/", "", token); status != http.StatusOK {
			t.Errorf("a token of the rotation gets %d", status)
		}
	}
}

// statusFor is the status of a page for user and password.
func statusFor(t *testing.T, url, user, password string) int {
	t.Helper()
	r, err := http.NewRequest("GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.SetBasicAuth(user, password)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	return answer.StatusCode
}

// newProvider starts a provider of OpenID Connect whose user is an account, and gives the flags
// with which a server uses it.
func newProvider(t *testing.T, account string) oidcFlags {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	rest := &oidctest.Server{PublicKeys: []oidctest.PublicKey{{PublicKey: key.Public(), KeyID: "1", Algorithm: oidc.RS256}}}
	router := http.NewServeMux()
	provider := httptest.NewServer(router)
	t.Cleanup(provider.Close)
	rest.SetIssuer(provider.URL)
	var nonce string
	router.Handle("/", rest)
	router.HandleFunc("/auth", func(w http.ResponseWriter, r *http.Request) {
		nonce = r.FormValue("nonce")
		http.Redirect(w, r, r.FormValue("redirect_uri")+"?"+url.Values{"code": {"c"}, "state": {r.FormValue("state")}}.Encode(), http.StatusFound)
	})
	router.HandleFunc("/token", func(w http.ResponseWriter, _ *http.Request) {
		claims, _ := json.Marshal(map[string]any{"iss": provider.URL, "aud": "comity", "sub": "1", "nonce": nonce, "exp": time.Now().Add(time.Minute).Unix(), "comity_account": account})
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(map[string]string{"access_token": "x", "token_type": "Bearer", "id_token": oidctest.SignIDToken(key, "1", oidc.RS256, string(claims))})
	})
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("s3cret"), 0o600); err != nil {
		t.Fatal(err)
	}
	return oidcFlags{OIDCIssuer: provider.URL, OIDCClientID: "comity", OIDCClientSecret: secret, OIDCClaim: "comity_account"}
}

// A person signs in by a provider of OpenID Connect. The session ends with the account, the
// organisation, the password and half an hour without a page, and going back in the browser
// shows nothing of it.
func TestSessionEndsInABrowser(t *testing.T) {
	browser := chromium(t)
	var w *window
	r := newTestExchange(t, time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
	r.orgs("private-vendor", nil, "vendor")
	r.comity("account", "add", "vendor/vic", "--person")
	r.end()
	r.serve.oidcFlags = newProvider(t, "vendor/vic")
	r.start()
	for name, end := range map[string]func(){
		"sign-out":     func() { w.do(chromedp.Click(`.who button`), chromedp.WaitReady(`#password`)) },
		"account":      func() { r.comity("account", "disable", "vendor/vic", "--reason", "a test") },
		"organisation": func() { r.comity("org", "suspend", "vendor", "--reason", "a test") },
		"password":     func() { givePassword(t, r.data, "vendor/vic", "correct horse "+time.Now().Format("150405.000000")) },
		"idle":         func() { r.set(r.now().Add(31 * time.Minute)) },
	} {
		tab, cancel := chromedp.NewContext(browser)
		defer cancel()
		if err := chromedp.Do(tab, chromedp.Navigate("about:blank")); err != nil { // the tab lives as long as this context
			t.Fatal(err)
		}
		w = &window{t, tab}
		r.comity("account", "enable", "vendor/vic", "--reason", "a test")
		r.comity("org", "reinstate", "vendor", "--reason", "a test")
		r.set(r.now().Add(time.Second))
		w.do(chromedp.Navigate(r.ex.url+"/console/tokens"), chromedp.Click(`a[href^="/console/sign-in/oidc"]`), chromedp.WaitReady(`.who`))
		if at := w.text(`h1`); at != "Tokens" {
			t.Fatalf("%s: the sign-in leads to %q", name, at)
		}
		end()
		w.do(chromedp.Navigate(r.ex.url+"/console/feeds"), chromedp.WaitReady(`input[name=next][value="/console/feeds"]`))
		w.do(chromedp.Evaluate[chromedp.Void](`history.back()`))
		page := "feeds"
		for deadline := time.Now().Add(20 * time.Second); (strings.Contains(page, "feeds") || strings.Contains(page, "vendor/vic")) && time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
			if now, err := chromedp.Run(w.Context, chromedp.Evaluate[string](`document.readyState == "complete" ? location.href + "\n" + document.body.innerText : "feeds"`)); err == nil { // between two pages there is nothing to ask
				page = now
			}
		}
		if !strings.Contains(page, "Sign in with your organisation") || strings.Contains(page, "vendor/vic") {
			t.Errorf("%s: going back shows %s", name, page)
		}
	}
}
