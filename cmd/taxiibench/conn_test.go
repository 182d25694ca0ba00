package main

import (
	"bufio"
	"net"
	"net/http"
	"strings"
	"testing"
)

// scripted answers each request on a new connection with the next text, and
// closes behind it.
func scripted(t *testing.T, answers ...string) func() (net.Conn, error) {
	t.Helper()
	n := 0
	return func() (net.Conn, error) {
		text := answers[min(n, len(answers)-1)]
		n++
		ours, theirs := net.Pipe()
		go func() {
			defer theirs.Close()
			if _, err := http.ReadRequest(bufio.NewReader(theirs)); err != nil {
				return
			}
			// In pieces, as a network may cut them.
			for len(text) > 0 {
				k := min(7, len(text))
				if _, err := theirs.Write([]byte(text[:k])); err != nil {
					return
				}
				text = text[k:]
			}
		}()
		return ours, nil
	}
}

func TestAnswersAreReadInAllTheirFramings(t *testing.T) {
	for name, c := range map[string]struct {
		text   string
		status int
		body   string
	}{
		"length":      {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: b\r\n\r\nhello", 200, "hello"},
		"spelling":    {"HTTP/1.1 200 OK\r\ncontent-LENGTH:5\r\nx-a:  b \r\n\r\nhello", 200, "hello"},
		"chunks":      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-A: b\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\nTrailer: t\r\n\r\n", 200, "hello"},
		"to the end":  {"HTTP/1.0 200 OK\r\nX-A: b\r\n\r\nhello", 200, "hello"},
		"empty":       {"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\nX-A: b\r\n\r\n", 202, ""},
		"no body":     {"HTTP/1.1 304 Not Modified\r\nContent-Length: 700\r\nX-A: b\r\n\r\n", 304, ""},
		"interim":     {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: b\r\n\r\nhello", 200, "hello"},
		"large":       {"HTTP/1.1 200 OK\r\nContent-Length: 300000\r\nX-A: b\r\n\r\n" + strings.Repeat("z", 300000), 200, strings.Repeat("z", 300000)},
		"no reason":   {"HTTP/1.1 200 \r\nContent-Length: 2\r\nX-A: b\r\n\r\nok", 200, "ok"},
		"and closing": {"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\nX-A: b\r\n\r\nok", 200, "ok"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, keep := range []bool{true, false} {
				c1 := newConn(scripted(t, c.text))
				got, err := c1.do([]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), nil, keep)
				if err != nil {
					t.Fatal(err)
				}
				want := c.body
				if !keep {
					want = ""
				}
				if got.status != c.status || string(got.body) != want || got.bytes != int64(len(c.body)) || got.header("x-A") != "b" {
					t.Errorf("keep %v: status %d, %d octets, body %.20q, header %q", keep, got.status, got.bytes, got.body, got.header("x-A"))
				}
				c1.close()
			}
		})
	}
}

func TestBrokenAnswersAreErrors(t *testing.T) {
	for name, text := range map[string]string{
		"cut body":    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel",
		"cut head":    "HTTP/1.1 200 OK\r\nContent-Le",
		"cut chunks":  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n",
		"long chunk":  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhello\r\n0\r\n\r\n",
		"odd chunk":   "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
		"odd length":  "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
		"no HTTP":     "SSH-2.0-OpenSSH_9.2p1\r\n\r\n",
		"no status":   "HTTP/1.1 abc OK\r\n\r\n",
		"nothing":     "",
		"no field":    "HTTP/1.1 200 OK\r\nnonsense\r\n\r\n",
		"endless":     "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 200_000),
		"HTTP/2 only": "HTTP/2 200 OK\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			c := newConn(scripted(t, text))
			defer c.close()
			if got, err := c.do([]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), nil, true); err == nil {
				t.Errorf("taken as status %d with %q", got.status, got.body)
			}
		})
	}
}

// TestConnectionIsReopenedOnlyWhereItEnded pins that a server which closes is
// asked again over a new connection, and no request is sent twice.
func TestConnectionIsReopenedOnlyWhereItEnded(t *testing.T) {
	dial := scripted(t, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\na", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nb")
	dialled := 0
	c := newConn(func() (net.Conn, error) { dialled++; return dial() })
	defer c.close()
	head := []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	for _, want := range []string{"a", "b"} {
		a, err := c.do(head, nil, true)
		if err != nil || string(a.body) != want {
			t.Fatalf("%q, %v; want %q", a.body, err, want)
		}
	}
	if _, err := c.do(head, nil, true); err == nil {
		t.Error("a request on a connection that was closed behind our back was sent again")
	}
	if dialled != 2 {
		t.Errorf("dialled %d times", dialled)
	}
}
