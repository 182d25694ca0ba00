package main

import (
	"bufio"
	"net"
	"net/http"
	"strings"
	"testing"
)

// scripted answers each request on a new connection with the next text, and then
// closes the connection.
func scripted(t *testing.T, answers ...string) func() (net.Conn, error) {
	t.Helper()
	n := 0
	return func() (net.Conn, error) {
		text := answers[min(n, len(answers)-1)]
		n++
		ours, theirs := net.Pipe()
		go func() {
			defer theirs.Close()
			if _, err := http.ReadRequest(bufio.NewReader(theirs)); err == nil {
				theirs.Write([]byte(text))
			}
		}()
		return ours, nil
	}
}

var get = []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n")

func TestAnswersAreCountedWhetherKeptOrNot(t *testing.T) {
	for name, c := range map[string]struct {
		text   string
		status int
		body   string
	}{
		"length":     {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: b\r\n\r\nhello", 200, "hello"},
		"chunks":     {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-A: b\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\nTrailer: t\r\n\r\n", 200, "hello"},
		"to the end": {"HTTP/1.0 200 OK\r\nX-A: b\r\n\r\nhello", 200, "hello"},
		"no body":    {"HTTP/1.1 304 Not Modified\r\nContent-Length: 700\r\nX-A: b\r\n\r\n", 304, ""},
		"interim":    {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: b\r\n\r\nhello", 200, "hello"},
		"large":      {"HTTP/1.1 200 OK\r\nContent-Length: 300000\r\nX-A: b\r\n\r\n" + strings.Repeat("z", 300000), 200, strings.Repeat("z", 300000)},
	} {
		t.Run(name, func(t *testing.T) {
			for _, keep := range []bool{true, false} {
				conn := newConn(scripted(t, c.text))
				defer conn.close()
				got, err := conn.do(get, nil, keep)
				if err != nil {
					t.Fatal(err)
				}
				want := c.body
				if !keep {
					want = ""
				}
				if got.status != c.status || string(got.body) != want || got.bytes != int64(len(c.body)) || got.header.Get("X-A") != "b" {
					t.Errorf("keep %v: status %d, %d bytes, body %.20q, header %q", keep, got.status, got.bytes, got.body, got.header)
				}
			}
		})
	}
}

func TestErrorsKeepTheirBodies(t *testing.T) {
	conn := newConn(scripted(t, "HTTP/1.1 503 Busy\r\nContent-Length: 3\r\n\r\nwhy"))
	defer conn.close()
	if a, err := conn.do(get, nil, false); err != nil || string(a.body) != "why" {
		t.Errorf("%q, %v", a.body, err)
	}
}

func TestCutAnswersAreErrors(t *testing.T) {
	for name, text := range map[string]string{
		"body":    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel",
		"head":    "HTTP/1.1 200 OK\r\nContent-Le",
		"chunks":  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n",
		"nothing": "",
	} {
		for _, keep := range []bool{true, false} {
			conn := newConn(scripted(t, text))
			defer conn.close()
			if got, err := conn.do(get, nil, keep); err == nil {
				t.Errorf("%s, keep %v: taken as status %d with %q", name, keep, got.status, got.body)
			}
		}
	}
}

// A server that closes the connection is asked again over a new one, and no request is
// sent twice.
func TestConnectionIsReopenedOnlyAfterAnAnswer(t *testing.T) {
	dial := scripted(t, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\na", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nb")
	dialled := 0
	conn := newConn(func() (net.Conn, error) { dialled++; return dial() })
	defer conn.close()
	for _, want := range []string{"a", "b"} {
		a, err := conn.do(get, nil, true)
		if err != nil || string(a.body) != want {
			t.Fatalf("%q, %v; want %q", a.body, err, want)
		}
	}
	if _, err := conn.do(get, nil, true); err == nil {
		t.Error("a request on a connection that the server had closed was sent again")
	}
	if dialled != 2 {
		t.Errorf("dialled %d times", dialled)
	}
}
