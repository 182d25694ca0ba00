package main

import (
	"crypto/ed25519"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
)

// dnsFlags set where feeds are served as response policy zones.
type dnsFlags struct {
	DNSListen    string `name:"dns-listen" placeholder:"ADDR" env:"COMITY_DNS_LISTEN" help:"Where to serve feeds as response policy zones over the DNS: UDP and TCP, signed but in the clear."`
	DNSTLSListen string `name:"dns-tls-listen" placeholder:"ADDR" env:"COMITY_DNS_TLS_LISTEN" help:"Where to serve them over TLS, with the certificate of the server."`
	PlainDNS     bool   `name:"plain-dns" env:"COMITY_PLAIN_DNS" help:"Let --dns-listen be an address that other machines reach: who can read the traffic can read the zones."`
}

// check refuses addresses for which there is no key of the centre, no certificate or no
// --plain-dns.
func (c *dnsFlags) check(key ed25519.PrivateKey, certs *certificates) error {
	switch {
	case c.DNSListen == "" && c.DNSTLSListen == "":
		return nil
	case key == nil:
		return fmt.Errorf("--dns-listen needs %s, from which the keys of the zones are made", keyFile)
	case c.DNSTLSListen != "" && certs == nil:
		return errors.New("--dns-tls-listen needs TLS: choose one of --tls-cert, --tls-self-signed and --acme")
	case c.DNSListen != "" && !c.PlainDNS && !loopback(c.DNSListen):
		return fmt.Errorf("%s is no loopback address: choose --dns-tls-listen, or --plain-dns in a network that nobody else can read", c.DNSListen)
	}
	return nil
}

// dnsListeners are the sockets of the DNS.
type dnsListeners struct {
	packets    []net.PacketConn
	listeners  []net.Listener
	plain, tls string // addresses; "" without the flag
}

// listen opens the sockets.
func (c *dnsFlags) listen(connections *connectionFlags, certs *certificates) (*dnsListeners, error) {
	d := &dnsListeners{}
	if c.DNSListen != "" {
		l, err := net.Listen("tcp", c.DNSListen)
		if err != nil {
			return nil, err
		}
		d.plain = l.Addr().String()
		packets, err := net.ListenPacket("udp", d.plain)
		if err != nil {
			return nil, err
		}
		d.packets, d.listeners = append(d.packets, packets), append(d.listeners, connections.wrap(l))
	}
	if c.DNSTLSListen != "" {
		l, err := net.Listen("tcp", c.DNSTLSListen)
		if err != nil {
			return nil, err
		}
		d.tls = l.Addr().String()
		d.listeners = append(d.listeners, tls.NewListener(connections.wrap(l), certs.dnsConfig()))
	}
	return d, nil
}

// dnsConfig is the configuration of zone transfers over TLS (RFC 9103 §7): TLS 1.3 with the
// protocol "dot".
func (c *certificates) dnsConfig() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			config := c.current().Clone()
			config.MinVersion, config.NextProtos = tls.VersionTLS13, []string{"dot"}
			return config, nil
		},
	}
}
