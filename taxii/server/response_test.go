package server_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// One connection takes answers of every size, with and without a body, one after
// the other: none is late, and none holds bytes of another.
func TestAnswersOnOneConnectionDoNotMix(t *testing.T) {
	w := newWorld(t)
	t.Run("plain", func(t *testing.T) { answersOnOneConnection(t, w, false) })
	w.close()
	w.serve(true)
	t.Run("TLS", func(t *testing.T) { answersOnOneConnection(t, w, true) })
}

func answersOnOneConnection(t *testing.T, w *world, secure bool) {
	c := w.collection("sharing.reports")
	vendor := w.as("vendor/feed")
	if secure {
		vendor.http.Transport = w.server.Client().Transport
	}
	vendor.push(c, indicators(1, 1200)...)
	line, err := net.Dial("tcp", w.server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer line.Close()
	if secure {
		line = tls.Client(line, &tls.Config{InsecureSkipVerify: true})
	}
	in := bufio.NewReader(line)
	paths := []string{"/taxii2/", c + "objects/?limit=1", c + "objects/?limit=30", c + "objects/?limit=100", c + "objects/?limit=1200", c + "manifest/"}
	for round := range 3 { // what is asked again is kept
		for _, path := range paths {
			want := vendor.get(path).want(200)
			for _, method := range []string{"HEAD", "GET"} {
				fmt.Fprintf(line, "%s %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", method, path, vendor.token)
				response, err := http.ReadResponse(in, &http.Request{Method: method})
				if err != nil {
					t.Fatalf("round %d, %s %s: %v", round, method, path, err)
				}
				body, err := io.ReadAll(response.Body)
				if err != nil || response.StatusCode != 200 || response.ContentLength != int64(len(want.body)) {
					t.Fatalf("round %d, %s %s: status %d, length %d, %v", round, method, path, response.StatusCode, response.ContentLength, err)
				}
				if method == "GET" && string(body) != string(want.body) || method == "HEAD" && len(body) > 0 {
					t.Errorf("round %d, %s %s: %d bytes, which are not those of the page", round, method, path, len(body))
				}
				if strings.Contains(response.Header.Get("Connection"), "close") {
					t.Errorf("round %d, %s %s: the connection ends", round, method, path)
				}
			}
		}
	}
}
