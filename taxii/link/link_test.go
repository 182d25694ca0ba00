package link_test

import (
	"net/http"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"comity/taxii"
	"comity/taxii/exchange"
)

// A link that fails is tried again after ever longer times, up to an hour, and a new token
// in its file of credentials takes effect without a restart.
func TestAFailingLinkBacksOffAndReadsItsCredentialsAgain(t *testing.T) {
	ours, theirs := newSite(t), newSite(t)
	theirs.push("share.intel", indicator(1, 0))
	l := ours.link("in", exchange.Pull, "share.intel", theirs, "acme/link")
	ours.must(os.WriteFile(l.Credentials, []byte(`token = "expired"`), 0o600))
	var waits []time.Duration
	for range 12 {
		if _, err := ours.links.RunNow(t.Context(), "in"); taxii.CodeOf(err) != taxii.Unauthorized {
			t.Fatal(err)
		}
		st, err := ours.links.Status(t.Context(), "in")
		ours.must(err)
		waits = append(waits, st.NextTry.Sub(ours.now()))
		ours.move(time.Hour)
	}
	if !slices.IsSorted(waits) || waits[0] > time.Minute || waits[11] != time.Hour {
		t.Errorf("waits %v", waits)
	}
	ours.must(os.WriteFile(l.Credentials, []byte(`token = "acme/link"`), 0o600))
	if st := ours.run("in"); st.Failures != 0 || st.Objects != 1 || st.Problem != "" {
		t.Errorf("%+v", st)
	}
	ours.must(os.Chmod(l.Credentials, 0o644))
	if _, err := ours.links.RunNow(t.Context(), "in"); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("a file that others may read: %v", err)
	}
}

// A server that runs its links pulls when it is time, and pushes soon after a change.
func TestLinksRunByThemselves(t *testing.T) {
	a, b := newSite(t), newSite(t)
	a.push("share.intel", indicator(1, 0))
	a.link("out", exchange.Push, "share.intel", b, "acme/link")
	a.link("paused", exchange.Pull, "share.intel", b, "acme/link")
	a.amend(func(d *exchange.Directory) error { d.Links["paused"].Paused = true; return nil })
	b.link("in", exchange.Pull, "share.intel", a, "acme/link")
	for _, s := range []*site{a, b} {
		ctx, done := t.Context(), make(chan struct{})
		go func() { s.links.Run(ctx); close(done) }()
		t.Cleanup(func() { <-done }) // the context ends before
	}
	await := func(s *site, n int) {
		t.Helper()
		for end := time.Now().Add(time.Minute); len(s.objects("share.intel")) < n; time.Sleep(20 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("the objects did not come")
			}
		}
	}
	await(b, 1)
	a.push("share.intel", indicator(2, 0))
	await(b, 2)
	st, err := a.links.Status(t.Context(), "paused")
	a.must(err)
	if !st.LastTry.IsZero() {
		t.Error("a paused link ran")
	}
}

// A link that works again, since it was run by hand on another server, runs by itself at once
// where it failed before.
func TestALinkThatWasRunByHandElsewhereRunsByItself(t *testing.T) {
	ours, theirs := newSite(t), newSite(t)
	var fails atomic.Bool
	theirs.before = func(w http.ResponseWriter, _ *http.Request) bool {
		if fails.Load() {
			w.WriteHeader(http.StatusForbidden)
		}
		return fails.Load()
	}
	fails.Store(true)
	ours.push("share.intel", indicator(1, 0))
	ours.link("out", exchange.Push, "share.intel", theirs, "acme/link")
	ctx, done := t.Context(), make(chan struct{})
	go func() { ours.links.Run(ctx); close(done) }()
	t.Cleanup(func() { <-done }) // the context ends before
	await := func(what string, is func() bool) {
		t.Helper()
		for end := time.Now().Add(time.Minute); !is(); time.Sleep(20 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal(what)
			}
		}
	}
	await("the link did not run", func() bool {
		st, err := ours.links.Status(t.Context(), "out")
		ours.must(err)
		return st.Failures > 0 && !st.Running
	})
	fails.Store(false)
	other := ours.process()
	if _, err := other.RunNow(t.Context(), "out"); err != nil {
		t.Fatal(err)
	}
	ours.push("share.intel", indicator(2, 0))
	await("the object did not come", func() bool { return len(theirs.objects("share.intel")) == 2 })
}

// A link that could not run is refused, with the reason.
func TestALinkThatCouldNotRunIsRefused(t *testing.T) {
	s := newSite(t)
	open := s.credentials(`token = "x"`)
	s.must(os.Chmod(open, 0o640))
	for _, test := range []struct {
		name   string
		change func(*exchange.Link)
		want   string
	}{
		{"plain HTTP to another machine", func(l *exchange.Link) { l.URL = "http://taxii.example/" }, "in the clear"},
		{"an account that may not write", func(l *exchange.Link) { l.Account = "soc/link" }, "soc/link may not add to collection share.intel"},
		{"an absent collection", func(l *exchange.Link) { l.Collection = "share.none" }, "there is no such collection"},
		{"open credentials", func(l *exchange.Link) { l.Credentials = open }, "chmod 600"},
		{"absent credentials", func(l *exchange.Link) { l.Credentials = open + ".none" }, "cannot be read"},
		{"an open private key", func(l *exchange.Link) {
			l.Credentials = s.credentials("certificate = \"cert.pem\"\nkey = \"" + open + "\"")
		}, "the private key: others than its owner may use it: run chmod 600 on it"},
		{"unknown credentials", func(l *exchange.Link) { l.Credentials = s.credentials(`passwrd = "secret"`) }, "TOML with the keys user"},
		{"nothing wrong", func(l *exchange.Link) {}, ""},
		{"plain HTTP with leave", func(l *exchange.Link) { l.URL, l.PlainHTTP = "http://taxii.example/", true }, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := exchange.Link{Name: "x", Direction: exchange.Pull, URL: "https://taxii.example/", Collection: "share.intel", Account: "acme/link", Every: 60}
			test.change(&l)
			newest, err := exchange.NewCurrent(s.bolt).Snapshot(t.Context())
			s.must(err)
			err = s.links.Check(newest, &l)
			if (err == nil) != (test.want == "") || err != nil && (!strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "secret")) {
				t.Errorf("%v, want %q", err, test.want)
			}
		})
	}
}
