package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/pquerna/otp/totp"
)

// browser is the browser of a person who uses the console.
type browser struct {
	account, host string // host is such as http://127.0.0.1:8080
	client        *http.Client
}

func newBrowser(account, host string) *browser {
	jar, _ := cookiejar.New(nil) // never an error without options
	return &browser{account, host, &http.Client{Jar: jar}}
}

// view is a page that a browser got.
type view struct {
	html string // "" for a download
	took time.Duration
}

// do gets a page, or sends a form, and follows redirects.
func (b *browser) do(ctx context.Context, method, path string, form url.Values) (v view, err error) {
	r, err := http.NewRequestWithContext(ctx, method, b.host+path, strings.NewReader(form.Encode()))
	if err != nil {
		return v, err
	}
	r.Header.Set("Accept", "text/html")
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	began := time.Now()
	a, err := b.client.Do(r)
	if err != nil {
		return v, err
	}
	defer a.Body.Close()
	body, err := io.ReadAll(a.Body)
	v.took = time.Since(began)
	if err == nil && a.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s %s as %s: status %d %s", method, path, b.account, a.StatusCode, cut(body))
	}
	if strings.HasPrefix(a.Header.Get("Content-Type"), "text/html") {
		v.html = string(body)
	}
	return v, err
}

var (
	linkForm   = regexp.MustCompile(`href="(/console/[^"#]*)`)
	secretForm = regexp.MustCompile(`<code class="pick">([A-Z2-7]{32})</code>`)
	ticketForm = regexp.MustCompile(`(?m)^  (\S+) +(http://[^/\s]+)(/console/ticket/\S+)$`)
	nameForm   = regexp.MustCompile(`[a-z]*[^a-z/][^/]*`) // in a path, a part that names a thing
)

// ofAKind is how many pages of one kind are measured: a console has a page for each object.
const ofAKind = 5

// pages are the paths of pages that a person reaches from the first one by links, some of
// each kind.
func (b *browser) pages(ctx context.Context) (paths []string, err error) {
	seen, kinds, waiting := map[string]bool{"/console/": true}, map[string]int{}, []string{"/console/"}
	for len(waiting) > 0 {
		path := waiting[0]
		waiting = waiting[1:]
		v, err := b.do(ctx, "GET", path, nil)
		if err != nil {
			return nil, err
		}
		if v.html == "" {
			continue
		}
		paths = append(paths, path)
		for _, m := range linkForm.FindAllStringSubmatch(v.html, -1) {
			to := html.UnescapeString(m[1])
			place, query, _ := strings.Cut(to, "?")
			kind := nameForm.ReplaceAllString(place, "*")
			if query != "" {
				kind += "?"
			}
			if seen[to] || kinds[kind] == ofAKind {
				continue
			}
			seen[to] = true
			kinds[kind]++
			waiting = append(waiting, to)
		}
	}
	return paths, nil
}

// demonstration is a running comity demo, with a browser for each person that it names.
type demonstration struct {
	process  *process
	browsers map[string]*browser // by account
}

func (b *bench) startDemonstration(ctx context.Context) (*demonstration, error) {
	address, err := freePort()
	if err != nil {
		return nil, err
	}
	p, err := start("the demonstration", filepath.Join(b.dir, "demo.log"), []string{"TMPDIR=" + b.dir},
		b.comity.binary, "demo", "--scenario", b.opt.Scenario, "--listen", address)
	if err != nil {
		return nil, err
	}
	d := &demonstration{p, map[string]*browser{}}
	err = p.ready(ctx, 100*time.Millisecond, func() error {
		if text, err := os.ReadFile(p.log); err != nil || !strings.Contains(string(text), "Ctrl-C ends it") {
			return errors.Join(err, errors.New("it is not at its end"))
		}
		return nil
	})
	if err == nil {
		err = d.signIn(ctx)
	}
	if err != nil {
		p.stop()
	}
	return d, err
}

// signIn uses the links that the demonstration prints.
func (d *demonstration) signIn(ctx context.Context) error {
	text, err := os.ReadFile(d.process.log)
	if err != nil {
		return err
	}
	for _, m := range ticketForm.FindAllStringSubmatch(string(text), -1) {
		who := newBrowser(m[1], m[2])
		if _, err := who.do(ctx, "GET", m[3], nil); err != nil {
			return err
		}
		d.browsers[m[1]] = who
	}
	return nil
}

// person adds a person of the partner to comity, who signs in with a password and a second
// factor.
func (b *bench) person(ctx context.Context) (*browser, error) {
	if b.browser != nil {
		return b.browser, nil
	}
	const password = "correct horse battery"
	who := newBrowser("load/person", "http://"+b.comity.address)
	text, err := b.comity.command(ctx, strings.NewReader(password), "account", "add", who.account, "--person", "--password-stdin", "--json")
	if err != nil {
		return nil, err
	}
	var added struct {
		SetUpCode string `json:"set_up_code"`
	}
	if err := json.Unmarshal([]byte(text), &added); err != nil {
		return nil, err
	}
	v, err := who.do(ctx, "POST", "/console/sign-in", url.Values{"account": {who.account}, "password": {password}})
	if err != nil {
		return nil, err
	}
	secret := secretForm.FindStringSubmatch(v.html)
	if secret == nil {
		return nil, errors.New("the console shows no secret of a second factor")
	}
	code, err := totp.GenerateCode(secret[1], time.Now())
	if err != nil {
		return nil, err
	}
	_, err = who.do(ctx, "POST", "/console/sign-in/code", url.Values{"code": {code}, "setup": {added.SetUpCode}})
	if err == nil {
		b.browser = who
	}
	return who, err
}
