package server_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"comity/store"
	"comity/taxii"
	"comity/taxii/exchange"
)

// refusal is a push that is refused, with the status that the client gets.
type refusal struct {
	path, account string
	header        header // beside what every push has
	status        int
}

func refusals(w *world) map[string]refusal {
	c := w.collection("sharing.reports")
	return map[string]refusal{
		"nobody":         {c + "objects/", "", header{}, 401},
		"a reader":       {c + "objects/", "bureau/soc", header{}, 403},
		"a stranger":     {c + "objects/", "stranger/lone", header{}, 404},
		"no such path":   {"/no/such/path/", "vendor/feed", header{}, 404},
		"another method": {c + "manifest/", "vendor/feed", header{}, 405},
		"another type":   {c + "objects/", "vendor/feed", header{"Content-Type", "text/plain"}, 415},
		"another coding": {c + "objects/", "vendor/feed", header{"Content-Encoding", "br"}, 415},
		"a wrong query":  {c + "objects/?x_dry_run=no", "vendor/feed", header{}, 400},
		"no JSON":        {c + "objects/", "vendor/feed", header{}, 400},
	}
}

// bodySizes are in bytes. The largest push is larger.
var bodySizes = []int{20_000, 1 << 20, 20 << 20}

func largePushes(w *world) { w.config.MaxContentLength = 24 << 20 }

// A client that sends its whole push before it reads gets the answer, whatever the
// refusal, the size and the way in which the connection ends.
func TestRefusedPushIsAnsweredWhole(t *testing.T) {
	w := newWorld(t, largePushes)
	t.Run("plain", func(t *testing.T) { refusedOnALine(w, func(c net.Conn) net.Conn { return c }) })
	w.close()
	w.serve(true)
	t.Run("TLS", func(t *testing.T) {
		refusedOnALine(w, func(c net.Conn) net.Conn { return tls.Client(c, &tls.Config{InsecureSkipVerify: true}) })
	})
}

func refusedOnALine(w *world, secure func(net.Conn) net.Conn) {
	for name, r := range refusals(w) {
		for _, size := range bodySizes {
			for i, line := range []string{"HTTP/1.1\r\nConnection: close", "HTTP/1.1\r\nConnection: keep-alive", "HTTP/1.0"} {
				chunked := i == 1
				l := newLine(w, secure(w.dial().Conn))
				fmt.Fprintf(l, "POST %s %s\r\nHost: x\r\nAccept: %s\r\n", r.path, line, taxii.MediaType)
				if r.account != "" {
					fmt.Fprintf(l, "Authorization: Bearer %s\r\n", tokenOf(r.account))
				}
				if r.header.name != "Content-Type" {
					fmt.Fprintf(l, "Content-Type: %s\r\n", taxii.MediaType)
				}
				if r.header.name != "" {
					fmt.Fprintf(l, "%s: %s\r\n", r.header.name, r.header.value)
				}
				body := strings.Repeat("x", size)
				if chunked {
					fmt.Fprintf(l, "Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n", size, body)
					body = "0\r\n\r\n"
				} else {
					fmt.Fprintf(l, "Content-Length: %d\r\n\r\n", size)
				}
				if _, err := io.WriteString(l, body); err != nil {
					w.t.Errorf("%s, %d bytes, %q: sending: %v", name, size, line, err)
				} else if a := l.answer(); a.status != r.status {
					w.t.Errorf("%s, %d bytes, %q: %s", name, size, line, a)
				} else {
					a.refused(r.status)
				}
				l.Close()
			}
		}
	}
}

// secureClient is the account's client over TLS, with HTTP/2 if asked for.
func (w *world) secureClient(account string, http2 bool) *client {
	c := w.nobody()
	if account != "" {
		c = w.as(account)
	}
	c.http.Transport = &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: http2, DisableCompression: true,
	}
	return c
}

// Go's client, which reads while it sends, gets each answer as well, over HTTP/1.1
// and HTTP/2, with a length and without.
func TestRefusedPushIsAnsweredToGoClients(t *testing.T) {
	w := newWorld(t, largePushes)
	w.close()
	w.serve(true)
	for _, http2 := range []bool{false, true} {
		for name, r := range refusals(w) {
			for _, size := range bodySizes {
				for _, chunked := range []bool{false, true} {
					c := w.secureClient(r.account, http2)
					var headers []header
					if r.header.name != "" {
						headers = append(headers, r.header)
					}
					var body io.Reader = bytes.NewReader(make([]byte, size))
					if chunked {
						body = io.MultiReader(body) // hides the length
					}
					if a := c.do("POST", r.path, body, headers...); a.status != r.status {
						t.Errorf("%s, %d bytes, HTTP/2 %v, chunked %v: %s", name, size, http2, chunked, a)
					} else {
						a.refused(r.status)
					}
					c.http.CloseIdleConnections()
				}
			}
		}
	}
}

// A push that is too large is told so, whether it says its length before or not,
// over HTTP/1.1 and HTTP/2 alike.
func TestTooLargePushIsToldSo(t *testing.T) {
	w := newWorld(t, func(w *world) { w.config.MaxContentLength = 12 << 20 })
	w.close()
	w.serve(true)
	for _, http2 := range []bool{false, true} {
		for _, chunked := range []bool{false, true} {
			var body io.Reader = strings.NewReader(`{"objects":[` + strings.Repeat(" ", 20<<20))
			if chunked {
				body = io.MultiReader(body)
			}
			c := w.secureClient("vendor/feed", http2)
			c.do("POST", w.collection("sharing.reports")+"objects/", body).refused(413)
			c.http.CloseIdleConnections()
		}
	}
}

// A client that sends its push, closes its side of the connection and waits, gets
// its push carried out, and its status.
func TestPushOfAHalfClosedConnectionIsCarriedOut(t *testing.T) {
	w := newWorld(t)
	c := w.collection("sharing.reports")
	const n = 20
	for i := range n {
		l := w.dial()
		body := envelopeOf(indicator(i, 0))
		l.begin(c, "vendor/feed", fmt.Sprint("Content-Length: ", len(body)))
		io.WriteString(l, body)
		l.Conn.(*net.TCPConn).CloseWrite()
		l.answer().want(202)
	}
	if got := len(w.as("vendor/feed").ids(c, "")); got != n {
		t.Errorf("%d objects are stored, want %d", got, n)
	}
}

// fullStore fails to append, after a while.
type fullStore struct{ store.Store }

func (fullStore) Append(context.Context, exchange.Grant, store.Part) (store.Status, store.Outcomes, error) {
	time.Sleep(20 * time.Millisecond) // until the server sees that the client has half-closed
	return store.Status{}, store.Outcomes{}, errors.New("the disk broke")
}

// A failure of the server is one although the client sends no more.
func TestFailedPushOfAHalfClosedConnectionIsAnError(t *testing.T) {
	w := newWorld(t, func(w *world) { w.faults = func(s store.Store) store.Store { return fullStore{s} } })
	c := w.collection("sharing.reports")
	l := w.dial()
	body := envelopeOf(indicator(1, 0))
	l.begin(c, "vendor/feed", fmt.Sprint("Content-Length: ", len(body)))
	io.WriteString(l, body)
	l.Conn.(*net.TCPConn).CloseWrite()
	l.answer().want(500)
	w.close()
	if !strings.Contains(w.log.String(), "the disk broke") {
		t.Errorf("the log does not tell why: %s", w.log)
	}
}

// A client that leaves before its answer is not an error of the server.
func TestClientThatLeavesIsNoError(t *testing.T) {
	slow := &slowStore{account: "bureau/soc", entered: make(chan struct{}), release: make(chan struct{})}
	w := newWorld(t, slow.slows)
	c := w.collection("sharing.reports")
	w.as("vendor/feed").push(c, indicator(1, 0))
	for range 5 {
		l := w.dial()
		fmt.Fprintf(l, "GET %sobjects/ HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", c, tokenOf("bureau/soc"))
		<-slow.entered
		l.Close()
		time.Sleep(10 * time.Millisecond) // until the server sees it
		slow.release <- struct{}{}
	}
	w.close()
	if w.log.Len() > 0 {
		t.Errorf("logged as an error: %s", w.log)
	}
}

// Every TLS listener speaks HTTP/2 to those who ask for it.
func TestHTTP2OverTLS(t *testing.T) {
	w := newWorld(t)
	w.close()
	w.serve(true)
	c := w.collection("sharing.reports")
	vendor := w.secureClient("vendor/feed", true)
	vendor.push(c, indicators(1, 1200)...)
	r, err := vendor.http.Get(w.config.PublicURL + "/healthz")
	if err != nil || r.ProtoMajor != 2 {
		t.Fatalf("%v, %v; want HTTP/2", r, err)
	}
	r.Body.Close()
	if got := len(vendor.objects(c, "limit=500")); got != 1200 {
		t.Errorf("%d objects, want 1200", got)
	}
	vendor.delete(c + "objects/" + id("indicator", 1) + "/").want(200)
	if got := vendor.get(c+"objects/", header{"Accept-Encoding", "gzip"}).want(200).decompressed(); len(got) < 1000 {
		t.Errorf("%d bytes", len(got))
	}
}
