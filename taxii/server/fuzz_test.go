package server_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"comity/taxii"
)

// FuzzRequest sends anything that HTTP lets through, with good credentials:
// whatever it is, the answer is no fault of ours and of the one content type.
func FuzzRequest(f *testing.F) {
	w := newWorld(f, func(w *world) { w.config.MaxContentLength = 1 << 16 })
	handler := w.handler()
	c := w.collection("sharing.reports")
	w.as("vendor/feed").push(c, indicator(1, 0), indicator(1, 1), address(1), statement(1), old(2, 0))
	next := w.as("vendor/feed").get(c + "objects/?limit=1&match[version]=all").envelope().Next
	one := c + "objects/" + id("indicator", 1) + "/"
	for _, path := range []string{"/taxii2/", "/igci/", "/igci/collections/", "/igci/status/8e4e38a0-1d3c-4a5c-9b4c-0c1d2e3f4a5b/", "/igci/x-handling/", c, c + "objects/", c + "manifest", one, one + "versions//", "/healthz", "//", "/%ff/", "/igci/../x"} {
		f.Add("GET", path, "", "", "")
		f.Add("HEAD", path, "limit=1", "Accept-Encoding: gzip", "")
		f.Add("DELETE", path, "match[version]=first", "", "")
	}
	for _, query := range []string{
		"limit=0", "limit=1&next=" + next, "next=" + next + "&match[type]=x", "added_after=2026-03-01T12:00:00.1+01:00", "match[version]=all", "match[version]=first,last,2020-01-01T00:00:00Z",
		"match[id]=a,b&match[spec_version]=2.0,2.1", "a;b", "%zz", "added_after=0000-00-00T00:00:00Z", "added_after=9999-12-31T23:59:60Z", "match[type]=\x00", "match[version]=0001-01-01T00:00:00Z",
	} {
		f.Add("GET", c+"objects/", query, "", "")
		f.Add("GET", c+"manifest/", query, "Accept: */*;q=0.1", "")
		f.Add("GET", one+"versions/", query, "", "")
		f.Add("DELETE", one, query, "", "")
	}
	for _, body := range []string{
		"", "{", "{}", "[]", envelopeOf(indicator(1, 0)), envelopeOf(`7`, `{}`, statement(2), address(2, marked(red))), `{"type":"bundle","objects":[` + old(3, 0) + `]}`,
		envelopeOf(object("relationship", id("relationship", 1), `"source_ref":"`+id("relationship", 1)+`"`)), `{"objects":[` + strings.Repeat("[", 500), "\xff", envelopeOf(indicator(5, 0, `"name":"\ud800"`)),
	} {
		f.Add("POST", c+"objects/", "", "Content-Type: application/taxii+json;version=2.1", body)
		f.Add("POST", c+"objects/", "", "Content-Type: application/taxii+json\nContent-Encoding: gzip", string(gzipped(body)))
	}
	f.Add("POST", c+"objects/", "", "Content-Type: ;;\nAccept: \"", "x")
	f.Add("GET", c+"objects/", "", "Accept: application/taxii+json;version=\"2.1\\", "")
	f.Add("GET", c+"objects/", "", "Accept-Encoding: gzip;q=x,*;q=1e999", "")
	f.Add("OPTIONS", c, "", "Range: bytes=0-1", "")

	f.Fuzz(func(t *testing.T, method, path, query, headers, body string) {
		u, err := url.ParseRequestURI("/" + strings.TrimPrefix(path, "/"))
		if err != nil {
			t.Skip("net/http answers this itself")
		}
		r, err := http.NewRequest(method, "http://exchange.example/", bytes.NewReader([]byte(body)))
		if err != nil {
			t.Skip("net/http answers this itself")
		}
		u.RawQuery = query
		r.URL, r.RemoteAddr = u, "192.0.2.1:1234"
		for line := range strings.SplitSeq(headers, "\n") {
			if name, value, ok := strings.Cut(line, ":"); ok {
				r.Header.Add(strings.TrimSpace(name), strings.TrimSpace(value))
			}
		}
		r.Header.Set("Authorization", "Bearer "+tokenOf("vendor/feed"))
		out := httptest.NewRecorder()
		handler.ServeHTTP(out, r)
		isPage := out.Code == 200 && strings.Trim(u.EscapedPath(), "/") == "" // for browsers
		if out.Code >= 500 || out.Header().Get("Content-Type") != taxii.MediaType && !isPage {
			t.Errorf("%s %s?%s: %d, %s\n%s", method, u, query, out.Code, out.Header().Get("Content-Type"), out.Body)
		}
	})
}
