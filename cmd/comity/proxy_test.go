package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"
)

func networks(texts ...string) (list []netip.Prefix) {
	for _, text := range texts {
		list = append(list, netip.MustParsePrefix(text))
	}
	return list
}

// The address in X-Forwarded-For is ignored unless a trusted proxy sent it. Each trusted
// proxy is believed about the hop before it.
func TestClientsAddressComesFromTrustedProxiesOnly(t *testing.T) {
	c := connectionFlags{TrustedProxy: networks("10.0.0.0/8", "fd00::/8")}
	for _, tt := range []struct {
		peer      string
		forwarded []string
		want      string
	}{
		{"10.0.0.1:5", []string{"192.0.2.7"}, "192.0.2.7:0"},
		{"10.0.0.1:5", []string{"203.0.113.9, 192.0.2.7"}, "192.0.2.7:0"}, // the client forged the first address
		{"10.0.0.1:5", []string{"203.0.113.9", "192.0.2.7, 10.2.0.1"}, "192.0.2.7:0"},
		{"[fd00::1]:5", []string{"2001:db8::7"}, "[2001:db8::7]:0"},
		{"10.0.0.1:5", []string{"[2001:db8::7]:443"}, "[2001:db8::7]:0"},
		{"10.0.0.1:5", []string{"192.0.2.7:81"}, "192.0.2.7:0"},
		{"10.0.0.1:5", []string{"10.3.0.1"}, "10.3.0.1:0"},
		{"10.0.0.1:5", nil, "10.0.0.1:5"},
		{"10.0.0.1:5", []string{"192.0.2.7, unknown"}, "10.0.0.1:5"},
		{"192.0.2.1:5", []string{"203.0.113.9"}, "192.0.2.1:5"},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = tt.peer
		r.Header["X-Forwarded-For"] = tt.forwarded
		c.handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			if r.RemoteAddr != tt.want {
				t.Errorf("%s by %s: %s, want %s", tt.forwarded, tt.peer, r.RemoteAddr, tt.want)
			}
		})).ServeHTTP(httptest.NewRecorder(), r)
	}
}

// serveAddresses starts a server with these flags on a free port of the host, which answers with
// the address of the client, and returns its address.
func serveAddresses(t *testing.T, host string, c connectionFlags) string {
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.RemoteAddr) })}
	go s.Serve(c.wrap(l))
	t.Cleanup(func() { s.Close() })
	return l.Addr().String()
}

// get returns the answer to a request on a new connection, on which the text before is sent
// first.
func get(t *testing.T, address, before string) (status int, body string) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(30 * time.Second))
	fmt.Fprintf(conn, "%sGET / HTTP/1.1\r\nHost: x\r\n\r\n", before)
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0, ""
	}
	text, _ := io.ReadAll(answer.Body)
	return answer.StatusCode, string(text)
}

func TestPROXYProtocolGivesTheClientsAddress(t *testing.T) {
	const version1 = "PROXY TCP4 192.0.2.7 192.0.2.1 4000 443\r\n"
	const version2 = "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\xc0\x00\x02\x07\xc0\x00\x02\x01\x0f\xa0\x01\xbb"
	trusting := serveAddresses(t, "127.0.0.1", connectionFlags{TrustedProxy: networks("127.0.0.0/8"), ProxyProtocol: true, PerAddress: 1})
	for _, header := range []string{version1, version2} {
		if _, got := get(t, trusting, header); got != "192.0.2.7:4000" {
			t.Errorf("%q gives %q", header, got)
		}
	}
	if status, got := get(t, trusting, ""); status == 200 {
		t.Errorf("without the header: %d %q", status, got)
	}
	other := serveAddresses(t, "127.0.0.1", connectionFlags{TrustedProxy: networks("10.0.0.0/8"), ProxyProtocol: true, PerAddress: 1})
	if status, got := get(t, other, version1); status == 200 {
		t.Errorf("of a client that is no trusted proxy: %d %q", status, got)
	}
	if status, _ := get(t, other, ""); status != 200 {
		t.Errorf("without proxy: %d", status)
	}
}

// The demonstration has no flags for connections, and does not limit them.
func TestConnectionsAreNotBoundedWithoutFlags(t *testing.T) {
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addresses {
		if n, ok := a.(*net.IPNet); ok && n.IP.IsGlobalUnicast() {
			if status, _ := get(t, serveAddresses(t, n.IP.String(), connectionFlags{}), ""); status != 200 {
				t.Errorf("from %s: %d", n.IP, status)
			}
			return
		}
	}
	t.Skip("this machine has loopback addresses only")
}

func TestConnectionsOfOneAddressAreBounded(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	bounded := &boundedListener{Listener: l, maxOpen: 2, open: map[netip.Prefix]int{}, exempt: func(netip.Addr) bool { return false }}
	accepted := make(chan net.Conn)
	go func() {
		for {
			conn, err := bounded.Accept()
			if err != nil {
				return
			}
			accepted <- conn
		}
	}()
	dial := func() net.Conn {
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		conn.SetDeadline(time.Now().Add(30 * time.Second))
		return conn
	}
	dial()
	first := <-accepted
	dial()
	<-accepted
	if _, err := dial().Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("a third connection is not closed: %v", err)
	}
	first.Close()
	first.Close() // counts once
	dial()
	<-accepted
	if _, err := dial().Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("a third connection after one ended is not closed: %v", err)
	}
}
