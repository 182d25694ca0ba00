package feed_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"comity/taxii/exchange"
)

const urlAllowed = "[feeds]\narticle = \"4\"\nurl_credentials = true\n"

// urlOf is the path of a feed with its newest secret; "" if it has none.
func (w *world) urlOf(id string) string {
	w.Helper()
	for _, s := range w.secrets(id) {
		if s.Purpose == "url" {
			return strings.TrimPrefix(s.Value, w.config.PublicURL)
		}
	}
	return ""
}

// Some products can send no header, so that the secret has to be in the URL.
func TestAURLWithASecretReadsOneFeed(t *testing.T) {
	w := newWorld(t, urlAllowed)
	w.subscribe("block", "block", empty)
	w.push("fir", indicator(1, address("203.0.114.1"), ""))
	base := w.urlOf("f-block")
	if !strings.HasPrefix(base, "/igci/x-feeds/f-block~") {
		t.Fatalf("URL %q", base)
	}
	for path, want := range map[string]string{
		"ipv4.txt": "203.0.114.1\n", "": "f-block", "v1/decisions/stream?startup=true": "203.0.114.1",
	} {
		got := w.do("GET", "", base+path)
		if got.status != http.StatusOK || !strings.Contains(got.body, want) {
			t.Errorf("%q: %d %q", path, got.status, got.body)
		}
		if strings.Contains(got.body, "~") || got.header.Get("Referrer-Policy") != "no-referrer" {
			t.Errorf("%q tells the secret: %v %q", path, got.header, got.body)
		}
	}
	if got := w.do("GET", "", strings.Replace(base, "~", "%7E", 1)+"ipv4.txt"); got.status != http.StatusOK {
		t.Errorf("with an escaped tilde: %d", got.status)
	}
	if got := w.do("POST", "", base+"ipv4.txt"); got.status != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", got.status)
	}
	w.suspend()
	w.move(time.Second)
	if got := w.do("GET", "", base+"ipv4.txt"); got.status != http.StatusOK || got.body != "" {
		t.Errorf("at the end of access: %d %q", got.status, got.body)
	}
}

func TestAWrongSecretIsAnAbsentFeed(t *testing.T) {
	w := newWorld(t, urlAllowed)
	for _, account := range []string{"block", "other"} {
		w.subscribe(account, "block", "")
	}
	w.push("fir", indicator(1, address("203.0.114.1"), ""))
	base := w.urlOf("f-block")
	_, secret, _ := strings.Cut(base, "~")
	absent := w.do("GET", "", "/igci/x-feeds/absent~"+secret+"ipv4.txt")
	if absent.status != http.StatusNotFound {
		t.Fatalf("an absent feed: %d", absent.status)
	}
	check := func(path, what string) {
		t.Helper()
		if got := w.do("GET", "block", path); got.status != absent.status || got.body != absent.body || len(got.header) != len(absent.header) {
			t.Errorf("%s: %d %q", what, got.status, got.body)
		}
	}
	check("/igci/x-feeds/f-block~/ipv4.txt", "no secret")
	check("/igci/x-feeds/f-block~x/ipv4.txt", "another secret")
	check("/igci/x-feeds/f-other~"+secret+"ipv4.txt", "that of another feed")
	w.rotate("f-block")
	if got := w.do("GET", "", base+"ipv4.txt"); got.status != http.StatusOK {
		t.Errorf("that before the newest: %d", got.status)
	}
	w.rotate("f-block")
	check(base+"ipv4.txt", "an older one")
	base = w.urlOf("f-block")
	w.amend(func(d *exchange.Directory) error { d.Accounts["ncb-kh/block"].Disabled = true; return nil })
	if got := w.do("GET", "", base+"ipv4.txt"); got.status != absent.status || got.body != absent.body {
		t.Errorf("a disabled account: %d %q", got.status, got.body)
	}
}

func TestASecretInAURLNeedsTheAgreement(t *testing.T) {
	w := newWorld(t, urlAllowed)
	w.subscribe("block", "block", "")
	w.push("fir", indicator(1, address("203.0.114.1"), ""))
	base := w.urlOf("f-block")
	strict := newWorld(t, "")
	strict.subscribe("block", "block", "")
	strict.push("fir", indicator(1, address("203.0.114.1"), ""))
	if got := strict.do("GET", "", base+"ipv4.txt"); got.status != http.StatusNotFound {
		t.Errorf("without the consent of the agreement: %d %q", got.status, got.body)
	}
	if got := strict.urlOf("f-block"); got != "" {
		t.Errorf("it shows %q", got)
	}
}
