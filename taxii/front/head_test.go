package front

import (
	"bufio"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"unsafe"
)

// heads are what clients send, and what nearly is.
var heads = []string{
	"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /taxii2/ HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nUser-Agent: curl/8.14.1\r\nAccept: */*\r\n\r\n",
	"GET /igci/collections/a/objects/?limit=100&added_after=2017-04-14T00%3A00%3A00Z HTTP/1.1\r\nHost: taxii.example.int\r\nUser-Agent: python-requests/2.32\r\nAccept-Encoding: gzip, deflate\r\naccept: application/taxii+json;version=2.1\r\nConnection: keep-alive\r\nAuthorization: Basic eDp5\r\n\r\n",
	"POST /igci/collections/a/objects/ HTTP/1.1\r\nHost: [::1]:80\r\nContent-Length: 14\r\nContent-Type: application/taxii+json;version=2.1\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: x\r\nX:  a \t\r\nx: b\r\nEmpty:\r\n\r\n",
	"GET /a%2fb HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /? HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET //x/y HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET http://y/ HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /#f HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET / HTTP/1.0\r\nHost: x\r\n\r\n",
	"GET / HTTP/1.1\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +5\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: x\r\nPragma: no-cache\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: x\r\nA : b\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: x\r\nA: b\nB: c\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: x\r\nA: \x00\r\n\r\n",
	"GET / HTTP/1.1\nHost: x\n\r\n\r\n",
	"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n",
	" GET / HTTP/1.1\r\nHost: x\r\n\r\n",
}

func parsed(head string) (*http.Request, bool) {
	var r request
	r.Request = &http.Request{URL: &r.url, Header: http.Header{}, Body: http.NoBody}
	r.blank = *r.Request
	return r.Request, r.parse(head)
}

// Half a dozen of the heads are plain: a doubt costs time, so clients' own must not
// raise one.
func TestHeadsOfClientsArePlain(t *testing.T) {
	for i, head := range heads {
		if _, plain := parsed(head); plain != (i < 5) {
			t.Errorf("%q: plain is %v", head, plain)
		}
	}
}

// Who keeps the path or the query of a request does not keep the fields behind it,
// which hold credentials.
func TestTargetIsApartFromTheFields(t *testing.T) {
	head := heads[2]
	r, _ := parsed(head)
	begin := uintptr(unsafe.Pointer(unsafe.StringData(head)))
	for name, kept := range map[string]string{"target": r.RequestURI, "path": r.URL.Path, "query": r.URL.RawQuery} {
		if at := uintptr(unsafe.Pointer(unsafe.StringData(kept))); at >= begin && at < begin+uintptr(len(head)) {
			t.Errorf("the %s is a part of the head", name)
		}
	}
}

// What is taken for plain net/http reads as the same request, without a rest.
func FuzzPlainHeadIsReadAsByNetHTTP(f *testing.F) {
	for _, head := range heads {
		f.Add(head)
	}
	f.Fuzz(func(t *testing.T, text string) {
		before, _, ends := strings.Cut(text, "\r\n\r\n")
		head := before + "\r\n\r\n"
		if !ends || len(head) > maxHead {
			return
		}
		got, plain := parsed(head)
		if !plain {
			return
		}
		in := bufio.NewReaderSize(strings.NewReader(head), maxHead)
		want, err := http.ReadRequest(in)
		if err != nil {
			t.Fatalf("%q is no request: %v", head, err)
		}
		if in.Buffered() > 0 {
			t.Fatalf("%q: %d octets are left", head, in.Buffered())
		}
		if got.Method != want.Method || got.RequestURI != want.RequestURI || got.Host != want.Host || *got.URL != *want.URL ||
			got.ContentLength != want.ContentLength || (got.Body == http.NoBody) != (want.Body == http.NoBody) {
			t.Fatalf("%q: %+v, by net/http %+v", head, got, want)
		}
		if !maps.EqualFunc(got.Header, want.Header, slices.Equal) {
			t.Fatalf("%q: %v, by net/http %v", head, got.Header, want.Header)
		}
		if want.Close || want.TransferEncoding != nil || want.Trailer != nil || want.ProtoMajor != 1 || want.ProtoMinor != 1 {
			t.Fatalf("%q is not plain: %+v", head, want)
		}
	})
}
