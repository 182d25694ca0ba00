package auth_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"comity/taxii/auth"
)

// A connection on which nobody was authenticated is closed when it is idle. Others stay,
// and so do those of a proxy, whose clients share them.
func TestConnectionWithoutCredentialsDoesNotStayIdle(t *testing.T) {
	const idle = 50 * time.Millisecond
	w := newWorld(t)
	for _, proxy := range []bool{false, true} {
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { w.Authenticate(r) }))
		auth.LimitIdle(s.Config, idle, func(net.Addr) bool { return proxy })
		s.Start()
		t.Cleanup(s.Close)
		// connect opens a connection and returns a function that reports whether it answers.
		connect := func() (answers func(token string) bool) {
			conn, err := net.Dial("tcp", s.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { conn.Close() })
			in := bufio.NewReader(conn)
			return func(token string) bool {
				fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", token)
				answer, err := http.ReadResponse(in, nil)
				return err == nil && answer.StatusCode == 200
			}
		}
		stranger, feed := connect(), connect()
		if !stranger("wrong") || !feed(w.token) || !feed("wrong") {
			t.Error("a request is not answered")
		}
		time.Sleep(4 * idle)
		if !feed(w.token) {
			t.Error("a connection on which a request was authenticated is closed")
		}
		time.Sleep(idle)
		if got := stranger("wrong"); got != proxy {
			t.Errorf("a connection without credentials is open: %t, want %t", got, proxy)
		}
	}
}
