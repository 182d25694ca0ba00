package main

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pires/go-proxyproto"
)

// connectionFlags set how the address of a client is found, and how many connections an
// address may have.
type connectionFlags struct {
	TrustedProxy  []netip.Prefix `placeholder:"CIDR" env:"COMITY_TRUSTED_PROXY" help:"Networks of proxies that are believed what address a client has: by X-Forwarded-For, or by --proxy-protocol."`
	ProxyProtocol bool           `env:"COMITY_PROXY_PROTOCOL" help:"Connections of a --trusted-proxy begin with a header of the PROXY protocol, version 1 or 2."`
	PerAddress    int            `name:"connections-per-address" default:"512" env:"COMITY_CONNECTIONS_PER_ADDRESS" help:"Connections that one address (IPv6: one /64) has open at a time (default ${default}); those of loopback addresses and of a --trusted-proxy are not counted."`
}

// trusts reports whether the address belongs to a trusted proxy.
func (c *connectionFlags) trusts(address netip.Addr) bool {
	return slices.ContainsFunc(c.TrustedProxy, func(p netip.Prefix) bool { return p.Contains(address) })
}

// exempt reports whether connections of the address are neither counted nor closed early:
// many clients may share those of a proxy.
func (c *connectionFlags) exempt(address netip.Addr) bool {
	return address.IsLoopback() || c.trusts(address)
}

// wrap bounds the connections of the listener, and reads their PROXY protocol.
func (c *connectionFlags) wrap(l net.Listener) net.Listener {
	if c.PerAddress > 0 { // the demonstration has no bound
		l = &boundedListener{
			Listener: l, maxOpen: c.PerAddress, open: map[netip.Prefix]int{}, exempt: c.exempt,
		}
	}
	if !c.ProxyProtocol {
		return l
	}
	return &proxyproto.Listener{
		Listener: l, ReadHeaderTimeout: 10 * time.Second,
		ConnPolicy: func(o proxyproto.ConnPolicyOptions) (proxyproto.Policy, error) {
			if c.trusts(addressOf(o.Upstream)) {
				return proxyproto.REQUIRE, nil
			}
			return proxyproto.SKIP, nil
		},
	}
}

// handler sets the address of requests through a trusted proxy to that of the client: the
// last address in X-Forwarded-For that does not belong to a trusted proxy.
func (c *connectionFlags) handler(next http.Handler) http.Handler {
	if len(c.TrustedProxy) == 0 {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hops := strings.Split(strings.Join(r.Header["X-Forwarded-For"], ","), ",")
		address := hostOf(r.RemoteAddr)
		for c.trusts(address) && len(hops) > 0 {
			hop := hostOf(strings.TrimSpace(hops[len(hops)-1]))
			if !hop.IsValid() {
				break
			}
			address, hops = hop, hops[:len(hops)-1]
		}
		if address.IsValid() && address != hostOf(r.RemoteAddr) {
			copied := *r
			copied.RemoteAddr = netip.AddrPortFrom(address, 0).String()
			r = &copied
		}
		next.ServeHTTP(w, r)
	})
}

// hostOf reads an address with or without a port; the result for other text is invalid.
func hostOf(s string) netip.Addr {
	if both, err := netip.ParseAddrPort(s); err == nil {
		return both.Addr().Unmap()
	}
	address, _ := netip.ParseAddr(strings.Trim(s, "[]"))
	return address.Unmap()
}

// addressOf is the address of one end of a connection, without its port.
func addressOf(a net.Addr) netip.Addr { return hostOf(a.String()) }

// boundedListener closes the connections that an address opens beyond its bound.
type boundedListener struct {
	net.Listener
	maxOpen int
	exempt  func(netip.Addr) bool

	mu   sync.Mutex // guards open
	open map[netip.Prefix]int
}

// Accept implements net.Listener.
func (l *boundedListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		address := addressOf(conn.RemoteAddr())
		tcp, ok := conn.(*net.TCPConn)
		if !ok || l.exempt(address) {
			return conn, nil
		}
		bits := 32
		if address.Is6() {
			bits = 64 // an IPv6 client usually has a /64 network
		}
		network, _ := address.WithZone("").Prefix(bits)
		if l.add(network, 1) {
			return &boundedConn{TCPConn: tcp, release: sync.OnceFunc(func() { l.add(network, -1) })}, nil
		}
		conn.Close()
	}
}

// add counts n more connections of the network, unless they would be too many.
func (l *boundedListener) add(network netip.Prefix, n int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch n += l.open[network]; {
	case n > l.maxOpen:
		return false
	case n == 0:
		delete(l.open, network)
	default:
		l.open[network] = n
	}
	return true
}

// boundedConn is a connection that is counted until it is closed.
type boundedConn struct {
	*net.TCPConn
	release func()
}

// Close implements net.Conn.
func (c *boundedConn) Close() error {
	c.release()
	return c.TCPConn.Close()
}
