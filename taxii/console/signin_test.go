package console_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"comity/stix"
	"comity/store"
	"comity/taxii/admin"
	"comity/taxii/audit"
	"comity/taxii/auth"
	"comity/taxii/console"
	"comity/taxii/exchange"
)

// A person signs in with the password and a second factor, which the first sign-in sets up.
// The next sign-in asks for a code, and shows no secret.
func TestSignInNeedsPasswordAndSecondFactor(t *testing.T) {
	w := newWorld(t)
	first := w.browser()
	first.get("/console/").wantRedirect("/console/sign-in?next=%2Fconsole%2F")
	secret := first.signIn("vendor/vic")
	first.get("/console/").want(http.StatusOK).contains("vendor/vic", "sharing.reports")

	w.move(time.Minute)
	second := w.browser()
	second.post("/console/sign-in", "account", "Vendor/Vic", "password", password).wantRedirect("/console/sign-in/code?next=%2Fconsole%2F")
	second.get("/console/").wantRedirect("/console/sign-in?next=%2Fconsole%2F")
	if form := second.get("/console/sign-in/code").want(http.StatusOK); strings.Contains(form.body, secret) || strings.Contains(form.body, "class=\"qr\"") {
		t.Fatal("the secret of the second factor is shown again")
	}
	second.post("/console/sign-in/code", "code", "000000").want(http.StatusForbidden)
	second.get("/console/").want(http.StatusSeeOther)
	second.post("/console/sign-in/code", "code", w.code(secret)).wantRedirect("/console/")
	second.get("/console/").want(http.StatusOK)
}

// Services, unknown accounts and wrong passwords are refused with the same words. A token is
// no password.
func TestSignInIsForPersonsAlone(t *testing.T) {
	w := newWorld(t)
	token, err := w.admin.AddToken(t.Context(), admin.Actor{}, admin.AddToken{Account: "vendor/vic"})
	w.must(err)
	var before string
	for _, with := range [][2]string{{"vendor/feed", password}, {"vendor/none", password}, {"vendor/vic", "wrong horse"}, {"vendor/vic", token.Token}, {"", ""}} {
		page := w.browser().post("/console/sign-in", "account", with[0], "password", with[1]).want(http.StatusForbidden).contains("The account or the password is wrong")
		body := strings.ReplaceAll(page.body, `value="`+with[0]+`"`, "")
		if before != "" && with[0] != "" && body != before {
			t.Errorf("%s: another page than for others", with[0])
		}
		before = body
	}
}

// Who gives a code before a secret was shown is shown one: an empty secret, whose codes
// anybody can compute, is no second factor.
func TestSecondFactorCannotBeSkipped(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	b.post("/console/sign-in", "account", "vendor/vic", "password", password).want(http.StatusSeeOther)
	b.post("/console/sign-in/code", "code", w.code("")).wantRedirect("/console/sign-in/code?next=%2Fconsole%2F")
	b.get("/console/").want(http.StatusSeeOther)
}

// Whoever has the password first does not set up the second factor: that needs the code from
// the operator, which works once.
func TestSecondFactorIsSetUpWithTheOperatorsCode(t *testing.T) {
	w := newWorld(t)
	thief := w.browser()
	thief.post("/console/sign-in", "account", "vendor/vic", "password", password).want(http.StatusSeeOther)
	secret := secretForm.FindStringSubmatch(thief.get("/console/sign-in/code").body)[1]
	for _, wrong := range []string{"", "AAAA-AAAA-AAAA-AAAA", setUpDigest} {
		thief.post("/console/sign-in/code", "code", w.code(secret), "setup", wrong).want(http.StatusForbidden).contains("set-up code")
	}
	thief.get("/console/").want(http.StatusSeeOther)
	owner := w.browser()
	owner.signInWith("vendor/vic", strings.ToLower(strings.ReplaceAll(setUpCode, "-", " ")))
	thief.get("/console/sign-in/code").want(http.StatusSeeOther)
	newest, err := exchange.NewCurrent(w.store).Snapshot(t.Context())
	w.must(err)
	if auth.IsSetUpCode(newest.Directory.Accounts["vendor/vic"], setUpCode) {
		t.Error("the code works again")
	}
}

// Each code is taken once, also in another browser.
func TestCodeIsTakenOnce(t *testing.T) {
	w := newWorld(t)
	secret := w.browser().signIn("vendor/vic")
	thief := w.browser()
	thief.post("/console/sign-in", "account", "vendor/vic", "password", password).want(http.StatusSeeOther)
	thief.post("/console/sign-in/code", "code", w.code(secret)).want(http.StatusForbidden)
	w.move(30 * time.Second)
	thief.post("/console/sign-in/code", "code", w.code(secret)).wantRedirect("/console/")
}

// After five wrong codes one is tried in five minutes, so that nobody guesses six digits;
// the account is never locked out for good.
func TestCodesCannotBeGuessed(t *testing.T) {
	w := newWorld(t)
	secret := w.browser().signIn("vendor/vic")
	w.move(time.Minute)
	b := w.browser()
	b.post("/console/sign-in", "account", "vendor/vic", "password", password).want(http.StatusSeeOther)
	for range 5 {
		b.post("/console/sign-in/code", "code", "12345").want(http.StatusForbidden)
	}
	b.post("/console/sign-in/code", "code", w.code(secret)).want(http.StatusForbidden).contains("Too many wrong codes")
	w.move(5 * time.Minute)
	b.post("/console/sign-in/code", "code", w.code(secret)).wantRedirect("/console/")
}

// Somebody who knows the password and gives wrong codes does not keep the person out, who signs
// in from the usual network. Many other addresses try no more codes than one.
func TestWrongCodesOfOthersDoNotKeepThePersonOut(t *testing.T) {
	w := newWorld(t)
	secret := w.browser().signIn("vendor/vic")
	w.move(time.Minute)
	from := func(address string) *browser {
		b := w.browser()
		b.client.Transport = &http.Transport{DialContext: (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}).DialContext}
		b.post("/console/sign-in", "account", "vendor/vic", "password", password).want(http.StatusSeeOther)
		return b
	}
	for n := range 5 {
		from(fmt.Sprintf("127.0.1.%d", n+1)).post("/console/sign-in/code", "code", "12345").want(http.StatusForbidden).contains("not the code of this moment")
	}
	from("127.0.1.9").post("/console/sign-in/code", "code", "12345").want(http.StatusForbidden).contains("Too many wrong codes")
	from("127.0.0.1").post("/console/sign-in/code", "code", w.code(secret)).wantRedirect("/console/")
	from("127.0.1.9").post("/console/sign-in/code", "code", "12345").want(http.StatusForbidden).contains("Too many wrong codes")
}

// The operator resets a lost second factor; the sessions end, and the next sign-in sets up
// another one.
func TestOperatorResetsSecondFactor(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	secret := b.signIn("vendor/vic")
	out, err := w.admin.EditAccount(t.Context(), admin.Actor{User: "ana(1000)"}, admin.EditAccount{ID: "vendor/vic", ResetSecondFactor: true})
	w.must(err)
	if out.SecondFactor != "" {
		t.Error("the answer shows the secret")
	}
	b.get("/console/").want(http.StatusSeeOther)
	w.move(time.Minute)
	again := w.browser()
	again.post("/console/sign-in", "account", "vendor/vic", "password", password)
	again.get("/console/sign-in/code")
	again.post("/console/sign-in/code", "code", w.code(secret), "setup", setUpCode).want(http.StatusForbidden)
	if b.signInWith("vendor/vic", out.SetUpCode) == secret {
		t.Error("the same secret was set up again")
	}
}

// The secret of the second factor is in no list of accounts and in no audit export.
func TestSecondFactorIsNotShown(t *testing.T) {
	w := newWorld(t)
	secret := w.browser().signIn("vendor/vic")
	accounts, err := w.admin.Accounts(t.Context())
	w.must(err)
	_, err = w.admin.RegisterKey(t.Context(), admin.Actor{}, admin.RegisterKey{ID: "igci", Key: centreKey})
	w.must(err)
	var export strings.Builder
	w.must(w.admin.ExportAudit(t.Context(), "igci", &export))
	if text := fmt.Sprintf("%+v", accounts) + export.String(); strings.Contains(text, secret) {
		t.Error("the secret is shown")
	}
}

// A session ends at once with the sign-out, the account, the organisation and the password,
// after 30 minutes without a request, and after 12 hours in all.
func TestSessionEnds(t *testing.T) {
	for name, end := range map[string]func(w *world, b *browser){
		"sign-out": func(w *world, b *browser) { b.post("/console/sign-out").wantRedirect("/console/sign-in") },
		"account": func(w *world, b *browser) {
			w.amend(func(d *exchange.Directory) { d.Accounts["vendor/vic"].Disabled = true })
		},
		"organisation": func(w *world, b *browser) {
			w.amend(func(d *exchange.Directory) { d.Organisations["vendor"].Suspended = true })
		},
		"account that is enabled again": func(w *world, b *browser) {
			for _, disabled := range []bool{true, false} {
				_, err := w.admin.DisableAccount(w.Context(), admin.Actor{}, admin.Disable{ID: "vendor/vic", Disabled: disabled, Reason: "a test"})
				w.must(err)
			}
		},
		"organisation that is reinstated": func(w *world, b *browser) {
			for _, suspended := range []bool{true, false} {
				_, err := w.admin.SuspendOrganisation(w.Context(), admin.Actor{}, admin.Suspend{ID: "vendor", Suspended: suspended, Reason: "a test"})
				w.must(err)
			}
		},
		"password": func(w *world, b *browser) {
			w.amend(func(d *exchange.Directory) { d.Accounts["vendor/vic"].Password += "x" })
		},
		"idle": func(w *world, b *browser) { w.move(30 * time.Minute) },
		"in all": func(w *world, b *browser) {
			for range 36 {
				b.get("/console/").want(http.StatusOK)
				w.move(20 * time.Minute)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			b := w.browser()
			b.signIn("vendor/vic")
			b.get("/console/").want(http.StatusOK)
			end(w, b)
			b.get("/console/").want(http.StatusSeeOther)
		})
	}
}

// The cookie of a session that ended opens nothing, even if somebody kept it.
func TestCookieIsUselessAfterSignOut(t *testing.T) {
	w := newWorld(t)
	b := w.as("vendor/vic")
	r, err := http.NewRequest("GET", w.server.URL+"/console/", nil)
	w.must(err)
	kept := b.client.Jar.Cookies(r.URL)
	b.post("/console/sign-out").want(http.StatusSeeOther)
	for _, cookie := range kept {
		r.AddCookie(cookie)
	}
	w.browser().send(r).want(http.StatusSeeOther)
}

// A cookie that somebody planted before the sign-in is not the cookie of the session: each
// step of the sign-in gives a new secret.
func TestSignInGivesNewCookie(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	cookie := func() string {
		r, err := http.NewRequest("GET", w.server.URL+"/console/", nil)
		w.must(err)
		for _, c := range b.client.Jar.Cookies(r.URL) {
			return c.Value
		}
		return ""
	}
	b.post("/console/sign-in", "account", "vendor/vic", "password", password)
	half := cookie()
	page := b.get("/console/sign-in/code")
	b.post("/console/sign-in/code", "code", w.code(secretForm.FindStringSubmatch(page.body)[1]), "setup", setUpCode).wantRedirect("/console/")
	if whole := cookie(); half == "" || whole == half {
		t.Fatalf("cookies %q and %q", half, whole)
	}
	planted := w.browser()
	r, err := http.NewRequest("GET", w.server.URL+"/console/", nil)
	w.must(err)
	r.AddCookie(&http.Cookie{Name: "comity", Value: half})
	planted.send(r).want(http.StatusSeeOther)
}

// The last use of a session is written at most once a minute, so that looking costs no commits.
func TestPagesDoNotWrite(t *testing.T) {
	w := newWorld(t)
	b := w.as("vendor/vic")
	commits := 0
	w.store.OnCommit(func(time.Duration) { commits++ })
	for range 10 {
		b.get("/console/").want(http.StatusOK)
		w.move(time.Second)
	}
	if commits > 0 {
		t.Errorf("%d commits", commits)
	}
}

// Forms of other sites are refused, and nothing is done.
func TestFormsOfOtherSitesAreRefused(t *testing.T) {
	w := newWorld(t)
	b := w.as("vendor/vic")
	for name, value := range map[string]string{"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"} {
		r := b.form("/console/sign-out")
		r.Header.Set(name, value)
		b.send(r).want(http.StatusForbidden)
	}
	b.get("/console/").want(http.StatusOK)
}

// Nobody frames a page, no page is kept by a cache or found by going back after the
// sign-out, and no page runs a script but those of the console.
func TestHeadersProtectPages(t *testing.T) {
	w := newWorld(t)
	for _, page := range []*answer{w.as("vendor/vic").get("/console/"), w.browser().get("/"), w.browser().get("/console/sign-in"), w.as("vendor/vic").get("/console/none")} {
		policy := page.header.Get("Content-Security-Policy")
		for _, part := range []string{"default-src 'none'", "frame-ancestors 'none'", "form-action 'self'", "base-uri 'none'"} {
			if !strings.Contains(policy, part) {
				t.Errorf("the policy %q lacks %s", policy, part)
			}
		}
		if strings.Contains(policy, "unsafe") || !strings.Contains(policy, "script-src 'self';") {
			t.Errorf("the policy is %q", policy)
		}
		if got := page.header.Get("Cache-Control"); got != "no-store" {
			t.Errorf("Cache-Control is %q", got)
		}
		if strings.Contains(ownScript.ReplaceAllString(page.body, ""), "<script") || strings.Contains(page.body, " style=") || strings.Contains(page.body, "<style") {
			t.Error("a page has a script or a style of its own")
		}
	}
}

// The parameter next leads to a page of the console or to the first page, never to another site.
func TestNextStaysInTheConsole(t *testing.T) {
	w := newWorld(t)
	b := w.as("vendor/vic")
	for next, want := range map[string]string{
		"/console/tokens?a=b":             "/console/tokens?a=b",
		"https://evil.example/console/":   "/console/",
		"//evil.example/console/":         "/console/",
		"/\\evil.example/console/":        "/console/",
		"/console/\\..\\..//evil.example": "/console/",
		"javascript:alert(1)":             "/console/",
		"/taxii2/":                        "/console/",
		"/console/../taxii2/":             "/console/",
		"/console/sign-out":               "/console/",
		"/console/%2e%2e/taxii2/":         "/console/",
	} {
		b.get("/console/sign-in?next=" + strings.NewReplacer("?", "%3F", "\\", "%5C", "%", "%25").Replace(next)).wantRedirect(want)
	}
}

// The store keeps the digest of a session, never the secret of its cookie.
func TestStoreKeepsNoCookie(t *testing.T) {
	w := newWorld(t)
	b := w.as("vendor/vic")
	r, err := http.NewRequest("GET", w.server.URL+"/console/", nil)
	w.must(err)
	secret, _, _ := strings.Cut(b.client.Jar.Cookies(r.URL)[0].Value, ".")
	kept, err := w.store.Document(t.Context(), "console/vendor/vic")
	w.must(err)
	if len(secret) != 43 || len(kept) == 0 || strings.Contains(string(kept), secret) {
		t.Errorf("a secret of %d characters, and the store keeps %s", len(secret), kept)
	}
}

// timed is an answer that keeps the time until which the body is read.
type timed struct {
	*httptest.ResponseRecorder
	deadline time.Time
}

// SetReadDeadline is called by http.ResponseController.
func (a *timed) SetReadDeadline(t time.Time) error {
	a.deadline = t
	return nil
}

// A form that never ends does not hold a connection for ever, whether it is read or refused.
// The bound ends with the form.
func TestFormsAreReadForALimitedTime(t *testing.T) {
	w := newWorld(t)
	for _, path := range []string{"/console/sign-in", "/console/tokens", "/console/none"} {
		r, answer := w.browser().form(path, "account", "vendor/vic"), &timed{ResponseRecorder: httptest.NewRecorder()}
		r.Body = io.NopCloser(readerFunc(func([]byte) (int, error) {
			if answer.deadline.IsZero() {
				t.Errorf("%s is read without a bound", path)
			}
			return 0, os.ErrDeadlineExceeded
		}))
		w.console.Handler().ServeHTTP(answer, r)
		if answer.deadline.IsZero() {
			t.Errorf("%s: there is no bound for the rest of the body", path)
		}
	}
	answer := &timed{ResponseRecorder: httptest.NewRecorder()}
	w.console.Handler().ServeHTTP(answer, w.browser().form("/console/sign-in", "account", "vendor/vic"))
	if !answer.deadline.IsZero() {
		t.Error("the bound does not end with the form")
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// A page without a form reads no body: otherwise anybody could fill memory and disk with one.
func TestPagesReadNoBody(t *testing.T) {
	w := newWorld(t)
	b := w.as("vendor/vic")
	for _, asked := range [][2]string{{"GET", "/console/sign-in"}, {"GET", "/console/audit"}, {"POST", "/console/audit"}} {
		read := 0
		r := b.request(asked[0], asked[1], readerFunc(func(p []byte) (int, error) {
			if read++; read > 1000 {
				return 0, io.ErrUnexpectedEOF
			}
			return copy(p, "--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"f\"\r\n\r\n"), nil
		}))
		r.Header.Set("Content-Type", "multipart/form-data; boundary=b")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
		answer := httptest.NewRecorder()
		w.console.Handler().ServeHTTP(answer, r)
		if read > 0 || answer.Code != http.StatusOK && asked[1] != "/console/sign-in" {
			t.Errorf("%s %s: status %d after %d reads of the body", asked[0], asked[1], answer.Code, read)
		}
	}
}

// A browser that leaves while the page of tokens is made loses no last use of a token.
func TestLastUseOutlivesABrowserThatLeaves(t *testing.T) {
	w := newWorld(t)
	b := w.as("vendor/vic")
	token, err := w.admin.AddToken(t.Context(), admin.Actor{}, admin.AddToken{Account: "vendor/vic"})
	w.must(err)
	used := httptest.NewRequest("GET", "/", nil)
	used.RemoteAddr = "192.0.2.7:1"
	used.Header.Set("Authorization", "Bearer "+token.Token)
	_, _, err = w.console.Auth.Authenticate(used)
	w.must(err)
	ctx, leave := context.WithCancel(t.Context())
	leave()
	w.console.Handler().ServeHTTP(httptest.NewRecorder(), b.request("GET", "/console/tokens", nil).WithContext(ctx))
	b.get("/console/tokens").want(http.StatusOK).contains("from 192.0.2.7")
}

// Somebody who knows the password alone and signs in again and again does not end the session
// of the person, nor a sign-in that the person has begun in a network that is known.
func TestSignInsWithoutSecondFactorEndNoSession(t *testing.T) {
	w := newWorld(t)
	person, again, thief := w.browser(), w.browser(), w.browser()
	secret := person.signIn("vendor/vic")
	enter := func(b *browser) {
		b.post("/console/sign-in", "account", "vendor/vic", "password", password).want(http.StatusSeeOther)
	}
	enter(again)
	for range 25 {
		r := w.browser().form("/console/sign-in", "account", "vendor/vic", "password", password)
		r.RemoteAddr = "192.0.2.7:1234"
		answer := httptest.NewRecorder()
		w.console.Handler().ServeHTTP(answer, r)
		if answer.Code != http.StatusSeeOther {
			t.Fatalf("status %d", answer.Code)
		}
	}
	person.get("/console/").want(http.StatusOK)
	w.move(time.Minute)
	again.post("/console/sign-in/code", "code", w.code(secret)).wantRedirect("/console/")
	enter(thief)
	thief.get("/console/sign-in/code").want(http.StatusOK)
}

// A form that comes after the end of the session leads to the page that it was on, or is about,
// after the sign-in.
func TestFormAfterTheSessionLeadsToItsPage(t *testing.T) {
	w := newWorld(t)
	for form, page := range map[string]string{
		"/console/tokens": "/console/tokens", "/console/tokens/0a1b2c3d": "/console/tokens", "/console/sign-out": "/console/",
		"/console/agreements/sharing/act": "/console/agreements/sharing", "/console/centre/accounts/vendor%2Fvic": "/console/centre/accounts/vendor%2Fvic",
		"/console/operations/op-x/publish": "/console/operations/op-x", "/console/none": "/console/",
	} {
		w.browser().post(form, "act", "revoke").wantRedirect("/console/sign-in?next=" + url.QueryEscape(page))
	}
}

// A browser that reaches the server without TLS over a network is told why nobody signs in, and
// sends no password.
func TestNobodySignsInWithoutTLS(t *testing.T) {
	w := newWorld(t)
	for url, want := range map[string]int{"http://taxii.example.int": http.StatusForbidden, "http://10.0.0.1:8080": http.StatusForbidden, "https://10.0.0.1": http.StatusOK, "http://localhost:8080": http.StatusOK, "http://[::1]": http.StatusOK} {
		answer := httptest.NewRecorder()
		console.New(console.Config{PublicURL: url}, w.console.Deps).Handler().ServeHTTP(answer, httptest.NewRequest("GET", "/console/sign-in", nil))
		if form := strings.Contains(answer.Body.String(), `type="password"`); answer.Code != want || form != (want == http.StatusOK) {
			t.Errorf("%s: status %d, form %v", url, answer.Code, form)
		}
	}
	answer := httptest.NewRecorder()
	console.New(console.Config{PublicURL: "http://taxii.example.int"}, w.console.Deps).Handler().
		ServeHTTP(answer, w.browser().form("/console/sign-in", "account", "vendor/vic", "password", password))
	if answer.Code != http.StatusForbidden || answer.Header().Get("Set-Cookie") != "" {
		t.Errorf("status %d, cookie %q", answer.Code, answer.Header().Get("Set-Cookie"))
	}
}

// full is a store whose disk is full.
type full struct{ store.Store }

func (full) AmendDocument(context.Context, string, func([]byte) ([]byte, []audit.Entry, error)) error {
	return errors.New("no space left on device")
}

// Who is signed in reads on while the disk is full.
func TestPagesAreShownWhileNothingCanBeWritten(t *testing.T) {
	w := newWorld(t)
	b := w.as("vendor/vic")
	w.move(5 * time.Minute)
	deps := w.console.Deps
	deps.Store = full{w.store}
	w.server.Config.Handler = console.New(console.Config{PublicURL: w.server.URL}, deps).Handler()
	b.get("/console/").want(http.StatusOK)
}

// HEAD tells of a page what GET does, and sends no page.
func TestHeadIsAsGet(t *testing.T) {
	w := newWorld(t)
	b := w.as("vendor/vic")
	for _, path := range []string{"/", "/console/", "/console/sign-in", "/console/collections/sharing.reports", "/console/collections/sharing.reports/push", "/console/none", "/console/collections/none"} {
		page := b.get(path)
		r, err := http.NewRequest("HEAD", w.server.URL+path, nil)
		w.must(err)
		head := b.send(r).want(page.status)
		if head.body != "" || head.header.Get("Content-Type") != page.header.Get("Content-Type") {
			t.Errorf("%s: %q, %q", path, head.header, head.body)
		}
	}
}

// No text turns the direction of writing, or brings a control character into a page.
func TestPagesHaveNoControlCharacters(t *testing.T) {
	w := newWorld(t)
	w.push("vendor/vic", "sharing.reports", strings.Replace(indicator(1, "NAME", ""), "NAME", `a\u202eb\u0085c\u001bd\u2066`, 1))
	b := w.as("vendor/vic")
	for _, path := range []string{"/console/collections/sharing.reports", "/console/collections/sharing.reports/objects/indicator--00000000-0000-4000-8000-000000000001", "/console/audit?account=%E2%80%AEa%1B%7F%C2%85"} {
		page := b.get(path).want(http.StatusOK)
		if i := strings.IndexFunc(page.body, func(r rune) bool { return stix.Unprintable(r) || r == '\r' }); i >= 0 {
			t.Errorf("%s: %q", path, page.body[i:i+20])
		}
	}
	b.upload("/console/collections/sharing.reports/push", "text", "{\r\n\t[", "act", "check").want(http.StatusOK).contains("{\n\t[</textarea>")
}

// Over TLS, the cookie is for this host and for TLS alone.
func TestCookieIsForThisHostAlone(t *testing.T) {
	w := newWorld(t)
	set := w.browser().post("/console/sign-in", "account", "vendor/vic", "password", password).header.Get("Set-Cookie")
	if !strings.HasPrefix(set, "comity=") || !strings.Contains(set, "HttpOnly; SameSite=Lax") {
		t.Errorf("on the loopback interface: %s", set)
	}
	answer := httptest.NewRecorder()
	console.New(console.Config{PublicURL: "https://taxii.example.int"}, w.console.Deps).Handler().
		ServeHTTP(answer, w.browser().form("/console/sign-in", "account", "vendor/vic", "password", password))
	set = answer.Header().Get("Set-Cookie")
	if !strings.HasPrefix(set, "__Host-comity=") || !strings.Contains(set, "Path=/; HttpOnly; Secure; SameSite=Lax") || strings.Contains(set, "Domain") {
		t.Errorf("over TLS: %s", set)
	}
}

// Passwords that are tried here and over TAXII count together, for their account, whatever address
// they come from. After too many of them the right one is refused too, and the record says so.
func TestSignInSharesTheLimitOfPasswords(t *testing.T) {
	w := newWorld(t)
	var tries sync.WaitGroup
	for n := range 20 {
		tries.Go(func() {
			ctx, leave := context.WithTimeout(t.Context(), 100*time.Millisecond) // an attempt counts though its client leaves
			defer leave()
			r := httptest.NewRequestWithContext(ctx, "GET", "/taxii2/", nil)
			r.RemoteAddr = fmt.Sprintf("192.0.2.%d:1234", n)
			r.SetBasicAuth("vendor/vic", "wrong horse")
			w.console.Auth.Authenticate(r)
		})
	}
	tries.Wait()
	var refused atomic.Int32
	for range 3 { // one of them may have its turn
		tries.Go(func() {
			page := w.browser().post("/console/sign-in", "account", "vendor/vic", "password", password)
			if page.status == http.StatusTooManyRequests && strings.Contains(page.body, "Too many passwords were tried.") {
				refused.Add(1)
			}
		})
	}
	tries.Wait()
	if refused.Load() == 0 {
		t.Error("the console takes passwords that are too many for the API")
	}
	w.as("igci/olga").get("/console/audit?act=refusal").want(http.StatusOK).contains("throttled")
}
