package client_test

import (
	"bytes"
	"compress/gzip"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"comity/taxii"
	"comity/taxii/client"
)

func TestCredentialsAreSentAsGiven(t *testing.T) {
	var got http.Header
	url := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r.Header
		io.WriteString(w, "{}")
	}))
	for name, tt := range map[string]struct {
		url   string
		given client.Credentials
		want  string
	}{
		"Basic":      {url, client.Credentials{User: "anna", Password: "pä:ss"}, "Authorization: Basic YW5uYTpww6Q6c3M="},
		"in the URL": {strings.Replace(url, "http://", "http://anna:word@", 1), client.Credentials{}, "Authorization: Basic YW5uYTp3b3Jk"},
		"Bearer":     {url, client.Credentials{Token: "t", User: "anna"}, "Authorization: Bearer t"},
		"a header":   {url, client.Credentials{Header: http.Header{"x-api-key": {"k"}}}, "X-Api-Key: k"},
		"another":    {url, client.Credentials{Header: http.Header{"Authorization": {"Token t"}}}, "Authorization: Token t"},
	} {
		c, _ := connect(t, tt.url, client.Config{Credentials: tt.given})
		if _, err := c.APIRoot(t.Context()); err != nil {
			t.Fatal(err)
		}
		header, value, _ := strings.Cut(tt.want, ": ")
		if got.Get(header) != value {
			t.Errorf("%s: %s: %q, want %q", name, header, got.Get(header), value)
		}
		if got.Get("Accept") != taxii.MediaType {
			t.Errorf("Accept: %q", got.Get("Accept"))
		}
	}
}

// Another host gets neither credentials nor requests: not by a redirect, and not because
// the discovery names it.
func TestCredentialsStayOnTheirHost(t *testing.T) {
	asked := 0
	other := serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked++ }))
	url := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/taxii2/":
			fmt.Fprintf(w, `{"title":"x","api_roots":[%q,"/api/"]}`, other)
		case r.URL.Path == "/api/":
			io.WriteString(w, `{"title":"x","versions":["application/taxii+json;version=2.1"]}`)
		default:
			http.Redirect(w, r, other, http.StatusTemporaryRedirect)
		}
	}))
	c, notices := connect(t, strings.TrimSuffix(url, "api/"), client.Config{Credentials: client.Credentials{Token: "secret"}})
	roots, err := c.Roots(t.Context())
	if err != nil || len(roots) != 1 || roots[0].URL() != url || !strings.Contains(notices.String(), "it does not get the credentials") {
		t.Errorf("roots %v, %v, %s", roots, err, notices)
	}
	if _, err := c.At(other); taxii.CodeOf(err) != taxii.Forbidden {
		t.Errorf("another root: %v", err)
	}
	if _, err := roots[0].Collections(t.Context()); taxii.CodeOf(err) != taxii.BadGateway || !strings.Contains(err.Error(), "redirects to another host") {
		t.Errorf("redirect: %v", err)
	}
	if _, err := roots[0].Add(t.Context(), "c", []byte("{}"), false); taxii.CodeOf(err) != taxii.BadGateway {
		t.Errorf("redirect of a push: %v", err)
	}
	if asked > 0 {
		t.Errorf("the other host was asked %d times", asked)
	}
}

func TestRedirectsOnTheHostAreFollowed(t *testing.T) {
	url := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api/" {
			http.Redirect(w, r, "/v21/", http.StatusPermanentRedirect)
			return
		}
		fmt.Fprintf(w, `{"title":%q}`, r.Header.Get("Authorization"))
	}))
	c, _ := connect(t, url, client.Config{Credentials: client.Credentials{Token: "t"}})
	if root, err := c.APIRoot(t.Context()); err != nil || root.Title != "Bearer t" {
		t.Errorf("%+v %v", root, err)
	}
	if _, err := c.Add(t.Context(), "c", []byte("{}"), false); err != nil {
		t.Errorf("a POST at the right place: %v", err)
	}
}

func TestCredentialsAreNotPrinted(t *testing.T) {
	given := client.Credentials{User: "u", Password: "secret", Token: "secret", Header: http.Header{"K": {"secret"}}}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "credentials", given)
	for _, text := range []string{fmt.Sprint(given), fmt.Sprintf("%+v %s", given, given), fmt.Sprintf("%+v", client.Config{Credentials: given}), log.String()} {
		if strings.Contains(text, "secret") {
			t.Errorf("printed: %s", text)
		}
	}
	c, _ := connect(t, "http://u:secret@127.0.0.1:1/", client.Config{RetryFor: 1})
	if _, err := c.Discovery(t.Context()); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("error %v", err)
	}
}

func TestAddressesThatAreRefused(t *testing.T) {
	for _, url := range []string{"", "example.org", "ftp://example.org/", "https://", "http://example.org/", "http://10.0.0.1/", "://"} {
		if _, err := client.New(url, client.Config{}); taxii.CodeOf(err) != taxii.Invalid {
			t.Errorf("%q: %v", url, err)
		}
	}
	for _, url := range []string{"https://example.org", "http://localhost:1/x", "http://[::1]:1/x"} {
		if _, err := client.New(url, client.Config{}); err != nil {
			t.Errorf("%q: %v", url, err)
		}
	}
	if _, err := client.New("http://example.org/", client.Config{PlainHTTP: true}); err != nil {
		t.Error(err)
	}
}

// A certificate of an unknown CA is refused at once, and taken with its CA. A server may ask
// for a certificate of the client.
func TestCertificates(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `{"title":"%d"}`, len(r.TLS.PeerCertificates))
	}))
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	s.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	s.StartTLS()
	defer s.Close()
	c, _ := connect(t, s.URL, client.Config{})
	if _, err := c.APIRoot(t.Context()); taxii.CodeOf(err) != taxii.BadGateway || !strings.Contains(err.Error(), "is not trusted") {
		t.Errorf("unknown CA: %v", err)
	}
	cas := x509.NewCertPool()
	cas.AddCert(s.Certificate())
	c, _ = connect(t, s.URL, client.Config{CAs: cas, Credentials: client.Credentials{Certificate: &s.TLS.Certificates[0]}})
	if root, err := c.APIRoot(t.Context()); err != nil || root.Title != "1" {
		t.Errorf("%+v %v", root, err)
	}
}

func TestCollectionIsFound(t *testing.T) {
	collections := `{"collections":[{"id":"11","title":"Reports","alias":"op.reports","can_read":true},{"id":"22","title":"Same"},{"id":"33","title":"same"}]}`
	url := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/taxii2/":
			io.WriteString(w, `{"title":"x","default":"/api/","api_roots":["/closed/","/api/","/empty/"]}`)
		case "/api/", "/empty/", "/closed/":
			io.WriteString(w, `{"title":"x","versions":["application/taxii+json;version=2.1"],"max_content_length":1}`)
		case "/api/collections/":
			io.WriteString(w, collections)
		case "/closed/collections/": // one may list the API roots of others, and not what is in them
			w.WriteHeader(403)
		default:
			io.WriteString(w, "{}")
		}
	}))
	base := strings.TrimSuffix(url, "api/")
	for _, tt := range []struct {
		url, name, id string
		code          taxii.Code
	}{
		{base, "11", "11", ""}, {base, "reports", "11", ""}, {url, "op.reports", "11", ""}, {url + "collections/22/", "", "22", ""},
		{url + "collections/22/objects/?limit=1", "", "22", ""}, {base, "SAME", "", taxii.Invalid}, {base, "", "", taxii.Invalid}, {url, "nothing", "", taxii.NotFound},
		{base + "empty", "", "", taxii.NotFound}, {base, "nothing", "", taxii.NotFound}, {base + "closed", "", "", taxii.Forbidden},
	} {
		c, _ := connect(t, tt.url, client.Config{})
		root, col, err := c.Find(t.Context(), tt.name)
		if err != nil {
			if taxii.CodeOf(err) != tt.code {
				t.Errorf("%s %q: %v", tt.url, tt.name, err)
			}
			continue
		}
		if col.ID != tt.id || root.URL() != url {
			t.Errorf("%s %q: %s in %s", tt.url, tt.name, col.ID, root.URL())
		}
	}
}

func TestManifestVersionsStatusAndDelete(t *testing.T) {
	var asked []string
	url := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Method+" "+r.URL.String())
		switch r.URL.Path {
		case "/api/collections/c/manifest/":
			io.WriteString(w, `{"objects":[{"id":"a","date_added":"d","version":"v","media_type":"m"}]}`)
		case "/api/collections/c/objects/a/versions/":
			if r.FormValue("next") == "" {
				io.WriteString(w, `{"more":true,"next":"n","versions":["1","2"]}`)
			} else {
				io.WriteString(w, `{"versions":["3"]}`)
			}
		case "/api/status/s/":
			io.WriteString(w, `{"id":"s","success_count":7}`)
		case "/api/collections/c/objects/a/":
			io.WriteString(w, `{"objects":[{"id":"a"}]}`)
		}
	}))
	c, _ := connect(t, url, client.Config{})
	for r, err := range c.Manifest(t.Context(), "c", client.Query{}) {
		if err != nil || r != (taxii.ManifestRecord{ID: "a", DateAdded: "d", Version: "v", MediaType: "m"}) {
			t.Errorf("%+v %v", r, err)
		}
	}
	all := ""
	for v, err := range c.Versions(t.Context(), "c", "a", client.Query{}) {
		if err != nil {
			t.Error(err)
		}
		all += v
	}
	if all != "123" {
		t.Errorf("versions %s", all)
	}
	for page, err := range c.Object(t.Context(), "c", "a", client.Query{Match: taxii.Match{Versions: taxii.Versioning{All: true}}}) {
		if err != nil || string(page.Objects[0]) != `{"id":"a"}` {
			t.Errorf("%v %v", page, err)
		}
	}
	if s, err := c.Status(t.Context(), "s"); err != nil || s.SuccessCount != 7 {
		t.Errorf("%+v %v", s, err)
	}
	if err := c.Delete(t.Context(), "c", "a", taxii.Match{}); err != nil {
		t.Error(err)
	}
	if last := asked[len(asked)-1]; last != "DELETE /api/collections/c/objects/a/" {
		t.Error(last)
	}
}

// A proxy that finds no server behind it says nothing about an object or a page: the error
// is that of a server which is away, and not that of a malformed answer.
func TestAServerBehindAProxyThatIsAwayIsUnavailable(t *testing.T) {
	for status, want := range map[int]taxii.Code{502: taxii.Unavailable, 503: taxii.Unavailable, 504: taxii.Unavailable} {
		for _, body := range []string{"<html>", `{"title":"Bad gateway","error_code":"bad-gateway"}`} {
			c, _ := connect(t, serve(t, answer(status, "text/html", body)), client.Config{RetryFor: 1})
			if _, err := c.APIRoot(t.Context()); taxii.CodeOf(err) != want {
				t.Errorf("%d %s: %s, want %s", status, body, taxii.CodeOf(err), want)
			}
		}
	}
}

// The error of a server is read also if the answer is compressed.
func TestCompressedErrorsAreRead(t *testing.T) {
	var body bytes.Buffer
	z := gzip.NewWriter(&body)
	io.WriteString(z, `{"title":"The quota is used up","error_code":"too-many"}`)
	z.Close()
	c, _ := connect(t, serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		w.WriteHeader(429)
		w.Write(body.Bytes())
	})), client.Config{RetryFor: 1})
	if _, err := c.APIRoot(t.Context()); taxii.CodeOf(err) != taxii.TooMany || !strings.Contains(err.Error(), "The quota is used up") {
		t.Errorf("error %v", err)
	}
}
