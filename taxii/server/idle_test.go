package server_test

import (
	"fmt"
	"net"
	"net/http"
	"testing"
	"time"

	"comity/taxii/server"
)

// A connection on which nobody was authenticated is closed when it is idle. Others stay,
// and so do those of a proxy, whose clients share them.
func TestConnectionWithoutCredentialsDoesNotStayIdle(t *testing.T) {
	const idle = 50 * time.Millisecond
	for _, proxy := range []bool{false, true} {
		w := newWorld(t)
		w.close()
		w.prepare = func(s *http.Server) { server.LimitIdle(s, idle, func(net.Addr) bool { return proxy }) }
		w.serve(false)
		ask := func(l *line, token string) *answer {
			fmt.Fprintf(l, "GET /taxii2/ HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", token)
			return l.answer()
		}
		stranger, vendor := w.dial(), w.dial()
		ask(stranger, "wrong").want(401)
		ask(vendor, tokenOf("vendor/feed")).want(200)
		ask(vendor, "wrong").want(401)
		time.Sleep(4 * idle)
		ask(vendor, tokenOf("vendor/feed")).want(200)
		if proxy {
			ask(stranger, "wrong").want(401)
		} else {
			stranger.closed()
		}
	}
}
