package server_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"
)

func TestSlashesAreForgivenWithoutARedirect(t *testing.T) {
	w := newWorld(t)
	c := w.collection("sharing.reports")
	vendor := w.as("vendor/feed")
	status := vendor.push(c, indicator(1, 0))
	for _, path := range endpoints(w, status.ID) {
		want := vendor.get(path).want(200)
		bare := strings.TrimSuffix(path, "/")
		doubled := strings.ReplaceAll(path, "/", "//")
		for _, spelling := range []string{bare, doubled, strings.TrimSuffix(doubled, "//"), path + "/", path + "///", path + "?", bare + "?"} {
			if a := vendor.get(spelling); a.status != 200 || !bytes.Equal(a.body, want.body) {
				t.Errorf("%s\nwant what %s gives", a, path)
			}
		}
	}
	for n, spelling := range []string{c + "objects", strings.ReplaceAll(c, "/", "//") + "objects//"} {
		vendor.do("POST", spelling, envelopeOf(indicator(10+n, 0))).want(202)
		vendor.get(c + "objects?match[id]=" + id("indicator", 10+n)).want(200)
		vendor.delete(strings.TrimSuffix(spelling, "/") + "/" + id("indicator", 10+n)).want(200)
	}
}

func TestPathsMayBeEncoded(t *testing.T) {
	w := newWorld(t)
	c := w.collection("sharing.reports")
	vendor := w.as("vendor/feed")
	vendor.push(c, indicator(1, 0))
	vendor.get("/%69gci/").want(200)
	vendor.get(strings.Replace(c, "-", "%2D", 1) + "objects/").want(200)
	vendor.get(c + "objects/" + strings.Replace(id("indicator", 1), "--", "%2D%2d", 1) + "/").want(200)
	vendor.get(c + "objects%2F" + id("indicator", 1)).refused(404)
}

func TestUnknownPathsAre404(t *testing.T) {
	w := newWorld(t)
	c := w.collection("sharing.reports")
	vendor := w.as("vendor/feed")
	for _, path := range []string{
		"/taxii/", "/taxii2/x/", "/igci/nothing/", "/igci/status/", c + "nothing/", c + "objects/x/y/", c + "manifest/x/",
		"/nobody/", "/nobody/collections/", "/nobody/status/8e4e38a0-1d3c-4a5c-9b4c-0c1d2e3f4a5b/", "/igci/../taxii2/",
		strings.Replace(c, "igci", "nobody", 1) + "objects/",
	} {
		vendor.get(path).refused(404)
	}
	vendor.do("POST", strings.Replace(c, "igci", "nobody", 1)+"objects/", envelopeOf(indicator(1, 0))).refused(404)
}

func TestMethodsAnEndpointLacksAre405WithAllow(t *testing.T) {
	w := newWorld(t)
	c := w.collection("sharing.reports")
	vendor := w.as("vendor/feed")
	vendor.push(c, indicator(1, 0))
	tests := []struct {
		path    string
		methods []string
	}{
		{"/taxii2/", []string{"GET", "HEAD", "OPTIONS"}},
		{"/igci/collections/", []string{"GET", "HEAD", "OPTIONS"}},
		{c + "manifest/", []string{"GET", "HEAD", "OPTIONS"}},
		{c + "objects/", []string{"GET", "HEAD", "OPTIONS", "POST"}},
		{c + "objects/" + id("indicator", 1) + "/", []string{"DELETE", "GET", "HEAD", "OPTIONS"}},
		{c + "objects/" + id("indicator", 1) + "/versions/", []string{"GET", "HEAD", "OPTIONS"}},
	}
	for _, tt := range tests {
		for _, method := range []string{"PUT", "PATCH", "POST", "DELETE", "TRACE", "PROPFIND", "X"} {
			if slices.Contains(tt.methods, method) {
				continue
			}
			a := vendor.do(method, tt.path, nil)
			a.refused(405)
			got := strings.Split(a.header.Get("Allow"), ", ")
			if slices.Sort(got); !slices.Equal(got, tt.methods) {
				t.Errorf("%s: Allow %q, want %q", a.request, got, tt.methods)
			}
		}
		if a := vendor.do("OPTIONS", tt.path, nil).want(204); a.header.Get("Allow") == "" {
			t.Errorf("%s: no Allow", a.request)
		}
	}
	vendor.get(c + "objects/" + id("indicator", 1) + "/").want(200)
}

func TestHeadGivesTheHeadersOfGet(t *testing.T) {
	w := newWorld(t)
	vendor := w.as("vendor/feed")
	status := vendor.push(w.collection("sharing.reports"), indicator(1, 0))
	for _, path := range endpoints(w, status.ID) {
		get, head := vendor.get(path).want(200), vendor.do("HEAD", path, nil).want(200)
		if len(head.body) != 0 {
			t.Errorf("%s has a body", head)
		}
		for _, name := range []string{"Content-Type", "Content-Length", "Date", "X-Taxii-Date-Added-First", "X-Taxii-Date-Added-Last"} {
			if got, want := head.header.Get(name), get.header.Get(name); got != want {
				t.Errorf("%s: %s %q, want %q", head.request, name, got, want)
			}
		}
	}
}

// The log and the metrics count the bytes of an answer that are sent.
func TestAnswerToHeadCountsNoBytes(t *testing.T) {
	w := newWorld(t, func(w *world) { w.level = slog.LevelInfo })
	w.as("vendor/feed").do("HEAD", "/taxii2/", nil).want(200)
	w.close()
	if log := w.log.String(); !strings.Contains(log, " bytes=0 ") {
		t.Errorf("logged: %s", log)
	}
	if counts := w.scrape(); !strings.Contains(counts, `comity_response_bytes_total{route="/taxii2/"} 0`) {
		t.Error("the metrics count the body")
	}
}

func TestRangeIsIgnored(t *testing.T) {
	w := newWorld(t)
	c := w.collection("sharing.reports")
	vendor := w.as("vendor/feed")
	vendor.push(c, indicators(1, 3)...)
	for _, value := range []string{"items 0-0", "bytes=0-10", "items=1-2"} {
		a := vendor.get(c+"objects/", header{"Range", value}).want(200)
		if len(a.objects()) != 3 || a.header.Get("Content-Range") != "" {
			t.Errorf("%s: %d objects, Content-Range %q", a.request, len(a.objects()), a.header.Get("Content-Range"))
		}
	}
}

func TestGzipIsGivenToThoseWhoAsk(t *testing.T) {
	w := newWorld(t)
	c := w.collection("sharing.reports")
	vendor := w.as("vendor/feed")
	vendor.push(c, indicators(1, 100)...)
	plain := vendor.get(c + "objects/").want(200)
	if plain.header.Get("Content-Encoding") != "" {
		t.Fatalf("encoded as %s, unasked", plain.header.Get("Content-Encoding"))
	}
	tests := []struct {
		name, accept string
		want         string
	}{
		{"gzip", "gzip", "gzip"},
		{"among others", "br;q=1.0, GZIP;q=0.5", "gzip"},
		{"anything", "*", "gzip"},
		{"anything but gzip", "gzip;q=0, *", ""},
		{"gzip and nothing else", "*;q=0, gzip", "gzip"},
		{"another", "br", ""},
		{"identity", "identity", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := vendor.get(c+"objects/", header{"Accept-Encoding", tt.accept}).want(200)
			if got := a.header.Get("Content-Encoding"); got != tt.want {
				t.Fatalf("Content-Encoding %q, want %q", got, tt.want)
			}
			if !strings.Contains(a.header.Get("Vary"), "Accept-Encoding") {
				t.Errorf("Vary %q", a.header.Get("Vary"))
			}
			body := a.body
			if tt.want == "gzip" {
				body = gunzip(t, a.body)
			}
			if !bytes.Equal(body, plain.body) {
				t.Error("another body than without gzip")
			}
		})
	}
}

func TestContentEncodingOfAPush(t *testing.T) {
	w := newWorld(t)
	c := w.collection("sharing.reports")
	vendor := w.as("vendor/feed")
	packed := gzipped(envelopeOf(indicator(1, 0)))
	encoding := func(value string) header { return header{"Content-Encoding", value} }
	vendor.do("POST", c+"objects/", packed, encoding("gzip")).want(202)
	vendor.do("POST", c+"objects/", envelopeOf(indicator(2, 0)), encoding("identity")).want(202)
	vendor.get(c + "objects/" + id("indicator", 1) + "/").want(200)
	vendor.do("POST", c+"objects/", gzipped(envelopeOf(indicator(4, 0))), encoding("x-gzip")).want(202)
	vendor.get(c + "objects/" + id("indicator", 4) + "/").want(200)
	br := vendor.do("POST", c+"objects/", packed, encoding("br"))
	if m := br.refused(415); !strings.Contains(m.Description, `"br"`) || br.header.Get("Accept-Encoding") != "gzip" {
		t.Errorf("%s %v, want the coding and what is taken", br, br.header)
	}
	vendor.do("POST", c+"objects/", packed, encoding("gzip, gzip")).refused(415)
	vendor.do("POST", c+"objects/", packed[:len(packed)-9], encoding("gzip")).refused(400)
	vendor.do("POST", c+"objects/", envelopeOf(indicator(3, 0)), encoding("gzip")).refused(400)
	vendor.do("POST", c+"objects/", append(slices.Clone(packed), "more"...), encoding("gzip")).refused(400)
	vendor.get(c + "objects/" + id("indicator", 3) + "/").refused(404)
}

func TestChunkedPushIsTaken(t *testing.T) {
	w := newWorld(t)
	c := w.collection("sharing.reports")
	vendor := w.as("vendor/feed")
	// A reader that hides its length goes out in chunks.
	vendor.do("POST", c+"objects/", io.MultiReader(strings.NewReader(envelopeOf(indicators(1, 3)...)))).want(202)
	if got := len(vendor.ids(c, "")); got != 3 {
		t.Errorf("%d objects, want 3", got)
	}
}

func TestUserAgentIsNotNeeded(t *testing.T) {
	newWorld(t).as("vendor/feed").get("/taxii2/", header{"User-Agent", ""}).want(200)
}

func gzipped(s string) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	z.Write([]byte(s))
	z.Close()
	return b.Bytes()
}

func gunzip(t *testing.T, b []byte) []byte {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return plain
}
